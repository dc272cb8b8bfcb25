package node_test

import (
	"context"
	"sync"
	"testing"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// heldByTheClient pays a trusting client's invoice and returns when the client has the HTLC and
// leaves it lying.
func (m *market) heldByTheClient(client *member) (out <-chan paid, release func()) {
	m.t.Helper()
	inv := m.buyTrusting(client, 100_000_000)
	var hold sync.Once
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	forwarded := m.log.count(orders.StageForwarded)
	out = m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, forwarded+1)
	m.holds(client)
	return out, release
}

// mineSlowly mines blocks, a few at a time, with the nodes behind.
func (m *market) mineSlowly(blocks int, nodes ...*member) {
	m.t.Helper()
	for range blocks / 5 {
		m.Mine(5)
		height, err := m.Chain.Height()
		must(m.t, err)
		m.reach(height, nodes...)
	}
}

// wantNotBroadcast has nothing of a funding be out, and its coins free.
func (m *market) wantNotBroadcast(r orders.Record) {
	m.t.Helper()
	if _, err := m.Chain.Tx(r.Point.Hash); err == nil {
		m.t.Error("the funding was broadcast")
	}
	m.wantNoLeases()
}

// LSPS2-89: the client neither claims nor fails the payment. When the HTLC has expired the payer has
// its money back, the channel is given up, its coins are free, and the payer's channel stays.
func TestWithheldTimedOut(t *testing.T) {
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	defer release()
	order := m.seller.Orders()[0]
	m.mineSlowly(80, m.seller, m.payer)
	got := <-out
	must(t, got.err)
	if got.payment.Status != pay.Failed {
		t.Fatalf("the payment: %+v", got.payment)
	}
	m.soon(waitLink, func(context.Context) bool { return len(m.channels(m.seller, client)) == 0 })
	m.wantNotBroadcast(order)
	m.mineSlowly(10, m.seller, m.payer)
	if state := m.channels(m.payer, m.seller)[0].State; state != api.ChannelOpen {
		t.Errorf("the payer's channel is %s", state)
	}
	m.wantNotBroadcast(order)
}
