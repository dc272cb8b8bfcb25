package itest

import (
	"testing"
	"time"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// comeback is how long a killed node and its client may take until they pay again.
const comeback = 10 * time.Second

// TestKilledAfterPayment: kill -9 of the LSP and of the client right after the JIT
// payment. Both come back, reestablish the channel and pay over it.
func TestKilledAfterPayment(t *testing.T) {
	for _, b := range []backend{onBtcd, onBitcoind} {
		t.Run(string(b), func(t *testing.T) {
			h := newHouse(t, b)
			client := h.ldk("ldk", h.lsp, ldk.Trusted)
			h.payer.mustPay(client.JIT(50_000_000), nil)
			h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)

			client.Persisted()
			h.lsp.proc.kill()
			client.Kill()
			h.lsp.start()
			client.Start()
			began := time.Now()
			h.within(comeback, "payment from the client after kill -9", func() bool {
				ctx, cancel := h.lsp.ctx()
				defer cancel()
				inv, err := h.lsp.CreateInvoice(ctx, api.InvoiceRequest{
					AmountMsat: api.SomeMsat(1_000_000),
				})
				if err != nil {
					t.Fatal(err)
				}
				if c := client.Channels(); len(c) != 1 || !c[0].IsUsable {
					return false
				}
				return client.Pay(inv.Bolt11) == nil
			})
			client.Event("PaymentSuccessful")
			t.Logf("paid %v after both were back", time.Since(began).Round(time.Millisecond))
			h.reconnect()
			h.payer.mustPay(client.Invoice(2_000_000), nil)
			client.Received()
			h.mine(6)
			h.until("confirmed channel", func() bool {
				c := h.lsp.channel(client.ID)
				return c != nil && c.Confirmed && c.Active
			})
		})
	}
}

// reconnect waits until lnd is connected to the LSP again.
func (h *house) reconnect() {
	h.Helper()
	h.payer.connect(h.lsp)
	h.until("active channel of lnd's", func() bool { return h.payer.active() > 0 })
}

// TestKilledWhileHolding: the client is away when the payment comes; the LSP holds the
// HTLC, is killed, comes back, is offered the HTLC again, and the client gets paid
// when it is there.
func TestKilledWhileHolding(t *testing.T) {
	h := newHouse(t, onBtcd)
	client := h.ldk("ldk", h.lsp, ldk.Trusted)
	invoice := client.JIT(50_000_000)
	client.Stop()

	paid := make(chan error, 1)
	go func() {
		_, err := h.payer.pay(invoice, nil)
		paid <- err
	}()
	h.until("held part", func() bool {
		o := h.lsp.order(client.ID)
		return o != nil && o.State == api.AwaitingClient && len(o.Parts) == 1
	})
	h.lsp.proc.kill()
	h.lsp.start()
	h.payer.connect(h.lsp)
	client.Start()
	if err := <-paid; err != nil {
		t.Fatal(err)
	}
	h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
	if n := len(client.Channels()); n != 1 {
		t.Errorf("the client has %d channels, want one", n)
	}
}
