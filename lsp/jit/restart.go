package jit

import "slices"

// restart begins a new life of the node: connections and opens under way are gone,
// what the store says about the channel counts, and the switch offers again every
// HTLC that is still there.
func (c *turn) restart(s State, ev Restarted) State {
	c.overrun = false // the failures that were on their way ended with the old life
	s = s.restarted(c, ev.Funding)

	there := func(k CircuitKey) bool { return slices.Contains(ev.Outstanding, k) }
	if len(s.hold()) > 0 {
		s = s.with(c, keepParts(s.hold(), there))
	}
	for _, a := range slices.Clone(c.answered) {
		switch {
		case !a.Forwarded() || a.Resolved:
		case slices.Contains(ev.Claimed, a.Key):
			s = c.resolve(s, a.Key, PartClaimed{a.Key})
		case !there(a.Key):
			s = c.resolve(s, a.Key, PartFailed{Key: a.Key, Ours: true})
		}
	}
	if claim, ok := s.(AwaitClaim); ok && claim.Channel.Gone && claim.Channel.Withheld {
		s = claim.void(c)
	}
	c.keep(func(a Answer) bool { return there(a.Key) })
	s = c.reach(s, ev.Height)
	c.forget(ev.Height)
	return s
}

// closed says that the one channel that the order may fund has been.
func (f *Funding) closed() bool { return f != nil && f.Gone && !f.Withheld }

// live says that the channel is there.
func (f *Funding) live() bool { return f != nil && !f.Gone }

func (s AwaitParts) restarted(c *turn, f *Funding) State {
	switch {
	case f.closed():
		return c.die(s.Sets, "the channel is closed")
	case f.live():
		return c.rest(c.found(f), s.Sets)
	}
	return AwaitParts{Sets: s.Sets}
}

func (s AwaitClient) restarted(c *turn, f *Funding) State {
	s.Try.Conn = 0
	switch {
	case f.closed():
		return c.die(s.Sets, "the channel is closed")

	case f.live() && s.Ending.of(f.Point) && f.Withheld:
		c.do(DropChannel{f.Point})
		c.do(WakeClient{})
		return s

	case f.live():
		ch := c.found(f)
		c.do(WakeClient{})
		return AwaitChannel{s.Sets, s.Fee, s.Try, &ch}
	}
	s.Ending = nil
	c.do(WakeClient{})
	return s
}

func (s AwaitChannel) restarted(c *turn, f *Funding) State {
	if s.Channel == nil {
		// An open without funding_signed left nothing: the parts are held on, and the
		// attempt does not count.
		s.Try.Attempt = max(s.Try.Attempt-1, 0)
		return AwaitClient{Sets: s.Sets, Fee: s.Fee, Try: s.Try}.restarted(c, f)
	}
	ch := s.Channel.restarted(c, f)
	switch {
	case ch.Gone && ch.Withheld:
		return AwaitClient{Sets: s.Sets, Fee: s.Fee, Try: s.Try}.restarted(c, nil)
	case ch.Gone:
		return c.die(s.Sets, "the channel is closed")
	}
	s.Try.Conn = 0
	s.Channel = &ch
	c.do(WakeClient{})
	return s
}

func (s AwaitClaim) restarted(c *turn, f *Funding) State {
	s.Channel, s.Dropping = s.Channel.restarted(c, f), false
	if s.Channel.Gone {
		c.fail(heldParts(s.Sets), never, "the channel is closed")
		s.Sets = nil
		return s
	}
	// The crash may have come between the record and its effect.
	c.do(RegisterAlias{c.terms.SCID, s.Channel.Point, s.Channel.Chan()})
	return s
}

func (s Owed) restarted(c *turn, f *Funding) State {
	return c.rest(s.Channel.restarted(c, f), s.Sets)
}

func (s Paid) restarted(c *turn, f *Funding) State {
	s.Channel = s.Channel.restarted(c, f)
	return s.flush(c)
}

func (s Dead) restarted(c *turn, f *Funding) State {
	switch {
	case f.live() && f.Withheld:
		c.do(DropChannel{f.Point})
	case f.live():
		return Owed{Channel: c.found(f)}
	}
	return s
}

// restarted is the channel in the new life. What the record has let out is let out again when the
// crash came before that was done: the client has claimed on the channel, and owns nothing else.
func (ch Channel) restarted(c *turn, f *Funding) Channel {
	released := !ch.Withheld
	ch.Conn, ch.OpenedOn, ch.UsedOn = 0, 0, 0
	ch.Gone = !f.live()
	if f != nil {
		ch.Withheld = f.Withheld
	}
	if released && ch.Withheld && !ch.Gone {
		c.do(BroadcastFunding{ch.Point})
		ch.Withheld = false
	}
	return ch
}

// found is a channel that the record did not know to be signed.
func (c *turn) found(f *Funding) Channel {
	ch := c.signed(f.Point, 0)
	ch.Withheld = f.Withheld
	return ch
}
