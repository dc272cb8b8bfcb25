package logs

import (
	"encoding"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// minValue is the least room that a text is worth: quotes and some letters.
	minValue = 12
	// scalarCost is more than a number, a time or a duration takes.
	scalarCost = 37
	// maxSource is how much of a foreign text is looked at.
	maxSource = 4 * MaxValue
	// ellipsis ends what was cut off.
	ellipsis = "..."
)

// textOf is a value as text; false for values that handlers write themselves and that
// nobody can lengthen.
func textOf(v slog.Value) (string, bool) {
	switch v.Kind() {
	case slog.KindString:
		return v.String(), true
	case slog.KindAny:
		return textOfAny(v.Any()), true
	}
	return "", false
}

// textOfAny asks a value for its text. A bug there must not end the node.
func textOfAny(v any) (text string) {
	defer func() {
		if bug := recover(); bug != nil {
			text = fmt.Sprintf("no text, %T: %v", v, bug)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	case encoding.TextMarshaler:
		raw, err := v.MarshalText()
		if err != nil {
			return err.Error()
		}
		return string(raw)
	case []byte:
		return hex.EncodeToString(v[:min(len(v), MaxValue)])
	case [33]byte:
		return hex.EncodeToString(v[:])
	}
	return fmt.Sprint(v)
}

// clean leaves what is printable, and at most that many bytes of it. What is not
// becomes a dot: control characters, ANSI's escape among them, what turns the reading
// order, separators of lines and paragraphs, and bytes that are no UTF-8.
func clean(s string, limit int) string {
	long := len(s) > maxSource
	if long {
		s = s[:maxSource]
	}
	if !long && len(s) <= limit && plain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			r = '.'
		}
		s = s[size:]
		if b.Len()+utf8.RuneLen(r) > limit {
			long = true
			break
		}
		b.WriteRune(r)
	}
	if !long {
		return b.String()
	}
	return head(b.String(), limit-len(ellipsis)) + ellipsis
}

// plain says that a text is printable ASCII, as most are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// head is the longest beginning of at most that many bytes that cuts no character.
func head(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// cost is the most that a cleaned text takes in a line: in quotes, and with a backslash
// before each quote and backslash.
func cost(s string) int {
	return len(s) + len(`""`) + strings.Count(s, `"`) + strings.Count(s, `\`)
}

// cut shortens a cleaned text until it costs no more than room.
func cut(s string, room int) string {
	used := len(`""`) + len(ellipsis)
	for i, r := range s {
		used += utf8.RuneLen(r)
		if r == '"' || r == '\\' {
			used++
		}
		if used > room {
			return s[:i] + ellipsis
		}
	}
	return s
}
