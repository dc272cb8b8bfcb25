package node_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// trusted makes the LSP one that its clients trust: it broadcasts a funding when it
// knows the preimage.
func trusted(o *node.Options) { o.LSP.Offer.ClientTrustsLSP = true }

// TestWithheldFunding: the funding transaction leaves with the preimage, not before.
func TestWithheldFunding(t *testing.T) {
	checklist.Shows(t, "LSPS2-46", "the client wants the funding confirmed")
	m := newMarket(t, marketPlan{seller: trusted})
	client := m.node("client", nil)
	inv := m.buyTrusting(client, 100_000_000)
	var hold sync.Once
	var release func()
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	m.holds(client)
	txs, err := m.Chain.Mempool()
	must(t, err)
	if len(txs) != 0 {
		t.Errorf("before the preimage the LSP has broadcast %v", txs)
	}
	release()
	got := <-out
	must(t, got.err)
	m.wantReceived(client, inv, 100_000_000)
	ctx, cancel := m.Context()
	defer cancel()
	must(t, m.Chain.WaitTx(ctx, m.order(inv).Point.Hash))
	m.Mine(6)
	m.event(client, node.ChannelConfirmed, m.order(inv).Point.String())
	m.send(m.payer, client, 1_000_000)
}

// greedyOnce withholds a millisatoshi too much from the first part.
type greedyOnce struct {
	orders.Switch
	done *atomic.Bool
}

func (g greedyOnce) ResumeWith(key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	if !g.done.CompareAndSwap(false, true) {
		return g.Switch.ResumeWith(key, amount, records)
	}
	return tooMuch(g.Switch, key, amount, records)
}

// tooMuch withholds a millisatoshi more than was agreed.
func tooMuch(s orders.Switch, key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	fee, err := lsp.ParseExtraFee(records[lsp.ExtraFeeType])
	if err != nil {
		return err
	}
	return s.ResumeWith(key, amount-1, lnwire.CustomRecords{
		lsp.ExtraFeeType: lsp.AppendExtraFee(nil, fee+1),
	})
}

// greedyUntil withholds too much from every part until it is fair.
type greedyUntil struct {
	orders.Switch
	fair *atomic.Bool
}

func (g greedyUntil) ResumeWith(key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	if g.fair.Load() {
		return g.Switch.ResumeWith(key, amount, records)
	}
	return tooMuch(g.Switch, key, amount, records)
}

// TestWithheldFundingDropped: the client refuses the payment. The channel is dropped,
// its coins are free, and the next try gets another channel, to which the same
// jit_channel_scid leads, over a restart too.
func TestWithheldFundingDropped(t *testing.T) {
	var done atomic.Bool
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		trusted(o)
		o.SetMischief(node.Mischief{Switch: func(s orders.Switch) orders.Switch {
			return greedyOnce{s, &done}
		}})
	}})
	client := m.node("client", nil)
	inv := m.buyTrusting(client, 100_000_000)
	got := <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	must(t, got.err)
	if got.payment.Status != pay.Succeeded {
		// The refusal may be final for the payer; a person would try again.
		m.wantNothingLeft(client)
		got = <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
		must(t, got.err)
	}
	if got.payment.Status != pay.Succeeded {
		t.Fatalf("payment: %+v", got.payment.Failure)
	}
	m.wantReceived(client, inv, 100_000_000)
	m.paidOver(inv)
	for _, sides := range [][2]*member{{m.seller, client}, {client, m.seller}} {
		if n := len(m.channels(sides[0], sides[1])); n != 1 {
			t.Errorf("%d channels, as one side sees it", n)
		}
	}
	m.Mine(6)
	m.event(client, node.ChannelConfirmed, m.order(inv).Point.String())
	m.wantNoLeases()

	m.seller.Stop()
	m.seller.Start()
	for _, n := range []*member{m.seller, m.payer, client} {
		m.soon(waitLink, func(ctx context.Context) bool { return m.ready(ctx, n) })
	}
	again := m.invoice(client, pay.InvoiceRequest{Amount: 1_000_000, Hints: m.jitHint(inv)})
	m.pay(m.payer, again, 0)
}

// TestDroppedFundingIsNoClosedChannel: the LSP starts again after the client refused the
// payment and the channel was dropped. Nothing was funded, so the order lives: its next
// payment gets a channel. Of the dropped one neither side keeps anything.
func TestDroppedFundingIsNoClosedChannel(t *testing.T) {
	var fair atomic.Bool
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		trusted(o)
		o.SetMischief(node.Mischief{Switch: func(s orders.Switch) orders.Switch {
			return greedyUntil{s, &fair}
		}})
	}})
	client := m.node("client", nil)
	inv := m.buyTrusting(client, 100_000_000)
	got := <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	must(t, got.err)
	if got.payment.Status == pay.Succeeded {
		t.Fatal("the client took less than was agreed")
	}
	for _, n := range []*member{m.seller, client} {
		m.soon(waitLink, func(context.Context) bool {
			policy, err := n.PolicyOf(*m.order(inv).Point)
			must(t, err)
			return policy == nil
		})
	}
	m.wantNothingLeft(client)

	m.seller.Stop()
	fair.Store(true)
	m.seller.Start()
	m.soon(waitLink, func(ctx context.Context) bool { return m.ready(ctx, m.payer) })
	got = <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	must(t, got.err)
	if got.payment.Status != pay.Succeeded {
		t.Fatalf("after the start: %+v", got.payment.Failure)
	}
	m.wantReceived(client, inv, 100_000_000)
	m.paidOver(inv)
}

// jitHint is the hint of a JIT invoice, as payers keep it.
func (m *market) jitHint(inv node.JITInvoice) [][]zpay32.HopHint {
	return [][]zpay32.HopHint{{{
		NodeID: m.seller.Key(), ChannelID: inv.SCID.ToUint64(), CLTVExpiryDelta: 144,
	}}}
}

// buyTrusting is buy for a client that trusts the LSP.
func (m *market) buyTrusting(client *member, size lnwire.MilliSatoshi) node.JITInvoice {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	r := node.JITInvoiceRequest{LSP: m.seller.Key(), Addr: m.seller.Addr(), Amount: size}
	if _, err := client.JITInvoice(ctx, r); !errors.Is(err, lsp.ErrMustTrust) {
		m.t.Errorf("a client that does not trust the LSP: %v", err)
	}
	r.ClientTrustsLSP = true
	inv, err := client.JITInvoice(ctx, r)
	must(m.t, err)
	return inv
}
