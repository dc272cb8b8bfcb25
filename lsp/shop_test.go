package lsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// offerText is a menu item of some other LSP.
func offerText(minFee uint64, ppm uint32, size [2]uint64, valid time.Duration) string {
	p := OpeningFeeParams{
		MinFee: msat(minFee), Proportional: ppm, ValidUntil: t0.Add(valid), MinLifetime: 1000,
		MaxClientToSelfDelay: 2016, MinPaymentSize: msat(size[0]), MaxPaymentSize: msat(size[1]),
		Promise: "anything",
	}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func menuOf(t *testing.T, items ...string) []Item {
	t.Helper()
	c, w := newClient(result(`{"opening_fee_params_menu":[` +
		strings.Join(items, ",") + `],"more":1}`))
	menu, err := c.GetInfo(t.Context(), bob, "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(w.sent[0], `"method":"lsps2.get_info","params":{}}`) {
		t.Errorf("asked %s", w.sent[0])
	}
	return menu
}

// LSPS2-30, -31 and -33: what ends the flow, and what is passed over.
func TestMenusThatAreRefused(t *testing.T) {
	checklist.Shows(t, "LSPS2-30", "parseParams ignores further fields")
	checklist.Shows(t, "LSPS2-31", "maxPromise is 513")
	good := offerText(1000, 10_000, [2]uint64{1000, 4e9}, time.Hour)
	for what, bad := range map[string]string{
		"an unknown field": replace(t, good, `{`, `{"x":1,`),
		"513 bytes":        replace(t, good, `anything`, strings.Repeat("x", 513)),
		"no promise":       replace(t, good, `,"promise":"anything"`, ``),
		"an amount":        replace(t, good, `"1000"`, `1000`),
		"a date":           replace(t, good, `2026-`, `x`),
		"null":             `null`,
		"text":             `"item"`,
	} {
		c, _ := newClient(result(`{"opening_fee_params_menu":[` + good + `,` + bad + `]}`))
		_, err := c.GetInfo(t.Context(), bob, "token")
		if err == nil || errors.Is(err, ErrUnknownField) != (what == "an unknown field") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m := menuOf(t, good, replace(t, good, `anything`, strings.Repeat("x", 512))); len(m) != 2 {
		t.Errorf("%d items", len(m))
	}
	c, w := newClient(result(`{"opening_fee_params_menu":[]}`))
	if m, err := c.GetInfo(t.Context(), bob, "a<b"); err != nil || len(m) != 0 ||
		!strings.HasSuffix(w.sent[0], `"params":{"token":"a<b"}}`) {
		t.Errorf("%v, %v, %s", m, err, w.sent)
	}
}

// LSPS2-33: the choice.
func TestChoose(t *testing.T) {
	checklist.Shows(t, "LSPS2-33", "the fee is not held against MaxFee")
	wide := [2]uint64{1000, 4_000_000_000}
	menu := menuOf(t,
		offerText(2_000_000, 1000, wide, time.Hour),                      // 0: cheap above 200,000,000
		offerText(1_000_000, 10_000, wide, time.Hour),                    // 1: cheap below
		offerText(1, 1, wide, 59*time.Second),                            // 2: over too soon
		offerText(1, 1, [2]uint64{5000, 9000}, time.Hour),                // 3: small ones only
		offerText(1, 1_000_000, wide, time.Hour),                         // 4: takes all
		offerText(0, 1<<32-1, [2]uint64{1, 1<<64 - 1}, time.Hour),        // 5: overflows
		offerText(1_000_000, 10_000, wide, 2*time.Hour),                  // 6: like 1, for longer
		offerText(9_000, 500, [2]uint64{4_000_000_001, 1e13}, time.Hour), // 7: large ones only
	)
	for _, v := range []struct {
		want Want
		item int
		fee  uint64
		err  error
	}{
		{Want{PaymentSize: 50_000_000}, 6, 1_000_000, nil},
		{Want{PaymentSize: 3_000_000_000}, 0, 3_000_000, nil},
		{Want{PaymentSize: 6000}, 3, 1, nil},
		{Want{PaymentSize: 50_000_000, MaxFee: 1_000_000}, 6, 1_000_000, nil},
		{Want{PaymentSize: 50_000_000, MaxFee: 999_999}, 0, 0, ErrFeeTooHigh},
		{Want{PaymentSize: 10}, 0, 0, ErrNoItem},
		{Want{PaymentSize: 900_000}, 0, 0, ErrNoItem}, // all of it would be the fee
		{Want{}, 3, 0, nil},
		{Want{MaxPPM: 1}, 3, 0, nil},
	} {
		item, fee, err := Choose(t0, menu, v.want)
		if !errors.Is(err, v.err) || uint64(fee) != v.fee {
			t.Errorf("%+v: fee %d, %v", v.want, fee, err)
		}
		if err == nil && string(item.Raw) != string(menu[v.item].Raw) {
			t.Errorf("%+v: chose %s", v.want, item.Raw)
		}
	}
	hasty := menuOf(t, replace(t, offerText(1, 1, wide, time.Hour), `2016`, `143`))
	if _, _, err := Choose(t0, hasty, Want{PaymentSize: 50_000_000}); !errors.Is(err, ErrNoItem) {
		t.Errorf("a max_client_to_self_delay of 143 blocks: %v", err)
	}
	if _, _, err := Choose(t0, menu[:1], Want{MaxPPM: 999}); !errors.Is(err, ErrFeeTooHigh) ||
		!strings.Contains(err.Error(), "1000") {
		t.Errorf("%v", err)
	}
	if _, _, err := Choose(t0, nil, Want{}); !errors.Is(err, ErrNoItem) ||
		!strings.Contains(err.Error(), "empty") {
		t.Errorf("%v", err)
	}
	_, _, err := Choose(t0, menu, Want{PaymentSize: 10})
	if err == nil || !strings.Contains(err.Error(), "from 1 to") {
		t.Errorf("%v", err)
	}
	item, _, err := Choose(t0, menuOf(t, offerText(5, 0, wide, time.Hour)), Want{})
	if err != nil || item.MinFee != 5 {
		t.Errorf("%+v %v", item, err)
	}
}

// LSPS2-32, -33 and -34: buy.
func TestBuyAsClient(t *testing.T) {
	checklist.Shows(t, "LSPS0-24", "payment_size_msat is written as a number")
	checklist.Shows(t, "LSPS2-32", "an item is written anew")
	checklist.Shows(t, "LSPS2-33", "a fee that overflows is bought")
	checklist.Shows(t, "LSPS2-34", "client_trusts_lsp is always accepted")
	odd := `{ "promise":"<x>", "min_fee_msat":"1000", "max_payment_size_msat":"4000000000",` +
		`"proportional":10000,"valid_until":"2026-01-01T01:00:00.5+00:00","min_lifetime":1,` +
		`"max_client_to_self_delay":2016,"min_payment_size_msat":"1"}`
	chosen := menuOf(t, odd)[0]
	answer := `{"jit_channel_scid":"16060000x7x9","lsp_cltv_expiry_delta":144,"x":1}`
	c, w := newClient(result(answer))

	b, err := c.Buy(t.Context(), bob, chosen, Want{PaymentSize: 50_000_000})
	want := Bought{
		LSP: bob, SCID: lnwire.ShortChannelID{BlockHeight: 16_060_000, TxIndex: 7, TxPosition: 9},
		Params: chosen.OpeningFeeParams, PaymentSize: 50_000_000, OpeningFee: 500_000,
		CLTVExpiryDelta: 144,
	}
	if err != nil || b != want {
		t.Errorf("%+v, %v", b, err)
	}
	verbatim := `"params":{"opening_fee_params":` + strings.ReplaceAll(odd, " ", "") +
		`,"payment_size_msat":"50000000"}}`
	if !strings.HasSuffix(w.sent[0], verbatim) {
		t.Errorf("sent %s", w.sent[0])
	}
	if b, err = c.Buy(t.Context(), bob, chosen, Want{}); err != nil || b.OpeningFee != 0 ||
		b.PaymentSize != 0 {
		t.Errorf("%+v, %v", b, err)
	}
	if !strings.HasSuffix(w.sent[1], `"min_payment_size_msat":"1"}}}`) {
		t.Errorf("sent %s", w.sent[1])
	}

	w.answer = result(replace(t, answer, `"x":1`, `"client_trusts_lsp":true`))
	if _, err := c.Buy(t.Context(), bob, chosen, Want{}); !errors.Is(err, ErrMustTrust) {
		t.Errorf("%v", err)
	}
	if b, err := c.Buy(t.Context(), bob, chosen, Want{ClientTrustsLSP: true}); err != nil ||
		!b.ClientTrustsLSP {
		t.Errorf("%+v, %v", b, err)
	}
	for _, bad := range []string{
		`{}`, `[]`, replace(t, answer, "16060000x7x9", "16060000:7:9"), replace(t, answer, "144", "0"),
		replace(t, answer, "144", "2017"), replace(t, answer, "144", "-1"),
		replace(t, answer, "144", `"144"`),
	} {
		w.answer = result(bad)
		if b, err := c.Buy(t.Context(), bob, chosen, Want{}); err == nil {
			t.Errorf("%s: %+v", bad, b)
		}
	}
	chosen.Proportional = 1<<32 - 1
	sent := len(w.sent)
	_, err = c.Buy(t.Context(), bob, chosen, Want{PaymentSize: 1 << 62})
	if !errors.Is(err, ErrNoItem) || len(w.sent) != sent {
		t.Errorf("the fee overflows: %v", err)
	}
}

// TestBothEnds has our client buy from our service.
func TestBothEnds(t *testing.T) {
	s, book := newService(t, func(c *ServiceConfig) { c.Offer.ClientTrustsLSP = true })
	w := &wire{}
	c := NewClient(transport(func(lsp [33]byte, raw []byte) error {
		w.client.Deliver(lsp, s.Handle(t0, eve, raw))
		return nil
	}), newChance(3))
	w.client = c

	menu, err := c.GetInfo(t.Context(), bob, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Want{PaymentSize: 1_000_000, MaxFee: 20_000, ClientTrustsLSP: true}
	chosen, fee, err := Choose(t0, menu, want)
	if err != nil || fee != 20_000 {
		t.Fatalf("%d, %v", fee, err)
	}
	b, err := c.Buy(t.Context(), bob, chosen, want)
	if err != nil {
		t.Fatal(err)
	}
	p := book.sold[0]
	if b.SCID != p.SCID || b.OpeningFee != p.OpeningFee || p.Client != eve || !b.ClientTrustsLSP ||
		b.Params != p.Params {
		t.Errorf("bought %+v, sold %+v", b, p)
	}
	_, err = c.Buy(t.Context(), bob, chosen, Want{PaymentSize: 1, ClientTrustsLSP: true})
	var e *RPCError
	if !errors.As(err, &e) || e.Code != CodePaymentSizeTooSmall ||
		!strings.Contains(err.Error(), "min_payment_size") {
		t.Errorf("%v", err)
	}
}

type transport func([33]byte, []byte) error

func (f transport) Send(lsp [33]byte, raw []byte) error { return f(lsp, raw) }

func someBought() Bought {
	p := someParams()
	p.ValidUntil, p.Promise = t0.Add(time.Hour), "a<b"
	return Bought{
		LSP: bob, SCID: lnwire.ShortChannelID{BlockHeight: 16_060_000, TxIndex: 7, TxPosition: 9},
		Params: p, PaymentSize: 1_000_000, OpeningFee: 20_000, CLTVExpiryDelta: 144,
		ClientTrustsLSP: true,
		PaymentHash:     lntypes.Hash{1}, CreatedAt: t0, Settled: true,
	}
}

// LSPS2-35 to -38: the invoice.
func TestInvoice(t *testing.T) {
	checklist.Shows(t, "LSPS2-35", "the hop has another scid")
	checklist.Shows(t, "LSPS2-36", "the invoice is good for as long as it is wanted")
	checklist.Shows(t, "LSPS2-37", "no blocks are added")
	checklist.Shows(t, "LSPS2-38", "the invoice has no amount")
	b := someBought()
	got, err := b.Invoice(t0, 10*time.Minute, 80)
	want := InvoiceTerms{
		Amount: 1_000_000, Expiry: 10 * time.Minute, FinalCLTVDelta: 82,
		HopNode: bob, HopSCID: b.SCID, HopCLTVDelta: 144,
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = b.Invoice(t0.Add(500*time.Millisecond), 2*time.Hour, 80)
	if err != nil || got.Expiry != time.Hour-time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	for _, late := range []time.Duration{time.Hour - 999*time.Millisecond, time.Hour, 2 * time.Hour} {
		if _, err := b.Invoice(t0.Add(late), time.Hour, 80); !errors.Is(err, ErrOfferEnded) {
			t.Errorf("after %v: %v", late, err)
		}
	}
}

// LSPS2-39 and -41: whose channel is accepted, and for how long.
func TestLive(t *testing.T) {
	checklist.Shows(t, "LSPS2-39", "a purchase is live after its payment")
	b := someBought()
	if b.Live(t0) {
		t.Error("live after it was settled")
	}
	b.Settled = false
	for after, live := range map[time.Duration]bool{
		0: true, time.Hour + 90*time.Second: true, time.Hour + 2*time.Minute: false,
	} {
		if b.Live(t0.Add(after)) != live {
			t.Errorf("live after %v is %v", after, !live)
		}
	}
}

// LSPS2-42 to -45: what may be taken from a payment.
func TestCheck(t *testing.T) {
	checklist.Shows(t, "LSPS2-42", "the fees of earlier parts are not counted")
	checklist.Shows(t, "LSPS2-43", "the amount is not held against the onion")
	fixed, variable := someBought(), someBought()
	variable.PaymentSize, variable.OpeningFee = 0, 0
	variable.Params.MinFee, variable.Params.Proportional = 10_000, 20_000
	skim := func(amount, onion, extra uint64) Skim {
		return Skim{msat(amount), msat(onion),
			msat(extra)}
	}
	free := skim(600_000, 600_000, 0)
	for _, v := range []struct {
		what string
		b    Bought
		held []Skim
		next Skim
		err  error
	}{
		{"the fee", fixed, nil, skim(980_000, 1_000_000, 20_000), nil},
		{"one more", fixed, nil, skim(979_999, 1_000_000, 20_001), ErrSkimTooHigh},
		{"less", fixed, nil, skim(999_000, 1_000_000, 1000), nil},
		{"nothing", fixed, nil, skim(1_000_000, 1_000_000, 0), nil},
		{"in two parts", fixed, []Skim{free}, skim(380_000, 400_000, 20_000), nil},
		{"on both parts", fixed, []Skim{skim(595_000, 600_000, 5000)}, skim(385_000, 400_000, 15_000),
			nil},
		{"on both, too much", fixed, []Skim{skim(595_000, 600_000, 5000)}, skim(384_999, 400_000, 15_001),
			ErrSkimTooHigh},
		{"amounts do not add up", fixed, nil, skim(980_000, 1_000_001, 20_000), ErrWrongAmount},
		{"more than the onion says, with a fee", fixed, nil, skim(1_000_001, 1_000_000, 20_000),
			ErrWrongAmount},
		{"taken without a record", fixed, nil, skim(980_000, 1_000_000, 0), ErrWrongAmount},
		{"more than the onion says", fixed, nil, skim(1_000_001, 1_000_000, 0), nil},
		{"a sum that wraps", fixed, []Skim{skim(0, 1<<64-1, 1<<64-1)}, skim(980_000, 1_000_000, 20_000),
			ErrSkimTooHigh},
		{"variable", variable, nil, skim(49_000_000, 50_000_000, 1_000_000), nil},
		{"variable, one more", variable, nil, skim(48_999_999, 50_000_000, 1_000_001), ErrSkimTooHigh},
		{"variable, the minimum", variable, nil, skim(10_000, 20_000, 10_000), nil},
		{"variable, a second part", variable, []Skim{free}, free, ErrNotOnePart},
		{"variable, overflow", variable, nil, skim(1<<64-2, 1<<64-1, 1), ErrSkimTooHigh},
	} {
		if err := v.b.Check(v.held, v.next); !errors.Is(err, v.err) {
			t.Errorf("%s: %v, want %v", v.what, err, v.err)
		}
	}
}

func TestBoughtRecord(t *testing.T) {
	b := someBought()
	raw, err := MarshalBought(b)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "bought.golden", string(raw)+"\n")
	if again, err := UnmarshalBought(raw); err != nil || again != b {
		t.Errorf("%v %+v", err, again)
	}
	for what, bad := range map[string]string{
		"newer":   replace(t, string(raw), `"v":1`, `"v":2,"more":1`),
		"unknown": replace(t, string(raw), `"v":1`, `"v":1,"more":1`),
		"node":    replace(t, string(raw), `"lsp":"02`, `"lsp":"zz`),
		"hash":    replace(t, string(raw), `"payment_hash":"01`, `"payment_hash":"`),
		"params":  replace(t, string(raw), `"min_fee_msat":"100"`, `"min_fee_msat":100`),
		"twice":   fmt.Sprintf("%s%s", raw, raw),
		"none":    ``,
	} {
		if _, err := UnmarshalBought([]byte(bad)); err == nil ||
			errors.Is(err, ErrVersion) != (what == "newer") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
