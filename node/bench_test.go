package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/store"
)

// BenchmarkJITPayment measures the time from the first part at the LSP to the
// settle, per stage (median and worst), and what the LSP writes for it. The ratio is
// against ordinary payments of the same size over the channels that are there then,
// in the same run on the same machine.
//
//	go test -run '^$' -bench JITPayment -benchtime 20x ./node
func BenchmarkJITPayment(b *testing.B) {
	const size = lnwire.MilliSatoshi(100_000_000)
	m := newMarket(b, marketPlan{coins: b.N + 2})
	var clients []*member
	stages := map[orders.Stage][]float64{}
	var wrote store.Stats
	for i := range b.N {
		c := m.node(fmt.Sprint("client ", i), nil)
		inv := m.buy(c, size)
		clients = append(clients, c)
		before := m.seller.Stats()
		b.StartTimer()
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		b.StopTimer()
		m.paidOver(inv)
		after := m.seller.Stats()
		wrote.Writes += after.Writes - before.Writes
		wrote.Commits += after.Commits - before.Commits
		var first time.Time
		for _, moment := range m.order(inv).Timeline {
			if moment.Stage == orders.StageFirstPart {
				first = moment.At
			}
			if !first.IsZero() {
				ms := float64(moment.At.Sub(first).Microseconds()) / 1000
				stages[moment.Stage] = append(stages[moment.Stage], ms)
			}
		}
	}
	b.StopTimer()
	for _, s := range []orders.Stage{
		orders.StageOpenSent, orders.StageAccepted, orders.StageFundingCreated,
		orders.StageFundingSigned, orders.StageChannelReady, orders.StageForwarded,
		orders.StageClaimed, orders.StageSettled,
	} {
		slices.Sort(stages[s])
		b.ReportMetric(stages[s][len(stages[s])/2], "median-ms-"+string(s))
		b.ReportMetric(stages[s][len(stages[s])-1], "worst-ms-"+string(s))
	}
	b.ReportMetric(float64(wrote.Writes)/float64(b.N), "writes/sale")
	b.ReportMetric(float64(wrote.Commits)/float64(b.N), "commits/sale")
	settled := stages[orders.StageSettled][b.N/2]
	m.benchForwards(b, clients, settled)
}

// benchForwards pays each client once more, over the channel that it has now.
func (m *market) benchForwards(b *testing.B, clients []*member, sale float64) {
	var took []float64
	before := m.seller.Stats()
	for _, c := range clients {
		began := time.Now()
		m.send(m.payer, c, 1_000_000)
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	after := m.seller.Stats()
	slices.Sort(took)
	n := float64(len(clients))
	b.ReportMetric(took[len(took)/2], "median-ms-forward")
	b.ReportMetric(sale/took[len(took)/2], "sale/forward")
	b.ReportMetric(float64(after.Writes-before.Writes)/n, "writes/forward")
	b.ReportMetric(float64(after.Commits-before.Commits)/n, "commits/forward")
}
