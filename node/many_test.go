package node_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// TestManySales: 20 sales one after the other, then 10 at once, and again. When the
// clients and their channels are gone, the LSP keeps neither goroutines nor memory.
func TestManySales(t *testing.T) {
	m := newMarket(t, marketPlan{coins: 25})
	const size = lnwire.MilliSatoshi(50_000_000)
	m.round("warm up", 1, size, false)
	idle, heap := runtime.NumGoroutine(), []uint64{liveHeap()}
	for i, r := range []struct {
		clients int
		atOnce  bool
	}{{20, false}, {10, true}, {10, true}, {10, true}} {
		m.round(fmt.Sprint("round ", i), r.clients, size, r.atOnce)
		m.soon(waitLink, func(context.Context) bool {
			return runtime.NumGoroutine() <= idle+10
		})
		heap = append(heap, liveHeap())
		t.Logf("round %d: %d goroutines (%d before), heap %d kB", i,
			runtime.NumGoroutine(), idle, heap[len(heap)-1]/1024)
	}
	// What stays of a sale are its order, kept on purpose, and the coins that the
	// closes paid out: some kilobytes.
	const sale = 40 << 10
	for i := 3; i < len(heap); i++ {
		if grown := int64(heap[i]) - int64(heap[i-1]); grown > 10*sale {
			t.Errorf("ten sales left %d bytes", grown)
		}
	}
}

// round sells to new clients, closes their channels and stops them.
func (m *market) round(name string, count int, size lnwire.MilliSatoshi, atOnce bool) {
	m.t.Helper()
	var clients []*member
	var bought []node.JITInvoice
	var waiting []<-chan paid
	for i := range count {
		c := m.node(fmt.Sprintf("%s client %d", name, i), nil)
		inv := m.buy(c, size)
		clients, bought = append(clients, c), append(bought, inv)
		if !atOnce {
			m.pay(m.payer, inv.Invoice.Bolt11, 0)
		}
	}
	if atOnce {
		for _, inv := range bought {
			r := pay.PayRequest{Invoice: inv.Invoice.Bolt11}
			waiting = append(waiting, m.paying(m.payer, r))
		}
	}
	for _, out := range waiting {
		got := <-out
		must(m.t, got.err)
		if got.payment.Status != pay.Succeeded {
			m.t.Fatalf("payment: %+v", got.payment.Failure)
		}
	}
	for i, c := range clients {
		m.wantReceived(c, bought[i], size)
		m.wantBalance(c, size-bought[i].OpeningFee)
	}
	m.Mine(6)
	ctx, cancel := m.Context()
	defer cancel()
	for i, c := range clients {
		point := m.order(bought[i]).Point
		m.event(c, node.ChannelConfirmed, point.String())
		_, err := c.CloseChannel(ctx, *point, 0)
		must(m.t, err)
	}
	m.Mine(6)
	for _, c := range clients {
		m.gone(c)
		c.Stop()
		c.Node.Node = nil // the test keeps the member; its caches are not the LSP's
	}
}

// liveHeap is what lives after two collections: finalizers run after the first.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
