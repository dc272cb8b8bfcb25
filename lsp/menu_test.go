package lsp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// priceList is a menu of items that differ in their prices.
func priceList(prices ...[2]uint64) []MenuItem {
	var items []MenuItem
	for _, p := range prices {
		item := DefaultOffer().Item()
		item.MinFee, item.ProportionalPPM = lnwire.MilliSatoshi(p[0]), uint32(p[1])
		items = append(items, item)
	}
	return items
}

// offerOf is an offer with these items.
func offerOf(items []MenuItem) Offer {
	o := DefaultOffer()
	o.MinFee, o.ProportionalPPM = items[0].MinFee, items[0].ProportionalPPM
	o.More = items[1:]
	return o
}

// served is the menu that a client gets.
func served(t *testing.T, s *Service, now time.Time, client [33]byte, params string) []OpeningFeeParams {
	t.Helper()
	g := call(t, s, now, client, "lsps2.get_info", params)
	if g.code() != 0 {
		t.Fatalf("get_info: %+v", g.Error)
	}
	var menu menuJSON
	if err := json.Unmarshal(g.Result, &menu); err != nil {
		t.Fatalf("%s: %v", g.Result, err)
	}
	return menu.Menu
}

// LSPS2-05: what is refused at config time, by the names of what clashes.
func TestMenuOrderIsChecked(t *testing.T) {
	checklist.Shows(t, "LSPS2-05", "two items of one price are allowed")
	for _, c := range []struct {
		prices [][2]uint64
		want   []string // "" is good
	}{
		{[][2]uint64{{1000, 10}, {1000, 20}, {2000, 20}, {3000, 30}}, nil},
		{[][2]uint64{{3000, 30}, {1000, 10}, {2000, 20}}, nil}, // put in order
		{[][2]uint64{{1000, 10}, {2000, 5}}, []string{
			"lsp.lsps2 (min_fee_msat 1000, proportional_ppm 10)",
			"lsp.lsps2.menu item 1 (min_fee_msat 2000, proportional_ppm 5)",
			"raise proportional_ppm of lsp.lsps2.menu item 1 to at least 10, or lower that of " +
				"lsp.lsps2 to at most 5",
		}},
		{[][2]uint64{{5000, 1}, {1000, 10}, {2000, 20}}, []string{
			"lsp.lsps2.menu item 2", "lsp.lsps2 (", "to at least 20",
		}},
		{[][2]uint64{{1000, 10}, {500, 5}, {1000, 10}}, []string{
			"lsp.lsps2 (", "lsp.lsps2.menu item 2", "same price",
		}},
	} {
		err := offerOf(priceList(c.prices...)).Validate()
		if len(c.want) == 0 && err != nil {
			t.Errorf("%v: %v", c.prices, err)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, without %q", c.prices, err, want)
			}
		}
	}
	var many [][2]uint64
	for i := range uint64(maxItems + 1) {
		many = append(many, [2]uint64{i, i})
	}
	if err := offerOf(priceList(many...)).Validate(); err == nil {
		t.Errorf("%d items are taken", len(many))
	}
}

// LSPS2-04, -05 and -06: all items are served, in order, and each can be bought.
func TestMenuOfSeveral(t *testing.T) {
	items := priceList([2]uint64{300_000, 30}, [2]uint64{100_000, 10}, [2]uint64{100_000, 20})
	items[1].ValidFor, items[2].ValidFor = 10*time.Minute, 24*time.Hour
	items[2].MinLifetime, items[2].MaxClientToSelfDelay = 144, 144
	s, book := newService(t, func(c *ServiceConfig) { c.Offer = offerOf(items) })
	menu := served(t, s, t0, bob, `{}`)
	if len(menu) != 3 {
		t.Fatalf("%d items", len(menu))
	}
	checkOrder(t, menu)
	for _, p := range menu {
		if p.ValidUntil.Before(t0.Add(10 * time.Minute)) {
			t.Errorf("%+v ends too early", p)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if g := buy(t, s, t0, bob, string(raw), `"1000000000"`); g.code() != 0 {
			t.Errorf("%+v: %+v", p, g)
		}
	}
	if book.len() != 3 || book.sold[1].Params.MinLifetime != 144 || book.sold[2].OpeningFee != 300_000 {
		t.Errorf("%+v", book.sold)
	}
}

// checkOrder is the rule of bLIP-52 for all neighbours.
func checkOrder(t *testing.T, menu []OpeningFeeParams) {
	t.Helper()
	for i := 1; i < len(menu); i++ {
		a, b := menu[i-1], menu[i]
		if b.MinFee < a.MinFee || b.Proportional < a.Proportional ||
			b.MinFee == a.MinFee && b.Proportional == a.Proportional {
			t.Errorf("item %d (%d, %d) after (%d, %d)", i, b.MinFee, b.Proportional, a.MinFee,
				a.Proportional)
		}
	}
}

// TestMinFeeFollowsTheChain has minimum fees of weight times rate times margin, rounded
// up to a satoshi, in order whatever the rate (LSPS2-05), and sold orders at the price
// that was promised.
func TestMinFeeFollowsTheChain(t *testing.T) {
	checklist.Shows(t, "LSPS2-05", "two items at the price of the chain stay equal")
	rate := SatPerKWeight(253)
	items := priceList([2]uint64{100_000, 10}, [2]uint64{400_000, 10}, [2]uint64{400_000, 20},
		[2]uint64{2_000_000, 20})
	s, book := newService(t, func(c *ServiceConfig) {
		c.Offer = offerOf(items)
		c.Offer.ChainFee = ChainFee{Follow: true}
		c.FeeRate = func() SatPerKWeight { return rate }
	})
	for _, v := range []struct {
		rate SatPerKWeight
		want []lnwire.MilliSatoshi
	}{
		{0, []lnwire.MilliSatoshi{100_000, 400_000, 400_000, 2_000_000}},
		// 659 * 253 * 1.5 = 250,090.5 msat
		{253, []lnwire.MilliSatoshi{251_000, 400_000, 400_000, 2_000_000}},
		{1000, []lnwire.MilliSatoshi{989_000, 989_001, 989_001, 2_000_000}},
		{2500, []lnwire.MilliSatoshi{2_472_000, 2_472_001, 2_472_001, 2_472_002}},
	} {
		rate = v.rate
		menu := served(t, s, t0, bob, `{}`)
		var got []lnwire.MilliSatoshi
		for _, p := range menu {
			got = append(got, p.MinFee)
		}
		if fmt.Sprint(got) != fmt.Sprint(v.want) {
			t.Errorf("at %d: %d, want %d", v.rate, got, v.want)
		}
		checkOrder(t, menu)
	}

	rate = 253
	raw, _ := json.Marshal(served(t, s, t0, bob, `{}`)[0])
	rate = 50_000
	if g := buy(t, s, t0, bob, string(raw), `"10000000"`); g.code() != 0 ||
		book.sold[0].OpeningFee != 251_000 {
		t.Errorf("after the rate rose: %+v", g)
	}

	// LSPS2-03: at a rate that leaves nothing of any payment there is no item.
	rate = 10_000_000
	if menu := served(t, s, t0, bob, `{}`); len(menu) != 0 || s.Closed(t0) == "" {
		t.Errorf("%+v", menu)
	}
	margin := ChainFee{Follow: true, MarginPPM: 1_000_000}
	if got := margin.minFee(1); got != 1000 {
		t.Errorf("one sat/kw is %d", got)
	}
	if got := (ChainFee{}).minFee(50_000); got != 0 {
		t.Errorf("%d without Follow", got)
	}
	if o := DefaultOffer(); o.ChainFee.check() != nil ||
		(ChainFee{MarginPPM: maxChainFeeMargin + 1}).check() == nil {
		t.Error("bounds of the margin")
	}
}

// TestItemsNobodyCouldUse are refused at config time.
func TestItemsNobodyCouldUse(t *testing.T) {
	for want, change := range map[string]func(*MenuItem, *ChannelPolicy){
		"lsp.lsps2.menu item 1: the fee of a payment": func(i *MenuItem, _ *ChannelPolicy) {
			i.MinFee = i.MaxPaymentSize
		},
		"item 1: min_payment_size_msat is": func(i *MenuItem, _ *ChannelPolicy) {
			i.MinPaymentSize = i.MaxPaymentSize + 1
		},
		"item 1: max_client_to_self_delay": func(i *MenuItem, _ *ChannelPolicy) {
			i.MaxClientToSelfDelay = 143
		},
		"no channel of at most max_channel_size_sat (30000)": func(i *MenuItem, p *ChannelPolicy) {
			p.Max, i.MinPaymentSize = 30_000, 34_000_000
		},
		"over max_channel_size_sat 25000": func(_ *MenuItem, p *ChannelPolicy) {
			p.Min, p.Max = 30_000, 25_000
		},
		"under 20000":   func(_ *MenuItem, p *ChannelPolicy) { p.Min = 19_999 },
		"over 16777215": func(_ *MenuItem, p *ChannelPolicy) { p.Max = 16_777_216 },
	} {
		items, channels := priceList([2]uint64{1, 1}, [2]uint64{3_000_000, 10_000}), ChannelPolicy{}
		change(&items[1], &channels)
		err := CheckMenu(offerOf(items), nil, channels)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
