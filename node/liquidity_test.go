package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
)

// tryBuy asks for a JIT invoice and gives what stood in the way.
func (m *market) tryBuy(client *member, size lnwire.MilliSatoshi, token string) error {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), waitLink)
	defer cancel()
	_, err := client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: m.seller.Key(), Addr: m.seller.Addr(), Amount: size, Token: token,
	})
	return err
}

func (m *market) wantCode(err error, code int) {
	m.t.Helper()
	var refused *lsp.RPCError
	if !errors.As(err, &refused) || refused.Code != code {
		m.t.Errorf("%v, want error %d", err, code)
	}
}

// TestBuyLooksAtInbound (LSPS2-17): what can't reach the LSP is refused when it is bought, and
// the client's own channel does not count; without any channel nothing can.
func TestBuyLooksAtInbound(t *testing.T) {
	m := newMarket(t, marketPlan{channels: []btcutil.Amount{400_000, 300_000},
		seller: func(o *node.Options) { o.SetMischief(node.Mischief{AwayFor: time.Nanosecond}) }})
	client := m.node("client", nil)
	m.wantCode(m.tryBuy(client, 700_000_000, ""), lsp.CodePaymentSizeTooLarge)
	inv := m.buy(client, 600_000_000) // over both channels
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.wantReceived(client, inv, 600_000_000)

	// The client can pay us now, and nobody else can pay it.
	m.wantCode(m.tryBuy(client, 300_000_000, ""), lsp.CodePaymentSizeTooLarge)
	m.payer.Stop()
	m.soon(waitLink, func(context.Context) bool {
		var refused *lsp.RPCError
		err := m.tryBuy(client, 10_000_000, "")
		return errors.As(err, &refused) && refused.Code == lsp.CodePaymentSizeTooLarge
	})
}

// TestBuyWhilePayersAreAway: those that could pay are expected back, and nobody is refused for that.
func TestBuyWhilePayersAreAway(t *testing.T) {
	m := newMarket(t, marketPlan{channels: []btcutil.Amount{400_000}})
	client := m.node("client", nil)
	m.payer.Stop()
	m.buy(client, 300_000_000)
	m.wantCode(m.tryBuy(client, 500_000_000, ""), lsp.CodePaymentSizeTooLarge)
	m.seller.Stop()
	m.seller.Start()
	m.buy(client, 300_000_000)
	m.wantCode(m.tryBuy(client, 500_000_000, ""), lsp.CodePaymentSizeTooLarge)
}

// TestBuyLooksAtCoins: a channel that the coins don't fund beside those of open orders is
// refused (203), and without coins for the smallest the menu is empty (LSPS2-03), over a restart
// too. The admin API says why.
func TestBuyLooksAtCoins(t *testing.T) {
	m := newMarket(t, marketPlan{coins: 1}) // 5,000,000 sat
	client, other := m.node("client", nil), m.node("other", nil)
	m.buy(client, 2_000_000_000) // claims 3,000,000: the test's LSP overprovisions by half
	m.wantCode(m.tryBuy(other, 2_000_000_000, ""), lsp.CodePaymentSizeTooLarge)
	m.seller.Stop()
	m.seller.Start()
	m.soon(waitLink, func(ctx context.Context) bool {
		chans, err := m.admin(m.payer).Channels(ctx)
		return err == nil && len(chans.Channels) == 1 && chans.Channels[0].Active
	})
	m.wantCode(m.tryBuy(other, 2_000_000_000, ""), lsp.CodePaymentSizeTooLarge)
	m.buy(other, 1_200_000_000)
	if err := m.tryBuy(other, 10_000_000, ""); err != nil {
		t.Errorf("the smallest: %v", err)
	}

	m.open(m.seller, client, 4_900_000)
	if err := m.tryBuy(other, 10_000_000, ""); !errors.Is(err, lsp.ErrNoItem) {
		t.Errorf("without coins: %v", err)
	}
	menu, err := m.admin(m.seller).Menu(t.Context())
	must(t, err)
	if len(menu.OpeningFeeParamsMenu) != 1 || !strings.Contains(menu.ClosedReason, "coins") {
		t.Errorf("%+v", menu)
	}
}

// TestSellUnchecked: who switches the look at liquidity off, sells.
func TestSellUnchecked(t *testing.T) {
	m := newMarket(t, marketPlan{seller: func(o *node.Options) { o.LSP.SellUnchecked = true }})
	client := m.node("client", nil)
	if err := m.tryBuy(client, 4_000_000_000, ""); err != nil {
		t.Error(err)
	}
}

// TestTokenSale: a token's price from get_info to the payment (LSPS2-01, -02), and its name with
// the order.
func TestTokenSale(t *testing.T) {
	cheap := offer().Item()
	cheap.MinFee, cheap.ProportionalPPM = 1000, 100
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.LSP.Tokens = []lsp.Token{{
			Name: "shop", Hash: lsp.HashToken("open sesame"), MaxOrders: 1, Menu: []lsp.MenuItem{cheap},
		}}
	}})
	client := m.node("client", nil)
	m.wantCode(m.tryBuy(client, 50_000_000, "sesame"), lsp.CodeUnrecognizedToken)
	inv, err := client.JITInvoice(t.Context(), node.JITInvoiceRequest{
		LSP: m.seller.Key(), Addr: m.seller.Addr(), Amount: 50_000_000, Token: "open sesame",
	})
	must(t, err)
	if inv.OpeningFee != 5000 {
		t.Errorf("the fee is %d", inv.OpeningFee)
	}
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.wantReceived(client, inv, 50_000_000)
	order, err := m.admin(m.seller).Order(t.Context(), api.OrderRequest{ID: m.order(inv).Order.ID})
	must(t, err)
	if order.Token != "shop" {
		t.Errorf("the order is of token %q", order.Token)
	}
	m.paidOver(inv) // until then it may come to nothing, and the token is not spent
	m.wantCode(m.tryBuy(client, 50_000_000, "open sesame"), lsp.CodeUnrecognizedToken)
	m.seller.Stop()
	m.seller.Start()
	m.soon(waitLink, func(context.Context) bool {
		var refused *lsp.RPCError
		err := m.tryBuy(client, 50_000_000, "open sesame")
		return errors.As(err, &refused) && refused.Code == lsp.CodeUnrecognizedToken
	})
}

// TestQuote: the admin API explains the price that a client gets.
func TestQuote(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	q, err := m.admin(m.seller).Quote(t.Context(), api.QuoteRequest{
		AmountMsat: 500_000_000, FeerateSatPerVb: 100, Parts: 2,
	})
	must(t, err)
	inv := m.buy(client, 500_000_000)
	if lnwire.MilliSatoshi(q.Fee.OpeningFeeMsat) != inv.OpeningFee || q.Refusal != nil {
		t.Errorf("quoted %+v, sold for %d", q, inv.OpeningFee)
	}
	if q.LossMsat != 11_475_000 || q.FundingFeeSat != 16_475 { // 659 weight at 100 sat/vB
		t.Errorf("%+v", q)
	}
	c := q.Channel
	if c.ForwardSat+c.ReserveSat+c.AnchorsSat+c.CommitmentFeeSat+c.SpareSat != c.CapacitySat ||
		c.SpareSat != 247_500 {
		t.Errorf("%+v", c)
	}
	_, err = m.admin(m.seller).Quote(t.Context(), api.QuoteRequest{AmountMsat: 1})
	var bad *api.Error
	if !errors.As(err, &bad) || bad.Code != api.InvalidArgument {
		t.Errorf("%v", err)
	}
}
