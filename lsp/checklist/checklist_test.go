package checklist_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// TestLines has every number once, in order, with all that the table needs.
func TestLines(t *testing.T) {
	wellFormed := regexp.MustCompile(`^LSPS[02]-(\d\d|1\d\d)$`)
	last, seen := "", map[string]bool{}
	for _, l := range checklist.Lines() {
		number := l.ID[:6] + fmt.Sprintf("%04s", l.ID[6:])
		if !wellFormed.MatchString(l.ID) || seen[l.ID] || number <= last {
			t.Errorf("%s comes after %s", l.ID, last)
		}
		seen[l.ID], last = true, number
		if !strings.Contains("SCB", string(l.Role)) || l.Where == "" || l.Rule == "" ||
			strings.ContainsAny(l.Where+l.Rule+l.Exempt, "|\n") {
			t.Errorf("%+v", l)
		}
	}
	for prefix, want := range map[string]int{"LSPS0-": 29, "LSPS2-": 107} {
		n := 0
		for id := range seen {
			if strings.HasPrefix(id, prefix) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d lines of %s, want %d", n, prefix, want)
		}
	}
	if _, ok := checklist.Find("LSPS2-49"); ok {
		t.Error("a line that is not there is found")
	}
}

// recorder is a test that is told to end so or so.
type recorder struct {
	failed, skipped bool
	fatal, log      string
	cleanups        []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool              { return r.failed }
func (r *recorder) Skipped() bool             { return r.skipped }
func (r *recorder) Logf(f string, a ...any)   { r.log += fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.fatal += fmt.Sprintf(f, a...) }

func TestShows(t *testing.T) {
	for want, r := range map[string]*recorder{
		"pass": {}, "fail": {failed: true}, "skip": {skipped: true},
	} {
		checklist.Shows(r, "LSPS2-11", "mac leaves out the client")
		if r.log != "" || len(r.cleanups) != 1 {
			t.Fatalf("%q before the test ends", r.log)
		}
		r.cleanups[0]()
		if r.log != "checklist: LSPS2-11 "+want || r.fatal != "" {
			t.Errorf("%q, %q", r.log, r.fatal)
		}
	}
	for want, args := range map[string][2]string{
		"is no line": {"LSPS2-49", "x"}, "with which change": {"LSPS2-11", " "},
	} {
		r := &recorder{}
		checklist.Shows(r, args[0], args[1])
		if !strings.Contains(r.fatal, want) || len(r.cleanups) != 0 {
			t.Errorf("%v: %q", args, r.fatal)
		}
	}
}
