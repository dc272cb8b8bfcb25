package lsp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// LSPS0-01 and -17: the numbers on the wire. bLIP-50 gives 92 bytes for bit 729.
func TestNumbers(t *testing.T) {
	checklist.Shows(t, "LSPS0-01", "MessageType is 37915")
	if MessageType != 0x9419 || MessageType < lnwire.CustomTypeStart {
		t.Errorf("message type %d", MessageType)
	}
	if v := lnwire.NewRawFeatureVector(FeatureBit); v.SerializeSize() != 92 {
		t.Errorf("bit %d makes %d bytes", FeatureBit, v.SerializeSize())
	}
}

const list = `{"jsonrpc":"2.0","id":"7","method":"lsps0.list_protocols","params":{}}`

// LSPS0-02, -13 and -16: white space is allowed, the answer is to the letter.
func TestListProtocols(t *testing.T) {
	checklist.Shows(t, "LSPS0-02", "isObject does not trim")
	checklist.Shows(t, "LSPS0-13", "answers have no jsonrpc")
	checklist.Shows(t, "LSPS0-16", "the numbers are written as text")
	s, _ := newService(t, nil)
	want := `{"jsonrpc":"2.0","id":"7","result":{"protocols":[2]}}`
	for _, raw := range []string{
		list, " \t\r\n" + list + " \t\r\n",
		`{"params":{},"method":"lsps0.list_protocols","id":"7","jsonrpc":"2.0"}`,
		`{"jsonrpc":"2.0","id":"7","method":"lsps0.list_protocols"}`,
		`{"jsonrpc":"2.0","id":"\u0037","method":"lsps0.list_protocols","extra":[1,{"a":null}]}`,
	} {
		if got := string(s.Handle(t0, bob, []byte(raw))); got != want {
			t.Errorf("%s\nanswered %s", raw, got)
		}
	}
}

// LSPS0-03 to -09: what is no request of bLIP-50 is answered with -32700 and a null
// id, and not done.
func TestMalformed(t *testing.T) {
	checklist.Shows(t, "LSPS0-03", "Handle says nothing to what is malformed")
	checklist.Shows(t, "LSPS0-04", "parseFailure has an empty id")
	checklist.Shows(t, "LSPS0-05", "the first of two objects is read")
	checklist.Shows(t, "LSPS0-06", "parseObject does not look at UTF-8")
	checklist.Shows(t, "LSPS0-07", "the first of a batch is taken")
	checklist.Shows(t, "LSPS0-08", "a call without an id is a request")
	buyOne := `{"jsonrpc":"2.0","method":"lsps2.get_info","params":{}`
	cases := map[string]string{
		"truncated":          `{`,
		"empty":              ``,
		"array":              ` [ ] `,
		"scalar":             `7`,
		"string":             `"a"`,
		"two objects":        `{ } { }`,
		"object and junk":    list + `{`,
		"trailing comma":     `{"jsonrpc":"2.0",}`,
		"no colon":           `{"jsonrpc" "2.0"}`,
		"zero byte":          list + "\x00",
		"no UTF-8":           `{"jsonrpc":"2.0","id":"` + "\xff" + `","method":"x"}`,
		"byte order mark":    "\ufeff" + list,
		"batch":              `[` + list + `,` + list + `]`,
		"no id":              buyOne + `}`,
		"id null":            buyOne + `,"id":null}`,
		"id number":          buyOne + `,"id":7}`,
		"id object":          buyOne + `,"id":{}}`,
		"id too long":        buyOne + `,"id":"` + strings.Repeat("x", maxID+1) + `"}`,
		"no jsonrpc":         `{"id":"7","method":"lsps0.list_protocols"}`,
		"jsonrpc 1.0":        `{"jsonrpc":"1.0","id":"7","method":"lsps0.list_protocols"}`,
		"jsonrpc number":     `{"jsonrpc":2.0,"id":"7","method":"lsps0.list_protocols"}`,
		"method number":      `{"jsonrpc":"2.0","id":"7","method":7}`,
		"neither":            `{"jsonrpc":"2.0","id":"7"}`,
		"name twice":         `{"jsonrpc":"2.0","id":"7","id":"8","method":"lsps0.list_protocols"}`,
		"name twice inside":  `{"jsonrpc":"2.0","id":"7","method":"m","params":{"a":1,"a":1}}`,
		"name twice, hidden": `{"jsonrpc":"2.0","id":"7","method":"m","params":[{"a":1,"\u0061":1}]}`,
		"too deep":           `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"brackets":           `{"a":` + strings.Repeat("[", maxMessage-5),
		"too long":           list + strings.Repeat(" ", maxMessage),
	}
	for what, raw := range cases {
		s, book := newService(t, nil)
		got := s.Handle(t0, bob, []byte(raw))
		if !bytes.Equal(got, parseFailure()) {
			t.Errorf("%s: answered %s", what, got)
		}
		if g := decode(t, got); g.ID != nil || g.code() != CodeParse || g.Error.Data != nil ||
			book.len() > 0 {
			t.Errorf("%s: answered %s", what, got)
		}
	}
}

// LSPS0-10: one -32700 a connection, none for an answer.
func TestNoPingPong(t *testing.T) {
	checklist.Shows(t, "LSPS0-10", "an answer is answered like what is malformed")
	s, _ := newService(t, nil)
	for _, raw := range []string{
		string(parseFailure()),
		`{"jsonrpc":"2.0","id":"7","result":{}}`, `{"id":"7","error":{}}`, `{"error":null}`,
		`{"jsonrpc":"2.0","id":7,"result":{}}`, `{"result":1,"error":2}`,
	} {
		if got := s.Handle(t0, bob, []byte(raw)); got != nil {
			t.Errorf("the answer %s is answered with %s", raw, got)
		}
	}
	answers := 0
	for range 5 {
		if s.Handle(t0, bob, []byte("{")) != nil {
			answers++
		}
	}
	if answers != 1 {
		t.Errorf("%d answers to 5 malformed messages", answers)
	}
	if s.Handle(t0, eve, []byte("{")) == nil {
		t.Error("another client is not told")
	}
	if got := s.Handle(t0, bob, []byte(list)); decode(t, got).code() != 0 {
		t.Errorf("a good message after bad ones: %s", got)
	}
	s.PeerGone(bob)
	if s.Handle(t0.Add(time.Second), bob, []byte("{")) == nil {
		t.Error("not told on the next connection")
	}
}

// LSPS0-11 and -12: unknown methods and parameters.
func TestUnknown(t *testing.T) {
	checklist.Shows(t, "LSPS0-09", "call does not ask whether params is an object")
	checklist.Shows(t, "LSPS0-11", "an unknown method is -32602")
	checklist.Shows(t, "LSPS0-12", "only the first unknown parameter is named")
	s, _ := newService(t, nil)
	for _, m := range []string{"lsps1.get_info", "", "lsps2.__proto__", strings.Repeat("m", 60_000)} {
		if g := call(t, s, t0, bob, m, `{}`); g.code() != CodeMethodNotFound || g.ID != "7" ||
			g.Error.Data != nil {
			t.Errorf("method %.20q: %+v", m, g)
		}
		s.PeerGone(bob)
	}
	now := t0
	for method, known := range map[string]string{
		"lsps0.list_protocols": `"token"`, "lsps2.get_info": `"tokens"`, "lsps2.buy": `"token"`,
	} {
		now = now.Add(time.Second)
		g := call(t, s, now, bob, method, `{"b":1,`+known+`:2}`)
		want := fmt.Sprintf(`{"unrecognized":["b",%s]}`, known)
		if g.code() != CodeInvalidParams || string(g.Error.Data) != want {
			t.Errorf("%s: %+v, data %s", method, g, g.Error.Data)
		}
		for _, params := range []string{`[]`, `["a"]`, `null`, `7`, `"a"`} {
			g := call(t, s, now, bob, method, params)
			if g.code() != CodeInvalidParams || g.Error.Data != nil {
				t.Errorf("%s with %s: %+v", method, params, g)
			}
		}
	}
}

// LSPS0-27: nothing is escaped that can stand directly, ids in particular.
func TestEscapes(t *testing.T) {
	checklist.Shows(t, "LSPS0-27", "ids are written by json.Marshal")
	s, _ := newService(t, nil)
	for _, id := range []string{"<a>&'\u2028é😀", `\"/`, "\t\n\x7f\x01", ""} {
		quoted, _ := json.Marshal(id)
		raw := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"lsps0.list_protocols"}`, quoted)
		got := s.Handle(t0, bob, []byte(raw))
		if decode(t, got).ID != id {
			t.Errorf("%q comes back as %s", id, got)
		}
		if bytes.Contains(got, []byte(`\u00`)) && !strings.ContainsAny(id, "\t\n") {
			t.Errorf("escaped: %s", got)
		}
	}
}

// LSPS0-29: the largest and the deepest messages cost little.
func TestLargeMessages(t *testing.T) {
	checklist.Shows(t, "LSPS0-29", "checkJSON allows any depth")
	s, _ := newService(t, func(c *ServiceConfig) { c.Limits.ClientPerSecond = 1000 })
	wide := `{"jsonrpc":"2.0","id":"7","method":"lsps2.get_info","params":{`
	var names []string
	for i := 0; len(wide)+8*i < maxMessage-100; i++ {
		names = append(names, fmt.Sprintf(`"%x":0`, i))
	}
	wide += strings.Join(names, ",") + "}}"
	deep := `{"jsonrpc":"2.0","id":"7","method":"m","params":{"a":` +
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`
	if got := s.Handle(t0, eve, []byte(deep)); !bytes.Equal(got, parseFailure()) {
		t.Errorf("5000 levels are answered with %s", got)
	}
	for _, raw := range []string{
		wide,
		`{"a":` + strings.Repeat("{\"a\":", 10_000),
		`{"jsonrpc":"2.0","id":"7","method":"` + strings.Repeat("\\u0041", 10_000) + `"}`,
	} {
		used := testing.AllocsPerRun(3, func() { s.Handle(t0, bob, []byte(raw)) })
		if used > 100_000 {
			t.Errorf("%.40s: %v allocations", raw, used)
		}
	}
}

// TestRate has the requests of one client and of all bounded.
func TestRate(t *testing.T) {
	s, _ := newService(t, func(c *ServiceConfig) {
		c.Limits = Limits{ClientPerSecond: 10, PerSecond: 25}
	})
	ask := func(now time.Time, client byte, n int) (refused int) {
		for range n {
			g := decode(t, s.Handle(now, [33]byte{client}, []byte(list)))
			if g.code() == CodeClientRejected && g.ID == "7" && g.Error.Data == nil {
				refused++
			}
		}
		return refused
	}
	if n := ask(t0, 1, 10); n != 0 {
		t.Errorf("10 requests: %d refused", n)
	}
	if n := ask(t0, 1, 5); n != 5 {
		t.Errorf("5 more in the same second: %d refused", n)
	}
	if n := ask(t0.Add(500*time.Millisecond), 1, 6); n != 1 {
		t.Errorf("6 half a second later: %d refused", n)
	}
	refused := 0
	for client := range byte(4) {
		refused += ask(t0.Add(10*time.Second), 10+client, 10)
	}
	if refused != 15 {
		t.Errorf("40 requests of 4 clients: %d refused, want 15", refused)
	}

	// A reconnect does not begin a new second.
	now := t0.Add(20 * time.Second)
	ask(now, 1, 10)
	s.PeerGone([33]byte{1})
	if ask(now, 1, 1) != 1 {
		t.Error("a reconnect wins requests")
	}
}

// TestClientsAreForgotten floods the service with throw-away node ids.
func TestClientsAreForgotten(t *testing.T) {
	checklist.Shows(t, "LSPS2-25", "clients are never forgotten")
	s, _ := newService(t, func(c *ServiceConfig) { c.Limits.PerSecond = 1_000_000 })
	now := t0
	for i := range 3 * maxClients {
		client := [33]byte{2, byte(i), byte(i >> 8), byte(i >> 16)}
		now = now.Add(time.Millisecond)
		if g := decode(t, s.Handle(now, client, []byte(list))); g.code() != 0 {
			t.Fatalf("client %d: %+v", i, g)
		}
		s.PeerGone(client)
	}
	if len(s.callers) > maxClients {
		t.Errorf("%d clients are remembered", len(s.callers))
	}

	// When all of them stay, one more gets an answer, and nothing is kept of it.
	s, _ = newService(t, func(c *ServiceConfig) { c.Limits.PerSecond = 1_000_000 })
	for i := range maxClients {
		s.Handle(t0, [33]byte{2, byte(i), byte(i >> 8)}, []byte(list))
	}
	if g := decode(t, s.Handle(t0, eve, []byte(list))); g.code() != CodeClientRejected {
		t.Errorf("one client too many: %+v", g)
	}
	if s.Handle(t0, eve, []byte("{")) != nil || len(s.callers) != maxClients {
		t.Errorf("%d clients are remembered", len(s.callers))
	}
}

func TestProtocols(t *testing.T) {
	checklist.Shows(t, "LSPS0-16", "list_protocols begins with 0")
	cfg, _ := testConfig()
	cfg.Protocols = []uint8{0, 2}
	if _, err := NewService(cfg); err == nil {
		t.Error("LSPS0 is listed")
	}
	s, _ := newService(t, func(c *ServiceConfig) { c.Protocols = []uint8{1, 2, 5} })
	g := call(t, s, t0, bob, "lsps0.list_protocols", "{}")
	if string(g.Result) != `{"protocols":[1,2,5]}` {
		t.Errorf("%s", g.Result)
	}
	s, _ = newService(t, func(c *ServiceConfig) { c.Protocols = []uint8{} })
	g = call(t, s, t0, bob, "lsps0.list_protocols", "{}")
	if string(g.Result) != `{"protocols":[]}` {
		t.Errorf("%s", g.Result)
	}
}

// TestParseMessage has what the client side depends on.
func TestParseMessage(t *testing.T) {
	kinds := map[kind][]string{
		request:      {list},
		notification: {`{"jsonrpc":"2.0","method":"lsps5.x","params":{}}`},
		response: {
			`{"jsonrpc":"2.0","id":"7","result":1}`, `{"jsonrpc":"2.0","id":null,"error":{}}`,
			`{"id":"7","result":1}`, `{"result":1}`,
		},
		malformed: {`{}`, `[]`, `{"jsonrpc":"2.0"}`},
	}
	for want, texts := range kinds {
		for _, raw := range texts {
			if m := parseMessage([]byte(raw)); m.kind != want {
				t.Errorf("%s is a %d, want %d", raw, m.kind, want)
			}
		}
	}
	for raw, readable := range map[string]bool{
		`{"jsonrpc":"2.0","id":"7","result":null}`:              true,
		`{"jsonrpc":"2.0","id":"7","result":{},"error":null}`:   true,
		`{"jsonrpc":"2.0","id":"7","result":null,"error":{}}`:   true,
		`{"jsonrpc":"2.0","id":"7","result":{},"error":{}}`:     false,
		`{"jsonrpc":"2.0","id":7,"result":{}}`:                  false,
		`{"jsonrpc":"2.0","result":{}}`:                         false,
		`{"jsonrpc":"1.0","id":"7","result":{}}`:                false,
		`{"jsonrpc":"2.0","id":"7","result":null,"error":null}`: true,
		`{"jsonrpc":"2.0","id":"7","error":null}`:               false,
	} {
		m := parseMessage([]byte(raw))
		if (m.result != nil || m.err != nil) != readable {
			t.Errorf("%s: readable is %v", raw, !readable)
		}
	}
}
