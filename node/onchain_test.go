package node_test

import (
	"sync"
	"testing"
	"time"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// TestSkimmedOnChain: the channel goes on chain while the client holds an HTLC from which
// the fee is withheld. The client claims it there, less than its onion says, and the LSP
// learns the preimage from the chain: the payer's payment succeeds.
func TestSkimmedOnChain(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 100_000_000)
	var hold sync.Once
	var release func()
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	m.holds(client)
	m.Mine(6)
	point := m.order(inv).Point
	for _, n := range []*member{client, m.seller} {
		m.event(n, node.ChannelConfirmed, point.String())
	}
	_, err := m.seller.ForceClose(*point, node.BreakMinLifetime)
	must(t, err)
	m.Mine(6) // lnd counts a close as final only then
	m.event(m.seller, node.ChannelClosed, point.String())
	release() // the client's link ends now, and the court has the HTLC
	m.event(client, node.ChannelClosed, point.String())
	got := m.mineUntilPaid(out, 20) // the client's HTLC expires in some forty blocks
	must(t, got.err)
	if got.payment.Status != pay.Succeeded || len(got.payment.Parts) != 1 {
		t.Fatalf("%d attempts: %+v", len(got.payment.Parts), got.payment.Failure)
	}
	m.wantReceived(client, inv, 100_000_000)
}

// mineUntilPaid mines a few blocks until a payment ends. Sweepers act on blocks, so those leave
// them time: what comes after the last block is not swept any more.
func (m *market) mineUntilPaid(out <-chan paid, blocks int) paid {
	m.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range blocks {
		select {
		case got := <-out:
			return got
		case <-tick.C:
		}
		m.Mine(1)
		height, err := m.Chain.Height()
		must(m.t, err)
		m.reach(height, m.seller, m.payer)
	}
	return <-out
}
