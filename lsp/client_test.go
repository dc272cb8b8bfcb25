package lsp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// wire is a Transport that answers by itself, or keeps quiet.
type wire struct {
	mu     sync.Mutex
	sent   []string
	err    error
	answer func(id string) string // nil, or "": no answer
	client *Client
}

func (w *wire) Send(peer [33]byte, raw []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, string(raw))
	if w.err != nil || w.answer == nil {
		return w.err
	}
	var r struct{ ID string }
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if text := w.answer(r.ID); text != "" {
		w.client.Deliver(peer, []byte(text))
	}
	return nil
}

func newClient(answer func(id string) string) (*Client, *wire) {
	w := &wire{answer: answer}
	w.client = NewClient(w, newChance(7))
	return w.client, w
}

func result(text string) func(string) string {
	return func(id string) string {
		return `{"jsonrpc":"2.0","id":"` + id + `","result":` + text + `}`
	}
}

func ask(c *Client) (any, error) {
	var got any
	err := c.Call(context.Background(), bob, "m", struct{}{}, &got)
	return got, err
}

// LSPS0-13 and -21: requests are as LDK writes them; unknown members are ignored.
func TestCall(t *testing.T) {
	checklist.Shows(t, "LSPS0-21", "a result is read with DisallowUnknownFields")
	checklist.Shows(t, "LSPS0-27", "appendJSON escapes HTML")
	c, w := newClient(func(id string) string {
		return `{"more":[{"a":1}],"jsonrpc":"2.0","id":"` + id + `","result":{"a":[1],"b":{"c":2},"d":{"e":[{}]}}}`
	})
	var got struct {
		A []int
		D struct{}
	}
	if err := c.Call(t.Context(), bob, "m", map[string]string{"b": "<&>"}, &got); err != nil ||
		len(got.A) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	head, tail := `{"jsonrpc":"2.0","id":"`, `","method":"m","params":{"b":"<&>"}}`
	sent := w.sent[0]
	id := strings.TrimSuffix(strings.TrimPrefix(sent, head), tail)
	if head+id+tail != sent || len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("sent %s", sent)
	}
}

// LSPS0-18: ids.
func TestRequestIDs(t *testing.T) {
	checklist.Shows(t, "LSPS0-18", "9 bytes of an id are drawn")
	c, w := newClient(result("1"))
	for range 10_000 {
		if _, err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	seen, last, ordered := map[string]bool{}, "", 0
	var ones [256]int // of each bit
	for _, s := range w.sent {
		var r struct{ ID string }
		if err := json.Unmarshal([]byte(s), &r); err != nil {
			t.Fatal(err)
		}
		if r.ID > last {
			ordered++
		}
		seen[r.ID], last = true, r.ID
		raw, err := hex.DecodeString(r.ID)
		if err != nil || len(raw) > 32 {
			t.Fatalf("id %q", r.ID)
		}
		for i := range 8 * len(raw) {
			ones[i] += int(raw[i/8]>>(i%8)) & 1
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d different requests", len(seen))
	}
	if ordered < 4500 || ordered > 5500 {
		t.Errorf("%d of 10000 ids are larger than the one before", ordered)
	}
	chancy := 0
	for _, n := range ones {
		if n > 4500 && n < 5500 {
			chancy++
		}
	}
	if chancy < 80 {
		t.Errorf("%d bits of an id are left to chance", chancy)
	}
}

// LSPS0-21 and -23: error answers.
func TestErrorAnswers(t *testing.T) {
	checklist.Shows(t, "LSPS0-21", "an unknown code is internal error")
	checklist.Shows(t, "LSPS0-23", "clean lets < pass")
	long := strings.Repeat("é", 300)
	for text, want := range map[string]RPCError{
		`{"code":201,"message":"no"}`:                               {Code: 201, Message: "no"},
		`{"code":-31000,"message":"no","data":{}}`:                  {-31000, "no", []byte("{}")},
		`{"code":1,"message":"a\u0000<b>\n\u001b[1m\u202ec\u2028"}`: {Code: 1, Message: "a  b>   [1m c "},
		`{"code":"x"}`:                        {Code: CodeInternal, Message: "no reason given"},
		`"text"`:                              {Code: CodeInternal, Message: "no reason given"},
		`{"code":1,"message":"` + long + `"}`: {Code: 1, Message: long[:2*256] + "..."},
	} {
		c, _ := newClient(func(id string) string {
			return `{"jsonrpc":"2.0","id":"` + id + `","error":` + text + `}`
		})
		_, err := ask(c)
		var e *RPCError
		if !errors.As(err, &e) || e.Code != want.Code || strings.Join(strings.Fields(e.Message), " ") !=
			strings.Join(strings.Fields(want.Message), " ") || string(e.Data) != string(want.Data) {
			t.Errorf("%s: %#v, %v", text, e, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "<\x00\n\x1b\u202e\u2028") {
			t.Errorf("%q", err)
		}
	}
}

// LSPS0-19 and -22: answers that nobody waits for.
func TestLateAndUnknownAnswers(t *testing.T) {
	checklist.Shows(t, "LSPS0-19", "an unknown id mutes the LSP")
	checklist.Shows(t, "LSPS0-22", "answerTimeout is an hour")
	synctest.Test(t, func(t *testing.T) {
		var id string
		c, _ := newClient(func(i string) string { id = i; return "" })
		start := time.Now()
		if _, err := ask(c); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for _, late := range []string{result("1")(id), result("1")("ffff"), result("1")("")} {
			if late != result("1")("") && !c.Deliver(bob, []byte(late)) {
				t.Errorf("%s is not the client's", late)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Call(ctx, bob, "m", nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if len(c.lsps[bob].pending) != 0 {
			t.Error("a call that ended is waited for")
		}
	})
}

// LSPS0-20: after a malformed message nothing is asked until the LSP is connected anew.
func TestMuted(t *testing.T) {
	checklist.Shows(t, "LSPS0-20", "a malformed message does not mute the LSP")
	for _, bad := range []string{
		`{`, `[]`, `{}`, `{"jsonrpc":"2.0","id":"ID","result":1,"error":{}}`, `{"id":"ID","result":1}`,
		`{"jsonrpc":"2.0","id":7,"result":1}`, "{\"jsonrpc\":\"2.0\",\"id\":\"ID\",\"result\":1}\x00",
	} {
		c, w := newClient(func(id string) string { return strings.Replace(bad, "ID", id, 1) })
		if _, err := ask(c); !errors.Is(err, ErrMuted) {
			t.Errorf("%s: %v", bad, err)
		}
		w.answer = result("1")
		if _, err := ask(c); !errors.Is(err, ErrMuted) || len(w.sent) != 1 {
			t.Errorf("%s: asked again: %v, %d sent", bad, err, len(w.sent))
		}
		if !c.Deliver(bob, []byte(result("1")("x"))) {
			t.Error("a message of a muted LSP is not the client's")
		}
		c.PeerGone(bob)
		if _, err := ask(c); err != nil {
			t.Errorf("%s: after the reconnect: %v", bad, err)
		}
	}
}

// TestWhoseMessage has what the node goes by to give the rest to the service.
func TestWhoseMessage(t *testing.T) {
	c, _ := newClient(result("1"))
	for _, raw := range []string{"{", result("1")("x"), list} {
		if c.Deliver(bob, []byte(raw)) {
			t.Errorf("%s of a peer that was asked nothing is the client's", raw)
		}
	}
	if _, err := ask(c); err != nil {
		t.Fatal(err)
	}
	if c.Deliver(bob, []byte(list)) {
		t.Error("a request is the client's")
	}
	if !c.Deliver(bob, []byte(`{"jsonrpc":"2.0","method":"lsps9.news","params":{}}`)) {
		t.Error("a notification is the service's")
	}
	if _, err := ask(c); err != nil {
		t.Errorf("after a notification: %v", err)
	}
}

// TestParseFailureAnswer has an LSP that could not read us end the one call there is.
func TestParseFailureAnswer(t *testing.T) {
	c, _ := newClient(func(string) string { return string(parseFailure()) })
	_, err := ask(c)
	var e *RPCError
	if !errors.As(err, &e) || e.Code != CodeParse {
		t.Errorf("%v", err)
	}
}

// TestPeerGone has the calls of a connection end with it.
func TestPeerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newClient(nil)
		errs := make(chan error, maxPending)
		for range maxPending {
			go func() { _, err := ask(c); errs <- err }()
		}
		synctest.Wait()
		if _, err := ask(c); !errors.Is(err, ErrBusy) {
			t.Errorf("one call too many: %v", err)
		}
		c.PeerGone(bob)
		for range maxPending {
			if err := <-errs; !errors.Is(err, ErrPeerGone) {
				t.Errorf("%v", err)
			}
		}
		if len(w.sent) != maxPending || len(c.lsps) != 0 {
			t.Errorf("%d sent, %d LSPs remembered", len(w.sent), len(c.lsps))
		}
		c.PeerGone(bob)
	})
}

// TestUnsent has nothing remembered of LSPs that are not connected.
func TestUnsent(t *testing.T) {
	c, w := newClient(nil)
	w.err = errors.New("not connected")
	for i := range 2 * maxLSPs {
		lsp := [33]byte{2, byte(i), byte(i >> 8)}
		if err := c.Call(t.Context(), lsp, "m", nil, nil); !errors.Is(err, w.err) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	w.err, w.answer = nil, result("1")
	for i := range maxLSPs + 1 {
		var got any
		lsp := [33]byte{2, byte(i), byte(i >> 8)}
		if err := c.Call(t.Context(), lsp, "m", nil, &got); (err != nil) != (i == maxLSPs) {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestBadResults(t *testing.T) {
	c, w := newClient(result(`{"protocols":[1,2]}`))
	if got, err := c.ListProtocols(t.Context(), bob); err != nil || fmt.Sprint(got) != "[1 2]" {
		t.Errorf("%v %v", got, err)
	}
	w.answer = result(`{"protocols":"x"}`)
	if _, err := c.ListProtocols(t.Context(), bob); err == nil {
		t.Error("text for numbers is accepted")
	}
	if err := c.Call(t.Context(), bob, "m", func() {}, nil); err == nil {
		t.Error("parameters that are no JSON are sent")
	}
	c = NewClient(w, strings.NewReader("short"))
	if _, err := ask(c); err == nil {
		t.Error("an id without entropy is sent")
	}
}
