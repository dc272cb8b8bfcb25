package itest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

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
}

// TestInletPays: an Inlet payer -> Inlet -> a real LDK client.
func TestInletPays(t *testing.T) {
	w := newWorld(t)
	h := &house{world: w}
	h.lsp = w.inlet("lsp", onBtcd, sells()...)
	payer := w.inlet("payer", onBitcoind)
	h.lsp.fund(10_000_000, 3)
	payer.fund(100_000_000, 1)
	ctx, cancel := payer.ctx()
	defer cancel()
	if _, err := payer.OpenChannel(ctx, api.OpenRequest{
		Peer: h.lsp.id + "@" + h.lsp.addr, CapacitySat: 16_000_000, PushMsat: 4_000_000_000,
	}); err != nil {
		t.Fatal(err)
	}
	w.mine(6)
	w.until("active channel", func() bool {
		c := payer.channel(h.lsp.id)
		return c != nil && c.Active
	})
	client := w.ldk("ldk", h.lsp, ldk.Trusted)
	payer.mustPay(client.JIT(50_000_000))
	h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)

	t.Run("50 payments each way while blocks come", func(t *testing.T) { h.busy(payer, client) })
}

// busy makes 50 payments each way over the new channel while a block comes every two
// seconds, and one right behind each fifth payment.
func (h *house) busy(payer *inlet, client *ldk.Client) {
	h.Helper()
	payer.mustPay(client.Invoice(20_000_000)) // so that the client has something to send
	client.Received()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				h.mine(1)
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-done }()

	var both sync.WaitGroup
	both.Go(func() {
		for i := range 50 {
			if _, err := payer.tryPay(client.Invoice(100_000)); err != nil {
				h.Errorf("payment %d to the client: %v", i, err)
				return
			}
			if i%5 == 4 {
				h.mine(1)
			}
		}
	})
	both.Go(func() {
		for i := range 50 {
			inv, err := h.lsp.CreateInvoice(context.Background(),
				api.InvoiceRequest{AmountMsat: api.SomeMsat(100_000)})
			if err != nil {
				h.Errorf("invoice %d: %v", i, err)
				return
			}
			if err := client.Pay(inv.Bolt11); err != nil {
				h.Errorf("payment %d from the client: %v", i, err)
				return
			}
			h.lsp.settled(inv.PaymentHash)
		}
	})
	both.Wait()
	if c := h.lsp.channel(client.ID); c == nil || !c.Active || c.State != api.ChannelOpen {
		h.Errorf("afterwards the channel is %+v", c)
	}
}
