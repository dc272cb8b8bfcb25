package jit

import (
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

func (AwaitChannel) Name() string { return "awaiting_channel" }

func (s AwaitChannel) step(c *turn, ev Event) State {
	if s.Channel != nil {
		return s.stepSigned(c, ev)
	}
	switch ev := ev.(type) {
	case PartArrived:
		s.Sets, _ = c.add(s.Sets, ev.Part)
		return s

	case OpenSigned:
		ch := c.signed(ev.Point, s.Try.Conn)
		s.Channel = &ch
		return s

	case OpenFailed:
		return s.failed(c, ev)

	case ClientOnline:
		if ev.Conn == s.Try.Conn {
			return s
		}
		return s.left(c)

	case ClientGone:
		return s.left(c)

	default: // not expected in this state
	}
	return nil
}

// stepSigned is step once funding_signed is stored: the channel exists, and the
// parts are held for it to the end of the hold.
func (s AwaitChannel) stepSigned(c *turn, ev Event) State {
	ch := *s.Channel
	switch ev := ev.(type) {
	case PartArrived:
		s.Sets, _ = c.add(s.Sets, ev.Part)
		return s

	case ClientOnline:
		s.Try.Conn = ev.Conn
		return s

	case ClientGone:
		s.Try.Conn, ch.Conn = 0, 0
		s.Channel = &ch
		return s

	case OpenSigned:
		if ev.Point == ch.Point {
			return s
		}

	case ChannelUsable:
		if ev.Point == ch.Point {
			s.Try.Conn = ev.Conn
			return c.forward(ch.usable(ev), s.Sets, s.Fee, s.Try)
		}

	case ChannelRefused:
		if ev.Point != ch.Point {
			return nil
		}
		// bLIP-52: "LSPs MUST fail the payment with `unknown_next_peer` in case the client
		// rejects the channel open via an `error`." It will not be usable in this hold.
		c.fail(s.Sets[0].Parts, never, "the client refused the channel: "+ev.Reason)
		return c.rest(ch, tail(s.Sets))

	case ChannelGone:
		if ev.Point != ch.Point {
			return nil
		}
		if ch.Withheld {
			// Nothing was broadcast: another may be opened in the same hold.
			return c.open(AwaitClient{Sets: s.Sets, Fee: s.Fee, Try: s.Try})
		}
		return c.die(s.Sets, "the channel was closed before the payment was forwarded")

	default: // not expected in this state
	}
	return nil
}

// failed handles the end of an open attempt.
func (s AwaitChannel) failed(c *turn, ev OpenFailed) State {
	retry := AwaitClient{Sets: s.Sets, Fee: s.Fee, Try: s.Try}
	switch {
	case ev.Fault == FaultRefused && ev.CanRetryWithoutAnchors && !s.Try.WithoutAnchors:
		// ldk-node keeps coins for each anchor channel; an empty wallet has none.
		retry.Try.WithoutAnchors = true
		return c.open(retry)

	case ev.Fault == FaultTimeout:
		return c.open(retry)

	case ev.Fault == FaultRefused:
		// bLIP-52: "LSPs MUST fail the payment with `unknown_next_peer` in case the
		// client rejects the channel open via an `error`."
		return s.giveUp(c, never, "the client refused the channel: "+ev.Reason)

	case ev.Fault == FaultTerms:
		return s.giveUp(c, never, "the client's channel terms do not fit: "+ev.Reason)

	case ev.Fault == FaultGone:
		return s.giveUp(c, later, "the client left before the channel was signed")
	}
	return s.giveUp(c, later, "the channel could not be opened: "+ev.Reason)
}

func (s AwaitChannel) giveUp(c *turn, code lnwire.FailCode, why string) State {
	c.fail(s.Sets[0].Parts, code, why)
	return c.collect(tail(s.Sets), nil)
}

// left handles a client that went before funding_signed.
//
// bLIP-52: "If the client disconnects before the LSP can receive `funding_signed`
// from the client, the LSP MUST fail the incoming payment parts with
// `temporary_channel_failure`, then return to the previous step"
func (s AwaitChannel) left(c *turn) State {
	c.do(CancelOpen{})
	c.fail(s.Sets[0].Parts, later, "the client left before the channel was signed")
	return c.collect(tail(s.Sets), &Ending{})
}

func (s AwaitChannel) hold() []Set { return s.Sets }

func (s AwaitChannel) with(c *turn, sets []Set) State {
	if serves(c.terms, sets, s.Sets[0].Hash) {
		s.Sets = sets
		return s
	}
	if s.Channel != nil {
		return c.rest(*s.Channel, sets)
	}
	c.do(CancelOpen{})
	return c.collect(sets, &Ending{})
}

func (s AwaitChannel) due(t *Terms) (time.Time, bool) {
	return s.Try.Since.Add(t.Rules.OpenTimeout), s.Channel == nil
}

// late ends an attempt that took too long. The next one waits until this one has
// ended.
func (s AwaitChannel) late(c *turn) State {
	c.do(CancelOpen{})
	if s.Try.Attempt >= c.terms.Rules.MaxOpenAttempts {
		c.fail(s.Sets[0].Parts, later, "the channel could not be opened in time")
		return c.collect(tail(s.Sets), &Ending{})
	}
	return AwaitClient{s.Sets, s.Fee, s.Try, &Ending{}}
}
