package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// passed is the result of a test that passed.
const passed = "pass"

// results are those of the last run: pass, fail or skip.
type results map[test]string

func (r results) of(t test) string {
	if r[t] == "" {
		return "not run"
	}
	return r[t]
}

const head = "# What is tested of bLIP-50 and bLIP-52\n\n" +
	"Made by `make conformance` from the marks in the tests (`checklist.Shows`) and from their\n" +
	"results. Each test was seen to fail with the change in the last column, made in a copy and taken\n" +
	"back. S is a rule for the LSP, C for its client, B for both. The rules are in our own words and\n" +
	"short; the bLIPs say what is meant.\n\n"

// table writes docs/conformance.md.
func table(marks []mark, r results) string {
	byLine := map[string][]mark{}
	for _, m := range marks {
		byLine[m.line] = append(byLine[m.line], m)
	}
	var rows strings.Builder
	shown, exempt, missing := 0, 0, 0
	for _, l := range checklist.Lines() {
		front := fmt.Sprintf("| %s | %s | %s: %s |", l.ID, l.Role, l.Where, l.Rule)
		switch found := byLine[l.ID]; {
		case len(found) == 0 && l.Exempt != "":
			exempt++
			fmt.Fprintf(&rows, "%s | exempt | %s |\n", front, l.Exempt)
		case len(found) == 0:
			missing++
			fmt.Fprintf(&rows, "%s | no test yet | |\n", front)
		default:
			if !slices.ContainsFunc(found, func(m mark) bool { return r[m.test] != passed }) {
				shown++
			}
			for _, m := range found {
				fmt.Fprintf(&rows, "%s %s %s | %s | %s |\n", front, m.dir, m.name, r.of(m.test), m.mutation)
				front = "| | | |"
			}
		}
	}
	return head + fmt.Sprintf("%d lines: %d shown, %d exempt, %d without a test.\n\n", len(checklist.Lines()),
		shown, exempt, missing) +
		"| line | | rule | test | result | seen to fail when |\n|---|---|---|---|---|---|\n" + rows.String()
}

// readResults takes the results out of a table.
func readResults(text string) results {
	r := results{}
	for _, row := range strings.Split(text, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) != 8 {
			continue
		}
		dir, name, ok := strings.Cut(strings.TrimSpace(cells[4]), " ")
		result := strings.TrimSpace(cells[5])
		if ok && strings.HasPrefix(name, "Test") && result != "not run" {
			r[test{dir, name}] = result
		}
	}
	return r
}
