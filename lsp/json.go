package lsp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// maxMessage is what BOLT 8 leaves for the payload of one message.
	maxMessage = 65533

	// maxDepth bounds the nesting of a message. Ours nest 4 deep.
	maxDepth = 16

	// maxValues bounds the values of a message, and maxNames those of one object: a menu
	// of 200 items has 1800, and no object of ours more than 8 names. maxName bounds a
	// name: unknown ones are echoed.
	maxValues, maxNames, maxName = 2000, 64, 256
)

// object is a JSON object by exact member names: unlike a struct, it does not take
// MIN_FEE_MSAT for min_fee_msat.
type object map[string]json.RawMessage

var errFormat = errors.New("lsp: not one JSON object in UTF-8")

// parseObject reads a message payload.
//
// bLIP-50: a payload is a single complete JSON object, without 0x00 bytes, in UTF-8.
func parseObject(raw []byte) (object, error) {
	if len(raw) > maxMessage || bytes.IndexByte(raw, 0) >= 0 || !utf8.Valid(raw) {
		return nil, errFormat
	}
	if err := checkJSON(raw); err != nil {
		return nil, err
	}
	return members(raw)
}

// members reads a JSON object that checkJSON has seen.
func members(raw json.RawMessage) (object, error) {
	if !isObject(raw) {
		return nil, errFormat
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	return o, nil
}

func isObject(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{'
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// checkJSON looks at a message before anything is made of it. It wants one object, and
// refuses what two readers could read in two ways (a name that comes twice) and what
// would cost many times its size (depth, thousands of values). It keeps next to nothing:
// package json's own tokens would cost up to 70 times the message.
func checkJSON(raw []byte) error {
	if !isObject(raw) {
		return errFormat
	}
	if err := checkSize(raw); err != nil {
		return err
	}
	if !json.Valid(raw) {
		return errFormat
	}
	return checkNames(raw)
}

// checkSize bounds depth and number of values. The text need not be JSON.
func checkSize(raw []byte) error {
	depth, values := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i)
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxDepth {
			return fmt.Errorf("%w: nested too deep", errFormat)
		}
		if values > maxValues {
			return fmt.Errorf("%w: too many values", errFormat)
		}
	}
	return nil
}

// stringEnd is where the string ends that begins at i: at its second quote.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}

// level is one object or array that checkNames is in.
type level struct {
	isObject bool
	wantName bool // the next string is a name
	names    []string
}

// checkNames refuses an object that has a name twice. The text is JSON.
func checkNames(raw []byte) error {
	var levels []level
	for i := 0; i < len(raw); i++ {
		var in *level
		if len(levels) > 0 {
			in = &levels[len(levels)-1]
		}
		switch raw[i] {
		case '{', '[':
			levels = append(levels, level{isObject: raw[i] == '{', wantName: raw[i] == '{'})
		case '}', ']':
			levels = levels[:len(levels)-1]
		case ',':
			in.wantName = in.isObject
		case '"':
			end := stringEnd(raw, i)
			if in.wantName {
				if err := in.add(raw[i : end+1]); err != nil {
					return err
				}
			}
			i = end
		}
	}
	return nil
}

// add notes a name of an object.
func (l *level) add(quoted []byte) error {
	name, err := parseString(quoted)
	if err != nil {
		return fmt.Errorf("%w: %w", errFormat, err)
	}
	switch {
	case slices.Contains(l.names, name):
		return fmt.Errorf("%w: a name comes twice", errFormat)
	case len(l.names) == maxNames || len(name) > maxName:
		return fmt.Errorf("%w: too many names, or one that is too long", errFormat)
	}
	l.names, l.wantName = append(l.names, name), false
	return nil
}

// appendJSON appends a value as the LSPS want it: what can stand directly does.
func appendJSON(b []byte, v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...), nil
}

// appendString appends a JSON string in which only what must be is escaped; package
// json would escape U+2028 too.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
