package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
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
	forced, err := m.seller.ForcedCloses()
	must(t, err)
	if len(forced) != 0 {
		t.Errorf("lnd has closed %v by force: no commitment of a withheld channel can confirm", forced)
	}
	if state := m.channels(m.payer, m.seller)[0].State; state != api.ChannelOpen {
		t.Errorf("the payer's channel is %s", state)
	}
	m.wantNotBroadcast(order)
}

// TestWithheldIsNotDroppedWhenClaimed: the preimage is on the disk and the order does not know of it
// yet when the channel is to be given up. Only our transaction pays the client now: it stays, gets its
// link back, and the payment is made.
func TestWithheldIsNotDroppedWhenClaimed(t *testing.T) {
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	order := m.seller.Orders()[0]
	preimage, err := client.PreimageOf(t.Context(), order.Order.State.(jit.AwaitClaim).Hash)
	must(t, err)
	must(t, m.seller.KnowQuietly(preimage))
	if err := m.seller.DropWithheld(*order.Point); err == nil {
		t.Fatal("a channel that the client has claimed on is dropped")
	}
	release()
	m.wantFunded(<-out, order)
}

// TestWithheldTimedOutWhileDown: the LSP is away when the HTLC expires, and finds it so.
func TestWithheldTimedOutWhileDown(t *testing.T) {
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	defer release()
	order := m.seller.Orders()[0]
	m.seller.Stop()
	m.mineSlowly(80, m.payer)
	m.seller.Start()
	got := <-out
	must(t, got.err)
	if got.payment.Status != pay.Failed {
		t.Fatalf("the payment: %+v", got.payment)
	}
	m.soon(waitLink, func(context.Context) bool { return len(m.channels(m.seller, client)) == 0 })
	m.wantNotBroadcast(order)
	if state := m.channels(m.payer, m.seller)[0].State; state != api.ChannelOpen {
		t.Errorf("the payer's channel is %s", state)
	}
}

// LSPS2-88: the LSP is started again while the client has the payment; the coins stay leased, and the
// preimage that comes afterwards lets the funding out.
func TestWithheldClaimedAfterRestart(t *testing.T) {
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	order := m.seller.Orders()[0]
	m.seller.Stop()
	m.seller.Start()
	if _, err := m.Chain.Tx(order.Point.Hash); err == nil {
		t.Error("the restart has broadcast the funding")
	}
	leased := 0
	coins, err := m.seller.Utxos()
	must(t, err)
	for _, c := range coins {
		if c.Leased {
			leased++
		}
	}
	if leased == 0 {
		t.Error("the coins of the withheld funding are not leased after the restart")
	}
	release()
	m.wantFunded(<-out, order)
}

// LSPS2-88: the LSP is away for longer than the leases of the coins last. They are held again before
// anything may spend them: the court bumps commitments with what is free.
func TestWithheldCoinsAreHeldFirst(t *testing.T) {
	var opts node.Options
	m := newMarket(t, marketPlan{seller: func(o *node.Options) { trusted(o); opts = *o }})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	order := m.seller.Orders()[0]
	must(t, m.seller.EndLeases())
	m.seller.Stop()
	leased, err := node.LeasedAtTheCourt(t.Context(), opts)
	must(t, err)
	if leased == 0 {
		t.Error("the court starts while the coins of a withheld funding are free")
	}
	m.seller.Start()
	release()
	m.wantFunded(<-out, order)
}

// TestWithheldPayerOnChain: the payer's channel is closed by force while the client has the payment.
// The preimage lets the funding out, and the LSP takes the payer's HTLC on chain with it.
func TestWithheldPayerOnChain(t *testing.T) {
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	out, release := m.heldByTheClient(client)
	order := m.seller.Orders()[0]
	point, err := wire.NewOutPointFromString(m.channels(m.payer, m.seller)[0].ChannelPoint)
	must(t, err)
	_, err = m.payer.ForceClose(*point)
	must(t, err)
	m.mineSlowly(10, m.seller, m.payer)
	m.event(m.seller, node.ChannelClosed, point.String())
	release()
	m.wantFunded(m.mineUntilPaid(out, 20), order)
}

// wantFunded has the payment be made and its funding be out.
func (m *market) wantFunded(got paid, r orders.Record) {
	m.t.Helper()
	must(m.t, got.err)
	if got.payment.Status != pay.Succeeded {
		m.t.Fatalf("the payment: %+v", got.payment.Failure)
	}
	ctx, cancel := m.Context()
	defer cancel()
	must(m.t, m.Chain.WaitTx(ctx, r.Point.Hash))
}

// TestRestartWhilePayerIsOnChain: the payer's channel is closed by force while the client has the
// payment, and the LSP starts again before its close is in a block, or when the payer's is and the
// HTLC is not swept. The claim pays the order, and the LSP takes its fee on chain.
func TestRestartWhilePayerIsOnChain(t *testing.T) {
	for _, confirmed := range []bool{false, true} {
		t.Run(fmt.Sprintf("in a block: %v", confirmed), func(t *testing.T) {
			m := newMarket(t, marketPlan{seller: trusted})
			client := m.node("client", nil)
			out, release := m.heldByTheClient(client)
			order := m.seller.Orders()[0]
			point, err := wire.NewOutPointFromString(m.channels(m.payer, m.seller)[0].ChannelPoint)
			must(t, err)
			if confirmed {
				_, err = m.payer.ForceClose(*point)
				must(t, err)
				m.mineSlowly(10, m.seller, m.payer)
				m.event(m.seller, node.ChannelClosed, point.String())
			} else {
				_, err = m.seller.ForceClose(*point)
				must(t, err)
			}
			m.seller.Stop()
			m.seller.Start()
			if _, waits := m.seller.Orders()[0].Order.State.(jit.AwaitClaim); !waits {
				t.Errorf("after the start the order is %s", m.seller.Orders()[0].Order.State.Name())
			}
			release()
			if !confirmed {
				m.mineSlowly(10, m.seller, m.payer)
			}
			m.wantFunded(m.mineUntilPaid(out, 20), order)
			m.soon(waitLink, func(context.Context) bool {
				m.mineSlowly(5, m.seller) // the LSP's own claim confirms
				_, paid := m.seller.Orders()[0].Order.State.(jit.Paid)
				return paid
			})
		})
	}
}
