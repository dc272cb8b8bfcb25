package conform

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inletlsp/inlet/lsp"
)

// onAnswer changes what is said.
func onAnswer(f func(raw, answer string) string) fault {
	return fault{answer: func(_ *fake, raw, a string) []string { return []string{f(raw, a)} }}
}

// rewrites replaces text in the answers to a method.
func rewrites(of, old, new string) fault {
	found := regexp.MustCompile(old)
	return onAnswer(func(raw, a string) string {
		if method(raw) == of {
			return found.ReplaceAllString(a, new)
		}
		return a
	})
}

// sells has a buy succeed that has some text in it.
func sells(text string) fault {
	found := regexp.MustCompile(text)
	return onAnswer(func(raw, a string) string {
		if method(raw) == "lsps2.buy" && found.MatchString(raw) && code(a) != 0 {
			return result(raw, `{"jit_channel_scid":"1x2x3","lsp_cltv_expiry_delta":144}`)
		}
		return a
	})
}

const (
	parseError = `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`
	infoMethod = "lsps2.get_info"
	listMethod = "lsps0.list_protocols"
)

// replies answers a payload otherwise.
func replies(payload, answer string) fault {
	return onAnswer(func(raw, a string) string {
		if raw == payload {
			return answer
		}
		return a
	})
}

// broken are LSPs that break one line each.
var broken = []struct {
	line string
	want Verdict
	fault
}{
	{"LSPS0-01", Fail, rewrites(listMethod, `^`, " ")},
	{"LSPS0-02", Fail, onAnswer(func(raw, a string) string {
		if strings.HasPrefix(raw, " \t") {
			return parseError
		}
		return a
	})},
	{"LSPS0-03", Fail, replies(`{`, "")},
	{"LSPS0-04", Fail, replies(`7`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}`)},
	{"LSPS0-05", Fail, replies(`{ } {`, `{"jsonrpc":"2.0","id":"","error":{"code":-32700,"message":"x"}}`)},
	{"LSPS0-06", Fail, fault{hangUp: func(raw string) bool { return strings.HasSuffix(raw, "\x00") }}},
	{"LSPS0-07", Fail, fault{answer: func(_ *fake, raw, a string) []string {
		if strings.HasPrefix(raw, "[{") {
			return []string{a, a}
		}
		return []string{a}
	}}},
	{"LSPS0-08", Fail, onAnswer(func(raw, a string) string {
		if a != "" && code(a) == -32700 && method(raw) == listMethod {
			return `{"jsonrpc":"2.0","id":null,"result":{"protocols":[2]}}`
		}
		return a
	})},
	{"LSPS0-09", Fail, onAnswer(func(raw, a string) string {
		if strings.HasSuffix(raw, `"params":[]}`) {
			return result(raw, `{"protocols":[2]}`)
		}
		return a
	})},
	{"LSPS0-10", Differs, onAnswer(func(raw, a string) string {
		if raw == "{" || strings.Contains(raw, `"error"`) {
			return parseError
		}
		return a
	})},
	{"LSPS0-11", Fail, rewrites("lsps0.no_such_method", `-32601`, `-32603`)},
	{"LSPS0-12", Fail, rewrites(infoMethod, `,"nor_this"`, ``)},
	{"LSPS0-13", Fail, rewrites(infoMethod, `"jsonrpc":"2.0",`, ``)},
	{"LSPS0-14", Fail, fault{greet: `{"jsonrpc":"2.0","method":"hello","params":{}}`}},
	{"LSPS0-15", Fail, fault{answer: func(_ *fake, raw, a string) []string {
		if method(raw) == infoMethod {
			return []string{a, a}
		}
		return []string{a}
	}}},
	{"LSPS0-16", Fail, rewrites(listMethod, `\[2\]`, `["2"]`)},
	{"LSPS0-17", Differs, fault{mute: true}},
	{"LSPS0-24", Fail, rewrites(infoMethod, `"min_fee_msat":"(\d+)"`, `"min_fee_msat":$1`)},
	{"LSPS0-25", Fail, rewrites(infoMethod, `\.\d\d\dZ`, `Z`)},
	{"LSPS0-26", Fail, rewrites("lsps2.buy", `(\d+)x(\d+)x(\d+)`, `$1:$2:$3`)},
	{"LSPS0-27", Fail, onAnswer(func(_, a string) string { return strings.ReplaceAll(a, "<", `\u003c`) })},
	{"LSPS0-28", Fail, sells(`payment_size_msat":"-1"`)},
	{"LSPS0-29", Differs, fault{hangUp: func(raw string) bool { return len(raw) > 20_000 }}},

	{"LSPS2-01", Fail, onAnswer(func(raw, a string) string {
		if method(raw) == infoMethod && strings.Contains(raw, `"token":null`) {
			return failure(raw, 200)
		}
		return a
	})},
	{"LSPS2-02", Fail, rewrites(infoMethod, `"code":200`, `"code":1`)},
	{"LSPS2-04", Fail, rewrites(infoMethod, `"promise"`, `"x":1,"promise"`)},
	{"LSPS2-05", Fail, rewrites(infoMethod, `\[(\{.*\})\]`, `[$1,$1]`)},
	{"LSPS2-06", Differs, fault{answer: func(_ *fake, raw, a string) []string {
		soon := time.Now().Add(time.Minute).UTC().Format("2006-01-02T15:04:05.000Z")
		return []string{regexp.MustCompile(`20\d\d-[^"]*Z`).ReplaceAllString(a, soon)}
	}}},
	{"LSPS2-07", Fail, rewrites(infoMethod, `"promise":"`, `"promise":"é`)},
	{"LSPS2-08", Fail, sells(`"min_lifetime":4321,`)},
	{"LSPS2-09", Differs, onAnswer(func(raw, a string) string {
		if method(raw) == "lsps2.buy" && strings.Contains(raw, " : ") {
			return failure(raw, 201)
		}
		return a
	})},
	{"LSPS2-11", Differs, fault{answer: func(f *fake, raw, a string) []string {
		// Whoever buys an item that was offered to another pays all the same.
		switch method(raw) {
		case infoMethod:
			f.offered = f.client
		case "lsps2.buy":
			if f.client != f.offered {
				a = result(raw, `{"jit_channel_scid":"1x2x3","lsp_cltv_expiry_delta":144}`)
			}
		}
		return []string{a}
	}}},
	{"LSPS2-13", Fail, sells(`payment_size_msat":"9999999"`)},
	{"LSPS2-14", Fail, fault{
		offer:  func(o *lsp.Offer) { o.MinFee = 20_000_000 },
		answer: sells(`payment_size_msat":"20000000"`).answer,
	}},
	{"LSPS2-15", Fail, rewrites(infoMethod, `"max_payment_size_msat":"\d+"`,
		`"max_payment_size_msat":"18446744073709551615"`)},
	{"LSPS2-18", Fail, onAnswer(func(raw, a string) string {
		if strings.HasSuffix(raw, `"payment_size_msat":null}}`) {
			return failure(raw, -32602)
		}
		return a
	})},
	{"LSPS2-19", Fail, sells(`no_such_field`)},
	{"LSPS2-20", Fail, onAnswer(func(raw, a string) string {
		if method(raw) == "lsps2.buy" && !strings.Contains(raw, "max_client_to_self_delay") {
			return result(raw, `{}`)
		}
		return a
	})},
	{"LSPS2-21", Fail, rewrites("lsps2.buy", `144`, `"144"`)},
	{"LSPS2-22", Fail, rewrites("lsps2.buy", `"\d+x\d+x\d+"`, `"1x2x3"`)},
	{"LSPS2-26", Differs, onAnswer(func(_, a string) string {
		return strings.Replace(a, `"code":201,`, `"code":201,"data":{},`, 1)
	})},
	{"LSPS2-28", Differs, fault{slow: 1500 * time.Millisecond}},
}

// TestBroken has each rule that an LSP breaks reported as that line's failure. The
// golden file has all that is said about each, so that a change in what else is blamed
// is seen.
func TestBroken(t *testing.T) {
	var all strings.Builder
	tested := map[string]bool{}
	for _, b := range broken {
		synctest.Test(t, func(t *testing.T) {
			results, err := Run(context.Background(), newFake(t, b.fault).config())
			if err != nil {
				t.Fatalf("%s: %v", b.line, err)
			}
			fmt.Fprintf(&all, "an LSP that breaks %s\n", b.line)
			got := NotShown
			for _, r := range results {
				if r.Verdict == Fail || r.Verdict == Differs {
					fmt.Fprintf(&all, "  %s %s: %s\n", r.ID, r.Verdict, r.Reason)
				}
				if r.ID == b.line {
					got = r.Verdict
				}
			}
			if got != b.want {
				t.Errorf("an LSP that breaks %s: %s, want %s", b.line, got, b.want)
			}
		})
		tested[b.line] = true
	}
	golden(t, "broken.golden", all.String())

	// Every line that can pass can fail.
	synctest.Test(t, func(t *testing.T) {
		results, err := Run(t.Context(), newFake(t, fault{}).config())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Verdict == Pass && !tested[r.ID] {
				t.Errorf("nothing breaks %s", r.ID)
			}
		}
		if !slices.ContainsFunc(results, func(r Result) bool { return r.Verdict == Pass }) {
			t.Error("nothing passes")
		}
	})
}
