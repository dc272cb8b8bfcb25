package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/inletlsp/inlet/node/api"
)

// table is text in columns. Cells may come from peers, so they are cleaned.
type table struct {
	header []string
	right  []bool // columns that are aligned to the right: numbers
	rows   [][]string
}

// newTable makes a table; a column whose name ends in ">" is aligned to the right.
func newTable(columns ...string) *table {
	t := &table{}
	for _, c := range columns {
		name, right := strings.CutSuffix(c, ">")
		t.header, t.right = append(t.header, name), append(t.right, right)
	}
	return t
}

func (t *table) add(cells ...string) {
	for i := range cells {
		if cells[i] = clean(cells[i]); cells[i] == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// String is the table with its header.
func (t *table) String() string {
	return t.draw(append([][]string{t.header}, t.rows...))
}

// body is the table without its header.
func (t *table) body() string { return t.draw(t.rows) }

func (t *table) draw(lines [][]string) string {
	widths := make([]int, len(t.header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		var row strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				row.WriteString(pad + cell + "  ")
			} else {
				row.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String()
}

// sheet is a list of names and values.
type sheet struct{ rows [][2]string }

func (s *sheet) add(name, value string) {
	if value = clean(value); value == "" {
		value = "-"
	}
	s.rows = append(s.rows, [2]string{name, value})
}

func (s *sheet) String() string {
	width := 0
	for _, row := range s.rows {
		width = max(width, len(row[0]))
	}
	var b strings.Builder
	for _, row := range s.rows {
		fmt.Fprintf(&b, "%-*s  %s\n", width, row[0], row[1])
	}
	return b.String()
}

// clean replaces what could move the cursor or reverse the text of a terminal: aliases, memos and
// failure reasons are written by strangers.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// cleanLines is clean for text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// sat writes an amount like "1,234,567 sat".
func sat(amount api.Sat) string {
	if amount < 0 {
		return "-" + grouped(strconv.FormatUint(-uint64(amount), 10)) + " sat"
	}
	return grouped(strconv.FormatInt(int64(amount), 10)) + " sat"
}

// msat writes an amount in satoshi with what is left as decimals, like "1,234.567 sat".
func msat(amount api.Msat) string {
	text := grouped(strconv.FormatUint(uint64(amount/1000), 10))
	if rest := amount % 1000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	return text + " sat"
}

// someMsat is msat for an amount that may be unknown.
func someMsat(amount *api.Msat, unknown string) string {
	if amount == nil {
		return unknown
	}
	return msat(*amount)
}

// grouped puts a comma before every third digit from the right.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// clock writes a time to the second, in UTC.
func clock(t api.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime) + "Z"
}

// short abbreviates a public key or a hash; the JSON has it in full.
func short(hex string) string {
	if len(hex) <= 16 {
		return hex
	}
	return hex[:16] + "…"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// show prints an answer: as JSON if that was asked for, else as text makes it.
func show[T any](a *app, answer T, text func(T) string) error {
	if !a.options.json {
		_, err := fmt.Fprint(a.stdout, text(answer))
		return err
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answer)
}
