package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// salesChecks are those of LSPS2. checkMenu comes first: the others need its item.
func salesChecks() []check {
	return []check{
		{"LSPS2-01 LSPS2-04 LSPS2-05 LSPS2-06 LSPS2-07 LSPS0-24 LSPS0-25", checkMenu},
		{"LSPS2-02", checkToken},
		{"LSPS2-08", withItem(checkChanged)},
		{"LSPS2-19 LSPS2-20", withItem(checkMalformedItem)},
		{"LSPS0-28", withItem(checkAmounts)},
		{"LSPS2-13", withItem(checkSizes)},
		{"LSPS2-14", withItem(checkFee)},
		{"LSPS2-15", withItem(checkOverflow)},
		{"LSPS2-09 LSPS2-21 LSPS0-26", withItem(checkRewritten)},
		{"LSPS2-18 LSPS2-22", withItem(checkVariable)},
		{"LSPS2-11", withItem(checkForeign)},
	}
}

// shop is a connection with an item that was offered on it.
type shop struct {
	*peer
	raw  json.RawMessage
	item item
}

// item is what a menu item says, as far as the checks need it.
type item struct {
	fields                   map[string]json.RawMessage
	minFee, minSize, maxSize uint64
	ppm                      uint64
	validUntil               time.Time
	promise                  string
}

// withItem runs a check with a fresh identity and the first item of its menu.
func withItem(run func(ctx context.Context, t *tester, s *shop) error) func(context.Context, *tester) error {
	return func(ctx context.Context, t *tester) error {
		if len(t.items) == 0 {
			return nil
		}
		p, err := t.dial(ctx)
		if err != nil {
			return err
		}
		defer p.close()
		menu, _, err := p.menu(ctx)
		if err != nil {
			return err
		}
		if len(menu) == 0 {
			return fmt.Errorf("%w to a menu: it is empty now", errDial)
		}
		s := &shop{peer: p, raw: menu[0]}
		s.item, _ = readItem(menu[0])
		return run(ctx, t, s)
	}
}

// tokenParam is the run's token as params of get_info.
func (t *tester) tokenParam() string {
	if t.cfg.Token == "" {
		return "{}"
	}
	raw, _ := json.Marshal(map[string]string{"token": t.cfg.Token})
	return string(raw)
}

// menu gets the menu.
func (p *peer) menu(ctx context.Context) ([]json.RawMessage, answer, error) {
	a, err := p.ask(ctx, "lsps2.get_info", p.t.tokenParam())
	if err != nil {
		return nil, a, err
	}
	var r struct {
		Menu []json.RawMessage `json:"opening_fee_params_menu"`
	}
	_ = json.Unmarshal(a.result, &r)
	return r.Menu, a, nil
}

// buy asks for an order; size is JSON, "" for none.
func (s *shop) buy(ctx context.Context, item, size string) (answer, error) {
	params := `{"opening_fee_params":` + item
	if size != "" {
		params += `,"payment_size_msat":` + size
	}
	a, err := s.ask(ctx, "lsps2.buy", params+"}")
	if err == nil && a.result != nil {
		var r struct {
			SCID string `json:"jit_channel_scid"`
		}
		_ = json.Unmarshal(a.result, &r)
		s.t.scids = append(s.t.scids, r.SCID)
	}
	return a, err
}

// room says whether one more order may be left with the LSP.
func (t *tester) room(id string) bool {
	if len(t.scids) < MaxOrders {
		return true
	}
	t.see(id, NotShown, "would leave more than %d orders", MaxOrders)
	return false
}

func checkMenu(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	menu, a, err := p.menu(ctx)
	if err != nil {
		return err
	}
	if a.result == nil {
		t.noMenu(a)
		return nil
	}
	if t.cfg.Token == "" {
		b, err := p.ask(ctx, "lsps2.get_info", `{"token":null}`)
		if err != nil {
			return err
		}
		var r struct {
			Menu []json.RawMessage `json:"opening_fee_params_menu"`
		}
		_ = json.Unmarshal(b.result, &r)
		t.holds("LSPS2-01", b.result != nil && len(r.Menu) == len(menu),
			"a token of null is not taken for none")
	}
	t.items = menu
	if len(menu) == 0 {
		t.pass("LSPS2-03")
		t.sellsNothing("the menu is empty")
	}
	now := t.cfg.Now()
	var before *item
	for _, raw := range menu {
		i, faults := readItem(raw)
		t.judgeItem(i, faults, now)
		if before != nil {
			up := i.minFee > before.minFee && i.ppm >= before.ppm || i.minFee >= before.minFee && i.ppm > before.ppm
			t.holds("LSPS2-05", up, "an item does not cost more than the one before it")
		}
		before = &i
	}
	if len(menu) == 1 {
		t.see("LSPS2-05", NotShown, "the menu has one item")
	}
	return nil
}

// noMenu is an LSP that refuses to show its menu.
func (t *tester) noMenu(a answer) {
	why := fmt.Sprintf("get_info is answered with %s", a.text())
	switch {
	case a.code == 1:
		t.pass("LSPS2-03")
	case t.cfg.Token != "" && a.code == 200:
		why = "the LSP does not know this token"
	case t.cfg.Token == "":
		t.bad("LSPS2-01", "%s", why)
	}
	t.sellsNothing(why)
}

// sellsNothing explains the lines that need an item.
func (t *tester) sellsNothing(why string) {
	for _, id := range t.order {
		if r := t.results[id]; strings.HasPrefix(id, "LSPS2-") && r.Verdict == NotShown && hidden[id] == "" {
			r.Reason = why
		}
	}
}

// itemFields are the members of opening_fee_params; the amounts among them are text.
var itemFields = []struct {
	name   string
	amount bool
}{
	{"min_fee_msat", true}, {"proportional", false}, {"valid_until", false}, {"min_lifetime", false},
	{"max_client_to_self_delay", false}, {"min_payment_size_msat", true},
	{"max_payment_size_msat", true}, {"promise", false},
}

// faults of an item, by line.
type faults map[string]string

var (
	decimal  = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	datetime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	scidForm = regexp.MustCompile(`^(0|[1-9]\d*)x(0|[1-9]\d*)x(0|[1-9]\d*)$`)
)

// readItem reads an item strictly and says what is wrong with it.
func readItem(raw json.RawMessage) (i item, bad faults) {
	bad = faults{}
	if json.Unmarshal(raw, &i.fields) != nil {
		bad["LSPS2-04"] = "an item is no object"
		return i, bad
	}
	for name := range i.fields {
		known := false
		for _, f := range itemFields {
			known = known || f.name == name
		}
		if !known {
			bad["LSPS2-04"] = fmt.Sprintf("an item has the unknown field %.40q", name)
		}
	}
	text := func(name string) (s string) {
		if json.Unmarshal(i.fields[name], &s) != nil {
			bad["LSPS2-04"] = name + " is missing or no text"
		}
		return s
	}
	number := func(name string, bits int) uint64 {
		n, err := strconv.ParseUint(string(i.fields[name]), 10, bits)
		if err != nil {
			bad["LSPS2-04"] = name + " is missing or no whole number"
		}
		return n
	}
	amount := func(name string) uint64 {
		s := text(name)
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil || !decimal.MatchString(s) {
			bad["LSPS0-24"] = name + " is no decimal text"
		}
		return n
	}
	i.minFee, i.minSize, i.maxSize = amount("min_fee_msat"), amount("min_payment_size_msat"),
		amount("max_payment_size_msat")
	i.ppm = number("proportional", 32)
	number("min_lifetime", 32)
	number("max_client_to_self_delay", 32)
	date := text("valid_until")
	var err error
	if i.validUntil, err = time.Parse(time.RFC3339, date); err != nil || !datetime.MatchString(date) {
		bad["LSPS0-25"] = "valid_until is written otherwise"
	}
	i.promise = text("promise")
	return i, bad
}

func (t *tester) judgeItem(i item, bad faults, now time.Time) {
	for _, id := range []string{"LSPS2-04", "LSPS0-24", "LSPS0-25"} {
		t.holds(id, bad[id] == "", "%s", bad[id])
	}
	// bLIP-52: valid_until "SHOULD" be so far ahead; a second is for the way.
	if ahead := i.validUntil.Sub(now); ahead < 10*time.Minute-time.Second {
		t.see("LSPS2-06", Differs, "an item is good for %v only: it should be 10 minutes", ahead.Round(time.Second))
	} else {
		t.pass("LSPS2-06")
	}
	plain := len(i.promise) > 0
	for _, c := range []byte(i.promise) {
		plain = plain && c >= 0x20 && c < 0x7f && c != '"' && c != '\\'
	}
	t.holds("LSPS2-07", plain && len(i.promise) <= 512, "a promise of %d bytes, or with other characters",
		len(i.promise))
}

func checkToken(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	a, err := p.ask(ctx, "lsps2.get_info", `{"token":"no such token of anybody"}`)
	if err != nil {
		return err
	}
	t.holds("LSPS2-02", a.code == 200 && a.result == nil, "the answer is %s", a.text())
	return nil
}

// fee is the opening fee of a payment; it is not ok when it overflows.
func (i item) fee(size uint64) (uint64, bool) {
	hi, product := bits.Mul64(size, i.ppm)
	sum, carry := bits.Add64(product, 999_999, 0)
	return max(i.minFee, sum/1_000_000), hi == 0 && carry == 0
}

// good is a size that the item allows and that bears its fee, if there is one: about the
// least, so that coins and liquidity of the LSP matter little.
func (i item) good() uint64 {
	for size := max(i.minSize, 1); size <= i.maxSize && size < 1<<62; size *= 2 {
		if fee, ok := i.fee(size); ok && fee < size/2 {
			return size
		}
	}
	return i.maxSize
}

func quoted(n uint64) string { return fmt.Sprintf("%q", strconv.FormatUint(n, 10)) }
