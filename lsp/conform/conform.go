// Package conform asks an LSP, as a client with throw-away identities would, what the
// checklist says of the service: with Run LSPS0 and the part of LSPS2 that no money is
// needed for, with RunPaid the rest. It does no IO of its own: the caller brings
// connections, and for RunPaid a Troupe of a payer and clients, so that it runs against
// a Service in memory and against any node on the network.
//
// It is polite: it pauses between requests, and leaves no more than MaxOrders orders,
// unpaid, which end with their offers. What bLIP-50 and bLIP-52 leave to the LSP is not
// held against it: the verdict is Differs then, and Fail only where they are broken.
package conform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// MaxOrders is how many orders a run leaves with the LSP at most.
const MaxOrders = 6

// Conn is a connection with the LSP, after init. Next gives the payload of the next
// message of type 37913; it ends with ctx, or with the connection.
type Conn interface {
	Send(raw []byte) error
	Next(ctx context.Context) ([]byte, error)
	Close() error
}

// Offering is a Conn that also knows the features of the LSP's init.
type Offering interface{ Offers(bit int) bool }

// Config says how to reach the LSP.
type Config struct {
	// Dial connects under the throw-away identity of that number: the same number is
	// the same key.
	Dial func(ctx context.Context, identity int) (Conn, error)

	// Token is for LSPs that show their menu only to those who have one; "" is none.
	Token string

	// Patience is how long an answer may take.
	Patience time.Duration

	// Quiet is how long to wait for what must not come.
	Quiet time.Duration

	// Pause is waited for before each request; nil: no pause.
	Pause func(ctx context.Context) error

	// Now is the time.
	Now func() time.Time
}

// Verdict is what was seen of a line.
type Verdict string

// The verdicts, the weaker before the stronger.
const (
	NotShown Verdict = "not shown"
	Pass     Verdict = "pass"
	Differs  Verdict = "differs" // from what this checklist asks for beyond the bLIPs
	Fail     Verdict = "fail"
)

var strength = map[Verdict]int{NotShown: 0, Pass: 1, Differs: 2, Fail: 3}

// Result is a line with what was seen of it.
type Result struct {
	checklist.Line
	Verdict Verdict
	Reason  string // "" for Pass
}

// Errors of a run.
var (
	errSilent = errors.New("no answer came in time")
	errEnded  = errors.New("the LSP ended the connection")
	errDial   = errors.New("could not connect again")
)

// check shows some lines.
type check struct {
	lines string // separated by spaces
	run   func(ctx context.Context, t *tester) error
}

// Run goes through all checks. The error is for an LSP that cannot be reached or does
// not speak LSPS at all.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	t := &tester{cfg: cfg, results: map[string]*Result{}}
	for _, l := range checklist.Lines() {
		if why, ok := t.covers(l); ok {
			t.results[l.ID] = &Result{l, NotShown, why}
			t.order = append(t.order, l.ID)
		}
	}
	if err := t.first(ctx); err != nil {
		return nil, err
	}
	for _, c := range append(transportChecks(), salesChecks()...) {
		err := c.run(ctx, t)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for _, id := range strings.Fields(c.lines) {
			t.ended(id, err)
		}
	}
	t.overall()
	return t.list(), nil
}

// list is what was seen, in the order of the checklist.
func (t *tester) list() []Result {
	list := make([]Result, 0, len(t.order))
	for _, id := range t.order {
		list = append(list, *t.results[id])
	}
	return list
}

// covers says whether the wire shows something of a line to a client without money.
// why is what is said when nothing was seen of it.
func (t *tester) covers(l checklist.Line) (why string, ok bool) {
	if l.Role == checklist.Client || l.ID >= "LSPS2-30" || len(l.ID) > len("LSPS2-30") {
		return "", false
	}
	if why := hidden[l.ID]; why != "" {
		return why, true
	}
	return "the checks did not get that far", true
}

// hidden are the lines of which a client sees nothing without money, or without harm.
var hidden = map[string]string{
	"LSPS2-03": "the LSP sells: its menu is not empty",
	"LSPS2-10": "needs a restart of the LSP",
	"LSPS2-12": "takes until the end of an offer",
	"LSPS2-15": "the item's maximum is below what overflows",
	"LSPS2-16": "needs a payment",
	"LSPS2-17": "the LSP says to nobody what can reach it",
	"LSPS2-23": "needs a kill of the LSP",
	"LSPS2-24": "would leave too many orders",
	"LSPS2-25": "would need thousands of identities",
	"LSPS2-27": "takes until the end of an offer",
}

// first sees whether the LSP is there and answers at all.
func (t *tester) first(ctx context.Context) error {
	p, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := p.ask(ctx, "lsps0.list_protocols", "{}"); err != nil {
		return fmt.Errorf("it does not answer lsps0.list_protocols: %w", err)
	}
	return nil
}

// see notes what was seen of a line; the strongest verdict stays.
func (t *tester) see(id string, v Verdict, format string, args ...any) {
	r := t.results[id]
	reason := fmt.Sprintf(format, args...)
	switch {
	case strength[v] > strength[r.Verdict] || v == NotShown && r.Verdict == NotShown:
		r.Verdict, r.Reason = v, reason
	case v == r.Verdict && v != Pass && !strings.Contains(r.Reason, reason) && len(r.Reason) < maxReason:
		r.Reason += "; " + reason
	}
}

// maxReason bounds what is said of one line.
const maxReason = 160

func (t *tester) pass(id string) { t.see(id, Pass, "") }

// bad is a line that was seen not to hold: a failure where a bLIP wants it.
func (t *tester) bad(id, format string, args ...any) {
	v := Fail
	if !t.results[id].Required() {
		v = Differs
	}
	t.see(id, v, format, args...)
}

// ended notes how the check of a line ended.
func (t *tester) ended(id string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, errDial):
		if t.results[id].Verdict == NotShown {
			t.see(id, NotShown, "%v", err)
		}
	default:
		t.bad(id, "%v", err)
	}
}

// holds is pass or bad.
func (t *tester) holds(id string, ok bool, format string, args ...any) {
	if ok {
		t.pass(id)
		return
	}
	t.bad(id, format, args...)
}

// Table writes the results for people, with a summary in its last line.
func Table(results []Result) string {
	var b strings.Builder
	counts := map[Verdict]int{}
	for _, r := range results {
		counts[r.Verdict]++
		text := r.Rule
		if r.Reason != "" {
			text += " (" + r.Reason + ")"
		}
		fmt.Fprintf(&b, "%-9s  %-9s  %s\n", r.ID, r.Verdict, text)
	}
	fmt.Fprintf(&b, "\n%d lines: %d pass, %d fail, %d differ where an LSP may, %d not shown\n", len(results),
		counts[Pass], counts[Fail], counts[Differs], counts[NotShown])
	return b.String()
}

// Failed says whether a line was seen to fail.
func Failed(results []Result) bool {
	for _, r := range results {
		if r.Verdict == Fail {
			return true
		}
	}
	return false
}
