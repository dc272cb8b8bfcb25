// Command conformance runs the tests that are marked with checklist.Shows and writes
// docs/conformance.md, the table of what they show. It is run in the root of the
// repository, by make conformance.
//
//	go run ./docs/conformance                 all marked tests
//	go run ./docs/conformance -new            those without a result in the table
//	go run ./docs/conformance -in lsp,node    those of these folders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// tablePath is where the table is.
const tablePath = "docs/conformance.md"

func main() {
	if err := run(context.Background(), os.Stderr, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log io.Writer, args []string) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	onlyNew := flags.Bool("new", false, "run only the tests without a result in the table")
	in := flags.String("in", "", "run only the tests of these folders, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	marks, bad, err := scan(os.DirFS("."))
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "\n"))
	}
	old, err := os.ReadFile(tablePath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	results := readResults(string(old))
	wanted := slices.DeleteFunc(testsOf(marks), func(t test) bool {
		return *onlyNew && results[t] == passed ||
			*in != "" && !slices.Contains(strings.Split(*in, ","), t.dir)
	})
	if err := runTests(ctx, log, wanted, results); err != nil {
		return err
	}
	if err := os.WriteFile(tablePath, []byte(table(marks, results)), 0o644); err != nil {
		return err
	}
	var failed []string
	for _, t := range wanted {
		if results[t] != passed {
			failed = append(failed, fmt.Sprintf("%s %s: %s", t.dir, t.name, results.of(t)))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d tests did not pass:\n%s", len(failed), len(wanted),
			strings.Join(failed, "\n"))
	}
	return nil
}
