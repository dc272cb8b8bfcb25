package itest

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// house is the usual cast: an LSP with coins and a payer with a channel to it.
type house struct {
	*world
	lsp   *inlet
	payer *lnd
}

func newHouse(t *testing.T, b backend, extra ...string) *house {
	t.Helper()
	h := &house{world: newWorld(t)}
	h.lsp = h.inlet("lsp", b, sells(extra...)...)
	h.payer = h.lnd("payer", onBitcoind)
	h.lsp.fund(10_000_000, 5)
	h.payer.fund(100_000_000, 2)
	h.payer.open(h.lsp, 16_000_000, 4_000_000)
	return h
}

// paid checks an order that went well.
func (h *house) paid(client string, received, size, fee uint64) *api.Order {
	h.Helper()
	o := h.lsp.order(client)
	if o == nil {
		h.Fatal("the LSP has no order")
	}
	h.until("paid order", func() bool { o = h.lsp.order(client); return o.State == api.Paid })
	h.Logf("stages: %s", stages(o))
	if received != size-fee {
		h.Errorf("the client received %d msat of %d, want all but the fee of %d", received, size, fee)
	}
	if o.OpeningFeeMsat == nil || uint64(*o.OpeningFeeMsat) != fee {
		h.Errorf("the order's fee is %v, want %d", o.OpeningFeeMsat, fee)
	}
	return o
}

// private checks the client's channel, before and after it confirms.
func (h *house) private(client *ldk.Client) {
	h.Helper()
	list := client.Channels()
	if len(list) != 1 {
		h.Fatalf("the client has %d channels, want one", len(list))
	}
	if c := list[0]; c.IsAnnounced || c.CounterpartyNodeId != h.lsp.id || !c.IsUsable {
		h.Errorf("the client's channel: %+v, want a private usable one with the LSP", c)
	}
	ours := h.lsp.channel(client.ID)
	if ours == nil || !ours.Private || !ours.ZeroConf || ours.Confirmed {
		h.Errorf("the LSP's channel: %+v, want private, zero-conf, not yet confirmed", ours)
	}
	h.mine(6)
	h.until("confirmed channel", func() bool {
		c := h.lsp.channel(client.ID)
		return c != nil && c.Confirmed && c.Active
	})
}

func TestLDKBuys(t *testing.T) {
	checklist.Shows(t, "LSPS2-118", "extra_fee has 7 bytes")
	h := newHouse(t, onBtcd)

	t.Run("fixed amount, one part", func(t *testing.T) {
		client := h.ldk("ldk-fixed", h.lsp, ldk.Trusted)
		h.payer.mustPay(client.JIT(50_000_000), nil)
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
		// The hint of a new invoice is the alias, with the channel's own policy.
		ordinary := func() {
			h.payer.mustPay(client.Invoice(5_000_000), nil)
			if got := client.Received(); got != 5_000_000 {
				t.Errorf("an ordinary payment brings %d msat", got)
			}
		}
		ordinary()
		h.private(client)
		ordinary()

		// And the client can pay out.
		ctx, cancel := h.lsp.ctx()
		defer cancel()
		inv, err := h.lsp.CreateInvoice(ctx, api.InvoiceRequest{AmountMsat: api.SomeMsat(3_000_000)})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Pay(inv.Bolt11); err != nil {
			t.Fatal(err)
		}
		client.Event("PaymentSuccessful")
	})

	t.Run("fixed amount, several parts", func(t *testing.T) {
		client := h.ldk("ldk-mpp", h.lsp, ldk.Trusted)
		p := h.payer.mustPay(client.JIT(60_000_000), func(r *routerrpc.SendPaymentRequest) {
			r.MaxShardSizeMsat, r.MaxParts = 20_000_000, 4
		})
		if len(p.Htlcs) < 2 {
			t.Errorf("lnd paid in %d parts, want at least 2", len(p.Htlcs))
		}
		h.paid(client.ID, client.Received(), 60_000_000, 2_000_000)
		h.private(client)
	})

	t.Run("variable amount", func(t *testing.T) {
		client := h.ldk("ldk-variable", h.lsp, ldk.Trusted)
		const size, ppm = 300_000_000, 10_000
		h.payer.mustPay(client.JIT(0), func(r *routerrpc.SendPaymentRequest) { r.AmtMsat = size })
		fee := uint64(size * ppm / (1_000_000 + ppm)) // what ldk-node lets pass (ldk-node#1095)
		h.paid(client.ID, client.Received(), size, fee)
	})

	t.Run("client without anchors", func(t *testing.T) {
		client := h.ldk("ldk-legacy", h.lsp, ldk.Off)
		h.payer.mustPay(client.JIT(50_000_000), nil)
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
		if c := h.lsp.channel(client.ID); c == nil || c.ChannelType != "static_remote_key" {
			t.Errorf("channel is %+v, want one without anchors", c)
		}
	})

	t.Run("client that wants a reserve for anchors and has no coins", func(t *testing.T) {
		client := h.ldk("ldk-poor", h.lsp, ldk.Default)
		h.payer.mustPay(client.JIT(50_000_000), nil)
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
	})
}
