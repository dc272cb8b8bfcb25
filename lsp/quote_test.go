package lsp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

func TestQuote(t *testing.T) {
	can := Unlimited()
	s, _ := newService(t, func(c *ServiceConfig) {
		c.Offer = offerOf(priceList([2]uint64{1_000_000, 4000}, [2]uint64{2_000_000, 5000}))
		c.Offer.ChainFee = ChainFee{Follow: true, MarginPPM: 2_000_000}
		c.Channels = ChannelPolicy{OverprovisionPPM: 500_000}
		c.FeeRate = func() SatPerKWeight { return 253 }
		c.Needs = someNeeds
		c.Liquidity = func([33]byte) Liquidity { return can }
		c.Tokens = []Token{shopToken()}
	})
	q, err := s.Quote(t0, QuoteRequest{Amount: 100_000_000, FeeRate: 2500, Parts: 3})
	if err != nil {
		t.Fatal(err)
	}
	// The chain lifts the first item to 659 * 2500 * 2 = 3,295,000 msat.
	want := Quote{
		Amount: 100_000_000, Parts: 3, FeeRate: 2500, Item: s.catalogueItem(t, 2500, 0),
		ConfiguredMinFee: 1_000_000, ChainMinFee: 3_295_000, FollowsChain: true,
		MarginPPM: 2_000_000, Proportional: 400_000, Fee: 3_295_000, Receives: 96_705_000,
		Channel: Channel{
			Forward: 96_705, ChannelNeeds: ChannelNeeds{Reserve: 1000, Anchors: 660, CommitFee: 300},
			Spare: 48_352, Capacity: 147_017,
		},
		FundingFee: 1648, Result: 3_295_000 - 1_648_000,
	}
	if q != want {
		t.Errorf("got  %+v\nwant %+v", q, want)
	}
	if q.AtRisk() != 147_017+1648 {
		t.Errorf("%d at risk", q.AtRisk())
	}

	// By a token's prices: the chain's minimum of 1,318,000 msat eats the payment up, and
	// when the fee does not follow the chain, the sale is a loss.
	_, err = s.Quote(t0, QuoteRequest{Amount: 1_000_000, FeeRate: 1000, Token: "shop"})
	if !errors.Is(err, ErrNoQuote) {
		t.Errorf("a fee over the payment: %v", err)
	}
	offer := s.sold.Load().offer
	offer.ChainFee.Follow = false
	if err := s.SetMenu(offer, []Token{shopToken()}); err != nil {
		t.Fatal(err)
	}
	q, err = s.Quote(t0, QuoteRequest{Amount: 1_000_000, FeeRate: 1000, Token: "shop"})
	if err != nil || q.Fee != 10_000 || q.Result != 10_000-659_000 || q.ChainMinFee != 1_318_000 {
		t.Errorf("%v %+v", err, q)
	}
	for want, r := range map[string]QuoteRequest{
		"there is no token":            {Amount: 1_000_000, Token: "none"},
		"from 10000000 to 4000000000":  {Amount: 1},
		"from 10000000 to 4000000000 ": {Amount: 4_000_000_001},
		"takes payments from 10000000": {},
		"over max_payment_size_msat":   {Amount: 4_000_001, Token: "shop"},
		"under min_payment_size_msat":  {Amount: 99_999, Token: "shop"},
	} {
		if _, err := s.Quote(t0, r); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// catalogueItem is an item of the menu at a rate.
func (s *Service) catalogueItem(t *testing.T, rate SatPerKWeight, i int) OpeningFeeParams {
	t.Helper()
	c := s.sold.Load()
	return c.shown(t0, c.public, s.market(rate))[i].OpeningFeeParams
}

// TestQuoteIsWhatBuySays: whatever the quote has in the way, buy refuses with, and the fee
// is the fee.
func TestQuoteIsWhatBuySays(t *testing.T) {
	can := Unlimited()
	s, book := newService(t, func(c *ServiceConfig) {
		c.Liquidity = func([33]byte) Liquidity { return can }
		c.FeeRate = func() SatPerKWeight { return 500 }
		c.Needs = someNeeds
	})
	now := t0
	for what, l := range map[string]Liquidity{
		"all":        Unlimited(),
		"no coins":   {CanOpen: true, Inbound: 1 << 60, Coins: 19_999},
		"no inbound": {CanOpen: true, Inbound: 999_999, Coins: btcutil.MaxSatoshi},
		"not synced": {Inbound: 1 << 60, Coins: btcutil.MaxSatoshi},
	} {
		now = now.Add(time.Second)
		can = Unlimited()
		offered := item(t, s, now, bob)
		can = l
		q, err := s.Quote(now, QuoteRequest{Amount: 1_000_000})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		g := buy(t, s, now, bob, offered, `"1000000"`)
		if g.code() != q.Code || g.Error != nil && g.Error.Message != q.Refusal {
			t.Errorf("%s: quote says %d %q, buy %+v", what, q.Code, q.Refusal, g)
		}
		if what == "all" && (book.sold[0].OpeningFee != q.Fee || q.Code != 0) {
			t.Errorf("sold for %d, quoted %d", book.sold[0].OpeningFee, q.Fee)
		}
	}
}
