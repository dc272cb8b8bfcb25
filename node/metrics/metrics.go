// Package metrics holds what a node measures of itself, in Prometheus' form: names begin with inlet_,
// units are base units.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// holdBuckets are the upper bounds, in seconds, into which holds are counted: from a forward over a
// channel that is there to one that a payer would give up on.
var holdBuckets = []float64{
	0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 90, 120, 300,
}

// Metrics are the measurements of one node. All methods may be called from any goroutine and don't
// block.
type Metrics struct {
	registry *prometheus.Registry
	holds    *prometheus.HistogramVec
}

// New makes the measurements of a node, all at nothing.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		holds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inlet_htlc_hold_seconds",
			Help: "For how long HTLCs of JIT payments were held, and how that ended: forwarded, " +
				"gone (the payer's side took it back), or the BOLT 4 name of the failure.",
			Buckets: holdBuckets,
		}, []string{"ended"}),
	}
	m.registry.MustRegister(m.holds)
	return m
}

// HoldEnded counts an HTLC that is held no more. The words for how are few, so that the series are: an
// operator's Prometheus keeps each of them for weeks.
func (m *Metrics) HoldEnded(held time.Duration, how string) {
	m.holds.WithLabelValues(how).Observe(held.Seconds())
}

// Gatherer is for an embedder's own page.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Handler answers Prometheus' requests.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
