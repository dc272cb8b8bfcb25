package api

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Msat is an amount in millisatoshi. In JSON it is a decimal string, because a JSON number
// loses digits above 2^53 in many languages; a number is read as well. Convert with
// api.Msat(x) and lnwire.MilliSatoshi(m).
type Msat uint64

// Sat is an amount in satoshi, in JSON as Msat is. It is never negative on the wire. Convert
// with api.Sat(x) and btcutil.Amount(s).
type Sat int64

// Time is a point in time. In JSON it is RFC 3339 in UTC with milliseconds, the form that bLIP-50
// uses; null stands for the zero time (unknown, or not yet).
type Time struct{ time.Time }

// SomeMsat returns a pointer to a, for the optional amounts of requests and responses.
func SomeMsat(a Msat) *Msat { return &a }

// At wraps t.
func At(t time.Time) Time { return Time{t} }

// MarshalJSON writes the amount as a decimal string.
func (m Msat) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatUint(uint64(m), 10)), nil
}

// UnmarshalJSON reads a decimal string or a whole number.
func (m *Msat) UnmarshalJSON(raw []byte) error {
	if isNull(raw) {
		return nil
	}
	v, err := parseAmount(raw, math.MaxUint64)
	if err != nil {
		return err
	}
	*m = Msat(v)
	return nil
}

// MarshalJSON writes the amount as a decimal string.
func (s Sat) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(s), 10)), nil
}

// UnmarshalJSON reads a decimal string or a whole number; it refuses a negative one.
func (s *Sat) UnmarshalJSON(raw []byte) error {
	if isNull(raw) {
		return nil
	}
	v, err := parseAmount(raw, math.MaxInt64)
	if err != nil {
		return err
	}
	*s = Sat(v)
	return nil
}

// timeLayout is the form of LSPS0.datetime: always UTC, always milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes RFC 3339 in UTC with milliseconds, or null for the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.String()), nil
}

// String is the same text as in JSON, and empty for the zero time.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}

// UnmarshalJSON reads an RFC 3339 string, or whole Unix seconds as a number.
func (t *Time) UnmarshalJSON(raw []byte) error {
	if isNull(raw) {
		return nil
	}
	if text, ok := unquote(raw); ok {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fmt.Errorf("%q is not a time: write it like 2026-01-31T23:59:59Z", text)
		}
		t.Time = at.UTC()
		return nil
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a time: give RFC 3339 text or Unix seconds", raw)
	}
	t.Time = time.Unix(seconds, 0).UTC()
	return nil
}

// parseAmount accepts digits only, so that a sign, a fraction or an exponent can't change the
// meaning of an amount of money.
func parseAmount(raw []byte, limit uint64) (uint64, error) {
	text, quoted := unquote(raw)
	if !quoted {
		text = string(raw)
	}
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not an amount: give whole units, digits only", raw)
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v > limit {
		return 0, fmt.Errorf("%s is more than %d", text, limit)
	}
	return v, nil
}

// unquote returns the text of a plain JSON string. One with escapes is never an amount or a time,
// so it needs no decoding to be refused.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	return string(raw[1 : len(raw)-1]), true
}

func isNull(raw []byte) bool { return bytes.Equal(raw, []byte("null")) }
