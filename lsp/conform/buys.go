package conform

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// with is the item with one field changed; nil takes it out.
func (i item) with(name string, value json.RawMessage) string {
	changed := map[string]json.RawMessage{}
	for k, v := range i.fields {
		changed[k] = v
	}
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	raw, _ := json.Marshal(changed)
	return string(raw)
}

// checkChanged buys with each field changed.
func checkChanged(ctx context.Context, t *tester, s *shop) error {
	size := s.item.good()
	for _, f := range itemFields {
		var value json.RawMessage
		switch {
		case f.amount && f.name == "min_fee_msat":
			value = json.RawMessage(quoted(s.item.minFee + 1))
		case f.name == "min_payment_size_msat":
			value = json.RawMessage(quoted(s.item.minSize - min(1, s.item.minSize)))
		case f.name == "max_payment_size_msat":
			value = json.RawMessage(quoted(s.item.maxSize + 1))
		case f.name == "valid_until":
			later := s.item.validUntil.AddDate(0, 0, 1).UTC()
			value, _ = json.Marshal(later.Format("2006-01-02T15:04:05.000Z"))
		case f.name == "promise":
			value, _ = json.Marshal(turn(s.item.promise))
		default:
			var n uint32
			_ = json.Unmarshal(s.item.fields[f.name], &n)
			value = fmt.Append(nil, n^1)
		}
		a, err := s.buy(ctx, s.item.with(f.name, value), quoted(size))
		if err != nil {
			return fmt.Errorf("%s changed: %w", f.name, err)
		}
		t.holds("LSPS2-08", a.code == 201 && a.result == nil, "%s changed: the answer is %s", f.name, a.text())
	}
	return nil
}

// turn changes the last character of a promise.
func turn(promise string) string {
	if promise == "" {
		return "a"
	}
	last := byte('0')
	if promise[len(promise)-1] == last {
		last = '1'
	}
	return promise[:len(promise)-1] + string(last)
}

func checkMalformedItem(ctx context.Context, t *tester, s *shop) error {
	size := quoted(s.item.good())
	a, err := s.buy(ctx, s.item.with("no_such_field", json.RawMessage(`1`)), size)
	if err != nil {
		return err
	}
	t.holds("LSPS2-19", a.result == nil && (a.code == 201 || a.code == -32602), "the answer is %s", a.text())
	bad := map[string]string{}
	for _, f := range itemFields {
		bad["without "+f.name] = s.item.with(f.name, nil)
	}
	bad["min_fee_msat as an array"] = s.item.with("min_fee_msat", json.RawMessage(`[]`))
	bad["proportional as text"] = s.item.with("proportional", json.RawMessage(`"x"`))
	for _, what := range sorted(bad) {
		a, err := s.buy(ctx, bad[what], size)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		t.holds("LSPS2-20", a.result == nil, "%s it is sold", what)
	}
	return nil
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func checkAmounts(ctx context.Context, t *tester, s *shop) error {
	for _, text := range []string{`"18446744073709551616"`, `"-1"`, `"1.0"`, `""`, `"0x1"`} {
		a, err := s.buy(ctx, string(s.raw), text)
		if err != nil {
			return fmt.Errorf("payment_size_msat %s: %w", text, err)
		}
		t.holds("LSPS0-28", a.result == nil, "payment_size_msat %s is sold", text)
	}
	a, err := s.buy(ctx, string(s.raw), fmt.Sprint(s.item.good()))
	if err != nil {
		return fmt.Errorf("payment_size_msat as a number: %w", err)
	}
	if a.result != nil {
		t.see("LSPS0-28", Differs, "payment_size_msat may be a number")
	}
	// It is an amount, but more than there can be.
	if a, err = s.buy(ctx, string(s.raw), quoted(math.MaxUint64)); err != nil {
		return err
	}
	t.holds("LSPS0-28", a.result != nil || a.code >= 1 && a.code < 300,
		"the largest amount is answered with %s", a.text())
	return nil
}

// checkSizes buys at the bounds of the item.
func checkSizes(ctx context.Context, t *tester, s *shop) error {
	for _, v := range []struct {
		what string
		size uint64
		code int
		skip bool
	}{
		{"under the minimum", s.item.minSize - 1, 202, s.item.minSize <= 1},
		{"over the maximum", s.item.maxSize + 1, 203, s.item.maxSize == math.MaxUint64},
	} {
		if v.skip {
			continue
		}
		a, err := s.buy(ctx, string(s.raw), quoted(v.size))
		switch {
		case err != nil:
			return fmt.Errorf("a payment %s: %w", v.what, err)
		case a.result != nil:
			t.bad("LSPS2-13", "a payment %s is sold", v.what)
		case a.code != v.code: // bLIP-52 gives no code for it
			t.see("LSPS2-13", Differs, "a payment %s: %s, where others have %d", v.what, a.text(), v.code)
		default:
			t.pass("LSPS2-13")
		}
	}
	for _, size := range []uint64{s.item.minSize, s.item.maxSize} {
		fee, ok := s.item.fee(size)
		if !ok || fee >= size || !t.room("LSPS2-13") {
			continue
		}
		a, err := s.buy(ctx, string(s.raw), quoted(size))
		switch {
		case err != nil:
			return err
		case a.result == nil && a.code == 203: // it may not reach the LSP
			t.see("LSPS2-17", Pass, "")
		case a.result == nil && a.code == 1:
			t.see("LSPS2-13", NotShown, "a payment of %d msat: client_rejected", size)
		default:
			t.holds("LSPS2-13", a.result != nil, "a payment of %d msat: %s", size, a.text())
		}
	}
	return nil
}

// checkFee buys where the fee is the whole payment, and one msat more.
func checkFee(ctx context.Context, t *tester, s *shop) error {
	size := s.item.minFee
	fee, ok := s.item.fee(size)
	if !ok || fee != size || size < s.item.minSize || size > s.item.maxSize || size == 0 {
		t.see("LSPS2-14", NotShown, "the item allows no payment that its fee uses up")
		return nil
	}
	a, err := s.buy(ctx, string(s.raw), quoted(size))
	if err != nil {
		return err
	}
	t.holds("LSPS2-14", a.result == nil && a.code == 202, "the fee is all of the payment: %s", a.text())
	if fee, _ := s.item.fee(size + 1); fee > size || size == s.item.maxSize || !t.room("LSPS2-14") {
		return nil
	}
	if a, err = s.buy(ctx, string(s.raw), quoted(size+1)); err != nil {
		return err
	}
	t.holds("LSPS2-14", a.result != nil, "one msat is left: %s", a.text())
	return nil
}

// checkOverflow needs an item for very large payments.
func checkOverflow(ctx context.Context, t *tester, s *shop) error {
	if _, ok := s.item.fee(s.item.maxSize); ok {
		return nil
	}
	a, err := s.buy(ctx, string(s.raw), quoted(s.item.maxSize))
	if err != nil {
		return err
	}
	t.holds("LSPS2-15", a.result == nil && a.code == 203, "the answer is %s", a.text())
	return nil
}

// checkRewritten buys an item as a client has it that parses and writes it anew: in
// another order, with spaces, the date without zeros.
func checkRewritten(ctx context.Context, t *tester, s *shop) error {
	size := s.item.good()
	if fee, ok := s.item.fee(size); !ok || fee >= size {
		t.see("LSPS2-09", NotShown, "the item allows no payment that bears its fee")
		return nil
	}
	if !t.room("LSPS2-09") {
		return nil
	}
	names := sorted(s.item.fields)
	slices.Reverse(names)
	var parts []string
	for _, name := range names {
		value := string(s.item.fields[name])
		if name == "valid_until" {
			value = fmt.Sprintf("%q", s.item.validUntil.UTC().Format("2006-01-02T15:04:05.999Z07:00"))
		}
		parts = append(parts, fmt.Sprintf(" %q : %s", name, value))
	}
	a, err := s.buy(ctx, "{"+strings.Join(parts, " ,")+" }", quoted(size))
	if err != nil {
		return err
	}
	if a.result == nil && a.code == 1 {
		t.sellsNothing("buy is answered with client_rejected")
		return nil
	}
	t.holds("LSPS2-09", a.result != nil, "the answer is %s", a.text())
	if a.result == nil { // as it came, then
		if a, err = s.buy(ctx, string(s.raw), quoted(size)); err != nil {
			return err
		}
	}
	t.judgeSale(a)
	return nil
}

// judgeSale looks at the answer to a buy.
func (t *tester) judgeSale(a answer) {
	if a.result == nil {
		t.bad("LSPS2-21", "the answer is %s", a.text())
		return
	}
	var r struct {
		SCID   json.RawMessage `json:"jit_channel_scid"`
		Delta  json.RawMessage `json:"lsp_cltv_expiry_delta"`
		Trusts json.RawMessage `json:"client_trusts_lsp"`
	}
	_ = json.Unmarshal(a.result, &r)
	var scid string
	isText := json.Unmarshal(r.SCID, &scid) == nil
	t.holds("LSPS2-21", isText, "jit_channel_scid is no text")
	t.holds("LSPS0-26", scidForm.MatchString(scid) && inRange(scid), "jit_channel_scid is %.40s", r.SCID)
	var delta uint16
	t.holds("LSPS2-21", json.Unmarshal(r.Delta, &delta) == nil && delta > 0,
		"lsp_cltv_expiry_delta is %.20s", r.Delta)
	var trusts bool
	t.holds("LSPS2-21", r.Trusts == nil || json.Unmarshal(r.Trusts, &trusts) == nil,
		"client_trusts_lsp is %.20s", r.Trusts)
}

// inRange says whether the parts of an scid have 24, 24 and 16 bits.
func inRange(scid string) bool {
	var block, tx, out uint64
	_, err := fmt.Sscanf(scid, "%dx%dx%d", &block, &tx, &out)
	return err == nil && block < 1<<24 && tx < 1<<24 && out < 1<<16
}

// checkVariable buys without an amount, in both ways to say so.
func checkVariable(ctx context.Context, t *tester, s *shop) error {
	for _, size := range []string{"", "null"} {
		if !t.room("LSPS2-18") {
			return nil
		}
		a, err := s.buy(ctx, string(s.raw), size)
		switch {
		case err != nil:
			return err
		case a.result == nil && a.code == 1:
			t.see("LSPS2-18", Differs, "variable amounts are not sold")
		default:
			t.holds("LSPS2-18", a.result != nil, "payment_size_msat %s: the answer is %s",
				cmp.Or(size, "absent"), a.text())
		}
	}
	return nil
}

// checkForeign buys the item of another.
func checkForeign(ctx context.Context, t *tester, s *shop) error {
	if !t.room("LSPS2-11") {
		return nil
	}
	other, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer other.close()
	theirs := &shop{peer: other, raw: s.raw, item: s.item}
	a, err := theirs.buy(ctx, string(s.raw), quoted(s.item.good()))
	if err != nil {
		return err
	}
	t.holds("LSPS2-11", a.result == nil && a.code == 201, "the answer is %s", a.text())
	return nil
}
