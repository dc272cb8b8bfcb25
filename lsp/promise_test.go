package lsp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
)

func someParams() OpeningFeeParams {
	return OpeningFeeParams{
		MinFee: 100, Proportional: 21, ValidUntil: time.Date(2023, 5, 20, 8, 30, 45, 0, time.UTC),
		MinLifetime: 144, MaxClientToSelfDelay: 128, MinPaymentSize: 1, MaxPaymentSize: 100_000_000,
	}
}

// holds says whether one of the keys made the item for the client and for no token.
func holds(keys []PromiseKey, client [33]byte, p OpeningFeeParams) bool {
	token, ok := Keyring{Secret: [32]byte{99}, Old: keys}.promised(p.ValidUntil.Add(-1), client, p)
	return ok && token == ""
}

// TestPromiseVector holds the scheme: promises that are out must verify after an
// update of the program.
func TestPromiseVector(t *testing.T) {
	k := PromiseKey{"k1", [32]byte{1, 2, 3}}
	golden(t, "promise.golden", k.promise(bob, someParams(), "")+"\n")
}

// LSPS2-07, -08 and -11: the form, and what the promise commits to.
func TestPromiseCommits(t *testing.T) {
	checklist.Shows(t, "LSPS2-07", "a promise has a quote in it")
	k := PromiseKey{"k1", [32]byte{1}}
	good := someParams()
	good.Promise = k.promise(bob, good, "")
	if len(good.Promise) > maxPromise || strings.ContainsAny(good.Promise, "\"\\ \n") {
		t.Errorf("promise %q", good.Promise)
	}
	if !holds([]PromiseKey{k}, bob, good) {
		t.Fatal("the promise does not hold")
	}
	for what, change := range map[string]func(*OpeningFeeParams){
		"min_fee":      func(p *OpeningFeeParams) { p.MinFee-- },
		"proportional": func(p *OpeningFeeParams) { p.Proportional-- },
		"valid_until":  func(p *OpeningFeeParams) { p.ValidUntil = p.ValidUntil.Add(time.Millisecond) },
		"min_lifetime": func(p *OpeningFeeParams) { p.MinLifetime++ },
		"delay":        func(p *OpeningFeeParams) { p.MaxClientToSelfDelay++ },
		"min_payment":  func(p *OpeningFeeParams) { p.MinPaymentSize-- },
		"max_payment":  func(p *OpeningFeeParams) { p.MaxPaymentSize++ },
		"swapped":      func(p *OpeningFeeParams) { p.MinFee, p.MinPaymentSize = 1, 100 },
		"one digit":    func(p *OpeningFeeParams) { p.Promise = p.Promise[:len(p.Promise)-1] + "x" },
		"shorter":      func(p *OpeningFeeParams) { p.Promise = p.Promise[:len(p.Promise)-2] },
		"no MAC":       func(p *OpeningFeeParams) { p.Promise = "v1.k1." },
		"version":      func(p *OpeningFeeParams) { p.Promise = "v2" + p.Promise[2:] },
		"key": func(p *OpeningFeeParams) {
			p.Promise = strings.Replace(p.Promise, "k1", "k2", 1)
		},
		"none": func(p *OpeningFeeParams) { p.Promise = "" },
		"dots": func(p *OpeningFeeParams) { p.Promise += ".00" },
	} {
		p := good
		change(&p)
		if holds([]PromiseKey{k, {"k2", [32]byte{2}}}, bob, p) {
			t.Errorf("%s: the promise still holds", what)
		}
	}
	if holds([]PromiseKey{k}, eve, good) {
		t.Error("another client redeems the promise")
	}
	if holds([]PromiseKey{{"k1", [32]byte{2}}}, bob, good) {
		t.Error("another secret verifies the promise")
	}
}

// LSPS2-09: an LDK client parses the item and writes it anew.
func TestPromiseSurvivesRewriting(t *testing.T) {
	checklist.Shows(t, "LSPS2-09", "parseTime does not know +00:00")
	k := PromiseKey{"k1", [32]byte{1}}
	p := someParams()
	p.Promise = k.promise(bob, p, "")
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(raw),
		strings.Replace(string(raw), ".000Z", "Z", 1),
		strings.Replace(string(raw), ".000Z", "+00:00", 1),
		strings.NewReplacer(",", " ,\n", ":\"", " : \"").Replace(string(raw)),
		reordered(t, raw),
	} {
		var again OpeningFeeParams
		if err := json.Unmarshal([]byte(text), &again); err != nil ||
			!holds([]PromiseKey{k}, bob, again) {
			t.Errorf("%s: %v, the promise does not hold", text, err)
		}
	}
}

// reordered writes the members by name.
func reordered(t *testing.T, raw []byte) string {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPromiseKeys(t *testing.T) {
	good := PromiseKey{"k1", [32]byte{1}}
	if err := checkKeys([]PromiseKey{good, {"0123456789abcdef", [32]byte{1}}}); err != nil {
		t.Error(err)
	}
	for what, keys := range map[string][]PromiseKey{
		"twice": {good, good}, "no secret": {{ID: "k1"}},
		"no id": {{Secret: [32]byte{1}}}, "dot": {{"k.1", [32]byte{1}}},
		"long":  {{strings.Repeat("k", 17), [32]byte{1}}},
		"upper": {{"K", [32]byte{1}}}, "quote": {{"a\"b", [32]byte{1}}},
	} {
		if checkKeys(keys) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
