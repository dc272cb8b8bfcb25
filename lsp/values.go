package lsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// timeFormat is LSPS0.datetime.
const timeFormat = "2006-01-02T15:04:05.000Z"

// Reasons for which a value is not what its type wants.
var (
	errAmount = errors.New("an amount is a string of decimal digits below 2^64")
	errNumber = errors.New("a number is digits only and below 2^32")
	errString = errors.New("not a string")
	errTime   = errors.New("a time is YYYY-MM-DDThh:mm:ss.uuuZ, from 1970 on")
	errSCID   = errors.New("a short channel id is BBBxTTTxOOO")
)

// parseAmount reads an amount. The LSPS write amounts as strings, because numbers in
// JSON lose digits above 2^53.
func parseAmount(raw json.RawMessage) (lnwire.MilliSatoshi, error) {
	s, err := parseString(raw)
	if err != nil {
		return 0, errAmount
	}
	n, err := parseDecimal(s, 64)
	if err != nil {
		return 0, errAmount
	}
	return lnwire.MilliSatoshi(n), nil
}

func formatAmount(a lnwire.MilliSatoshi) string { return strconv.FormatUint(uint64(a), 10) }

// parseDecimal reads digits, one way for each number.
func parseDecimal(s string, bits int) (uint64, error) {
	if len(s) > 1 && s[0] == '0' {
		return 0, errNumber
	}
	return strconv.ParseUint(s, 10, bits)
}

func parseUint32(raw json.RawMessage) (uint32, error) {
	n, err := parseDecimal(string(raw), 32)
	if err != nil {
		return 0, errNumber
	}
	return uint32(n), nil
}

func parseString(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errString
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errString
	}
	return s, nil
}

// parseTime reads a datetime to the millisecond. Clients that parse and write it anew
// change the number of fraction digits and write the offset as +00:00.
func parseTime(raw json.RawMessage) (time.Time, error) {
	s, err := parseString(raw)
	if err != nil {
		return time.Time{}, errTime
	}
	local, utc := strings.CutSuffix(s, "Z")
	if !utc {
		local, utc = strings.CutSuffix(s, "+00:00")
	}
	_, fraction, _ := strings.Cut(local, ".")
	if !utc || len(fraction) > 9 || strings.ContainsAny(local, ",Z+") {
		return time.Time{}, errTime
	}
	t, err := time.Parse("2006-01-02T15:04:05", local)
	if err != nil || t.Year() < 1970 {
		return time.Time{}, errTime
	}
	return t.Truncate(time.Millisecond), nil
}

func formatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// FormatSCID writes a short channel id as the LSPS do, 539268x845x1.
func FormatSCID(s lnwire.ShortChannelID) string {
	return fmt.Sprintf("%dx%dx%d", s.BlockHeight, s.TxIndex, s.TxPosition)
}

// ParseSCID reads what FormatSCID wrote.
func ParseSCID(s string) (lnwire.ShortChannelID, error) {
	parts := strings.Split(s, "x")
	if len(parts) != 3 {
		return lnwire.ShortChannelID{}, fmt.Errorf("lsp: %w", errSCID)
	}
	block, err1 := parseDecimal(parts[0], 24)
	tx, err2 := parseDecimal(parts[1], 24)
	out, err3 := parseDecimal(parts[2], 16)
	if err1 != nil || err2 != nil || err3 != nil {
		return lnwire.ShortChannelID{}, fmt.Errorf("lsp: %w", errSCID)
	}
	return lnwire.ShortChannelID{
		BlockHeight: uint32(block), TxIndex: uint32(tx), TxPosition: uint16(out),
	}, nil
}
