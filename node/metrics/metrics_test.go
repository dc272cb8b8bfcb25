package metrics_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/metrics"
)

func TestHolds(t *testing.T) {
	m := metrics.New()
	m.HoldEnded(20*time.Millisecond, "forwarded")
	m.HoldEnded(90*time.Second, "temporary_channel_failure")
	m.HoldEnded(time.Hour, "gone") // beyond the last bucket
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	for _, line := range []string{
		"# TYPE inlet_htlc_hold_seconds histogram",
		`inlet_htlc_hold_seconds_bucket{ended="forwarded",le="0.01"} 0`,
		`inlet_htlc_hold_seconds_bucket{ended="forwarded",le="0.025"} 1`,
		`inlet_htlc_hold_seconds_bucket{ended="temporary_channel_failure",le="60"} 0`,
		`inlet_htlc_hold_seconds_bucket{ended="temporary_channel_failure",le="90"} 1`,
		`inlet_htlc_hold_seconds_bucket{ended="gone",le="300"} 0`,
		`inlet_htlc_hold_seconds_sum{ended="gone"} 3600`,
	} {
		require.Contains(t, w.Body.String(), line+"\n")
	}
}
