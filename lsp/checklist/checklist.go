// Package checklist has the rules of bLIP-50 and bLIP-52 that this node follows, one
// numbered line each, and lets a test say which of them it shows:
//
//	func TestPromiseCommits(t *testing.T) {
//		checklist.Shows(t, "LSPS2-11", "mac leaves out the client")
//
// The second text is the change of the code with which the test was seen to fail. The
// marks are read from the sources by the program docs/conformance, which runs the
// marked tests and writes docs/conformance.md; make check fails when a line has no
// test, or when that file says other than the sources.
package checklist

import (
	"slices"
	"strings"
)

// Role is whose duty a line is.
type Role string

// The roles.
const (
	Service Role = "S" // of an LSP
	Client  Role = "C" // of its client
	Both    Role = "B"
)

// Line is one rule.
type Line struct {
	ID     string // LSPS0-01
	Role   Role
	Where  string // the part of the bLIP, or what else wants it
	Rule   string // in short
	Exempt string // why no test is asked for yet, or ""
}

// Required says whether a bLIP or BOLT wants the line. Others may do without those that
// are our own, or for the sake of some client.
func (l Line) Required() bool { return l.Where != ours && l.Where != ldk }

// Lines are all rules, in the order of their numbers.
func Lines() []Line { return slices.Concat(lsps0, menuAndBuy, clientSide, collecting, opening, after) }

// Find gives the line with that number.
func Find(id string) (Line, bool) {
	all := Lines()
	i := slices.IndexFunc(all, func(l Line) bool { return l.ID == id })
	if i < 0 {
		return Line{}, false
	}
	return all[i], true
}

// TB is what Shows needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Skipped() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Shows says that the test shows a line, and was seen to fail with that mutation of
// the code. Both are written out where it is called: the table is made from the
// sources. At the test's end it logs one line, "checklist: LSPS2-11 pass".
func Shows(t TB, id, mutation string) {
	t.Helper()
	line, ok := Find(id)
	switch {
	case !ok:
		t.Fatalf("checklist: %q is no line of the checklist", id)
		return
	case strings.TrimSpace(mutation) == "":
		t.Fatalf("checklist: %s: with which change of the code was the test seen to fail?", line.ID)
		return
	}
	t.Cleanup(func() { t.Logf("checklist: %s %s", line.ID, outcome(t)) })
}

func outcome(t TB) string {
	switch {
	case t.Failed():
		return "fail"
	case t.Skipped():
		return "skip"
	}
	return "pass"
}
