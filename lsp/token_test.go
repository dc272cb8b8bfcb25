package lsp

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/lightningnetwork/lnd/lnwire"
)

// shopToken is half the price of the test's menu.
func shopToken() Token {
	item := DefaultOffer().Item()
	item.MinFee, item.ProportionalPPM = 5_000, 10_000
	item.MinPaymentSize, item.MaxPaymentSize = 100_000, 4_000_000
	return Token{Name: "shop", Hash: HashToken("open sesame"), Menu: []MenuItem{item}}
}

const asShop = `{"token":"open sesame"}`

// itemFor gets the first item of the token's menu as text.
func itemFor(t *testing.T, s *Service, now time.Time, client [33]byte, params string) string {
	t.Helper()
	menu := served(t, s, now, client, params)
	if len(menu) == 0 {
		t.Fatal("the menu is empty")
	}
	raw, err := json.Marshal(menu[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// LSPS2-01 and -07: a token has its own prices, and the order its name.
func TestTokenTerms(t *testing.T) {
	free := Token{Name: "friends", Hash: HashToken("friends' secret")}
	s, book := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{shopToken(), free} })
	if menu := served(t, s, t0, bob, `{"token":"friends' secret"}`); menu[0].MinFee != 10_000 ||
		len(menu[0].Promise) > maxPromise || !strings.HasPrefix(menu[0].Promise, "v2.") {
		t.Errorf("a token without a menu: %+v", menu)
	}
	offered := itemFor(t, s, t0, bob, asShop)
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != 0 {
		t.Fatalf("%+v", g)
	}
	if p := book.sold[0]; p.Token != "shop" || p.OpeningFee != 10_000 {
		t.Errorf("%+v", p)
	}
	raw, err := MarshalPurchase(book.sold[0])
	again, err2 := UnmarshalPurchase(raw)
	if err != nil || err2 != nil || again.Token != "shop" {
		t.Errorf("%v %v %+v", err, err2, again)
	}
}

// LSPS2-08 and -11: a token's price is for the client that had it, and only as the
// token's. rust-lightning#4037 was a public client that bought at a token's price.
func TestTokenIsBoundIntoThePromise(t *testing.T) {
	checklist.Shows(t, "LSPS2-11", "mac leaves out the token")
	other := Token{Name: "other", Hash: HashToken("another secret")}
	s, book := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{shopToken(), other} })
	offered := itemFor(t, s, t0, bob, asShop)
	shopID, otherID := s.sold.Load().tokens[0].id(), s.sold.Load().tokens[1].id()
	public := item(t, s, t0, bob)
	for what, c := range map[string]struct {
		item   string
		client [33]byte
	}{
		"another client":         {offered, eve},
		"another token":          {replace(t, offered, shopID, otherID), bob},
		"no token":               {replace(t, offered, "."+shopID, ""), bob},
		"no token, v1":           {replace(t, replace(t, offered, "."+shopID, ""), "v2.", "v1."), bob},
		"v1 with a token":        {replace(t, offered, "v2.", "v1."), bob},
		"an empty token":         {replace(t, offered, shopID, ""), bob},
		"public price as token":  {replace(t, public, "v1.", "v2."), bob},
		"public item as token's": {replace(t, public, "v1.", "v2."+shopID+"."), bob},
		"the token's name":       {replace(t, offered, shopID, "shop"), bob},
	} {
		if g := buy(t, s, t0, c.client, c.item, `"1000000"`); g.code() != CodeInvalidFeeParams {
			t.Errorf("%s: %+v", what, g)
		}
	}
	if book.len() != 0 {
		t.Errorf("%d were sold", book.len())
	}
}

// LSPS2-02: a token that is unknown, has expired, or was revoked; and what was promised
// by it meanwhile.
func TestTokenEnds(t *testing.T) {
	checklist.Shows(t, "LSPS2-02", "get_info takes a token that does not stand")
	end := t0.Add(time.Minute)
	for what, c := range map[string]struct {
		now    time.Time
		change func(*Token)
	}{
		"expired":  {end, func(*Token) {}},
		"disabled": {t0, func(k *Token) { k.Disabled = true }},
		"removed":  {t0, func(k *Token) { *k = Token{Name: "x", Hash: HashToken("something else")} }},
		"replaced": {t0, func(k *Token) { k.Hash = HashToken("something else") }},
	} {
		token := shopToken()
		token.ExpiresAt = end
		s, book := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{token} })
		offered := itemFor(t, s, t0, bob, asShop)
		c.change(&token)
		if err := s.SetMenu(s.sold.Load().offer, []Token{token}); err != nil {
			t.Fatal(err)
		}
		if g := call(t, s, c.now, bob, "lsps2.get_info", asShop); g.code() != CodeUnrecognizedToken {
			t.Errorf("%s: get_info %+v", what, g)
		}
		if g := buy(t, s, c.now, bob, offered, `"1000000"`); g.code() != CodeInvalidFeeParams ||
			book.len() != 0 {
			t.Errorf("%s: buy %+v", what, g)
		}
	}
	token := shopToken()
	token.ExpiresAt = end
	s, _ := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{token} })
	if g := buy(t, s, end.Add(-1), bob, itemFor(t, s, t0, bob, asShop), ``); g.code() != 0 {
		t.Errorf("just in time: %+v", g)
	}
}

// LSPS2-24 for tokens: the open orders of a token and all of them, over restarts.
func TestTokenLimits(t *testing.T) {
	token := shopToken()
	token.MaxOpen, token.MaxOrders = 2, 4
	paid := 0
	var open []Purchase
	start := func() (*Service, *shelf) {
		return newService(t, func(c *ServiceConfig) {
			c.Tokens, c.Open, c.Rand = []Token{token}, open, newChance(byte(len(open)+7))
			c.Paid = func(name string) int {
				if name != "shop" {
					t.Errorf("asked about %q", name)
				}
				return paid
			}
		})
	}
	s, book := start()
	clients := byte(0)
	next := func() int {
		clients++
		client := [33]byte{2, clients}
		menu := served(t, s, t0, client, asShop)
		if len(menu) == 0 {
			return -1
		}
		raw, _ := json.Marshal(menu[0])
		return buy(t, s, t0, client, string(raw), `"1000000"`).code()
	}
	offered := itemFor(t, s, t0, bob, asShop)
	if a, b, c := next(), next(), next(); a != 0 || b != 0 || c != -1 {
		t.Fatalf("%d %d %d: the third has an empty menu", a, b, c)
	}
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != CodeClientRejected {
		t.Errorf("an item of before: %+v", g)
	}
	if menu := served(t, s, t0, eve, `{}`); len(menu) != 1 {
		t.Error("everybody's menu is empty too")
	}
	s.Ended(book.sold[0].ID) // dead: gives its place back for good
	pays := func(s *Service, id string) {
		paid++
		s.Ended(id)
	}
	pays(s, book.sold[1].ID)
	if a, b := next(), next(); a != 0 || b != 0 {
		t.Fatalf("%d %d", a, b)
	}
	pays(s, book.sold[2].ID)
	open = book.sold[3:]
	s, book = start()
	if a, b := next(), next(); a != 0 || b != -1 {
		t.Fatalf("after a restart: %d %d", a, b)
	}
	pays(s, open[0].ID)
	if code := next(); code != -1 {
		t.Errorf("three are paid and one is open: %d", code)
	}
	pays(s, book.sold[0].ID)
	if g := call(t, s, t0, bob, "lsps2.get_info", asShop); g.code() != CodeUnrecognizedToken {
		t.Errorf("used up: %+v", g)
	}
}

// TestTokenChecks are the mistakes of a configuration.
func TestTokenChecks(t *testing.T) {
	for want, change := range map[string]func([]Token) []Token{
		"have the same secret": func(k []Token) []Token { k[1].Hash = k[0].Hash; return k },
		"have that name":       func(k []Token) []Token { k[1].Name = "shop"; return k },
		"has no secret":        func(k []Token) []Token { k[0].Hash = [32]byte{}; return k },
		"1 to 64 bytes":        func(k []Token) []Token { k[0].Name = ""; return k },
		"can't be shown":       func(k []Token) []Token { k[0].Name = "a\x1b"; return k },
		"negative":             func(k []Token) []Token { k[0].MaxOpen = -1; return k },
		`lsp.tokens "shop" menu item 2 (min_fee_msat 5000, proportional_ppm 10000) have the same`: func(k []Token) []Token {
			k[0].Menu = append(k[0].Menu, k[0].Menu[0])
			return k
		},
		"more than 1000": func(k []Token) []Token {
			for i := range maxTokens {
				k = append(k, Token{Name: fmt.Sprint(i), Hash: [32]byte{1, byte(i), byte(i >> 8)}})
			}
			return k
		},
	} {
		tokens := change([]Token{shopToken(), {Name: "other", Hash: HashToken("another secret")}})
		if err := CheckMenu(DefaultOffer(), tokens, ChannelPolicy{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestSetMenuWhileServing changes the menu under clients that ask and buy: each sees one
// menu or the other, and what was promised holds. Run with -race.
func TestSetMenuWhileServing(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) {
		c.Limits = Limits{ClientPerSecond: 1e6, PerSecond: 1e6, ClientOpen: 1e6, Open: 1e6}
	})
	offers := [2]Offer{s.sold.Load().offer, offerOf(priceList([2]uint64{7, 7}, [2]uint64{70, 70}))}
	var wait sync.WaitGroup
	for i := range 8 {
		client := [33]byte{2, byte(i)}
		wait.Go(func() {
			for range 50 {
				menu := served(t, s, t0, client, `{}`)
				if fees := fees(menu); fees != "[10000]" && fees != "[7 70]" {
					t.Errorf("half a menu: %s", fees)
				}
				raw, _ := json.Marshal(menu[0])
				if g := buy(t, s, t0, client, string(raw), `"20000000"`); g.code() != 0 &&
					g.code() != CodePaymentSizeTooLarge {
					t.Errorf("%+v", g)
				}
			}
		})
	}
	for i := range 200 {
		var tokens []Token
		if i%3 == 0 {
			tokens = []Token{shopToken()}
		}
		if err := s.SetMenu(offers[i%2], tokens); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
	for _, p := range book.sold {
		if p.Params.MinFee == 10_000 {
			t.Errorf("20,000 sat at the price of up to 4,000: %+v", p)
		}
	}
}

func fees(menu []OpeningFeeParams) string {
	var list []lnwire.MilliSatoshi
	for _, p := range menu {
		list = append(list, p.MinFee)
	}
	return strings.ReplaceAll(fmt.Sprintf("%d", list), " mSAT", "")
}
