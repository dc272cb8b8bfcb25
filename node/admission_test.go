package node_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// greedy withholds a millisatoshi too much from so many parts, so that the client refuses them.
type greedy struct {
	orders.Switch
	left *atomic.Int32
}

func (g greedy) ResumeWith(key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	raw, skimmed := records[lsp.ExtraFeeType]
	if skimmed && g.left.Add(-1) >= 0 {
		fee, err := lsp.ParseExtraFee(raw)
		if err != nil {
			return err
		}
		amount--
		records = lnwire.CustomRecords{lsp.ExtraFeeType: lsp.AppendExtraFee(nil, fee+1)}
	}
	return g.Switch.ResumeWith(key, amount, records)
}

// refusing makes clients refuse what is forwarded, as long as left says so.
func refusing(left *atomic.Int32) func(*node.Options) {
	return func(o *node.Options) {
		o.SetMischief(node.Mischief{Switch: func(s orders.Switch) orders.Switch {
			return greedy{s, left}
		}})
	}
}

// payInVain pays a JIT invoice, and wants the client to refuse it.
func (m *market) payInVain(inv node.JITInvoice) {
	m.t.Helper()
	got := <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	must(m.t, got.err)
	if got.payment.Status == pay.Succeeded {
		m.t.Fatal("the client takes a payment of which too much is withheld")
	}
}

// wantState waits until an order is in a state.
func (m *market) wantState(inv node.JITInvoice, want string) {
	m.t.Helper()
	m.soon(waitLink, func(context.Context) bool { return m.order(inv).Order.State.Name() == want })
}

// mustTrust says whether the LSP wants a client's trust for a new channel.
func (m *market) mustTrust(client *member) bool {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	_, err := client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: m.seller.Key(), Addr: m.seller.Addr(), Amount: 50_000_000,
	})
	if !errors.Is(err, lsp.ErrMustTrust) {
		must(m.t, err)
	}
	return err != nil
}

// LSPS2-90, LSPS2-116, LSPS2-117: a client that has left two channels unpaid is told by buy that it
// must trust us; others are not, a restart changes nothing, and it is over when a fee is paid.
func TestUnpaidClientMustTrust(t *testing.T) {
	checklist.Shows(t, "LSPS2-117", "Gate.Judge always sells")
	var left atomic.Int32
	left.Store(1 << 20)
	m := newMarket(t, marketPlan{seller: refusing(&left)})
	client, other := m.node("client", nil), m.node("other", nil)
	var first node.JITInvoice
	for i := range 2 {
		if m.mustTrust(client) {
			t.Fatalf("after %d unpaid channels the client must trust", i)
		}
		inv := m.buy(client, 50_000_000)
		m.payInVain(inv)
		m.wantState(inv, "owed")
		first = inv
	}
	for _, restart := range []bool{false, true} {
		if restart {
			m.seller.Stop()
			m.seller.Start()
		}
		if !m.mustTrust(client) || m.mustTrust(other) {
			t.Errorf("restart %v: must trust: client %v, other %v", restart, m.mustTrust(client),
				m.mustTrust(other))
		}
		r, err := m.seller.Admission()
		must(t, err)
		if r.All.Unpaid != 2 || r.ClientsTrust || len(r.Clients) == 0 ||
			r.Clients[0].Client != [33]byte(client.Key().SerializeCompressed()) ||
			r.Clients[0].AtRisk < 100_000 {
			t.Errorf("restart %v: %+v", restart, r)
		}
	}

	// Now the fee is taken as promised. The restart was a new connection, so the LSP can't know
	// whether the client would bear it; the first try tells.
	left.Store(0)
	m.soon(waitLink, func(ctx context.Context) bool { return m.ready(ctx, m.payer) && m.ready(ctx, client) })
	again := m.invoice(client, pay.InvoiceRequest{Amount: 50_000_000, Hints: m.jitHint(first)})
	m.pay(m.payer, again, 0)
	m.wantState(first, "paid")
}

// TestPaymentsAtOnce: a client that has two payments under way has a third wait for one of them,
// within its hold; nobody fails.
func TestPaymentsAtOnce(t *testing.T) {
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.LSP.Admission = admission.DefaultLimits()
		o.LSP.Admission.Client.Unpaid = 1
	}})
	client := m.node("client", nil)
	var bought []node.JITInvoice
	var outs []<-chan paid
	for range 4 {
		bought = append(bought, m.buy(client, 50_000_000))
	}
	for _, inv := range bought {
		outs = append(outs, m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11}))
	}
	for i, out := range outs {
		got := <-out
		must(t, got.err)
		if got.payment.Status != pay.Succeeded || len(got.payment.Parts) != 1 {
			t.Errorf("payment %d: %d attempts: %+v", i, len(got.payment.Parts), got.payment.Failure)
		}
		m.wantReceived(client, bought[i], 50_000_000)
	}
}

// LSPS2-21, LSPS2-90: who trusts whom is switched while the node runs; each client is told, and an
// order keeps the mode that it was sold with.
func TestTrustIsSwitched(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	before := m.buy(client, 50_000_000)
	must(t, m.seller.SetTrust(admission.Client))
	if !m.mustTrust(client) {
		t.Error("the client is not told")
	}
	trusting := m.buyTrusting(client, 50_000_000)
	must(t, m.seller.SetTrust(admission.LSP))
	if m.mustTrust(client) {
		t.Error("switched back, and the client must still trust")
	}
	if m.seller.SetTrust("both") == nil || client.SetTrust(admission.LSP) == nil {
		t.Error("a policy that is none, or a node that sells nothing")
	}
	for _, inv := range []node.JITInvoice{before, trusting} {
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		m.wantReceived(client, inv, 50_000_000)
	}
	if m.order(before).Order.Terms.ClientTrustsLSP || !m.order(trusting).Order.Terms.ClientTrustsLSP {
		t.Error("an order has changed its mode")
	}
}
