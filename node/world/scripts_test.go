package world

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden traces")

// play runs lines to their end or to the first broken rule. wanted says whether a
// trace is made.
func play(lines []string, wanted bool) (w *world, done int, broke *broken) {
	var trace *strings.Builder
	if wanted {
		trace = new(strings.Builder)
	}
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(broken)
			if !ok {
				panic(fmt.Sprintf("%v in line %d of\n%s", r, done+1, strings.Join(lines, "\n")))
			}
			broke = &b
			w.say("BROKEN: %s: %s", b.what, b.more)
		}
	}()
	w = newWorld()
	w.trace = trace
	for _, text := range lines {
		if trace != nil {
			fmt.Fprintf(trace, "%s\n", text)
		}
		if err := w.line(text); err != nil {
			panic(err)
		}
		done++
	}
	return w, done, broke
}

// TestScripts plays each script of testdata and compares what happened, line by line,
// with the trace beside it.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			w, _, broke := play(lines, true)
			if broke != nil {
				t.Errorf("%s: %s\n%s", broke.what, broke.more, w.trace)
			}
			golden(t, strings.TrimSuffix(path, ".script")+".golden", w.trace.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: run go test -update and read the diff. Got:\n%s", path, got)
	}
}
