package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// TestJITInParts: a payment in parts, of which one bears the fee; then payments
// that use the same jit_channel_scid, and out of the channel.
//
// The channels of this LSP charge for forwarding, but bLIP-52's hint says 0: a
// switch that takes no account of it fails the later payments, and it takes the
// opening fee of one part for the forwarding fee of all.
func TestJITInParts(t *testing.T) {
	checklist.Shows(t, "LSPS2-48", "hints have no base fee")
	m := newMarket(t, marketPlan{
		seller: func(o *node.Options) {
			o.Channels = node.ChannelOptions{BaseFee: 1000, FeePPM: 100}
		},
		channels: []btcutil.Amount{2_000_000, 2_000_000},
	})
	client := m.node("client", nil)
	size := lnwire.MilliSatoshi(3_000_000_000)
	inv := m.buy(client, size)
	if inv.OpeningFee != 30_000_000 {
		t.Fatalf("the opening fee is %d msat, want 1 %%", inv.OpeningFee)
	}
	got := m.pay(m.payer, inv.Invoice.Bolt11, 0)
	if got.Live() < 2 {
		t.Fatalf("the payment went in %d parts", got.Live())
	}
	if got.Fee != 0 {
		t.Errorf("the payer paid %d msat for routing", got.Fee)
	}
	m.wantReceived(client, inv, size)
	m.paidOver(inv)
	wantFeeOnce(t, m.order(inv), inv.OpeningFee)

	hint := zpay32.HopHint{
		NodeID: m.seller.Key(), ChannelID: inv.SCID.ToUint64(), CLTVExpiryDelta: 144,
	}
	again := m.pay(m.payer, m.invoice(client, pay.InvoiceRequest{
		Amount: 40_000_000, Hints: [][]zpay32.HopHint{{hint}},
	}), 0)
	if again.Fee != 0 {
		t.Errorf("a second payment over the hint cost %d msat", again.Fee)
	}
	// The hint of an ordinary invoice names the channel's policy.
	usual := m.send(m.payer, client, 40_000_000)
	if usual.Fee != 1000+4000 {
		t.Errorf("an ordinary payment to the client cost %d msat, want 5000", usual.Fee)
	}
	if p := m.send(client, m.seller, 100_000_000); p.Fee != 0 {
		t.Errorf("a payment to the LSP cost %d msat", p.Fee)
	}
	if p := m.send(client, m.payer, 100_000_000); p.Fee != 1000+10_000 {
		t.Errorf("a payment through the LSP cost %d msat, want 11000", p.Fee)
	}
	m.wantBalance(client, size-inv.OpeningFee+80_000_000-200_000_000-11_000)
}

// wantFeeOnce wants the fee on exactly one part, to the millisatoshi.
func wantFeeOnce(t *testing.T, order orders.Record, want lnwire.MilliSatoshi) {
	t.Helper()
	var sum lnwire.MilliSatoshi
	bearing := 0
	for _, p := range order.Parts {
		sum += p.ExtraFee
		if p.ExtraFee > 0 {
			bearing++
		}
		if p.State != "claimed" {
			t.Errorf("a part is %s", p.State)
		}
	}
	if sum != want || bearing != 1 {
		t.Errorf("%d of %d parts bear %d msat, want one that bears %d",
			bearing, len(order.Parts), sum, want)
	}
	paid, ok := order.Order.State.(jit.Paid)
	if !ok || paid.Fee != want || paid.Collected != want || paid.Waived != 0 {
		t.Errorf("the order is %s: %+v", order.Order.State.Name(), order.Order.State)
	}
}

// wantBalance wants the client's only channel with the LSP to hold this, on both
// sides, as soon as the last payment is off the commitments.
func (m *market) wantBalance(client *member, want lnwire.MilliSatoshi) {
	m.t.Helper()
	m.soon(10*time.Second, func(ctx context.Context) bool {
		theirs, ours := m.channels(client, m.seller), m.channels(m.seller, client)
		if len(theirs) != 1 || len(ours) != 1 {
			m.t.Fatalf("the client has %d channels, the LSP %d with it", len(theirs), len(ours))
		}
		return theirs[0].LocalMsat == api.Msat(want) && ours[0].RemoteMsat == api.Msat(want)
	})
	ch := m.channels(client, m.seller)[0]
	if !ch.Private || !ch.ZeroConf || !ch.Active {
		m.t.Errorf("the channel is private %v, zero-conf %v, active %v",
			ch.Private, ch.ZeroConf, ch.Active)
	}
}

// TestJITVariable: the payer chooses the amount; the fee keeps to what LDK's
// clients accept, which is never more than bLIP-52's.
func TestJITVariable(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 0)
	size := lnwire.MilliSatoshi(300_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, size)

	fee := size * 10_000 / 1_010_000 // rounded down
	if got := m.received(client, inv.Invoice.Hash); got != size-fee {
		t.Errorf("the client received %d msat, want %d", got, size-fee)
	}
	m.paidOver(inv)
	wantFeeOnce(t, m.order(inv), fee)
	m.wantBalance(client, size-fee)
}
