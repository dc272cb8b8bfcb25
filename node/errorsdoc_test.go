package node_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite what tests have written into docs")

// seen compares what was seen with a part of docs/errors.md, row by row, and rewrites
// that part with -update. The document is what people read who have an error before
// them: it must not say what the programs don't.
func seen(t *testing.T, part string, head []string, rows [][]string) {
	t.Helper()
	file := filepath.Join("..", "docs", "errors.md")
	raw, err := os.ReadFile(file)
	must(t, err)
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->\n"
	before, rest, ok := strings.Cut(string(raw), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", file, part)
	}
	lines := []string{line(head), "|" + strings.Repeat("---|", len(head))}
	for _, row := range rows {
		lines = append(lines, line(row))
	}
	text := strings.Join(lines, "\n") + "\n"
	if *update {
		must(t, os.WriteFile(file, []byte(before+begin+text+end+after), 0o644))
		return
	}
	had := strings.Split(strings.TrimSuffix(old, "\n"), "\n")
	for i := range max(len(lines), len(had)) {
		now, then := "nothing", "nothing"
		if i < len(lines) {
			now = lines[i]
		}
		if i < len(had) {
			then = had[i]
		}
		if now != then {
			t.Errorf("docs/errors.md says\n  %s\nbut seen was\n  %s\n(-update writes it)", then, now)
		}
	}
}

func line(cells []string) string {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// Of a run only: ids, keys and times.
var ofARun = regexp.MustCompile(`[0-9a-f]{32,}`)

// ldkLog is what is wrong by LDK's own log, each line once, without what is of this
// run only.
func ldkLog(log string) []string {
	var lines []string
	known := map[string]bool{}
	for l := range strings.Lines(log) {
		_, text, ok := strings.Cut(strings.TrimSpace(l), "] ")
		if !ok || !strings.Contains(l, " ERROR ") && !strings.Contains(l, " WARN ") ||
			strings.Contains(l, "chain::bitcoind") {
			continue
		}
		text = ofARun.ReplaceAllString(text, "…")
		if !known[text] {
			known[text] = true
			lines = append(lines, text)
		}
	}
	return lines
}

// code makes text stand as it is in the document.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
