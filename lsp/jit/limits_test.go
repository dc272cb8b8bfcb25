package jit

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// steps takes steps and gives the failures of the last.
func steps(t *testing.T, o *Order, evs ...Event) (failed []FailPart) {
	t.Helper()
	for _, ev := range evs {
		next, cmds, err := o.Step(t0, ev)
		if err != nil {
			t.Fatal(err)
		}
		*o, failed = next, nil
		for _, c := range cmds {
			if f, ok := c.(FailPart); ok {
				failed = append(failed, f)
			}
		}
	}
	return failed
}

func TestPartsOfOnePayment(t *testing.T) {
	o := New("order", fixed())
	var failed []FailPart
	for i := range uint64(30) {
		failed = steps(t, &o, arrive(1, i, 2000))
	}
	if len(failed) != 0 || len(o.Held()) != 30 {
		t.Fatalf("30 parts: %d held, %d failed", len(o.Held()), len(failed))
	}
	failed = steps(t, &o, arrive(1, 30, 2000))
	if len(failed) != 31 || failed[0].Code != lnwire.CodeUnknownNextPeer || len(o.Held()) != 0 {
		t.Errorf("the 31st part: %d failed, %d held", len(failed), len(o.Held()))
	}

	o = New("order", fixed())
	for i := range uint64(30) {
		steps(t, &o, arrive(1, i, 50_000))
	}
	if failed := steps(t, &o, arrive(1, 30, 50_000)); len(failed) != 1 || len(o.Held()) != 30 {
		t.Errorf("a part too many of a complete payment: %d failed", len(failed))
	}
}

func TestPaymentsOfOneOrder(t *testing.T) {
	o := New("order", fixed())
	for i := range byte(maxSets) {
		steps(t, &o, arrive(i, uint64(i), 2000))
	}
	failed := steps(t, &o, arrive(maxSets, maxSets, 2000))
	if len(failed) != 1 || failed[0].Code != lnwire.CodeTemporaryChannelFailure {
		t.Errorf("payment number %d: %v", maxSets+1, failed)
	}
	if failed := steps(t, &o, arrive(0, 99, 2000)); len(failed) != 0 {
		t.Errorf("a part of a payment that is held: %v", failed)
	}
}

// TestMemory fills what an order remembers. A part that was failed and forgotten
// must never be held later: its failure may be on its way.
func TestMemory(t *testing.T) {
	o := New("order", fixed())
	for i := range uint64(maxAnswered) {
		steps(t, &o, arrive(1, i, 999)) // under htlc_minimum_msat
	}
	if len(o.Answered) != maxAnswered || o.Overrun {
		t.Fatalf("%d remembered, overrun %v", len(o.Answered), o.Overrun)
	}
	lost := arrive(1, 1000, 5000)
	if failed := steps(t, &o, lost); len(failed) != 1 || failed[0].Code != later || !o.Overrun {
		t.Fatalf("a part too many: %v, overrun %v", failed, o.Overrun)
	}

	// Blocks make room, yet the lost one is still failed.
	steps(t, &o, Height{tip + 194 - 24})
	if len(o.Answered) != 0 {
		t.Fatalf("%d remembered past their expiry", len(o.Answered))
	}
	lost.Part.IncomingExpiry += 1000
	lost.Part.OutgoingExpiry += 1000
	if failed := steps(t, &o, lost); len(failed) != 1 {
		t.Error("a part that was failed and forgotten is held")
	}
	if steps(t, &o, outstanding(nil), lost); len(o.Held()) != 1 {
		t.Error("after a restart the part is not taken")
	}
}

// TestMemoryOfForwards has the oldest resolved forwards make room.
func TestMemoryOfForwards(t *testing.T) {
	o := New("order", fixed())
	steps(t, &o, arrive(1, 0, 1_000_000), ClientOnline{7}, OpenSigned{first}, usable(first, 7),
		PartClaimed{key(0)})
	for i := range uint64(2 * maxAnswered) {
		if failed := steps(t, &o, arrive(2, 1+i, 5000)); len(failed) != 0 {
			t.Fatalf("free forward %d: %v", i, failed)
		}
		steps(t, &o, PartClaimed{key(1 + i)})
	}
	if len(o.Answered) > maxAnswered || o.Overrun {
		t.Errorf("%d remembered, overrun %v", len(o.Answered), o.Overrun)
	}

	// Those in flight are never forgotten: the last ones are refused.
	refused := 0
	for i := range uint64(maxAnswered + 10) {
		refused += len(steps(t, &o, arrive(3, 10_000+i, 5000)))
	}
	if refused != 10 || len(o.Answered) != maxAnswered {
		t.Errorf("%d refused, %d remembered", refused, len(o.Answered))
	}
}

func TestDone(t *testing.T) {
	o := New("order", fixed())
	if o.Done() || !o.Unpaid() {
		t.Error("a new order is done")
	}
	steps(t, &o, arrive(1, 0, 1_000_000), ClientOnline{7}, OpenSigned{first}, usable(first, 7))
	if ch, ok := o.Channel(); !ok || ch.Point != first || !o.Unpaid() {
		t.Errorf("channel %v, %v", ch, ok)
	}
	steps(t, &o, PartClaimed{key(0)}, ChannelGone{Point: first})
	if o.Done() || o.Unpaid() {
		t.Error("done while a part can be offered again")
	}
	if steps(t, &o, PartGone{key(0)}); !o.Done() {
		t.Error("not done with its channel closed and nothing to come")
	}

	o = New("order", fixed())
	o, _, _ = o.Step(t0.Add(2*time.Hour), Tick{})
	if _, ok := o.Channel(); ok || !o.Done() {
		t.Error("a dead order is not done")
	}
}
