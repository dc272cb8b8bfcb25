package api_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
)

func TestAmountsAreDecimalStrings(t *testing.T) {
	type amounts struct {
		A api.Msat  `json:"a_msat"`
		B api.Sat   `json:"b_sat"`
		C *api.Msat `json:"c_msat"`
	}
	text, err := json.Marshal(amounts{A: math.MaxUint64, B: math.MaxInt64})
	require.NoError(t, err)
	want := `{"a_msat":"18446744073709551615","b_sat":"9223372036854775807","c_msat":null}`
	if string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}

	var read amounts
	require.NoError(t, json.Unmarshal(text, &read))
	if read.A != math.MaxUint64 || read.B != math.MaxInt64 || read.C != nil {
		t.Errorf("the amounts changed on their way: %+v", read)
	}
	require.NoError(t, json.Unmarshal([]byte(`{"a_msat":7,"b_sat":8,"c_msat":"9"}`), &read))
	if read.A != 7 || read.B != 8 || *read.C != 9 {
		t.Errorf("numbers and strings are both read, got %+v", read)
	}
}

func TestAmountRefusesWhatIsNoAmount(t *testing.T) {
	for _, text := range []string{
		`"-1"`, `-1`, `1.5`, `"1.5"`, `1e3`, `""`, `" 1"`, `"+1"`, `"0x10"`, `true`, `[]`, `{}`,
		`"18446744073709551616"`, `"1_000"`, `"\u0031"`,
	} {
		var m api.Msat
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s was read as %d msat", text, m)
		}
		var s api.Sat
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was read as %d sat", text, s)
		}
	}
	var s api.Sat
	if err := json.Unmarshal([]byte(`"9223372036854775808"`), &s); err == nil {
		t.Errorf("an amount beyond int64 was read as %d sat", s)
	}
}

func TestTimeIsUTCWithMilliseconds(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	text, err := json.Marshal(api.At(time.Date(2026, 1, 2, 4, 4, 5, 678_900_000, zone)))
	require.NoError(t, err)
	if want := `"2026-01-02T03:04:05.678Z"`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	text, err = json.Marshal(api.Time{})
	require.NoError(t, err)
	if string(text) != "null" {
		t.Errorf("the zero time is null, got %s", text)
	}

	moment := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.000Z"`, `"2026-01-02T04:04:05+01:00"`,
		`1767323045`,
	} {
		var at api.Time
		require.NoError(t, json.Unmarshal([]byte(text), &at))
		if !at.Equal(moment) || at.Location() != time.UTC {
			t.Errorf("%s was read as %s", text, at)
		}
	}
	for _, text := range []string{`"yesterday"`, `1.5`, `"2026-01-02"`, `{}`} {
		var at api.Time
		if err := json.Unmarshal([]byte(text), &at); err == nil {
			t.Errorf("%s was read as %s", text, at)
		}
	}
}
