package node_test

import (
	"context"
	"testing"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// TestPayerGoneAtForward: the payer's connection ends while the channel is opened
// and comes back later. lnd's switch fails a forward whose incoming link is down:
// the payment would fail after the channel was funded for it.
func TestPayerGoneAtForward(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 100_000_000)
	// The orders wait for the hook: nothing is opened before the link is down.
	m.log.on(orders.StageSetComplete, func() { m.part(m.payer, m.seller) })
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	stillHeld(t, out)
	m.reconnect(m.payer, m.seller)
	got := <-out
	must(t, got.err)
	if got.payment.Status != pay.Succeeded || len(got.payment.Parts) != 1 {
		t.Fatalf("%d attempts: %+v", len(got.payment.Parts), got.payment.Failure)
	}
	m.wantReceived(client, inv, 100_000_000)
}

// part ends a node's connection to a peer until it is told to reconnect.
func (m *market) part(n, from *member) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(n)
	defer c.Close()
	must(m.t, c.Disconnect(ctx, api.DisconnectRequest{NodeID: from.NodeID()}))
	m.soon(waitLink, func(context.Context) bool {
		for _, ch := range m.channels(from, n) {
			if ch.Active {
				return false
			}
		}
		return true
	})
}

func (m *market) reconnect(n, to *member) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(n)
	defer c.Close()
	_, err := c.Connect(ctx, api.ConnectRequest{Peer: to.URI()})
	must(m.t, err)
}
