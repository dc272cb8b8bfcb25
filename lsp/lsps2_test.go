package lsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// LSPS2-01, -04 and -05: the menu.
func TestGetInfo(t *testing.T) {
	checklist.Shows(t, "LSPS0-24", "min_fee_msat is written as a number")
	checklist.Shows(t, "LSPS2-01", "a token of null is not taken for none")
	checklist.Shows(t, "LSPS2-04", "an item has one field more")
	s, _ := newService(t, nil)
	want := `{"min_fee_msat":"10000","proportional":20000,"valid_until":"2026-01-01T01:00:00.123Z",` +
		`"min_lifetime":4320,"max_client_to_self_delay":2016,"min_payment_size_msat":"100000",` +
		`"max_payment_size_msat":"4000000","promise":"v1.et8bc00.`
	now := t0.Add(123_456_789)
	for _, params := range []string{`{}`, `{"token":null}`} {
		g := call(t, s, now, bob, "lsps2.get_info", params)
		got := strings.TrimPrefix(string(g.Result), `{"opening_fee_params_menu":[`)
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `"}]}`) {
			t.Errorf("%s: %s", params, g.Result)
		}
	}
	if menu := s.Menu(t0); len(menu) != 1 || menu[0].MinFee != 10_000 || menu[0].Promise != "" {
		t.Errorf("%+v", menu)
	}
}

// LSPS2-02: tokens.
func TestTokens(t *testing.T) {
	checklist.Shows(t, "LSPS2-02", "every token is known")
	s, _ := newService(t, nil)
	g := call(t, s, t0, bob, "lsps2.get_info", `{"token":"x"}`)
	if g.code() != CodeUnrecognizedToken || g.Error.Data != nil {
		t.Errorf("%+v", g)
	}
	s, _ = newService(t, func(c *ServiceConfig) {
		c.Tokens = []Token{{Name: "a", Hash: HashToken("secret")}, {Name: "b", Hash: HashToken("other")}}
	})
	for token, code := range map[string]int{
		`"secret"`: 0, `"other"`: 0, `"secre"`: CodeUnrecognizedToken, `""`: CodeUnrecognizedToken,
		`7`: CodeInvalidParams, `{}`: CodeInvalidParams,
	} {
		if g := call(t, s, t0, bob, "lsps2.get_info", `{"token":`+token+`}`); g.code() != code {
			t.Errorf("token %s: %+v", token, g)
		}
	}
}

// LSPS2-03: a node that cannot open has an empty menu.
func TestEmptyMenu(t *testing.T) {
	checklist.Shows(t, "LSPS2-03", "the menu is the same when no channel can be opened")
	checklist.Shows(t, "LSPS2-17", "what can reach the LSP is not looked at")
	can := Unlimited()
	s, book := newService(t, func(c *ServiceConfig) { c.Liquidity = func([33]byte) Liquidity { return can } })
	offered := item(t, s, t0, bob)
	can.CanOpen = false
	g := call(t, s, t0, bob, "lsps2.get_info", `{}`)
	if string(g.Result) != `{"opening_fee_params_menu":[]}` {
		t.Errorf("%s", g.Result)
	}
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != CodeClientRejected ||
		book.len() != 0 {
		t.Errorf("%+v", g)
	}
	// LSPS2-17: what cannot reach us is too large.
	can = Unlimited()
	can.Inbound = 999_999
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != CodePaymentSizeTooLarge {
		t.Errorf("%+v", g)
	}
	if g := buy(t, s, t0, bob, offered, `"999999"`); g.code() != 0 {
		t.Errorf("%+v", g)
	}
}

// LSPS2-13, -14, -18, -20 and -21: what can be bought.
func TestBuy(t *testing.T) {
	checklist.Shows(t, "LSPS2-13", "the size must be over the minimum")
	checklist.Shows(t, "LSPS2-18", "a size of null is refused")
	checklist.Shows(t, "LSPS2-21", "client_trusts_lsp is always there")
	for size, code := range map[string]int{
		`"100000"`: 0, `"99999"`: 202, `"4000000"`: 0, `"4000001"`: 203, `"0"`: 202, `null`: 0, ``: 0,
		`1000000`: -32602, `"1e6"`: -32602, `"18446744073709551616"`: -32602,
		`"18446744073709551615"`: 203,
	} {
		s, book := newService(t, nil)
		g := buy(t, s, t0, bob, item(t, s, t0, bob), size)
		if g.code() != code || g.Error != nil && g.Error.Data != nil || (book.len() == 1) != (code == 0) {
			t.Errorf("size %s: %+v, %d in the book", size, g, book.len())
		}
		if code != 0 {
			continue
		}
		p := book.sold[0]
		want := fmt.Sprintf(`{"jit_channel_scid":%q,"lsp_cltv_expiry_delta":144}`, FormatSCID(p.SCID))
		if string(g.Result) != want || p.ID != FormatSCID(p.SCID) || p.Client != bob {
			t.Errorf("size %s: %s, booked %+v", size, g.Result, p)
		}
	}
	s, book := newService(t, func(c *ServiceConfig) { c.Offer.ClientTrustsLSP = true })
	g := buy(t, s, t0, bob, item(t, s, t0, bob), `"1000000"`)
	if !strings.HasSuffix(string(g.Result), `"lsp_cltv_expiry_delta":144,"client_trusts_lsp":true}`) {
		t.Errorf("%s", g.Result)
	}
	if p := book.sold[0]; p.OpeningFee != 20_000 || !p.ClientTrustsLSP {
		t.Errorf("%+v", p)
	}
}

// LSPS2-14 and -15: the fee against the payment, and overflow. The items are our own,
// from a menu of before.
func TestBuyFee(t *testing.T) {
	checklist.Shows(t, "LSPS2-14", "the fee may be the whole payment")
	checklist.Shows(t, "LSPS2-15", "the overflow of the sum, or that of the product, is not noticed")
	key := PromiseKey{"a", [32]byte{1}}
	for _, v := range []struct {
		minFee     lnwire.MilliSatoshi
		ppm        uint32
		size, code uint64
		why        string
	}{
		{1_000_000, 0, 1_000_000, 202, "no less"}, {999_999, 0, 1_000_000, 0, ""},
		{1_000_001, 0, 1_000_000, 202, "no less"}, {0, 4_294_967_295, 1 << 63, 203, "overflows"},
		{0, 1, 1<<64 - 1, 203, "overflows"}, {0, 1, 18446744073708551617, 203, "overflows"},
		{0, 1, 18446744073708551615, 203, "no channel"}, // the fee is good, but who has that much?
	} {
		p := someParams()
		p.MinFee, p.Proportional, p.MaxPaymentSize = v.minFee, v.ppm, 1<<64-1
		p.ValidUntil = t0.Add(time.Hour)
		p.Promise = key.promise(bob, p, "")
		raw, _ := json.Marshal(p)
		s, _ := newService(t, nil)
		g := buy(t, s, t0, bob, string(raw), fmt.Sprintf("\"%d\"", v.size))
		if g.code() != int(v.code) || v.code != 0 && !strings.Contains(g.Error.Message, v.why) {
			t.Errorf("%+v: %+v", v, g)
		}
	}
}

// LSPS2-08, -10, -11, -12 and -19: whose item it must be.
func TestBuyItem(t *testing.T) {
	checklist.Shows(t, "LSPS2-11", "mac leaves out the client")
	checklist.Shows(t, "LSPS2-12", "an item may be bought at valid_until")
	checklist.Shows(t, "LSPS2-19", "parseParams ignores further fields")
	checklist.Shows(t, "LSPS2-20", "a field that is missing is 0")
	checklist.Shows(t, "LSPS2-26", "fault has an object in data")
	s, book := newService(t, nil)
	offered := item(t, s, t0, bob)
	now := t0
	for what, change := range map[string]func() (string, [33]byte, time.Time){
		"another client": func() (string, [33]byte, time.Time) { return offered, eve, now },
		"at its end":     func() (string, [33]byte, time.Time) { return offered, bob, t0.Add(time.Hour) },
		"lower fee": func() (string, [33]byte, time.Time) {
			return replace(t, offered, `"10000"`, `"1"`), bob, now
		},
		"longer": func() (string, [33]byte, time.Time) {
			return replace(t, offered, "01:00:00", "02:00:00"), bob, now
		},
		"a field more": func() (string, [33]byte, time.Time) {
			return replace(t, offered, `{`, `{"a":1,`), bob, now
		},
	} {
		raw, client, at := change()
		if g := buy(t, s, at, client, raw, `"1000000"`); g.code() != CodeInvalidFeeParams ||
			g.Error.Data != nil {
			t.Errorf("%s: %+v", what, g)
		}
	}
	now = t0.Add(10 * time.Second)
	for what, bad := range map[string]string{
		"a field less":   replace(t, offered, `"min_lifetime":4320,`, ``),
		"number":         replace(t, offered, `"10000"`, `10000`),
		"text":           replace(t, offered, `4320`, `"4320"`),
		"upper case":     replace(t, offered, `min_fee_msat`, `MIN_FEE_MSAT`),
		"date":           replace(t, offered, `2026-`, `1926-`),
		"long promise":   replace(t, offered, `"v1.`, `"`+strings.Repeat("x", 512)),
		"not an object":  `[]`,
		"null":           `null`,
		"promise number": replace(t, offered, `"promise":"`, `"promise":7,"x":"`),
	} {
		now = now.Add(time.Second)
		if g := buy(t, s, now, bob, bad, `"1000000"`); g.code() != CodeInvalidParams ||
			g.Error.Data != nil {
			t.Errorf("%s: %+v", what, g)
		}
	}
	if g := call(t, s, now, bob, "lsps2.buy", `{}`); g.code() != CodeInvalidParams {
		t.Errorf("no item: %+v", g)
	}
	if book.len() != 0 {
		t.Errorf("%d were sold", book.len())
	}
	if g := buy(t, s, t0.Add(time.Hour-time.Millisecond), bob, offered, `"1000000"`); g.code() != 0 {
		t.Errorf("just in time: %+v", g)
	}

}

// TestChangedItem has each field of an item changed, one at a time.
func TestChangedItem(t *testing.T) {
	checklist.Shows(t, "LSPS2-08", "mac leaves out min_lifetime")
	s, book := newService(t, nil)
	offered := item(t, s, t0, bob)
	for field, change := range map[string][2]string{
		"min_fee_msat":             {`"10000"`, `"9999"`},
		"proportional":             {`20000`, `19999`},
		"valid_until":              {`01:00:00.000Z`, `01:00:00.001Z`},
		"min_lifetime":             {`4320`, `4321`},
		"max_client_to_self_delay": {`2016`, `2017`},
		"min_payment_size_msat":    {`"100000"`, `"99999"`},
		"max_payment_size_msat":    {`"4000000"`, `"4000001"`},
		"promise":                  {`"v1.`, `"v9.`},
	} {
		at := strings.Index(offered, field)
		changed := offered[:at] + replace(t, offered[at:], change[0], change[1])
		if g := buy(t, s, t0, bob, changed, `"1000000"`); g.code() != CodeInvalidFeeParams {
			t.Errorf("%s: %+v", field, g)
		}
	}
	if book.len() != 0 {
		t.Errorf("%d were sold", book.len())
	}
	later := t0.Add(time.Second) // with new requests
	if g := buy(t, s, later, bob, offered, `"1000000"`); g.code() != 0 {
		t.Errorf("unchanged: %+v", g)
	}
}

// LSPS2-22: ids are never the same, and inside the range.
func TestSCIDsAreDrawn(t *testing.T) {
	checklist.Shows(t, "LSPS2-22", "the block is counted up")
	s, book := newService(t, func(c *ServiceConfig) {
		c.Limits.ClientOpen, c.Limits.Open = 5000, 5000
	})
	offered := item(t, s, t0, bob)
	for i := range 2000 {
		at := t0.Add(time.Duration(i) * 100 * time.Millisecond)
		if g := buy(t, s, at, bob, offered, `"1000000"`); g.code() != 0 {
			t.Fatalf("%d: %+v", i, g)
		}
	}
	seen, ordered := map[lnwire.ShortChannelID]bool{}, 0
	for i, p := range book.sold {
		if p.SCID.BlockHeight < 16_050_000 || p.SCID.BlockHeight > 16_249_999 || seen[p.SCID] {
			t.Fatalf("%v", p.SCID)
		}
		seen[p.SCID] = true
		if i > 0 && p.SCID.ToUint64() > book.sold[i-1].SCID.ToUint64() {
			ordered++
		}
	}
	if ordered < 900 || ordered > 1100 {
		t.Errorf("%d of 2000 ids are larger than the one before", ordered)
	}
}

// LSPS2-23: the order is in the book before the answer, and no answer without it.
func TestBookFails(t *testing.T) {
	checklist.Shows(t, "LSPS2-23", "sell does not look whether the Book has it")
	s, book := newService(t, nil)
	offered := item(t, s, t0, bob)
	book.fail = []error{errors.New("disk full")}
	g := buy(t, s, t0, bob, offered, `"1000000"`)
	if g.code() != CodeInternal || strings.Contains(g.Error.Message, "disk") {
		t.Errorf("%+v", g)
	}
	book.fail = []error{ErrTaken, fmt.Errorf("book: %w", ErrTaken)}
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != 0 {
		t.Errorf("two ids are taken: %+v", g)
	}
	book.fail = slices.Repeat([]error{ErrTaken}, 9)
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != CodeInternal {
		t.Errorf("all ids are taken: %+v", g)
	}
	if len(s.orders.open) != 1 {
		t.Errorf("%d slots are in use after one sale", len(s.orders.open))
	}

	// A source that repeats itself cannot sell one id twice.
	s, book = newService(t, func(c *ServiceConfig) {
		c.Rand = strings.NewReader(strings.Repeat("x", 13*6))
	})
	offered = item(t, s, t0, bob)
	for _, code := range []int{0, CodeInternal, CodeInternal} {
		if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != code {
			t.Errorf("%+v, want %d", g, code)
		}
	}
	if book.len() != 1 {
		t.Errorf("%d sold", book.len())
	}
}

// TestPurchaseOrder has the order of a purchase, and its record.
func TestPurchaseOrder(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) { c.Offer.AliasFor = time.Hour })
	offered := item(t, s, t0, bob)
	buy(t, s, t0, bob, offered, `"1000000"`)
	buy(t, s, t0, bob, offered, ``)
	fixed, variable := book.sold[0].Order(), book.sold[1].Order()
	want := jit.Terms{
		Client: bob, SCID: book.sold[0].SCID, PaymentSize: 1_000_000, MinFee: 10_000, PPM: 20_000,
		MinPayment: 510_000, MaxPayment: 4_000_000, ValidUntil: t0.Add(time.Hour),
		AliasUntil: t0.Add(2 * time.Hour), CLTVExpiryDelta: 144, MaxClientToSelfDelay: 2016,
		MinLifetime: 4320, Rules: jit.DefaultRules(),
	}
	if fixed.Terms != want || fixed.ID != book.sold[0].ID || fixed.State.Name() != "awaiting_parts" {
		t.Errorf("%+v", fixed)
	}
	if variable.Terms.PaymentSize != 0 || variable.Terms.MinPayment != 510_000 {
		t.Errorf("%+v", variable)
	}

	raw, err := MarshalPurchase(book.sold[0])
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "purchase.golden", string(raw)+"\n")
	again, err := UnmarshalPurchase(raw)
	again.Rules = book.sold[0].Rules
	if err != nil || again != book.sold[0] {
		t.Errorf("%v %+v", err, again)
	}
	for _, bad := range []string{
		replace(t, string(raw), `"v":1`, `"v":2`), replace(t, string(raw), `"v":1`, `"v":1,"x":1`),
		string(raw) + "{}", replace(t, string(raw), `"client":"02`, `"client":"`), "x",
		replace(t, string(raw), `"promise"`, `"promises"`),
	} {
		if _, err := UnmarshalPurchase([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}
