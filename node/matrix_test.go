package node_test

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// cell is one fault at one stage of a JIT payment.
type cell struct {
	// na is why there is nothing to run.
	na string
	// differs is where we do other than the matrix of faults said at first, and why.
	differs string
	run     func(*arena, *testing.T)
}

// row is one fault at every stage.
type row struct {
	fault, name string
	seller      func(*node.Options) // may be nil
	coins       int                 // that the LSP has; 0: enough
	cells       [stages]cell
}

// cellsOfMatrix is 15 faults by 10 stages. emptyCells are those at which the fault
// means nothing; each names its reason.
const (
	cellsOfMatrix = 150
	emptyCells    = 16
)

// What the payer is told.
const (
	later = lnwire.CodeTemporaryChannelFailure
	never = lnwire.CodeUnknownNextPeer
)

// Bounds of the LSP's clock: the hold, and what is to be answered while it stands still.
const (
	hold   = 90 * time.Second
	atOnce = 0
)

func faultMatrix() []row {
	return []row{
		clientDrops(), clientSilent(), clientRefuses(), clientLies(),
		lspDies("F5", "kill -9 before a write", death{silent: true}),
		lspDies("F6", "kill -9 after a write", death{done: true, silent: true}),
		lspDies("F7", "the disk fails", death{}),
		payerDrops(), blocksPass(), chainForks(), noCoins(), timePasses(), chainAway(),
		comesTwice(), wrongAmounts(),
	}
}

// TestFaultMatrix runs every cell: a real client, payer or chain fails the LSP at a stage,
// and the answer to the payer, its bound, the order, its channel and its coins must be
// as the cell says. Afterwards the order, or its successor, must sell.
func TestFaultMatrix(t *testing.T) {
	var ran atomic.Int32
	want := 0
	t.Run("rows", func(t *testing.T) {
		for _, r := range faultMatrix() {
			for _, c := range r.cells {
				if c.run != nil {
					want++
				}
			}
			t.Run(r.fault, func(t *testing.T) {
				t.Parallel()
				a := newArena(t, r)
				for stage, c := range r.cells {
					if c.run == nil {
						continue
					}
					t.Run(fmt.Sprintf("S%d", stage), func(t *testing.T) {
						ran.Add(1)
						c.run(a, t)
					})
				}
			})
		}
	})
	filtered := strings.Contains(flag.Lookup("test.run").Value.String(), "/")
	if got := int(ran.Load()); got != want && !filtered {
		t.Errorf("%d cells ran, want %d", got, want)
	}
}

// TestFaultMatrixIsWhole: no cell is left out silently.
func TestFaultMatrixIsWhole(t *testing.T) {
	all, empty := 0, 0
	for _, r := range faultMatrix() {
		for stage, c := range r.cells {
			all++
			if c.na != "" {
				empty++
			}
			if (c.na == "") == (c.run == nil) {
				t.Errorf("%s at S%d must have a run, or a reason to have none", r.fault, stage)
			}
		}
	}
	if all != cellsOfMatrix || empty != emptyCells {
		t.Errorf("%d cells, %d of them empty; want %d and %d", all, empty, cellsOfMatrix, emptyCells)
	}
}

func jitInvoice(hints [][]zpay32.HopHint) pay.InvoiceRequest {
	return pay.InvoiceRequest{Amount: 1_000_000, Hints: hints}
}

// F1: the client's TCP connection ends.
func clientDrops() row {
	return row{fault: "F1", name: "the client's connection ends", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.cut()
			c.inState("awaiting_parts")
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageReceived)
			c.cut()
			c.free()
			c.inState("awaiting_client")
			c.heal()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			c.cut()
			c.send(saleSize / 2)
			c.inState("awaiting_client")
			c.advance(hold - time.Second)
			c.unanswered()
			c.advance(time.Second)
			c.failed(later, hold, "awaiting_parts")
			c.kept(0)
			c.serves()
		}},
		// bLIP-52: before funding_signed the parts fail with temporary_channel_failure and
		// the order waits again.
		stageOpening: {run: dropsWhileOpening(stageOpening)},
		stageCreated: {run: dropsWhileOpening(stageCreated)},
		stageSigned:  {run: dropsWhenSigned(stageSigned)},
		stageAwaited: {run: dropsWhenSigned(stageAwaited)},
		stageForwarded: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageForwarded)
			c.cut()
			c.advance(10 * time.Minute) // only the client or the chain answers it now
			c.unanswered()
			c.heal()
			c.paid()
			c.serves()
		}},
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageClaimed)
			c.cut()
			c.free()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageSettled: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageSettled)
			c.cut()
			c.serves()
		}},
	}}
}

func dropsWhileOpening(stage int) func(*arena, *testing.T) {
	return func(a *arena, t *testing.T) {
		c := a.at(t, stage)
		c.cut()
		c.failed(later, atOnce, "awaiting_parts")
		c.kept(0)
		c.serves()
	}
}

// dropsWhenSigned: the channel exists. The parts are held for the client to the end of the
// hold; then they fail, the channel stays and is owed for.
func dropsWhenSigned(stage int) func(*arena, *testing.T) {
	return func(a *arena, t *testing.T) {
		back := a.at(t, stage)
		back.cut()
		back.advance(hold - time.Second)
		back.unanswered()
		back.heal()
		back.paid()
		back.bound(hold)
		back.serves()

		c := a.at(t, stage)
		c.cut()
		c.free()
		c.advance(hold)
		c.failed(later, hold, "owed")
		c.kept(1)
		c.serves()
		c.kept(1)
	}
}
