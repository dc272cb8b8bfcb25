package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// tester is one run.
type tester struct {
	cfg        Config
	results    map[string]*Result
	order      []string
	identities int
	requests   int
	items      []json.RawMessage // of the menu
	scids      []string          // that were sold
	seen       seen
}

// seen is what every answer of the LSP says about lines that hold for all.
type seen struct {
	form, twice, escapes, data, calls []string
	slowest                           time.Duration
}

// peer is a connection under one identity.
type peer struct {
	t        *tester
	conn     Conn
	identity int
	sentAt   time.Time // the last request
}

// dial connects under a fresh identity.
func (t *tester) dial(ctx context.Context) (*peer, error) {
	t.identities++
	return t.dialAs(ctx, t.identities)
}

func (t *tester) dialAs(ctx context.Context, identity int) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Patience)
	defer cancel()
	conn, err := t.cfg.Dial(ctx, identity)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	return &peer{t: t, conn: conn, identity: identity}, nil
}

func (p *peer) close() { _ = p.conn.Close() }

// send sends one payload, after a pause.
func (p *peer) send(ctx context.Context, raw string) error {
	if p.t.cfg.Pause != nil {
		if err := p.t.cfg.Pause(ctx); err != nil {
			return err
		}
	}
	p.sentAt = p.t.cfg.Now()
	if err := p.conn.Send([]byte(raw)); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return nil
}

// next gives the next answer, or errSilent. Notifications are passed over, as a client
// does that asked for none.
func (p *peer) next(ctx context.Context, within time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		raw, err := p.conn.Next(ctx)
		switch {
		case err == nil && isCall(raw):
			p.t.seen.calls = append(p.t.seen.calls, "a notification or request came that was not asked for")
		case err == nil:
			return p.t.read(raw), nil
		case ctx.Err() != nil:
			return answer{}, errSilent
		default:
			return answer{}, fmt.Errorf("%w: %w", errEnded, err)
		}
	}
}

// isCall says whether a message is no answer, but has a method.
func isCall(raw []byte) bool {
	var o map[string]json.RawMessage
	return json.Unmarshal(raw, &o) == nil && o["method"] != nil && o["result"] == nil && o["error"] == nil
}

// ask sends a request and gives its answer.
func (p *peer) ask(ctx context.Context, method, params string) (answer, error) {
	id := p.t.newID()
	return p.exchange(ctx, id, fmt.Sprintf(`{"jsonrpc":"2.0","id":"%s","method":"%s","params":%s}`,
		id, method, params))
}

// newID makes an id of a request. It is in need of no secrecy: nobody but the LSP sees it.
func (t *tester) newID() string {
	t.requests++
	return fmt.Sprintf("conform-%d", t.requests)
}

// exchange sends a payload and gives the answer with that id. What else comes is noted.
func (p *peer) exchange(ctx context.Context, id, raw string) (answer, error) {
	if err := p.send(ctx, raw); err != nil {
		return answer{}, err
	}
	for {
		a, err := p.next(ctx, p.t.cfg.Patience)
		if err != nil {
			return answer{}, err
		}
		// A null id is for the one request there is.
		if a.id == id || a.parseFailed() {
			p.t.seen.slowest = max(p.t.seen.slowest, p.t.cfg.Now().Sub(p.sentAt))
			return a, nil
		}
		p.t.seen.twice = append(p.t.seen.twice, "an answer came that nobody waits for: "+a.text())
	}
}

// quiet gives what comes by itself.
func (p *peer) quiet(ctx context.Context) ([]answer, error) {
	var got []answer
	for {
		a, err := p.next(ctx, p.t.cfg.Quiet)
		switch {
		case err == nil && len(got) < 10:
			got = append(got, a)
		case err == nil || err == errSilent: //nolint:errorlint // next returns it bare
			return got, nil
		default:
			return got, err
		}
	}
}

// answer is a message of the LSP.
type answer struct {
	raw    []byte
	id     string // "" when null
	nullID bool
	result json.RawMessage // nil: an error
	code   int
	data   json.RawMessage
}

// text is an answer for a report.
func (a answer) text() string {
	switch {
	case a.result != nil:
		return "a result"
	case a.nullID:
		return fmt.Sprintf("error %d with a null id", a.code)
	}
	return fmt.Sprintf("error %d", a.code)
}

// parseFailed says that it is what a malformed message is answered with.
func (a answer) parseFailed() bool { return a.result == nil && a.code == -32700 && a.nullID }

// read takes an answer apart and notes what is wrong with its form.
func (t *tester) read(raw []byte) answer {
	a := answer{raw: raw}
	wrong := func(format string, args ...any) {
		t.seen.form = append(t.seen.form, fmt.Sprintf(format, args...))
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		wrong("an answer is not one JSON object")
		return a
	}
	if string(o["jsonrpc"]) != `"2.0"` {
		wrong("an answer has jsonrpc %.20s", o["jsonrpc"])
	}
	a.nullID = string(o["id"]) == "null"
	if !a.nullID && json.Unmarshal(o["id"], &a.id) != nil {
		wrong("an id comes back as %.40s", o["id"])
	}
	result, isResult := o["result"]
	failure, isError := o["error"]
	if isResult == isError {
		wrong("an answer has both result and error, or neither")
	}
	if isResult && !isError {
		a.result = result
	}
	if isError {
		t.readError(&a, failure, wrong)
	}
	if e := escaped.Find(raw); e != nil {
		t.seen.escapes = append(t.seen.escapes, fmt.Sprintf("%s is escaped", e))
	}
	return a
}

func (t *tester) readError(a *answer, raw json.RawMessage, wrong func(string, ...any)) {
	var e struct {
		Code    *int
		Message *string
		Data    json.RawMessage
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.Code == nil || e.Message == nil {
		wrong("an error has no code or no message")
		return
	}
	a.code, a.data = *e.Code, e.Data
	if len(e.Data) > 0 && e.Data[0] != '"' && string(e.Data) != "null" && a.code != -32602 {
		t.seen.data = append(t.seen.data, fmt.Sprintf("error %d has data that is no text", a.code))
	}
}

// escaped finds characters that could stand directly.
var escaped = regexp.MustCompile(`\\u(00[2-7][0-9a-fA-F]|20[0-9a-fA-F]{2})`)

// overall judges what holds for all answers.
func (t *tester) overall() {
	first := func(id string, faults []string) {
		t.holds(id, len(faults) == 0, "%s", strings.Join(faults[:min(1, len(faults))], ""))
	}
	first("LSPS0-13", t.seen.form)
	first("LSPS0-14", t.seen.calls)
	first("LSPS0-15", t.seen.twice)
	first("LSPS0-27", t.seen.escapes)
	first("LSPS2-26", t.seen.data)
	t.holds("LSPS2-28", t.seen.slowest < time.Second, "an answer took %v", t.seen.slowest.Round(time.Millisecond))
	if len(t.scids) < 2 {
		return
	}
	distinct := map[string]bool{}
	for _, s := range t.scids {
		distinct[s] = true
	}
	t.holds("LSPS2-22", len(distinct) == len(t.scids), "two purchases have one jit_channel_scid")
}

// sameJSON says whether two texts have the same object, whatever its order.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}
