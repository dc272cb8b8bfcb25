package node_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/node/pay"
)

// TestInvoiceWhilePeerIsAway: an invoice that is made before the connections are up
// again, right after a start, can be paid all the same.
func TestInvoiceWhilePeerIsAway(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	bought := m.buy(client, 500_000_000)
	m.pay(m.payer, bought.Invoice.Bolt11, 0)
	m.paidOver(bought)

	m.seller.Stop()
	client.Stop()
	client.Start()
	bolt11 := m.invoice(client, pay.InvoiceRequest{Amount: 10_000_000})
	inv, err := zpay32.Decode(bolt11, &chaincfg.RegressionNetParams)
	must(t, err)
	if len(inv.RouteHints) != 1 {
		t.Fatalf("the invoice has %d hints", len(inv.RouteHints))
	}
	m.seller.Start()
	for _, n := range []*member{m.seller, m.payer, client} {
		m.soon(waitLink, func(ctx context.Context) bool { return m.ready(ctx, n) })
	}
	m.pay(m.payer, bolt11, 0)
}
