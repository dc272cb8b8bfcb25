package lsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// LSPS2-08: an item that differs in any of its seven values, or in its promise, is not
// ours; for everybody's items and for those of a token.
func TestEveryFieldIsPromised(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) {
		c.Tokens = []Token{shopToken()}
		c.Limits = Limits{ClientPerSecond: 1000}
	})
	for _, ask := range []string{`{}`, asShop} {
		offered := itemFor(t, s, t0, bob, ask)
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(offered), &fields); err != nil || len(fields) != 8 {
			t.Fatalf("%v, %d fields", err, len(fields))
		}
		for name, value := range fields {
			was := string(value)
			for _, other := range changed(name, strings.Trim(was, `"`)) {
				if was[0] == '"' {
					other = `"` + other + `"`
				}
				bad := replace(t, offered, fmt.Sprintf("%q:%s", name, was), fmt.Sprintf("%q:%s", name, other))
				if g := buy(t, s, t0, bob, bad, `"1000000"`); g.code() != CodeInvalidFeeParams {
					t.Errorf("%s: %s for %s: %+v", ask, name, other, g)
				}
			}
		}
		if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != 0 {
			t.Errorf("unchanged: %+v", g)
		}
	}
	if book.len() != 2 {
		t.Errorf("%d sold", book.len())
	}
}

// changed are values that are well formed and not the one that was there.
func changed(name, was string) []string {
	switch name {
	case "valid_until":
		return []string{"2026-01-01T01:00:00.001Z", "2026-01-01T00:59:59.999Z", "2027-01-01T01:00:00.000Z"}
	case "promise":
		end := map[bool]string{true: "1", false: "0"}[was[len(was)-1] == '0']
		return []string{was[:len(was)-1] + end, was + "0", was[:len(was)-2], "", strings.ToUpper(was)}
	}
	return []string{was + "0", "1" + was, "0"}
}

// LSPS2-09: the item is bought as an LDK client writes it anew.
func TestRewrittenItemsAreSold(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{shopToken()} })
	for i, ask := range []string{`{}`, asShop} {
		offered := itemFor(t, s, t0, bob, ask)
		for _, text := range []string{
			replace(t, offered, ".000Z", "Z"), replace(t, offered, ".000Z", "+00:00"),
			strings.NewReplacer(",", " ,\n\t", ":\"", " : \"").Replace(offered),
			reordered(t, []byte(offered)),
		} {
			if g := buy(t, s, t0.Add(time.Duration(i)*time.Minute), bob, text, `"1000000"`); g.code() != 0 {
				t.Errorf("%s: %+v", text, g)
			}
		}
	}
	if book.len() != 8 {
		t.Errorf("%d sold", book.len())
	}
}

// LSPS2-25: ten thousand node ids that come once leave no more than the limits allow.
func TestThrowAwayClients(t *testing.T) {
	s, book := newService(t, nil)
	now := t0
	for i := range 10_000 {
		client := [33]byte{2, byte(i), byte(i >> 8), 7}
		now = now.Add(time.Millisecond)
		g := call(t, s, now, client, "lsps2.get_info", `{}`)
		var menu menuJSON
		if err := json.Unmarshal(g.Result, &menu); err != nil && g.code() == 0 {
			t.Fatal(err)
		}
		for _, p := range menu.Menu {
			raw, _ := json.Marshal(p)
			if g := buy(t, s, now, client, string(raw), ``); g.code() != 0 && g.code() != CodeClientRejected {
				t.Fatalf("%d: %+v", i, g)
			}
		}
		s.PeerGone(client)
	}
	if book.len() != 1000 || len(s.orders.open) != 1000 || len(s.orders.ofOne) > 1000 ||
		len(s.callers) > maxClients {
		t.Errorf("%d sold, %d open of %d, %d remembered", book.len(), len(s.orders.open),
			len(s.orders.ofOne), len(s.callers))
	}
	// LSPS2-27: they run out, and so does what they held.
	if g := buy(t, s, now.Add(time.Hour), bob, item(t, s, now.Add(time.Hour), bob), ``); g.code() != 0 ||
		len(s.orders.open) != 1 || len(s.orders.ofOne) != 1 {
		t.Errorf("%+v, %d open", g, len(s.orders.open))
	}
}

// LSPS2-28: nobody waits for another's purchase to be written, however long that takes.
func TestNobodyWaitsForTheBook(t *testing.T) {
	s, book := newService(t, nil)
	offered, evesOffer := item(t, s, t0, bob), item(t, s, t0, eve)
	writing, write := make(chan bool), make(chan bool)
	book.added = func() {
		book.added = nil // the next one is not held up
		close(writing)
		<-write
	}
	sold := make(chan int)
	go func() { sold <- buy(t, s, t0, bob, offered, `"1000000"`).code() }()
	<-writing
	if g := call(t, s, t0, eve, "lsps2.get_info", `{}`); g.code() != 0 {
		t.Errorf("%+v", g)
	}
	if _, err := s.Quote(t0, QuoteRequest{Amount: 1_000_000}); err != nil || s.Closed(t0) != "" {
		t.Error(err, s.Closed(t0))
	}
	if err := s.SetMenu(DefaultOffer(), nil); err != nil {
		t.Error(err)
	}
	if g := buy(t, s, t0, eve, evesOffer, `"1000000"`); g.code() != 0 || book.len() != 1 {
		t.Errorf("%+v, %d in the book", g, book.len())
	}
	s.PeerGone(eve)
	s.Ended("unknown")
	close(write)
	if code := <-sold; code != 0 || book.len() != 2 {
		t.Errorf("%d, %d in the book", code, book.len())
	}
}

// TestPlaceOfAFailedSale: what could not be written holds no place, no coins and no token.
func TestPlaceOfAFailedSale(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) { c.Tokens = []Token{shopToken()} })
	book.fail = []error{errors.New("disk full")}
	if g := buy(t, s, t0, bob, itemFor(t, s, t0, bob, asShop), `"1000000"`); g.code() != CodeInternal {
		t.Errorf("%+v", g)
	}
	o := &s.orders
	if len(o.open)+len(o.ofOne)+len(o.ofToken) != 0 || o.claimed != 0 {
		t.Errorf("%+v", o)
	}
}

// BenchmarkGetInfo is the largest menu and the most tokens that a configuration can have.
func BenchmarkGetInfo(b *testing.B) {
	var prices [][2]uint64
	for i := range uint64(maxItems) {
		prices = append(prices, [2]uint64{1_000_000 + i, 100 + i})
	}
	cfg, _ := testConfig()
	cfg.Offer = offerOf(priceList(prices...))
	cfg.Needs, cfg.Limits.ClientPerSecond, cfg.Limits.PerSecond = someNeeds, 1e9, 1e9
	for i := range maxTokens {
		cfg.Tokens = append(cfg.Tokens, Token{Name: fmt.Sprint(i), Hash: HashToken(fmt.Sprint("secret", i))})
	}
	s, err := NewService(cfg)
	if err != nil {
		b.Fatal(err)
	}
	raw := []byte(`{"jsonrpc":"2.0","id":"7","method":"lsps2.get_info","params":{"token":"secret999"}}`)
	now := t0
	for b.Loop() {
		now = now.Add(time.Second)
		if answer := s.Handle(now, bob, raw); len(answer) < 1000 || len(answer) > maxMessage {
			b.Fatalf("%s", answer)
		}
	}
}
