package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// pending are the lines that have no test yet. A line with a test must not be here: the
// list only becomes shorter.
var pending = strings.Fields(`
`)

// TestHouseConformance holds the table against the sources.
func TestHouseConformance(t *testing.T) {
	marks, bad, err := scan(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range slices.Concat(bad, gaps(marks, pending)) {
		t.Error(b)
	}
	t.Logf("%d lines of the checklist have no test yet", len(pending))

	raw, err := os.ReadFile("../conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	old := readResults(string(raw))
	for _, m := range marks {
		if old[m.test] != passed {
			t.Errorf("docs/conformance.md: %s %s: %s", m.dir, m.name, old.of(m.test))
		}
	}
	if table(marks, old) != string(raw) {
		t.Error("docs/conformance.md says other than the sources: " +
			"run go run ./docs/conformance -new, or make conformance")
	}
}

// gaps says which lines have no test, and which are said to have none.
func gaps(marks []mark, pending []string) (bad []string) {
	for _, id := range pending {
		if l, ok := checklist.Find(id); !ok || l.Exempt != "" {
			bad = append(bad, id+" is pending, but no line of the checklist or exempt")
		}
	}
	for _, l := range checklist.Lines() {
		tested := slices.ContainsFunc(marks, func(m mark) bool { return m.line == l.ID })
		switch waits := slices.Contains(pending, l.ID); {
		case tested && waits:
			bad = append(bad, l.ID+" has a test: take it from the list of pending lines")
		case !tested && !waits && l.Exempt == "":
			bad = append(bad, l.ID+" has no test: mark one with checklist.Shows")
		}
	}
	return bad
}

// TestScan has each fault of a mark once.
func TestScan(t *testing.T) {
	const head = "package x\nimport \"" + checklistPath + "\"\n"
	in := func(call string) string { return head + "func TestX(t *testing.T) {\n" + call + "\n}\n" }
	for what, tc := range map[string]struct{ text, bad string }{
		"good":         {in(`checklist.Shows(t, "LSPS0-01", "a"+"b")`), ""},
		"inside":       {in(`t.Run("x", func(t *testing.T) { checklist.Shows(t, "LSPS0-01", "a") })`), ""},
		"not imported": {"package x\nfunc f() { checklist.Shows(t, id, m) }\n", ""},
		"unknown line": {in(`checklist.Shows(t, "LSPS0-99", "a")`), `"LSPS0-99" is no line`},
		"a variable":   {in(`checklist.Shows(t, id, "a")`), "written out"},
		"no mutation":  {in(`checklist.Shows(t, "LSPS0-01", " ")`), "a mutation is"},
		"a bar":        {in(`checklist.Shows(t, "LSPS0-01", "a|b")`), "a mutation is"},
		"twice": {
			in("checklist.Shows(t, \"LSPS0-01\", \"a\")\nchecklist.Shows(t, \"LSPS0-01\", \"b\")"),
			"shows LSPS0-01 twice",
		},
		"a helper": {head + "func f() { checklist.Shows(t, \"LSPS0-01\", \"a\") }\n", "only a test"},
		"another name": {
			"package x\nimport c \"" + checklistPath + "\"\nfunc f() { c.Shows(t, \"x\", \"y\") }\n",
			"only a test",
		},
	} {
		tree := fstest.MapFS{
			"a/x_test.go":          {Data: []byte(tc.text)},
			"a/x.go":               {Data: []byte("no Go")},
			"a/testdata/x_test.go": {Data: []byte("no Go")},
		}
		marks, bad, err := scan(tree)
		all := strings.Join(bad, "\n")
		if err != nil || (tc.bad == "") != (all == "") || !strings.Contains(all, tc.bad) {
			t.Errorf("%s: %q, %v; want %q", what, all, err, tc.bad)
		}
		if what == "good" && (len(marks) != 1 || marks[0].mutation != "ab" || marks[0].dir != "a") {
			t.Errorf("%+v", marks)
		}
	}
}

// TestGaps has lines without tests and tests without need.
func TestGaps(t *testing.T) {
	var marks []mark
	for _, l := range checklist.Lines() {
		if l.Exempt == "" {
			marks = append(marks, mark{test{"lsp", "TestX"}, l.ID, "m"})
		}
	}
	if bad := gaps(marks, nil); bad != nil {
		t.Errorf("all lines have a test: %v", bad)
	}
	for want, list := range map[string][]string{
		"LSPS0-01 has no test": {}, "LSPS0-02 has a test": {"LSPS0-01", "LSPS0-02"},
		"LSPS9-01 is pending": {"LSPS0-01", "LSPS9-01"}, "LSPS2-74 is pending": {"LSPS0-01", "LSPS2-74"},
	} {
		if bad := gaps(marks[1:], list); len(bad) != 1 || !strings.HasPrefix(bad[0], want) {
			t.Errorf("%v: %q, want %s", list, bad, want)
		}
	}
}

// TestTable has results survive in the table, and a line count only when all its tests pass.
func TestTable(t *testing.T) {
	a, b := test{"lsp", "TestA"}, test{"node", "TestB"}
	marks := []mark{{a, "LSPS0-01", "x"}, {b, "LSPS0-01", "y"}, {a, "LSPS0-02", "z"}}
	r := results{a: passed, b: "skip"}
	text := table(marks, r)
	for _, want := range []string{
		"136 lines: 1 shown, 2 exempt, 132 without a test.",
		"| LSPS0-02 | S | bLIP-50 message payload: space, tab, LF and CR around the object are " +
			"allowed | lsp TestA | pass | z |\n",
		"| | | | node TestB | skip | y |\n", "| exempt | no blinded paths in this version |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if got := readResults(text); len(got) != 2 || got[a] != passed || got[b] != "skip" {
		t.Errorf("%v", got)
	}
	if text != table(marks, readResults(text)) {
		t.Error("a table does not come back as itself")
	}
}

// TestTake has the results of whole tests alone count.
func TestTake(t *testing.T) {
	r := results{}
	var log strings.Builder
	for _, e := range []event{
		{"run", "TestA", ""}, {"pass", "TestA/x", ""}, {"fail", "TestA", ""}, {"skip", "TestB", ""},
		{"fail", "", ""}, {"output", "TestA", "    a_test.go:1: checklist: LSPS0-01 pass\n"},
		{"output", "TestA", "    a_test.go:2: wrong\n"},
	} {
		take(&log, "lsp", e, r)
	}
	if len(r) != 2 || r[test{"lsp", "TestA"}] != "fail" || r[test{"lsp", "TestB"}] != "skip" {
		t.Errorf("%v", r)
	}
	if log.String() != "    a_test.go:2: wrong\n" {
		t.Errorf("%q", log.String())
	}
}
