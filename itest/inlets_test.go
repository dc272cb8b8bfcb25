package itest

import (
	"fmt"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// mustJIT buys a channel for the node and returns the invoice.
func (n *inlet) mustJIT(lsp *inlet, msat uint64) *api.JITInvoice {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	r := api.JITRequest{LSP: lsp.id + "@" + lsp.addr, Description: "itest"}
	if msat != 0 {
		r.AmountMsat = api.SomeMsat(api.Msat(msat))
	}
	inv, err := n.JITInvoice(ctx, r)
	if err != nil {
		n.w.Fatal(err)
	}
	return inv
}

// settled is what came in for an invoice, in msat.
func (n *inlet) settled(hash string) uint64 {
	n.w.Helper()
	var got uint64
	n.w.until("settled invoice", func() bool {
		ctx, cancel := n.ctx()
		defer cancel()
		list, err := n.Invoices(ctx, api.ListRequest{})
		if err != nil {
			n.w.Fatal(err)
		}
		for _, i := range list.Invoices {
			if i.PaymentHash == hash && i.State == api.InvoiceSettled {
				got = uint64(i.ReceivedMsat)
				return true
			}
		}
		return false
	})
	return got
}

// active is how many of the node's channels can be used.
func (n *inlet) active() int {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	list, err := n.Channels(ctx)
	if err != nil {
		n.w.Fatal(err)
	}
	count := 0
	for _, c := range list.Channels {
		if c.Active {
			count++
		}
	}
	return count
}

// mustPay pays an invoice from this node.
func (n *inlet) mustPay(invoice string) *api.Payment {
	n.w.Helper()
	p, err := n.tryPay(invoice)
	if err != nil {
		n.w.Fatal(err)
	}
	return p
}

func (n *inlet) tryPay(invoice string) (*api.Payment, error) {
	ctx, cancel := n.ctx()
	defer cancel()
	p, err := n.Pay(ctx, api.PayRequest{Bolt11: invoice})
	if err != nil {
		return nil, err
	}
	if p.Status != api.PaymentSettled {
		return p, fmt.Errorf("payment of %s: %s %s", n.name, p.Status, p.Failure)
	}
	return p, nil
}

// TestInletBuys: lnd -> Inlet -> a client that is an Inlet.
func TestInletBuys(t *testing.T) {
	h := newHouse(t, onBitcoind)
	client := h.inlet("client", onBtcd)

	fixed := client.mustJIT(h.lsp, 50_000_000)
	h.payer.mustPay(fixed.Bolt11, nil)
	h.paid(client.id, client.settled(fixed.PaymentHash), 50_000_000, 2_000_000)

	ctx, cancel := client.ctx()
	defer cancel()
	plain, err := client.CreateInvoice(ctx, api.InvoiceRequest{AmountMsat: api.SomeMsat(4_000_000)})
	if err != nil {
		t.Fatal(err)
	}
	h.payer.mustPay(plain.Bolt11, nil)
	if got := client.settled(plain.PaymentHash); got != 4_000_000 {
		t.Errorf("an ordinary payment brings %d msat", got)
	}
	h.mine(6)
	h.until("confirmed channel", func() bool {
		c := client.channel(h.lsp.id)
		return c != nil && c.Confirmed && c.Active && c.Private && c.ZeroConf
	})
	t.Run("50 payments each way while blocks come", func(t *testing.T) {
		h.busy(endOfLnd(h.payer), endOfInlet(client), endOfInlet(h.lsp), client.id)
	})

	t.Run("several parts", func(t *testing.T) {
		client := h.inlet("client-mpp", onBitcoind)
		inv := client.mustJIT(h.lsp, 60_000_000)
		p := h.payer.mustPay(inv.Bolt11, func(r *routerrpc.SendPaymentRequest) {
			r.MaxShardSizeMsat, r.MaxParts = 20_000_000, 4
		})
		if len(p.Htlcs) < 2 {
			t.Errorf("lnd paid in %d parts, want at least 2", len(p.Htlcs))
		}
		h.paid(client.id, client.settled(inv.PaymentHash), 60_000_000, 2_000_000)
	})

	t.Run("variable amount", func(t *testing.T) {
		client := h.inlet("client-variable", onBtcd)
		inv := client.mustJIT(h.lsp, 0)
		const size, ppm = 300_000_000, 10_000
		h.payer.mustPay(inv.Bolt11, func(r *routerrpc.SendPaymentRequest) { r.AmtMsat = size })
		fee := uint64(size * ppm / (1_000_000 + ppm)) // with the compatibility for LDK
		h.paid(client.id, client.settled(inv.PaymentHash), size, fee)
	})
}

// TestInletPays: an Inlet payer -> Inlet -> a real LDK client.
func TestInletPays(t *testing.T) {
	w := newWorld(t)
	h := &house{world: w}
	h.lsp = w.inlet("lsp", onBtcd, sells()...)
	payer := w.inlet("payer", onBitcoind)
	h.lsp.fund(10_000_000, 3)
	payer.fund(10_000_000, 2)
	for i := range 2 {
		ctx, cancel := payer.ctx()
		defer cancel()
		if _, err := payer.OpenChannel(ctx, api.OpenRequest{
			Peer: h.lsp.id + "@" + h.lsp.addr, CapacitySat: 1_000_000, PushMsat: 100_000_000,
			Private: true,
		}); err != nil {
			t.Fatal(err)
		}
		w.mine(6)
		w.until("active channels", func() bool { return payer.active() == i+1 })
	}
	client := w.ldk("ldk", h.lsp, ldk.Trusted)
	payer.mustPay(client.JIT(50_000_000))
	h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)

	t.Run("50 payments each way while blocks come", func(t *testing.T) {
		h.canSend(client)
		h.busy(endOfInlet(payer), endOfLDK(client), endOfInlet(payer), client.ID)
	})

	t.Run("variable amount", func(t *testing.T) {
		client := w.ldk("ldk-variable", h.lsp, ldk.Trusted)
		const size, ppm = 300_000_000, 10_000
		ctx, cancel := payer.ctx()
		defer cancel()
		p, err := payer.Pay(ctx, api.PayRequest{
			Bolt11: client.JIT(0), AmountMsat: api.SomeMsat(size),
		})
		if err != nil || p.Status != api.PaymentSettled {
			t.Fatalf("payment: %+v, %v", p, err)
		}
		h.paid(client.ID, client.Received(), size, uint64(size*ppm/(1_000_000+ppm)))
	})

	t.Run("several parts", func(t *testing.T) {
		client := w.ldk("ldk-mpp", h.lsp, ldk.Trusted)
		const size = 1_000_000_000 // more than one channel can send
		p := payer.mustPay(client.JIT(size))
		if p.Parts < 2 {
			t.Errorf("Inlet paid in %d parts, want at least 2", p.Parts)
		}
		h.paid(client.ID, client.Received(), size, size/100)
	})
}
