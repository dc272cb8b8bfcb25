package node_test

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/pay"
)

// TestOpenAndPay: an ordinary channel, a payment over it, back, and after a
// restart of each side.
func TestOpenAndPay(t *testing.T) {
	net := nodetest.New(t)
	opener, acceptor := net.Node("opener", nil), net.Node("acceptor", nil)
	opener.Fund(20_000_000, 1)
	nodetest.OpenConfirmed(opener, acceptor, 10_000_000)

	payTo := func(from, to *nodetest.Node, amount lnwire.MilliSatoshi) {
		t.Helper()
		ctx, cancel := net.Context()
		defer cancel()
		inv, err := to.Invoice(ctx, pay.InvoiceRequest{Amount: amount, Description: "test"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := from.Pay(ctx, pay.PayRequest{Invoice: inv.Bolt11})
		if err != nil {
			t.Fatal(err)
		}
		if p.Status != pay.Succeeded {
			t.Fatalf("payment of %v: %+v", amount, p.Failure)
		}
	}
	payTo(opener, acceptor, 500_000_000)
	payTo(acceptor, opener, 100_000_000)
}
