package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of go test -json.
type event struct{ Action, Test, Output string }

// runTests runs tests folder by folder and puts their results into r. Tests that fail
// are a result, not an error.
func runTests(ctx context.Context, log io.Writer, tests []test, r results) error {
	var dirs []string
	for _, t := range tests {
		if !slices.Contains(dirs, t.dir) {
			dirs = append(dirs, t.dir)
		}
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		var names []string
		for _, t := range tests {
			if t.dir == dir {
				names = append(names, t.name)
				delete(r, t)
			}
		}
		_, _ = fmt.Fprintf(log, "%s: %d tests\n", dir, len(names))
		if err := runFolder(ctx, log, dir, names, r); err != nil {
			return err
		}
	}
	return nil
}

func runFolder(ctx context.Context, log io.Writer, dir string, names []string, r results) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout=30m",
		"-run=^("+strings.Join(names, "|")+")$", ".")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		take(log, dir, e, r)
	}
	// A test that fails is in the table; what does not build has no results at all.
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return lines.Err()
}

func take(log io.Writer, dir string, e event, r results) {
	fault := strings.Contains(e.Output, "FAIL") || strings.Contains(e.Output, "_test.go:")
	if e.Action == "build-output" ||
		e.Action == "output" && fault && !strings.Contains(e.Output, "checklist: ") {
		_, _ = fmt.Fprintf(log, "%s", e.Output)
	}
	if e.Test == "" || strings.Contains(e.Test, "/") {
		return
	}
	if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
		r[test{dir, e.Test}] = e.Action
	}
}
