package node_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/node/pay"
)

// TestAliases: the alias manager stores an alias again that it has, and reports an error
// for one that it has stored when the channel's link is down. An order must come to one
// entry and no error either way, and payers find the channel by it after a restart.
func TestAliases(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 100_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.paidOver(inv)
	point := *m.order(inv).Point
	m.wantReserved(20_000) // for two channels, both private
	m.wantOneAlias(point, inv.SCID)
	must(t, m.seller.RegisterAlias(inv.SCID, point))
	m.wantOneAlias(point, inv.SCID)

	client.Stop()
	m.awaitInactive(client)
	late := inv.SCID
	late.TxPosition ^= 1
	for range 2 {
		must(t, m.seller.RegisterAlias(late, point))
	}
	m.seller.Stop()
	m.seller.Start()
	m.wantOneAlias(point, inv.SCID)
	m.wantOneAlias(point, late)
	m.wantReserved(20_000)
	client.Start()
	m.sendSoon(m.payer, client, 1_000_000, waitLink)
	for _, alias := range []lnwire.ShortChannelID{inv.SCID, late} {
		m.pay(m.payer, m.invoice(client, pay.InvoiceRequest{
			Amount: 5_000_000, Hints: [][]zpay32.HopHint{{{
				NodeID: m.seller.Key(), ChannelID: alias.ToUint64(), CLTVExpiryDelta: 144,
			}}},
		}), 0)
	}
}

// wantOneAlias wants the LSP to have stored the alias of a channel once.
func (m *market) wantOneAlias(point wire.OutPoint, alias lnwire.ShortChannelID) {
	m.t.Helper()
	list, err := m.seller.AliasesOf(point)
	must(m.t, err)
	count := 0
	for _, a := range list {
		if a == alias {
			count++
		}
	}
	if count != 1 {
		m.t.Errorf("alias %v is stored %d times: %v", alias, count, list)
	}
}

// wantReserved wants the LSP to keep back as much for anchors.
func (m *market) wantReserved(sat int64) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(m.seller)
	defer c.Close()
	b, err := c.Balance(ctx)
	must(m.t, err)
	if int64(b.ReservedSat) != sat {
		m.t.Errorf("%d sat are kept back for anchors, want %d", b.ReservedSat, sat)
	}
}

// awaitInactive waits until the LSP's channels with a client are down.
func (m *market) awaitInactive(client *member) {
	m.t.Helper()
	m.soon(waitLink, func(context.Context) bool {
		for _, ch := range m.channels(m.seller, client) {
			if ch.Active {
				return false
			}
		}
		return true
	})
}
