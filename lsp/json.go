package lsp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// maxMessage is what BOLT 8 leaves for the payload of one message.
	maxMessage = 65533

	// maxDepth bounds the nesting of a message. Ours nest 4 deep.
	maxDepth = 16
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

// level is one object or array that checkJSON is in.
type level struct {
	names    map[string]bool // nil in an array
	wantName bool            // the next string is a name
}

// checkJSON walks over one object. It refuses what two readers could read in two
// ways (a name that comes twice), what could cost memory (depth), and what follows.
func checkJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var levels []level
	for first := true; first || len(levels) > 0; first = false {
		token, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", errFormat, err)
		}
		if first && token != json.Delim('{') {
			return errFormat
		}
		if levels, err = step(levels, token); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != io.EOF {
		return errFormat
	}
	return nil
}

func step(levels []level, token json.Token) ([]level, error) {
	if name, ok := token.(string); ok && len(levels) > 0 && levels[len(levels)-1].wantName {
		in := &levels[len(levels)-1]
		if in.names[name] {
			return nil, fmt.Errorf("%w: a name comes twice", errFormat)
		}
		in.names[name], in.wantName = true, false
		return levels, nil
	}
	switch token {
	case json.Delim('{'), json.Delim('['):
		if len(levels) == maxDepth {
			return nil, fmt.Errorf("%w: nested too deep", errFormat)
		}
		in := level{}
		if token == json.Delim('{') {
			in = level{map[string]bool{}, true}
		}
		return append(levels, in), nil

	case json.Delim('}'), json.Delim(']'):
		levels = levels[:len(levels)-1]
	}
	if n := len(levels); n > 0 {
		levels[n-1].wantName = levels[n-1].names != nil // a value has ended
	}
	return levels, nil
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
