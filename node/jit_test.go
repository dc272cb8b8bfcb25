package node_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// offer is the menu of the tests' LSP.
func offer() lsp.Offer {
	rules := jit.DefaultRules()
	return lsp.Offer{
		MinFee: 2_000_000, ProportionalPPM: 10_000, ValidFor: time.Hour,
		MinLifetime: 4320, MaxClientToSelfDelay: 2016,
		MinPaymentSize: 10_000_000, MaxPaymentSize: 4_000_000_000,
		CLTVExpiryDelta: 144, Rules: rules,
	}
}

// sells makes a node an LSP that reports the stages of its orders.
func sells(stages chan<- orders.Stage) func(*node.Options) {
	return func(o *node.Options) {
		o.LSP = &node.LSPOptions{
			Offer: offer(), OverprovisionPPM: 500_000,
			Reached: func(_ string, m orders.Moment) {
				if stages != nil {
					stages <- m.Stage
				}
			},
		}
	}
}

// await reads stages until the wanted one.
func await(t *testing.T, stages <-chan orders.Stage, want orders.Stage) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case s := <-stages:
			if s == want {
				return
			}
		case <-timeout:
			t.Fatalf("stage %s was not reached", want)
		}
	}
}

// TestJITPayment is the main job on one chain: a payer's payment becomes the
// client's first channel.
func TestJITPayment(t *testing.T) {
	net := nodetest.New(t)
	stages := make(chan orders.Stage, 256)
	seller := net.Node("lsp", sells(stages))
	payer := net.Node("payer", nil)
	client := net.Node("client", nil)
	seller.Fund(20_000_000, 3)
	payer.Fund(50_000_000, 1)
	nodetest.OpenConfirmed(payer, seller, 10_000_000)

	ctx, cancel := net.Context()
	defer cancel()
	size := lnwire.MilliSatoshi(50_000_000)
	inv, err := client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: seller.Key(), Addr: seller.Addr(), Amount: size, Description: "first channel",
	})
	if err != nil {
		t.Fatal(err)
	}
	if inv.OpeningFee != 2_000_000 {
		t.Errorf("opening fee is %d msat, want the minimum fee", inv.OpeningFee)
	}
	if b := inv.Bought; b.CLTVExpiryDelta != 144 || b.Params.MaxPaymentSize != offer().MaxPaymentSize {
		t.Errorf("bought %+v, want what the menu says", b)
	}
	paid, err := payer.Pay(ctx, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	if err != nil {
		t.Fatal(err)
	}
	if paid.Status != pay.Succeeded {
		t.Fatalf("payment: %+v", paid.Failure)
	}
	if found, err := payer.LookupPayment(inv.Invoice.Hash); err != nil || found.Status != pay.Succeeded {
		t.Errorf("looked up: %+v, %v", found, err)
	}
	if _, err := client.LookupPayment(inv.Invoice.Hash); !errors.Is(err, pay.ErrUnknownPayment) {
		t.Errorf("a payment of another: %v", err)
	}
	await(t, stages, orders.StageSettled)
	wantHolds(t, seller, map[string]uint64{"forwarded": 1})
}

// wantHolds compares how many held HTLCs the node has counted, by how their holds ended.
func wantHolds(t *testing.T, n *nodetest.Node, want map[string]uint64) {
	t.Helper()
	families, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "inlet_htlc_hold_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("holds that ended: %v, want %v", got, want)
	}
}
