package node_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/pay"
)

// floodPlan is how large a flood is.
type floodPlan struct {
	ids       int
	lasts     time.Duration
	calm      time.Duration // how long a stranger that was thrown out waits
	pace      time.Duration // how long one waits between two messages
	rest      time.Duration // between two honest payments: each leaves a channel in memory
	newcomers int           // clients that come for the first time during the flood
}

// maxFloodRSS is how much the memory of the LSP may grow, in kB.
const maxFloodRSS = 64 << 10

// maxFloodLog is how much a minute may add to the log.
const maxFloodLog = 1_000_000

// maxLogLine is the longest line, with its end.
const maxLogLine = 512

// TestFlood: while strangers do all that strangers can, payments of honest clients open
// their channels and settle, the LSP's memory and log stay bounded, and clients that
// come for the first time are served. INLET_FLOOD=full has a thousand node ids for three
// minutes (make flood).
func TestFlood(t *testing.T) {
	plan := floodPlan{ids: 270, lasts: 10 * time.Second, newcomers: 2,
		calm: time.Second, pace: 20 * time.Millisecond}
	if os.Getenv("INLET_FLOOD") == "full" {
		plan = floodPlan{ids: 1000, lasts: 3 * time.Minute, newcomers: 10,
			calm: 5 * time.Second, pace: 50 * time.Millisecond, rest: 2 * time.Second}
	}
	w := newFloodWorld(t, plan)
	before := w.payFor(0, 6)
	calm := w.lsp.status("VmRSS")

	ctx, end := context.WithCancel(t.Context())
	defer end()
	watch := w.lsp.watch(ctx)
	worked := w.lsp.cpu()
	stop := startStrangers(t, strangersPlan{
		LSP: w.lsp.id, Addr: w.lsp.addr, IDs: plan.ids, Calm: plan.calm, Pace: plan.pace,
	})
	during := w.payFor(plan.lasts, 6)
	t.Logf("%s", stop())
	worked = w.lsp.cpu() - worked
	end()
	seen := <-watch
	after := w.payFor(0, 6)
	t.Logf("honest JIT payments: before %v; during %v; after %v", before, during, after)
	t.Logf("to buy took %v, after %v tries", w.buys, w.tries)
	t.Logf("the LSP used %v of processor time in the flood", worked.Round(time.Second))
	t.Logf("RSS %d kB before, %d kB at most, %d kB after; log %d bytes in the worst minute, %d in all",
		calm, seen.maxRSS, w.lsp.status("VmRSS"), seen.worstLog, w.lsp.logBytes())
	if grown := seen.maxRSS - calm; grown > maxFloodRSS {
		t.Errorf("memory grew by %d kB", grown)
	}
	if seen.worstLog > maxFloodLog {
		t.Errorf("the log grew by %d bytes in a minute", seen.worstLog)
	}
	for _, l := range w.lsp.lines() {
		if len(l)+1 > maxLogLine || !utf8.ValidString(l) || strings.ContainsAny(l, "\x1b\u202e\u2028") {
			t.Errorf("a line of %d bytes: %s", len(l)+1, l)
		}
	}
}

// floodWorld is an LSP in a process of its own, a payer, and clients.
type floodWorld struct {
	*nodetest.Net
	t       testing.TB
	lsp     *lspProcess
	payer   *nodetest.Node
	clients []*nodetest.Node
	waiting []*nodetest.Node // newcomers that did not come yet
	plan    floodPlan
	tries   []int // that each purchase needed
	buys    times // how long each took
}

func newFloodWorld(t testing.TB, plan floodPlan) *floodWorld {
	t.Helper()
	w := &floodWorld{Net: nodetest.New(t), t: t, plan: plan}
	w.lsp = startLSP(t, w.Net)
	w.payer = w.Node("payer", nil)
	w.lsp.fund(w.Net, 500_000, 100)
	w.payer.Fund(16_000_000, 1)
	for i := range 2 {
		w.clients = append(w.clients, w.Node(fmt.Sprint("client ", i), nil))
	}
	for i := range plan.newcomers {
		w.waiting = append(w.waiting, w.Node(fmt.Sprint("newcomer ", i), nil))
	}
	ctx, cancel := w.Context()
	defer cancel()
	_, err := w.payer.OpenChannel(ctx, node.OpenRequest{
		Peer: w.lsp.key(), Addr: w.lsp.addr, Capacity: btcutil.Amount(15_000_000), Private: true,
	})
	must(t, err)
	w.Mine(6)
	for ev, err := range w.payer.Events(ctx) {
		must(t, err)
		if ev.Kind == node.ChannelOpened {
			break
		}
	}
	return w
}

// times are how long payments took, in order of size.
type times []time.Duration

func (d times) String() string {
	slices.Sort(d)
	return fmt.Sprintf("%d, median %v, worst %v", len(d), d[len(d)/2].Round(time.Millisecond),
		d[len(d)-1].Round(time.Millisecond))
}

// payFor has clients in turn be paid over new channels: for that time, and at least so often.
// Newcomers come among them while it is a flood.
func (w *floodWorld) payFor(lasts time.Duration, least int) (took times) {
	w.t.Helper()
	begin := time.Now()
	every := lasts / time.Duration(len(w.waiting)+1)
	for i := 0; i < least || time.Since(begin) < lasts; i++ {
		client := w.clients[i%len(w.clients)]
		if lasts > 0 && len(w.waiting) > 0 && time.Since(begin) > lasts-every*time.Duration(len(w.waiting)) {
			client, w.waiting = w.waiting[0], w.waiting[1:]
			w.clients = append(w.clients, client)
		}
		took = append(took, w.sell(client))
		if lasts > 0 {
			w.pause(w.t.Context(), w.plan.rest)
		}
		if i%8 == 7 {
			w.Mine(1)
		}
	}
	return took
}

// sell has a client buy a channel, and returns how long its payment took.
func (w *floodWorld) sell(client *nodetest.Node) time.Duration {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	begin := time.Now()
	var inv node.JITInvoice
	var err error
	tries := 1
	for ; ; tries++ {
		inv, err = client.JITInvoice(ctx, node.JITInvoiceRequest{
			LSP: w.lsp.key(), Addr: w.lsp.addr, Amount: 50_000_000, Description: "channel",
		})
		if err == nil {
			break
		}
		// It is told at once that there is no place; people try again after a while.
		if !w.pause(ctx, 200*time.Millisecond) {
			w.t.Fatalf("the client can't buy in %d tries: %v", tries, err)
		}
	}
	w.tries, w.buys = append(w.tries, tries), append(w.buys, time.Since(begin))
	begin = time.Now()
	p, err := w.payer.Pay(ctx, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	must(w.t, err)
	if p.Status != pay.Succeeded {
		w.t.Errorf("an honest payment failed: %+v", p.Failure)
	}
	return time.Since(begin)
}

// pause waits; false when ctx ended first.
func (w *floodWorld) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
