package node_test

import (
	"context"
	"sync"
	"testing"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// TestPayerFlapsWhileClientHolds: the payer reconnects while the client holds the
// HTLC, and time passes. lnd offers the HTLC to its interceptor again each time;
// whoever fails or keeps it then pays the client from his own pocket.
func TestPayerFlapsWhileClientHolds(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 100_000_000)

	// The client takes the HTLC and is not done judging its fee before release.
	var hold sync.Once
	var release func()
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	m.holds(client)

	m.flap(m.payer, m.seller)
	stillHeld(t, out)
	expiry := m.order(inv).Parts[0].Expiry
	// 144 blocks lie between the two expiries. Where the client has to go on chain
	// for its HTLC, 16 blocks before that expires, is not reached.
	height, err := m.Chain.Height()
	must(t, err)
	m.Mine(int(expiry-144-20) - int(height))
	m.reach(expiry-144-20, m.seller, m.payer)
	for range 3 {
		m.flap(m.payer, m.seller)
		m.sendSoon(m.payer, m.seller, 1_000_000, waitLink)
		stillHeld(t, out)
	}
	release()
	got := <-out
	must(t, got.err)
	if got.payment.Status != pay.Succeeded || len(got.payment.Parts) != 1 {
		t.Fatalf("%d attempts: %+v", len(got.payment.Parts), got.payment.Failure)
	}
	m.wantReceived(client, inv, 100_000_000)
	m.wantBalance(client, 100_000_000-inv.OpeningFee)
}

// TestPayerFlapsAtAutoFail: the client goes away with the HTLC. The LSP's channel
// to it is closed by force, but no block has the commitment yet, and the payer's
// HTLC comes to the height at which lnd's interceptor fails what is offered to it.
// The client could still claim on chain: only the end on chain may fail the payer.
func TestPayerFlapsAtAutoFail(t *testing.T) {
	m := newMarket(t, marketPlan{seller: shortDelta})
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
	defer func() { release() }()
	m.Mine(1) // the funding

	expiry := m.order(inv).Parts[0].Expiry
	height, err := m.Chain.Height()
	must(t, err)
	_, err = m.Chain.MineEmpty(int(expiry-20) - int(height))
	must(t, err)
	m.reach(expiry-20, m.seller, m.payer)
	for range 2 {
		m.flap(m.payer, m.seller)
		m.sendSoon(m.payer, m.seller, 1_000_000, waitLink)
		stillHeld(t, out)
	}
	if code := m.order(inv).Failure; code != nil {
		t.Errorf("the order has failed: %+v", code)
	}
	// A payer that was told of a failure tries again, and its payment goes on.
	parts, err := m.payer.PaymentParts(inv.Invoice.Hash)
	must(t, err)
	if len(parts) != 1 || parts[0].Status != pay.InFlight {
		t.Errorf("the payer has %d parts, want one in flight: %+v", len(parts), parts)
	}
}

// holds waits until an HTLC is in the client's commitment.
func (m *market) holds(client *member) {
	m.t.Helper()
	m.soon(waitLink, func(context.Context) bool {
		for _, ch := range m.channels(client, m.seller) {
			if ch.LocalMsat+ch.RemoteMsat+maxCommitFee < api.Msat(ch.CapacitySat)*1000 {
				return true
			}
		}
		return false
	})
}

// stillHeld wants the payment to have no outcome.
func stillHeld(t *testing.T, out <-chan paid) {
	t.Helper()
	select {
	case got := <-out:
		t.Fatalf("the payment ended while the client holds it: %+v, %v",
			got.payment.Failure, got.err)
	default:
	}
}

// reach waits until nodes have followed the chain to a height.
func (m *market) reach(height uint32, nodes ...*member) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	for _, n := range nodes {
		must(m.t, n.AwaitHeight(ctx, height))
	}
}
