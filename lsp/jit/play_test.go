package jit

import (
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// play is one order and what it did, for the tests that show a line of the checklist.
type play struct {
	*testing.T
	o    Order
	now  time.Time
	last []Command // of the last do
	all  []Command
}

func playing(t *testing.T, terms Terms) *play {
	t.Helper()
	return &play{T: t, o: New("order", terms), now: t0}
}

// at is the time so long after the purchase.
func (p *play) at(after time.Duration) *play {
	p.now = t0.Add(after)
	return p
}

// do gives events, all of which the order must expect.
func (p *play) do(evs ...Event) *play {
	p.Helper()
	p.last = nil
	for _, ev := range evs {
		next, cmds, err := p.o.Step(p.now, ev)
		if err != nil {
			p.Fatalf("%T in %s: %v", ev, p.o.State.Name(), err)
		}
		p.o = next
		p.last = append(p.last, cmds...)
	}
	p.all = append(p.all, p.last...)
	return p
}

// commands are those of one kind.
func commands[C Command](list []Command) (some []C) {
	for _, cmd := range list {
		if c, ok := cmd.(C); ok {
			some = append(some, c)
		}
	}
	return some
}

// state wants the order to be in a state.
func (p *play) state(name string) *play {
	p.Helper()
	if got := p.o.State.Name(); got != name {
		p.Fatalf("the order is %s, want %s", got, name)
	}
	return p
}

// fails wants the last do to have failed just these parts, each with the code.
func (p *play) fails(code lnwire.FailCode, parts ...uint64) *play {
	p.Helper()
	failed := commands[FailPart](p.last)
	if len(failed) != len(parts) {
		p.Fatalf("%d parts failed, want %d: %+v", len(failed), len(parts), failed)
	}
	for _, f := range failed {
		if f.Code != code || !slices.Contains(parts, f.Key.Index) {
			p.Fatalf("part %d failed with %v (%s), want %v on %v", f.Key.Index, f.Code, f.Reason,
				code, parts)
		}
	}
	return p
}

// failsNone wants no part to have failed, ever.
func (p *play) failsNone() *play {
	p.Helper()
	if failed := commands[FailPart](p.all); len(failed) != 0 {
		p.Fatalf("parts failed: %+v", failed)
	}
	return p
}

// holds wants so many parts to be held.
func (p *play) holds(n int) *play {
	p.Helper()
	if got := len(p.o.Held()); got != n {
		p.Fatalf("%d parts are held, want %d", got, n)
	}
	return p
}

// opens wants so many opens to have been asked for in all, and gives the last.
func (p *play) opens(n int) (last OpenChannel) {
	p.Helper()
	opens := commands[OpenChannel](p.all)
	if len(opens) != n {
		p.Fatalf("%d channels were asked for, want %d", len(opens), n)
	}
	if n > 0 {
		last = opens[n-1]
	}
	return last
}

// forwards wants just these parts to have been forwarded in all: what each brings the
// client and what was taken from it.
func (p *play) forwards(want ...[2]lnwire.MilliSatoshi) *play {
	p.Helper()
	var got [][2]lnwire.MilliSatoshi
	for _, f := range commands[ForwardPart](p.all) {
		got = append(got, [2]lnwire.MilliSatoshi{f.Amount, f.ExtraFee})
	}
	if !slices.Equal(got, want) {
		p.Fatalf("forwarded (amount, extra_fee) %v, want %v", got, want)
	}
	return p
}

// sold brings an order to the forward of its whole payment in one part.
func (p *play) sold() *play {
	p.Helper()
	return p.do(arrive(1, 1, 1_000_000), ClientOnline{7}, OpenSigned{first}, usable(first, 7)).
		state("awaiting_claim")
}
