package lsp

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// cost is how much memory f asks for.
func cost(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// maxCost bounds what a message may cost us.
func maxCost(raw []byte) int { return 64<<10 + 4*len(raw) }

// costly are the messages that would cost the most.
func costly() map[string][]byte {
	many := func(each, sep string) string {
		return strings.Repeat(each+sep, 60_000/len(each+sep)) + each
	}
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return b.String() + `"x":0`
	}
	call := `{"jsonrpc":"2.0","id":"7","method":"lsps2.buy","params":`
	return map[string][]byte{
		"brackets":      bytes.Repeat([]byte("["), maxMessage),
		"objects":       []byte(strings.Repeat(`{"a":`, 13_000)),
		"in array":      []byte(call + `{"a":[` + many(`0`, `,`) + `]}}`),
		"empty arrays":  []byte(call + `[` + many(`[]`, `,`) + `]}`),
		"empty objects": []byte(call + `[` + many(`{}`, `,`) + `]}`),
		"strings":       []byte(call + `[` + many(`"a"`, `,`) + `]}`),
		"names":         []byte(call + `{` + names(7000) + `}}`),
		"top names":     []byte(`{` + names(7000) + `}`),
		"one string":    []byte(call + `{"token":"` + strings.Repeat("x", 60_000) + `"}}`),
		"escapes":       []byte(call + `{"token":"` + strings.Repeat(`\u0041`, 10_000) + `"}}`),
		"one name":      []byte(call + `{"` + strings.Repeat("x", 60_000) + `":1}}`),
		"one number":    []byte(call + `{"token":` + strings.Repeat("1", 60_000) + `}}`),
		"method":        []byte(`{"jsonrpc":"2.0","id":"7","method":"` + strings.Repeat("m", 60_000) + `"}`),
		"spaces":        []byte(call + strings.Repeat(" ", 60_000) + `{}}`),
	}
}

// TestCost has no message cost much more memory than it has bytes, on either side.
func TestCost(t *testing.T) {
	for name, raw := range costly() {
		t.Run(name, func(t *testing.T) {
			s, _ := newService(t, nil)
			s.Handle(t0, bob, []byte(list)) // the first allocates its caller
			if n := cost(func() { s.Handle(t0, bob, raw) }); n > maxCost(raw) {
				t.Errorf("%d bytes cost the service %d", len(raw), n)
			}
			c, _ := newClient(nil)
			if _, _, err := c.begin(bob); err != nil {
				t.Fatal(err)
			}
			if n := cost(func() { c.Deliver(bob, raw) }); n > maxCost(raw) {
				t.Errorf("%d bytes cost the client %d", len(raw), n)
			}
		})
	}
}

// TestShape has messages refused before anything is made of them, and those at the
// limits read.
func TestShape(t *testing.T) {
	object := func(names int) string {
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, `"%d":0,`, i)
		}
		return `{` + strings.TrimSuffix(b.String(), ",") + `}`
	}
	for text, ok := range map[string]bool{
		`{}`: true, ` {"a":[]} `: true, `{"a\"":1,"a":2}`: true, `{"a\"{[":"]}\\"}`: true,
		`{"a\"b":1,"a\u0022b":2}`: false, `{"a":{"b":1},"b":{"b":1}}`: true, `{"a":1,"\u0061":2}`: false,
		`{"a":["b","b"],"b":0}`: true,

		`{"a":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`: true,
		`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`:     false,
		`{"a":[` + strings.Repeat("0,", maxValues-2) + `0]}`:                              true,
		`{"a":[` + strings.Repeat("0,", maxValues-1) + `0]}`:                              false,
		object(maxNames):                               true,
		object(maxNames + 1):                           false,
		`{"` + strings.Repeat("x", maxName) + `":0}`:   true,
		`{"` + strings.Repeat("x", maxName+1) + `":0}`: false,
	} {
		if _, err := parseObject([]byte(text)); (err == nil) != ok {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// TestUnaskedCostsNothing has a client that asked nothing not even look at a message.
func TestUnaskedCostsNothing(t *testing.T) {
	c, _ := newClient(nil)
	raw := costly()["one string"]
	if n := cost(func() { c.Deliver(bob, raw) }); n > 4096 {
		t.Errorf("%d bytes cost %d", len(raw), n)
	}
}
