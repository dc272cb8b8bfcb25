package lsp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzRequest has any message answered with one well-formed answer, or none.
func FuzzRequest(f *testing.F) {
	cfg, _ := testConfig()
	s, err := NewService(cfg)
	if err != nil {
		f.Fatal(err)
	}
	item := someParams()
	item.ValidUntil = t0.Add(time.Hour)
	item.Promise = cfg.Keys.signer(t0).promise(bob, item, "")
	raw, _ := json.Marshal(item)
	call := `{"jsonrpc":"2.0","id":"7","method":"lsps2.`
	for _, seed := range []string{
		list, `{}`, `[`, `{"a":[{"b":1}],"a":2}`, call + `get_info","params":{"token":null}}`,
		call + `get_info","params":{"token":"\ud800"}}`,
		call + `buy","params":{"opening_fee_params":` + string(raw) + `,"payment_size_msat":"1000000"}}`,
		call + `buy","params":{"opening_fee_params":{"min_fee_msat":"1e3"}}}`,
		call + `buy","params":[]}`, `{"jsonrpc":"2.0","id":"\u2028<","method":""}`, "\xff", "{}\x00",
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}`,
	} {
		f.Add([]byte(seed))
	}
	for _, seed := range costly() {
		f.Add(seed)
	}
	now := t0
	f.Fuzz(func(t *testing.T, raw []byte) {
		now = now.Add(time.Second)
		var got []byte
		if n := cost(func() { got = s.Handle(now, bob, raw) }); n > maxCost(raw) {
			t.Fatalf("%d bytes cost %d", len(raw), n)
		}
		s.PeerGone(bob)
		if got == nil {
			return
		}
		o, err := parseObject(got)
		if err != nil {
			t.Fatalf("%q is answered with %q: %v", raw, got, err)
		}
		_, hasResult := o["result"]
		_, hasError := o["error"]
		if hasResult == hasError || isNull(o["result"]) || isNull(o["error"]) || !version2(o) {
			t.Fatalf("%q is answered with %q", raw, got)
		}
		if isNull(o["id"]) != bytes.Equal(got, parseFailure()) {
			t.Fatalf("%q is answered with %q", raw, got)
		}
		if c, _ := newClient(nil); c.Deliver(bob, got) {
			t.Fatalf("%q: an answer to nobody is taken", got)
		}
	})
}

// FuzzResponse has any message of an LSP end the call well, once, or not at all.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":"ID","result":{"opening_fee_params_menu":[]}}`,
		`{"jsonrpc":"2.0","id":"ID","result":{"jit_channel_scid":"1x2x3","lsp_cltv_expiry_delta":144}}`,
		`{"jsonrpc":"2.0","id":"ID","error":{"code":201,"message":"\u202e<"}}`,
		`{"jsonrpc":"2.0","id":"ID","error":7}`, `{"jsonrpc":"2.0","id":"ID","result":null,"error":null}`,
		string(parseFailure()), `{`, `{"id":"ID","result":1}`, list,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, _ := newClient(nil)
		id, answers, err := c.begin(bob)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.ReplaceAll(raw, []byte("ID"), []byte(id))
		c.Deliver(bob, raw)
		c.Deliver(bob, raw)
		c.PeerGone(bob)
		a := <-answers
		if len(answers) != 0 || (a.err == nil) == (a.result == nil) {
			t.Fatalf("%q: %+v and %d more", raw, a, len(answers))
		}
		if a.err != nil && strings.ContainsAny(a.err.Error(), "<\x00\n\u2028\u202e") {
			t.Fatalf("%q: %q", raw, a.err)
		}
		var menu struct {
			Menu []Item `json:"opening_fee_params_menu"`
		}
		if a.err == nil && json.Unmarshal(a.result, &menu) == nil {
			_, _, _ = Choose(t0, menu.Menu, Want{PaymentSize: 1_000_000})
			_, _, _ = Choose(t0, menu.Menu, Want{})
		}
	})
}

// FuzzParams has an item that is read be written so that it reads as the same.
func FuzzParams(f *testing.F) {
	p := someParams()
	p.Promise = "v1.k.00"
	raw, _ := json.Marshal(p)
	f.Add(raw)
	for _, r := range [][2]string{
		{`"100"`, `"18446744073709551615"`}, {`.000Z`, `.123456789+00:00`}, {`21`, `4294967295`},
		{`"promise":"`, `"promise":"é\u0000`}, {`144`, `1e2`}, {`2023`, `9999`}, {`{`, `{"x":{},`},
	} {
		f.Add([]byte(strings.Replace(string(raw), r[0], r[1], 1)))
	}
	key := PromiseKey{"k", [32]byte{1}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p, again OpeningFeeParams
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		if len(p.Promise) > maxPromise || p.ValidUntil.Year() < 1970 ||
			p.ValidUntil.Location() != time.UTC {
			t.Fatalf("%q is read as %+v", raw, p)
		}
		text, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(text, &again)
		}
		if err != nil || p != again || key.promise(bob, p, "") != key.promise(bob, again, "") {
			t.Fatalf("%q: %+v is written as %q: %v", raw, p, text, err)
		}
	})
}
