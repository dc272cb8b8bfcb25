package jit

import (
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// maxSets bounds the payments that one order holds parts of at a time.
const maxSets = 8

// Total is what the parts forward together.
func (s Set) Total() (total lnwire.MilliSatoshi) {
	for _, p := range s.Parts {
		total = plus(total, p.Amount)
	}
	return total
}

// complete says that the payment is all there. With a variable amount that is so
// from the first part on.
func (s Set) complete(t *Terms) bool { return s.Total() >= max(t.PaymentSize, 1) }

// until is when the set must be answered, unless it was forwarded.
func (s Set) until(t *Terms, paid bool) time.Time {
	hold := s.Since.Add(t.Rules.Hold)
	if !paid && !s.complete(t) && t.ValidUntil.Before(hold) {
		return t.ValidUntil
	}
	return hold
}

// untilHeight is the first block height at which the set must be answered: a part
// comes too near its expiry, or the client would find its own too near.
func (s Set) untilHeight(t *Terms, paid bool) uint32 {
	lowest := ^uint32(0)
	for _, p := range s.Parts {
		lowest = min(lowest, less(p.IncomingExpiry, t.Rules.ExpiryMargin))
		if !paid {
			lowest = min(lowest, less(p.OutgoingExpiry, t.Rules.MinFinalExpiryDelta)+1)
		}
	}
	return lowest
}

// less subtracts and stops at 0.
func less(a, b uint32) uint32 { return a - min(a, b) }

// add puts a part with the others of its payment. A part that cannot belong to it
// is failed alone; one that shows that the payment cannot be served fails it whole.
// It says whether the part is the first of its payment.
func (c *turn) add(sets []Set, p Part) (_ []Set, first bool) {
	i := slices.IndexFunc(sets, func(s Set) bool { return s.Hash == p.Hash })
	switch {
	case (i < 0 || !sets[i].complete(c.terms)) && c.expired():
		c.fail([]Part{p}, never, "the offer has run out")
		return sets, false

	case i < 0 && len(sets) == maxSets:
		c.fail([]Part{p}, later, "too many payments at once for this order")
		return sets, false

	case i < 0:
		return append(slices.Clip(sets), Set{p.Hash, c.now, []Part{p}}), true

	case c.terms.PaymentSize == 0:
		// bLIP-52: MPP is not for an invoice of variable amount.
		c.fail([]Part{p}, never, "a second part of a payment of variable amount")
		return sets, false

	case plus(sets[i].Total(), p.Amount) > plus(c.terms.PaymentSize, c.terms.PaymentSize):
		// BOLT 4 has the receiver refuse more than twice the amount; a channel for it
		// would cost far more than the fee.
		c.fail([]Part{p}, never, "the parts are more than twice the payment")
		return sets, false

	case len(sets[i].Parts) < c.terms.Rules.MaxParts:
		sets = slices.Clone(sets)
		sets[i].Parts = append(slices.Clip(sets[i].Parts), p)
		return sets, false

	case sets[i].complete(c.terms):
		c.fail([]Part{p}, never, "too many parts")
		return sets, false
	}
	// bLIP-52: "MAY fail with `unknown_next_peer` if it receives too many payment
	// parts."
	c.fail(append(slices.Clip(sets[i].Parts), p), never, "too many parts")
	return without(sets, i), false
}

// without is the slice less one element; nil when none is left.
func without[T any](s []T, i int) []T {
	if len(s) == 1 {
		return nil
	}
	return append(slices.Clip(s[:i]), s[i+1:]...)
}

// front puts one set before the others.
func front(sets []Set, i int) []Set {
	return append([]Set{sets[i]}, without(sets, i)...)
}

// tail is what follows the first set; nil when nothing does.
func tail(sets []Set) []Set {
	if len(sets) < 2 {
		return nil
	}
	return sets[1:]
}

// keepParts gives the sets with only the parts that keep wants.
func keepParts(sets []Set, keep func(CircuitKey) bool) []Set {
	var out []Set
	for _, s := range sets {
		var parts []Part
		for _, p := range s.Parts {
			if keep(p.Key) {
				parts = append(parts, p)
			}
		}
		if len(parts) > 0 {
			out = append(out, Set{s.Hash, s.Since, parts})
		}
	}
	return out
}

// serves says that these sets still begin with the payment being served.
func serves(t *Terms, sets []Set, hash lntypes.Hash) bool {
	return len(sets) > 0 && sets[0].Hash == hash && sets[0].complete(t)
}

// heldParts are all the parts of these sets.
func heldParts(sets []Set) []Part {
	var parts []Part
	for _, s := range sets {
		parts = append(parts, s.Parts...)
	}
	return parts
}
