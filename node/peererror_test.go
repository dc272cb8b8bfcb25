package node_test

import (
	"context"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

// TestErrorForAllChannels: BOLT 1 has a peer's error with a channel_id of zeros end
// every channel with it. None is closed for that: the next connection takes them up.
func TestErrorForAllChannels(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	for range 2 {
		inv := m.buy(client, 50_000_000)
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		m.paidOver(inv)
	}
	before := m.seller.Node.ConnOf(client.Key())
	must(t, client.Say(m.seller.Key(), &lnwire.Error{Data: lnwire.ErrorData("all of them")}))
	m.soon(waitLink, func(ctx context.Context) bool {
		now := m.seller.Node.ConnOf(client.Key())
		return now != 0 && now != before && m.ready(ctx, m.seller) && m.ready(ctx, client)
	})
	if n := len(m.channels(m.seller, client)); n != 2 {
		t.Errorf("%d channels are left", n)
	}
	m.send(m.payer, client, 1_000_000)
}
