package lsp

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

// echo is a transport to an LSP that answers each request with the same text, ID
// standing for the request's.
type echo struct {
	client *Client
	text   []byte
}

func (e *echo) Send(to [33]byte, raw []byte) error {
	var asked struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		return err
	}
	e.client.Deliver(to, bytes.ReplaceAll(e.text, []byte("ID"), []byte(asked.ID)))
	e.client.PeerGone(to) // ends the call if that was no answer
	return nil
}

// FuzzClient has any answer of an LSP to each method end the call well: nothing is
// taken that breaks bLIP-52, and no error text can draw on a screen.
func FuzzClient(f *testing.F) {
	item, _ := json.Marshal(someParams())
	result := `{"jsonrpc":"2.0","id":"ID","result":`
	for _, seed := range []string{
		result + `{"opening_fee_params_menu":[` + string(item) + `]}}`,
		result + `{"opening_fee_params_menu":[` + string(item) + `,{"promise":"\u0000"}]}}`,
		result + `{"opening_fee_params_menu":null}}`, result + `[]}`, result + `"x"}`,
		result + `{"jit_channel_scid":"16000000x1x2","lsp_cltv_expiry_delta":144}}`,
		result + `{"jit_channel_scid":"1x2x3","lsp_cltv_expiry_delta":4294967295,"client_trusts_lsp":true}}`,
		result + `{"jit_channel_scid":"16777216x0x65536","lsp_cltv_expiry_delta":-1}}`,
		result + `{"protocols":[0,2,18446744073709551616]}}`, result + `{"protocols":"2"}}`,
		`{"jsonrpc":"2.0","id":"ID","error":{"code":201,"message":"\u001b[2J\n<b>","data":{"a":[]}}}`,
		string(parseFailure()),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := &echo{text: raw}
		e.client = NewClient(e, newChance(1))
		ctx := context.Background()
		var errs [3]error
		menu, err := e.client.GetInfo(ctx, bob, "")
		errs[0] = err
		_, errs[1] = e.client.ListProtocols(ctx, bob)
		offered := Item{OpeningFeeParams: someParams(), Raw: json.RawMessage(item)}
		bought, err := e.client.Buy(ctx, bob, offered, Want{PaymentSize: 1_000_000})
		errs[2] = err
		if err == nil && (bought.CLTVExpiryDelta == 0 || bought.CLTVExpiryDelta > maxCLTVDelta ||
			bought.ClientTrustsLSP || bought.SCID == (lnwire.ShortChannelID{}) && !bytes.Contains(raw, []byte("0x0x0"))) {
			t.Fatalf("%q is taken as %+v", raw, bought)
		}
		for _, err := range errs {
			if err != nil && strings.ContainsAny(err.Error(), "\x00\n\x1b\u2028\u202e") {
				t.Fatalf("%q: %q", raw, err)
			}
		}
		for _, i := range menu {
			if len(i.Promise) > maxPromise || !json.Valid(i.Raw) {
				t.Fatalf("%q: %+v", raw, i)
			}
		}
		_, _, _ = Choose(t0, menu, Want{PaymentSize: 1_000_000})
	})
}

// FuzzValues has what is read as a value be written as it came.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{
		`"0"`, `"18446744073709551615"`, `"18446744073709551616"`, `"0042"`, `"1e3"`, `"+1"`, `" 1"`, `-1`,
		`1e3`, `1.0`, `4294967295`, `4294967296`, `"1x2x3"`, `"16777215x16777215x65535"`, `"01x2x3"`,
		`"1970-01-01T00:00:00Z"`, `"1969-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59.999Z"`,
		`"10000-01-01T00:00:00Z"`, `"2016-12-31T23:59:60Z"`, `"2026-01-01t00:00:00z"`,
		`"2026-01-01T00:00:00.123456789+00:00"`, `"2026-01-01T00:00:00.Z"`, `"\u0031"`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return // parsers see only what package json has let through
		}
		s, _ := parseString(raw)
		if a, err := parseAmount(raw); err == nil && formatAmount(a) != s {
			t.Errorf("%s is the amount %d", raw, a)
		}
		if at, err := parseTime(raw); err == nil {
			again, err := parseTime([]byte(`"` + formatTime(at) + `"`))
			if err != nil || !again.Equal(at) || at.Year() < 1970 || at.Year() > 9999 {
				t.Errorf("%s is the time %v, again %v: %v", raw, at, again, err)
			}
		}
		if scid, err := ParseSCID(s); err == nil && FormatSCID(scid) != s {
			t.Errorf("%s is the scid %v", raw, scid)
		}
		_, _ = parseUint32(raw)
		if fee, err := ParseExtraFee(raw); err == nil && !bytes.Equal(AppendExtraFee(nil, fee), raw) {
			t.Errorf("%x is the fee %d", raw, fee)
		}
	})
}

// FuzzRecords has our own records read back as they were, or refused, whatever a broken
// disk makes of them.
func FuzzRecords(f *testing.F) {
	p := someParams()
	bought, err := MarshalBought(Bought{LSP: bob, Params: p, PaymentSize: 1_000_000, CLTVExpiryDelta: 144})
	if err != nil {
		f.Fatal(err)
	}
	sold, err := MarshalPurchase(Purchase{ID: "1x2x3", Client: bob, Params: p, CreatedAt: t0, AliasUntil: t0})
	if err != nil {
		f.Fatal(err)
	}
	for _, raw := range [][]byte{bought, sold} {
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
		f.Add(bytes.ReplaceAll(raw, []byte("1"), []byte("9999999999")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := UnmarshalBought(raw); err == nil {
			text, err := MarshalBought(b)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := UnmarshalBought(text); err != nil || !reflect.DeepEqual(b, again) {
				t.Errorf("%q: %+v, again %+v: %v", raw, b, again, err)
			}
		}
		if p, err := UnmarshalPurchase(raw); err == nil {
			text, err := MarshalPurchase(p)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := UnmarshalPurchase(text); err != nil || !reflect.DeepEqual(p, again) {
				t.Errorf("%q: %+v, again %+v: %v", raw, p, again, err)
			}
		}
	})
}
