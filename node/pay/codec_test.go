package pay

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One record of each state, byte for byte: a change of the format must come with a new version.
func TestCodecGolden(t *testing.T) {
	var lines []string
	for n, tr := range states(t) {
		tr.index = uint64(n + 1)
		for k := range tr.attempts {
			tr.attempts[k].id = uint64(100 + k)
			tr.attempts[k].key = [32]byte{byte(k + 1)}
		}
		raw, err := tr.encode()
		require.NoError(t, err)
		lines = append(lines, string(raw))
	}
	golden(t, "payment.golden", strings.Join(lines, "\n")+"\n")

	raw, err := os.ReadFile("testdata/payment.golden")
	require.NoError(t, err)
	for n, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		tr, err := decodeTransfer(uint64(n+1), []byte(line))
		require.NoError(t, err)
		again, err := tr.encode()
		require.NoError(t, err)
		require.Equal(t, line, string(again))
		require.Equal(t, testBill(0).hash, tr.bill.hash)
		require.Equal(t, testNow, tr.created)
		require.Equal(t, testNow.Add(time.Minute), tr.deadline)
	}
}

func TestCodecRefuses(t *testing.T) {
	tr := states(t)[3]
	raw, err := tr.encode()
	require.NoError(t, err)
	for _, c := range []struct {
		field string
		value any
		want  string
	}{
		{"v", 2, "newer program"},
		{"payment_hash", "00", "damaged"},
		{"destination", "0g", "invalid byte"},
		{"state", "lost", "damaged"},
		{"preimage", "", "damaged"},
		{"amount_msat", -1, "cannot unmarshal"},
		{"attempts", []any{map[string]any{"id": 1, "session_key": "00"}}, "damaged"},
	} {
		var m map[string]any
		require.NoError(t, json.Unmarshal(raw, &m))
		m[c.field] = c.value
		bad, err := json.Marshal(m)
		require.NoError(t, err)
		_, err = decodeTransfer(1, bad)
		require.ErrorContains(t, err, c.want, c.field)
	}
}
