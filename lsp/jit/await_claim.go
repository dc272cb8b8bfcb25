package jit

import (
	"slices"
	"time"
)

func (AwaitClaim) Name() string { return "awaiting_claim" }

func (s AwaitClaim) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case PartArrived:
		if ev.Part.Hash == s.Hash {
			return s.another(c, ev.Part)
		}
		if s.Channel.Gone {
			c.fail([]Part{ev.Part}, never, "the channel is closed")
			return s
		}
		s.Sets, _ = c.add(s.Sets, ev.Part)
		return s

	case PartClaimed:
		return s.claimed(c, ev.Key)

	case PartFailed:
		s.Refused = s.Refused || !ev.Ours
		return s.failed(c, ev.Key)

	case ChannelUsable:
		if ev.Point == s.Channel.Point {
			s.Channel = s.Channel.usable(ev)
			return s
		}

	case ChannelGone:
		if ev.Point != s.Channel.Point {
			return nil
		}
		if ev.Unfunded || s.Channel.Withheld {
			// The preimage may have come too late to stop it; the payer has its money back.
			s.Channel.Gone, s.Channel.Withheld, s.Channel.Conn = true, true, 0
			return s.void(c)
		}
		c.fail(heldParts(s.Sets), never, "the channel is closed")
		s.Sets, s.Channel.Gone, s.Channel.Conn = nil, true, 0
		return s

	case ClientGone:
		s.Channel.Conn = 0
		return s

	case ClientOnline:
		return s

	default: // not expected in this state
	}
	return nil
}

// another handles one more part of the payment that is already forwarded. The fee
// is on the others, unless one of these has failed and comes again.
func (s AwaitClaim) another(c *turn, p Part) State {
	limit := c.terms.Rules.MaxParts
	if s.Channel.MaxHTLCs != 0 {
		limit = min(limit, s.Channel.MaxHTLCs)
	}
	switch {
	case c.terms.PaymentSize == 0:
		c.fail([]Part{p}, never, "a second part of a payment of variable amount")

	case p.Amount < s.Channel.floor():
		c.fail([]Part{p}, never, "the part is under the client's htlc_minimum_msat")

	case s.Channel.Conn == 0 || s.Dropping || len(s.Pending) >= limit:
		c.fail([]Part{p}, later, "the payment was forwarded before this part came")

	default:
		borne := plus(s.Collected, c.skimmed(s.Pending))
		extra := min(less64(s.Fee, borne), p.Amount-s.Channel.floor())
		s.Pending = append(s.Pending[:len(s.Pending):len(s.Pending)], c.send(s.Channel, p, extra, c.now))
	}
	return s
}

// skimmed is what forwarded parts that are under way bear of the fee.
func (c *turn) skimmed(keys []CircuitKey) (sum amount) {
	for _, k := range keys {
		if i := c.find(k); i >= 0 {
			sum += c.answered[i].ExtraFee
		}
	}
	return sum
}

// less64 subtracts and stops at 0.
func less64(a, b amount) amount { return a - min(a, b) }

// claimed handles the preimage of one part. The order is paid as soon as the parts that the
// fee was taken from are.
func (s AwaitClaim) claimed(c *turn, key CircuitKey) State {
	pending, ours := gone(s.Pending, key)
	if !ours {
		return s
	}
	s.Pending = pending
	s = s.release(c)
	s.Claimed, s.Collected = true, plus(s.Collected, c.resolved.ExtraFee)
	if s.Collected >= s.Fee {
		return s.paid(c)
	}
	return s.settle(c)
}

// release lets a withheld funding out.
func (s AwaitClaim) release(c *turn) AwaitClaim {
	if s.Channel.Withheld && !s.Channel.Gone {
		c.do(BroadcastFunding{s.Channel.Point})
		s.Channel.Withheld, s.Dropping = false, false
	}
	return s
}

// lapse is the height at which a channel whose funding is withheld is given up, if the client
// has claimed nothing by then: the HTLCs over it have expired. No commitment of this channel
// can be brought on chain, so nobody else would ever end the payment.
func lapse(t *Terms, answered []Answer, s State) (at uint32, ok bool) {
	claim, is := s.(AwaitClaim)
	if !is || !claim.Channel.Withheld || claim.Channel.Gone || claim.Dropping {
		return 0, false
	}
	at = ^uint32(0)
	for _, a := range answered {
		if slices.Contains(claim.Pending, a.Key) {
			// judge has seen to it that the outgoing HTLC expires no later than this.
			at = min(at, less(a.Expiry, uint32(t.CLTVExpiryDelta)))
		}
	}
	return at, true
}

// drop gives the channel up. The preimage may be on its way: then the node does not drop
// it, and PreimageKnown follows.
func (s AwaitClaim) drop(c *turn) State {
	c.do(DropChannel{s.Channel.Point})
	s.Dropping = true
	return s
}

// void fails what was forwarded over a channel that was dropped. It can't be claimed any
// more: the channel's funding will never be there.
func (s AwaitClaim) void(c *turn) State {
	for _, key := range s.Pending {
		if i := c.find(key); i >= 0 {
			c.answered[i] = Answer{Key: key, Code: lost, Expiry: c.answered[i].Expiry}
		}
		c.do(FailPart{key, lost, "the client has not claimed in time, its channel is given up"})
	}
	s.Pending = nil
	return s.settle(c)
}

func (s AwaitClaim) paid(c *turn) State {
	c.do(Finished{})
	next := Paid{
		Sets: s.Sets, Channel: s.Channel, Waived: s.Waived,
		Fee:       plus(s.Fee, s.Channel.Collected),
		Collected: plus(s.Collected, s.Channel.Collected),
	}
	next.Channel.Collected = 0
	return next.flush(c)
}

func (s AwaitClaim) failed(c *turn, key CircuitKey) State {
	pending, ours := gone(s.Pending, key)
	if !ours {
		return s
	}
	s.Pending = pending
	return s.settle(c)
}

// settle goes on when every part has come to its end without all of the fee.
func (s AwaitClaim) settle(c *turn) State {
	if len(s.Pending) > 0 {
		return s
	}
	s.Channel.Tried = s.Channel.Tried || s.Fee > 0 && s.Refused && !s.Claimed
	s.Channel.Collected = plus(s.Channel.Collected, s.Collected)
	return c.rest(s.Channel, s.Sets)
}

func (s AwaitClaim) hold() []Set { return s.Sets }

func (s AwaitClaim) with(_ *turn, sets []Set) State {
	s.Sets = sets
	return s
}

func (s AwaitClaim) due(*Terms) (time.Time, bool) { return time.Time{}, false }
func (s AwaitClaim) late(*turn) State             { return s }
