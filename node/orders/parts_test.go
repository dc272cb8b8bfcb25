package orders

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/htlcswitch"

	"github.com/inletlsp/inlet/lsp/jit"
)

func (w *world) HoldEnded(held time.Duration, how string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds = append(w.holds, fmt.Sprintf("%v %s", held, how))
}

// wantHolds compares the holds that have ended since the last call.
func (w *world) wantHolds(lines ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	got := w.holds
	w.holds = nil
	w.mu.Unlock()
	if !slices.Equal(got, lines) {
		w.t.Errorf("holds that ended: %q, want %q", got, lines)
	}
}

// wantParts compares what the record tells of the parts.
func (w *world) wantParts(lines ...string) {
	w.t.Helper()
	synctest.Wait()
	r, err := w.desk.Get("o1")
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, p := range r.Parts {
		line := fmt.Sprintf("%d %s after %v", p.Key.Index, p.State, p.Held)
		if p.Ended != "" {
			line += ", " + p.How()
		}
		if p.By != "" {
			line += " by " + p.By
		}
		got = append(got, line)
	}
	if !slices.Equal(got, lines) {
		w.t.Errorf("the parts are\n  %s\nwant\n  %s",
			strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// TestPartsTellOfTheirHold: how long each HTLC was held, over a restart too, and why that
// ended; each end is told once.
func TestPartsTellOfTheirHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.part(1, 400_000)
		time.Sleep(90 * time.Second) // virtual
		w.wantHolds("1m30s temporary_channel_failure")
		w.part(1, 400_000) // offered again, and failed again
		w.wantHolds()
		w.wantParts("1 failed after 1m30s, temporary_channel_failure by lsp")

		w.part(2, 400_000)
		time.Sleep(20 * time.Second)
		w.stop()
		w.start()
		w.part(2, 400_000)
		time.Sleep(10 * time.Second)
		w.wantHolds()
		w.desk.ClientOnline(client, 3)
		w.part(3, 600_000)
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		w.wantHolds("30s forwarded", "0s forwarded")
		for id := range uint64(2) {
			w.htlcs.NotifyForwardingFailEvent(
				htlcswitch.HtlcKey{IncomingCircuit: key(id + 2)}, htlcswitch.HtlcEventTypeForward)
		}
		w.wantHolds()
		w.wantParts("1 failed after 1m30s, temporary_channel_failure by lsp",
			"2 failed after 30s, forwarded by client", "3 failed after 0s, forwarded by client")
	})
}

// TestHoldOfAForwardThatNeverLeft goes on until the part is failed.
func TestHoldOfAForwardThatNeverLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		synctest.Wait()
		w.client(false)
		w.usable(3)
		w.wantHolds("0s forwarded")
		time.Sleep(90 * time.Second) // virtual
		w.wantHolds("1m30s temporary_channel_failure")
		w.wantParts("1 failed after 1m30s, temporary_channel_failure by lsp")
	})
}

// TestPartsVanish: an HTLC that went on chain, or is gone after a restart, is held no more.
func TestPartsVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.part(1, 400_000)
		time.Sleep(7 * time.Second) // virtual
		w.stop()
		clear(w.incoming)
		w.start()
		w.wantHolds("7s gone")
		w.wantParts("1 gone after 7s, gone")
	})
}

// TestReasonIsCut: a client's words do not make the record grow.
func TestReasonIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		for id := range uint64(maxParts + 6) {
			w.part(id, 1_000_000)
			synctest.Wait()
			w.desk.Funding("o1", jit.OpenFailed{
				Fault: jit.FaultRefused, Reason: strings.Repeat("n", 256),
			})
			synctest.Wait()
		}
		r, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Parts) != maxParts {
			t.Errorf("the record tells of %d parts, want %d", len(r.Parts), maxParts)
		}
		for _, p := range r.Parts {
			if len(p.Reason) != maxReason {
				t.Fatalf("a reason has %d bytes, want %d", len(p.Reason), maxReason)
			}
		}
	})
}
