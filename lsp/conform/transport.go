package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// feature is option_supports_lsps.
const feature = 729

// maxPayload is what BOLT 8 leaves for a message after its type.
const maxPayload = 65533

const listBody = `"method":"lsps0.list_protocols","params":{}}`

// list is a request that every LSP answers.
func list(id string) string { return `{"jsonrpc":"2.0","id":"` + id + `",` + listBody }

// transportChecks are those of LSPS0.
func transportChecks() []check {
	return []check{
		{"LSPS0-14 LSPS0-17", checkSilence},
		{"LSPS0-01 LSPS0-02 LSPS0-16", checkList},
		{"LSPS0-03", malformed("LSPS0-03", `{`)},
		{"LSPS0-04", malformed("LSPS0-04", ` [ ] `, `7`)},
		{"LSPS0-05", malformed("LSPS0-05", `{ } { }`, `{ } {`)},
		{"LSPS0-06", malformed("LSPS0-06", list("zero")+"\x00", list("\xff"))},
		{"LSPS0-07", malformed("LSPS0-07", "["+list("batch-1")+","+list("batch-2")+"]")},
		{"LSPS0-08", malformed("LSPS0-08", `{"jsonrpc":"2.0",`+listBody)},
		{"LSPS0-09", checkPositional},
		{"LSPS0-10", checkLoop},
		{"LSPS0-11 LSPS0-12", checkUnknown},
		{"LSPS0-13 LSPS0-27", checkEcho},
		{"LSPS0-29", checkLarge},
		{"LSPS0-15", checkGone},
	}
}

// checkSilence waits for what a node that was asked nothing should not get.
func checkSilence(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	got, err := p.quiet(ctx)
	if err != nil {
		return err
	}
	t.holds("LSPS0-14", len(got) == 0, "a message came before anything was asked")
	o, ok := p.conn.(Offering)
	switch {
	case !ok:
		t.see("LSPS0-17", NotShown, "this connection has no init")
	case o.Offers(feature):
		t.pass("LSPS0-17")
	default:
		t.see("LSPS0-17", Differs, "feature %d is not offered: an LSP may do so", feature)
	}
	return nil
}

func checkList(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	a, err := p.ask(ctx, "lsps0.list_protocols", "{}")
	if err != nil {
		return err
	}
	t.holds("LSPS0-01", len(a.raw) > 0 && a.raw[0] == '{', "the answer does not begin with an object")
	id := t.newID()
	spaced, err := p.exchange(ctx, id, " \t\r\n"+list(id)+"\n\r\t ")
	if err != nil {
		t.bad("LSPS0-02", "%v", err)
	} else {
		t.holds("LSPS0-02", sameJSON(spaced.result, a.result), "the answer is %s", spaced.text())
	}
	var r struct{ Protocols []json.RawMessage }
	if json.Unmarshal(a.result, &r) != nil || r.Protocols == nil {
		t.bad("LSPS0-16", "the answer is %s without a list of protocols", a.text())
		return nil
	}
	hasTwo := false
	for _, raw := range r.Protocols {
		var n uint16
		if json.Unmarshal(raw, &n) != nil || n == 0 {
			t.bad("LSPS0-16", "%.20s is among the protocols", raw)
		}
		hasTwo = hasTwo || n == 2
	}
	t.holds("LSPS0-16", hasTwo, "2 is not among the protocols")
	return nil
}

// malformed is for payloads that are answered with -32700 and a null id, and are not
// done. Each has an identity of its own, since once a connection is enough for an LSP.
func malformed(id string, payloads ...string) func(context.Context, *tester) error {
	return func(ctx context.Context, t *tester) error {
		for _, raw := range payloads {
			if err := t.malformed(ctx, id, raw); err != nil {
				return err
			}
		}
		return nil
	}
}

func (t *tester) malformed(ctx context.Context, id, raw string) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.send(ctx, raw); err != nil {
		return err
	}
	a, err := p.next(ctx, t.cfg.Patience)
	if err != nil {
		return fmt.Errorf("%s: %w", short(raw), err)
	}
	t.holds(id, a.parseFailed(), "%s: the answer is %s", short(raw), a.text())
	more, err := p.quiet(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", short(raw), err)
	}
	if len(more) > 0 {
		t.bad(id, "%s: a second answer is %s", short(raw), more[0].text())
	}
	// The connection must be as good as before.
	if a, err = p.ask(ctx, "lsps0.list_protocols", "{}"); err != nil {
		return fmt.Errorf("after %s: %w", short(raw), err)
	}
	t.holds(id, a.result != nil, "after %s the answer to a good request is %s", short(raw), a.text())
	return nil
}

// short is a payload for a report.
func short(raw string) string {
	text := fmt.Sprintf("%q", raw)
	if !utf8.ValidString(raw) {
		return "what is no UTF-8"
	}
	return text[:min(len(text), 24)]
}

func checkPositional(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	id := t.newID()
	err = p.send(ctx, `{"jsonrpc":"2.0","id":"`+id+`","method":"lsps0.list_protocols","params":[]}`)
	if err != nil {
		return err
	}
	a, err := p.next(ctx, t.cfg.Patience)
	if err != nil {
		return err
	}
	t.holds("LSPS0-09", a.parseFailed() || a.code == -32602 && a.id == id, "the answer is %s", a.text())
	return nil
}

// checkLoop answers the LSP, which asked nothing, and then sends nonsense.
func checkLoop(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := p.ask(ctx, "lsps0.list_protocols", "{}"); err != nil {
		return err
	}
	for _, raw := range []string{
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad message format"}}`,
		`{"jsonrpc":"2.0","id":"nobody","result":{}}`,
	} {
		if err := p.send(ctx, raw); err != nil {
			return err
		}
	}
	got, err := p.quiet(ctx)
	if err != nil {
		return err
	}
	t.holds("LSPS0-10", len(got) == 0, "an answer is answered")
	for range 3 {
		if err := p.send(ctx, `{`); err != nil {
			return err
		}
	}
	if got, err = p.quiet(ctx); err != nil {
		return err
	}
	t.holds("LSPS0-10", len(got) <= 1, "each malformed message is answered")
	return nil
}

func checkUnknown(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	a, err := p.ask(ctx, "lsps0.no_such_method", "{}")
	if err != nil {
		return err
	}
	t.holds("LSPS0-11", a.code == -32601 && a.result == nil, "the answer is %s", a.text())
	a, err = p.ask(ctx, "lsps2.get_info", `{"no_such":1,"nor_this":2}`)
	if err != nil {
		return err
	}
	var d struct{ Unrecognized []string }
	_ = json.Unmarshal(a.data, &d)
	slices.Sort(d.Unrecognized)
	switch {
	case a.code != -32602 || a.result != nil:
		t.bad("LSPS0-12", "the answer is %s", a.text())
	default:
		t.holds("LSPS0-12", slices.Equal(d.Unrecognized, []string{"no_such", "nor_this"}),
			"data.unrecognized does not have the two names and no other")
	}
	return nil
}

// checkEcho has an id that a careless writer would escape.
func checkEcho(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	id := "<é&>'" + t.newID()
	if err := p.send(ctx, list(id)); err != nil {
		return err
	}
	a, err := p.next(ctx, t.cfg.Patience)
	if err != nil {
		return err
	}
	t.holds("LSPS0-13", a.id == id, "another id comes back")
	return nil
}

// checkLarge sends the largest payload and a deep one. They may be refused in any way;
// what counts is that the LSP goes on.
func checkLarge(ctx context.Context, t *tester) error {
	for _, v := range []struct{ what, raw string }{
		{"large", list("large") + strings.Repeat(" ", maxPayload-len(list("large")))},
		{"deep", `{"jsonrpc":"2.0","id":"deep","method":"lsps0.list_protocols","params":{"a":` +
			strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}}`},
	} {
		p, err := t.dial(ctx)
		if err != nil {
			return err
		}
		err = p.send(ctx, v.raw)
		if err == nil {
			_, err = p.next(ctx, t.cfg.Patience)
		}
		p.close()
		if err != nil {
			t.bad("LSPS0-29", "a %s message: %v", v.what, err)
		}
	}
	// Under another identity, in case that one has been banned.
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := p.ask(ctx, "lsps0.list_protocols", "{}"); err != nil {
		return err
	}
	t.pass("LSPS0-29")
	return nil
}

// checkGone asks, hangs up, and comes back for no answer.
func checkGone(ctx context.Context, t *tester) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	err = p.send(ctx, list(t.newID()))
	p.close()
	if err != nil {
		return err
	}
	p, err = t.dialAs(ctx, p.identity)
	if err != nil {
		return err
	}
	defer p.close()
	got, err := p.quiet(ctx)
	if err != nil {
		return err
	}
	t.holds("LSPS0-15", len(got) == 0, "an answer comes on the connection after the one that asked")
	return nil
}
