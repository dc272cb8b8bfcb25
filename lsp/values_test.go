package lsp

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// LSPS0-28: amounts.
func TestAmounts(t *testing.T) {
	checklist.Shows(t, "LSPS0-28", "parseAmount takes a number")
	for text, want := range map[string]uint64{
		`"0"`: 0, `"1"`: 1, `"18446744073709551615"`: 1<<64 - 1,
	} {
		a, err := parseAmount(json.RawMessage(text))
		if err != nil || uint64(a) != want {
			t.Errorf("%s is %d, %v", text, a, err)
		}
		if `"`+formatAmount(a)+`"` != text {
			t.Errorf("%s is written as %s", text, formatAmount(a))
		}
	}
	for _, text := range []string{
		`"18446744073709551616"`, `"-1"`, `"+1"`, `"1.0"`, `"1e3"`, `""`, `"0x1"`, `"0042"`, `" 1"`,
		`"1 "`, `"1_000"`, `1`, `null`, `true`, `{}`, `[]`, ``, `"١"`,
	} {
		if a, err := parseAmount(json.RawMessage(text)); err == nil {
			t.Errorf("%s is taken for %d", text, a)
		}
	}
	for _, text := range []string{`4294967296`, `-1`, `1.0`, `1e3`, `"1"`, `null`, ``, `01`} {
		if n, err := parseUint32(json.RawMessage(text)); err == nil {
			t.Errorf("%s is taken for %d", text, n)
		}
	}
	if n, err := parseUint32(json.RawMessage("4294967295")); err != nil || n != 1<<32-1 {
		t.Errorf("%d, %v", n, err)
	}
}

// LSPS0-25: times.
func TestTimes(t *testing.T) {
	checklist.Shows(t, "LSPS0-25", "times are written without a fraction")
	want := time.Date(2023, 5, 20, 8, 30, 45, 0, time.UTC)
	for text, ms := range map[string]int{
		"2023-05-20T08:30:45Z": 0, "2023-05-20T08:30:45.000Z": 0, "2023-05-20T08:30:45+00:00": 0,
		"2023-05-20T08:30:45.5Z": 500, "2023-05-20T08:30:45.511+00:00": 511,
		"2023-05-20T08:30:45.511000Z": 511, "2023-05-20T08:30:45.511999999Z": 511,
	} {
		got, err := parseTime(json.RawMessage(`"` + text + `"`))
		if err != nil || !got.Equal(want.Add(time.Duration(ms)*time.Millisecond)) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
		if got.Location() != time.UTC {
			t.Errorf("%s is read in %v", text, got.Location())
		}
	}
	if got := formatTime(want.In(time.FixedZone("", 3600))); got != "2023-05-20T08:30:45.000Z" {
		t.Errorf("written as %s", got)
	}
	for _, text := range []string{
		"1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2023-05-20T08:30:60Z", "2023-05-20T08:30:45",
		"2023-05-20T08:30:45z", "2023-05-20t08:30:45Z", "2023-05-20T08:30:45+01:00",
		"2023-05-20T08:30:45-00:00", "2023-05-20T08:30:45.1234567890Z", "2023-05-20T08:30:45.Z",
		"2023-05-20T08:30:45,5Z", "2023-05-20 08:30:45Z", "2023-02-30T08:30:45Z", "", "Z",
		"2023-05-20T08:30:45ZZ", "2023-05-20T08:30:45Z+00:00",
	} {
		if got, err := parseTime(json.RawMessage(`"` + text + `"`)); err == nil {
			t.Errorf("%s is taken for %v", text, got)
		}
	}
	if _, err := parseTime(json.RawMessage(`5`)); err == nil {
		t.Error("a number is taken for a time")
	}
}

// LSPS0-26: short channel ids.
func TestSCIDs(t *testing.T) {
	checklist.Shows(t, "LSPS0-26", "a block may have 32 bits")
	raw, _ := hex.DecodeString("083a8400034d0001")
	id := lnwire.NewShortChanIDFromInt(binary.BigEndian.Uint64(raw))
	if s := FormatSCID(id); s != "539268x845x1" {
		t.Errorf("written as %s", s)
	}
	for _, s := range []string{"539268x845x1", "0x0x0", "16777215x16777215x65535"} {
		id, err := ParseSCID(s)
		if err != nil || FormatSCID(id) != s {
			t.Errorf("%s is %v, %v", s, id, err)
		}
	}
	for _, s := range []string{
		"", "1x2", "1x2x3x4", "1X2X3", "-1x2x3", "16777216x0x0", "0x16777216x0", "0x0x65536", "1xx3",
		"1:2:3", " 1x2x3", "1x2x3 ", "01x2x3", "0x1", "axbxc",
	} {
		if id, err := ParseSCID(s); err == nil {
			t.Errorf("%q is taken for %v", s, id)
		}
	}
}

// LSPS2-92: the bytes of extra_fee on the wire.
func TestExtraFee(t *testing.T) {
	checklist.Shows(t, "LSPS2-92", "AppendExtraFee writes a tu64")
	value := AppendExtraFee(nil, 20_000)
	record := binary.BigEndian.AppendUint32([]byte{0xfe}, ExtraFeeType) // a BigSize
	record = append(append(record, byte(len(value))), value...)
	if got := hex.EncodeToString(record); got != "fe00010001080000000000004e20" {
		t.Errorf("the record is %s", got)
	}
	if fee, err := ParseExtraFee(value); err != nil || fee != 20_000 {
		t.Errorf("reads back as %d, %v", fee, err)
	}
	if fee, err := ParseExtraFee(AppendExtraFee(nil, 1<<64-1)); err != nil || fee != 1<<64-1 {
		t.Errorf("the largest reads back as %d, %v", fee, err)
	}
	for _, bad := range [][]byte{nil, {0x4e, 0x20}, value[:7], append(value, 0), make([]byte, 8)} {
		if fee, err := ParseExtraFee(bad); err == nil {
			t.Errorf("%x is taken for %d", bad, fee)
		}
	}
}
