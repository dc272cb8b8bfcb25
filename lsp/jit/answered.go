package jit

import (
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// maxAnswered bounds the parts that an order remembers or holds.
const maxAnswered = 256

// fail fails parts and remembers it: a part that is offered again gets the same
// failure, for the first one may be on its way.
func (c *turn) fail(parts []Part, code lnwire.FailCode, why string) {
	for _, p := range parts {
		c.do(FailPart{p.Key, code, why})
		if len(c.answered) >= maxAnswered {
			c.overrun = true
			continue
		}
		c.answered = append(c.answered, Answer{Key: p.Key, Code: code, Expiry: p.IncomingExpiry})
	}
}

// refuse fails a part for a reason that stays, so that there is nothing to remember.
func (c *turn) refuse(p Part, why string) { c.do(FailPart{p.Key, never, why}) }

// forwarded remembers a part of a payment that came at since and leaves with this much
// taken from it.
func (c *turn) forwarded(p Part, extra lnwire.MilliSatoshi, since time.Time) Answer {
	a := Answer{
		Key: p.Key, Amount: p.Amount - extra, ExtraFee: extra, Expiry: p.IncomingExpiry,
		Until: since.Add(c.terms.Rules.Hold),
	}
	c.answered = append(c.answered, a)
	return a
}

// resume hands a part to the switch in full.
func (c *turn) resume(p Part, since time.Time) {
	a := c.forwarded(p, 0, since)
	c.do(ResumePart{Key: a.Key, Amount: a.Amount, Until: a.Until})
}

// repeat answers a part that was answered before, as before.
//
// Failing what was forwarded would lose its amount: the client can still claim it.
func (c *turn) repeat(key CircuitKey) bool {
	i := c.find(key)
	if i < 0 {
		return false
	}
	if a := c.answered[i]; a.Forwarded() {
		c.do(ResumePart{Key: a.Key, Amount: a.Amount, ExtraFee: a.ExtraFee, Until: a.Until})
	} else {
		c.do(FailPart{a.Key, a.Code, "offered again"})
	}
	return true
}

func (c *turn) find(key CircuitKey) int {
	return slices.IndexFunc(c.answered, func(a Answer) bool { return a.Key == key })
}

// room says that one more part can be held and remembered. It makes room by
// forgetting the oldest that the client has resolved.
func (c *turn) room(s State) bool {
	if len(c.answered)+len(heldParts(s.hold())) < maxAnswered {
		return true
	}
	i := slices.IndexFunc(c.answered, func(a Answer) bool { return a.Resolved })
	if i < 0 {
		return false
	}
	c.answered = slices.Delete(c.answered, i, i+1)
	return true
}

// forgetAt is the height at which the answer need not be remembered any more: a
// replay would be failed anyway, or its HTLC has expired. It is not ok while the
// outcome of a forward is to come.
func (a Answer) forgetAt(t *Terms) (_ uint32, ok bool) {
	if a.Forwarded() {
		return a.Expiry, a.Resolved
	}
	return less(a.Expiry, t.Rules.ExpiryMargin), true
}

// forget drops what need not be remembered at this height.
func (c *turn) forget(height uint32) {
	c.keep(func(a Answer) bool {
		at, ok := a.forgetAt(c.terms)
		return !ok || at > height
	})
}

func (c *turn) keep(want func(Answer) bool) {
	c.answered = slices.DeleteFunc(c.answered, func(a Answer) bool { return !want(a) })
	if len(c.answered) == 0 {
		c.answered = nil
	}
}

// resolve handles the outcome of a forwarded part.
func (c *turn) resolve(s State, key CircuitKey, ev Event) State {
	i := c.find(key)
	if i < 0 || !c.answered[i].Forwarded() {
		return nil
	}
	if c.answered[i].Resolved {
		return s // told twice
	}
	c.answered[i].Resolved = true
	c.resolved = c.answered[i]
	if next := s.step(c, ev); next != nil {
		return next
	}
	return s
}

// stuck fails a part that was to be forwarded and has not left. It may be told late, of a part that
// was failed meanwhile with its channel.
func (c *turn) stuck(s State, key CircuitKey) State {
	i := c.find(key)
	if i < 0 || !c.answered[i].Forwarded() || c.answered[i].Resolved {
		return s
	}
	c.answered[i] = Answer{Key: key, Code: later, Expiry: c.answered[i].Expiry}
	c.do(FailPart{key, later, "the payer or the client was away for too long"})
	if next := s.step(c, PartFailed{Key: key, Ours: true}); next != nil {
		return next
	}
	return s
}

// partGone forgets an incoming HTLC, except one whose outcome is still to come.
func (c *turn) partGone(s State, key CircuitKey) State {
	c.keep(func(a Answer) bool {
		return a.Key != key || a.Forwarded() && !a.Resolved
	})
	if !holds(s, key) {
		return s
	}
	return s.with(c, keepParts(s.hold(), func(k CircuitKey) bool { return k != key }))
}

func holds(s State, key CircuitKey) bool {
	return slices.ContainsFunc(s.hold(), func(set Set) bool {
		return slices.ContainsFunc(set.Parts, func(p Part) bool { return p.Key == key })
	})
}
