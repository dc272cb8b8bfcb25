package jit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// TestHistories drives orders through random lives of a node and checks after each
// step what must hold in all of them.
func TestHistories(t *testing.T) {
	const events = 30
	lives := 10_000
	if testing.Short() {
		lives = 500
	}
	if text := os.Getenv("INLET_HISTORY_STEPS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("INLET_HISTORY_STEPS: %v", err)
		}
		lives = 1 + n/events
	}
	reached, voided := map[string]int{}, 0
	for seed := range uint64(lives) {
		s := newShell(t, seed)
		for range events {
			s.now = s.now.Add(time.Duration(s.r.IntN(9000)) * time.Millisecond)
			if ev := s.event(); ev != nil {
				s.step(ev)
			}
			reached[s.o.State.Name()]++
		}
		s.drain()
		if s.voided {
			voided++
		}
	}
	t.Log(reached, voided)
	if voided == 0 {
		t.Error("no withheld channel was given up while its payment was with the client")
	}
	if len(reached) != 7 {
		t.Errorf("only these states were reached: %v", reached)
	}
}

func newShell(t *testing.T, seed uint64) *shell {
	r := rand.New(rand.NewPCG(seed, 52))
	terms := fixed()
	terms.ValidUntil = t0.Add(time.Duration(60+r.IntN(400)) * time.Second)
	terms.AliasUntil = terms.ValidUntil.Add(time.Duration(r.IntN(100)) * time.Second)
	if r.IntN(3) == 0 {
		terms.PaymentSize = 0
	}
	if r.IntN(3) == 0 {
		terms.MinFee = lnwire.MilliSatoshi(985_000 + r.IntN(15_000))
	}
	terms.ClientTrustsLSP = r.IntN(2) == 0
	terms.Rules.MaxParts = 3 + r.IntN(4)
	if r.IntN(3) == 0 {
		terms.Rules.LostSkim = Refuse
	}
	o := New("order", terms)
	return &shell{
		T: t, seed: seed, r: r, o: o, record: record(t, o), now: t0, height: tip,
		htlcs: map[CircuitKey]*htlc{},
	}
}

// step takes one step, or one that a crash follows before its commands are done.
func (s *shell) step(ev Event) {
	s.Helper()
	next, cmds, err := s.o.Step(s.now, ev)
	now, from := s.now, s.o.State.Name()
	s.trace = append(s.trace, func() string {
		line := fmt.Sprintf("%v %s: %s -> %s", now.Sub(t0), say(ev), from, next.State.Name())
		for _, c := range cmds {
			line += "\n        " + say(c)
		}
		return line
	})
	if s.r.IntN(8) == 0 {
		s.must(bytes.Equal(s.record, record(s.T, s.o)), "the old order changed")
	}
	if err != nil {
		s.must(len(cmds) == 0 && reflect.DeepEqual(next, s.o), "an unexpected event did something")
		return
	}
	was := s.o
	s.o = next
	s.checkOrder(was)

	lost := s.r.IntN(40) == 0
	for _, c := range cmds {
		s.do(c, lost)
	}
	if drop, ok := dropped(cmds); ok && !lost && s.r.IntN(2) == 0 {
		s.channel.Gone, s.usable = true, false
		s.step(ChannelGone{drop.Point, true})
	}
	if lost {
		s.trace = append(s.trace, func() string { return "crash, the commands are lost" })
		s.step(s.restart())
	}
	s.must(!s.live() || !s.channel.Withheld || !s.claimed, "claimed, and the funding is withheld")
	s.checkParts()
	s.replay()
}

func dropped(cmds []Command) (DropChannel, bool) {
	for _, c := range cmds {
		if d, ok := c.(DropChannel); ok {
			return d, true
		}
	}
	return DropChannel{}, false
}

// checkOrder is about the order alone.
func (s *shell) checkOrder(was Order) {
	s.Helper()
	o := s.o
	s.record = record(s.T, o)
	read, err := Unmarshal(s.record)
	s.must(err == nil && reflect.DeepEqual(read, o), "the record does not round-trip")

	held := o.Held()
	due, ok := o.Deadline()
	s.must(ok || len(held) == 0, "parts are held without a deadline")
	s.must(!ok || s.now.Before(due), "a deadline has passed and nothing was done")
	deep, ok := o.DeadlineHeight()
	s.must(ok || len(held) == 0, "parts are held without a height")
	s.must(!ok || deep > s.height, "a height was passed and nothing was done")
	for _, set := range o.State.hold() {
		s.must(len(set.Parts) > 0 && len(set.Parts) <= o.Terms.Rules.MaxParts, "a bad set")
		s.must(!due.After(set.Since.Add(o.Terms.Rules.Hold)), "held for longer than the hold")
		_, paid := o.State.(Paid)
		s.must(paid || set.Total() >= max(o.Terms.PaymentSize, 1) || !due.After(o.Terms.ValidUntil),
			"an incomplete payment outlives the offer")
	}
	s.must(len(o.State.hold()) <= maxSets && len(o.Answered) <= maxAnswered, "over a limit")

	switch st := o.State.(type) {
	case AwaitClaim:
		if _, same := was.State.(AwaitClaim); !same {
			var skimmed lnwire.MilliSatoshi
			for _, a := range o.Answered[len(o.Answered)-len(st.Pending):] {
				skimmed += a.ExtraFee
			}
			s.must(skimmed == st.Fee, "the skim is not the fee")
			s.must(st.Fee == 0 || st.Waived == 0, "both taken and waived")
		}
		s.must(len(st.Pending) > 0, "nothing is awaited")
	case Paid:
		s.must(st.Collected <= st.Fee, "more was taken than agreed")
		s.must(st.Collected > 0 || st.Fee == 0, "paid for nothing")
	default:
		_, paid := was.State.(Paid)
		s.must(!paid, "paid was not the end")
	}
}

// checkParts has it that every part is held, or answered, and not both.
func (s *shell) checkParts() {
	s.Helper()
	held := map[CircuitKey]int{}
	for _, p := range s.o.Held() {
		held[p.Key]++
	}
	for _, k := range s.keys {
		h := s.htlcs[k]
		answers := held[k]
		if h.forwarded {
			answers++
		}
		if h.code != 0 {
			answers++
		}
		s.must(answers == 1 || answers == 0 && h.gone,
			fmt.Sprintf("part %d has %d answers", k.Index, answers))
	}
}

// replay offers a part again: it must change nothing, and be answered as before.
func (s *shell) replay() {
	h := s.pick(func(h *htlc) bool { return !h.gone })
	if h == nil || s.r.IntN(4) > 0 {
		return
	}
	next, cmds, err := s.o.Step(s.now, PartArrived{Part: h.part, Height: s.height})
	s.must(err == nil && len(cmds) <= 1, "a replay was not expected")
	after := record(s.T, next)
	s.must(bytes.Equal(s.record, after) || h.resolved || h.code != 0, "a replay changed the order")
	held := !h.forwarded && h.code == 0
	s.must(held == (len(cmds) == 0), "a replay was not answered as before")
	for _, c := range cmds {
		s.do(c, false)
	}
	s.o, s.record = next, after
}

// drain ends the history: nothing new comes, and all that is held gets its answer.
func (s *shell) drain() {
	for h := s.unresolved(); h != nil; h = s.unresolved() {
		s.step(PartArrived{Part: h.part, Height: s.height}) // had it been lost
		if h.atSwitch && !h.resolved {
			h.resolved = true
			s.step(PartFailed{Key: h.part.Key})
		}
	}
	for range 20 {
		due, ok := s.o.Deadline()
		if !ok {
			break
		}
		s.now = due
		s.step(Tick{})
	}
	s.must(len(s.o.Held()) == 0, "parts are held for ever")
}

func (s *shell) unresolved() *htlc {
	return s.pick(func(h *htlc) bool { return h.forwarded && !h.resolved })
}
