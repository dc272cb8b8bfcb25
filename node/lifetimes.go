package node

import (
	"fmt"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
)

const (
	// minCloseUnpaidAfter is more than any payment is held after its offer has run out: by then
	// nobody can pay for the channel any more.
	minCloseUnpaidAfter = time.Hour

	// minCloseIdleAfter is in blocks, about a day: who is offline over night is not idle.
	minCloseIdleAfter = 144
)

// lifetimePolicy says when channels that were sold are closed again.
type lifetimePolicy struct {
	// unpaidAfter is from the end of the offer of a channel that nobody has paid for; 0: never.
	unpaidAfter time.Duration
	// idleAfter is in blocks without a payment, for channels that were paid for and are as old as
	// was promised; 0: never.
	idleAfter uint32
}

// soldChannel is what decides about one.
type soldChannel struct {
	rec orders.Record
	// depth is of the funding, idle since the last payment that moved money over it; in blocks.
	depth, idle uint32
}

// ending says how a channel is to be ended.
type ending uint8

const (
	stays    ending = iota
	byAgreed        // the client is asked
	byForce         // nobody has paid, and the client has not been there for long
)

// ending is what the policy does with a channel at this time, and why.
//
// bLIP-52: a channel whose fee was paid "MUST NOT" be closed before its funding is min_lifetime blocks
// deep; after that, too, it is closed only together with its client.
func (p lifetimePolicy) ending(s soldChannel, now time.Time) (ending, string) {
	switch state := s.rec.Order.State.(type) {
	case jit.Owed:
		return p.unpaid(s.rec, now)
	case jit.Paid:
		promised := s.rec.Order.Terms.MinLifetime
		switch {
		case len(s.rec.Order.Held()) > 0:
			return stays, "a payment is under way"
		case s.depth < promised:
			return stays, fmt.Sprintf("paid for %d blocks, of which %d are over", promised, s.depth)
		case p.idleAfter == 0:
			return stays, "idle channels are kept"
		case s.idle < p.idleAfter:
			return stays, fmt.Sprintf("idle for %d blocks of %d", s.idle, p.idleAfter)
		}
		return byAgreed, fmt.Sprintf("idle for %d blocks", s.idle)
	case jit.Dead:
		return stays, "its order came to nothing"
	default:
		return stays, "its payment is under way (" + state.Name() + ")"
	}
}

// unpaid is for a channel that nobody has paid for: until its offer has run out it can be paid for.
func (p lifetimePolicy) unpaid(r orders.Record, now time.Time) (ending, string) {
	since := now.Sub(r.Order.Terms.ValidUntil)
	over := since.Round(time.Second)
	switch {
	case len(r.Order.Held()) > 0:
		return stays, "a payment is under way"
	case since < 0:
		return stays, fmt.Sprintf("not paid for; its offer stands for %v", -over)
	case p.unpaidAfter == 0:
		return stays, "not paid for; such channels are kept"
	case since < p.unpaidAfter:
		return stays, fmt.Sprintf("not paid for since its offer ran out %v ago; %v are given",
			over, p.unpaidAfter)
	case since < 2*p.unpaidAfter:
		return byAgreed, fmt.Sprintf("not paid for since its offer ran out %v ago", over)
	}
	return byForce, fmt.Sprintf("not paid for since its offer ran out %v ago, and its client was not "+
		"there to close it", over)
}
