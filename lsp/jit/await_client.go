package jit

import "time"

func (AwaitClient) Name() string { return "awaiting_client" }

func (s AwaitClient) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case ClientOnline:
		s.Try.Conn = ev.Conn
		return c.open(s)

	case ClientGone:
		s.Try.Conn = 0
		return s

	case PartArrived:
		s.Sets, _ = c.add(s.Sets, ev.Part)
		return s

	case OpenFailed:
		if s.Ending != nil && s.Ending.Point == nil {
			s.Ending = nil
			return c.open(s)
		}

	case OpenSigned:
		if s.Ending != nil && s.Ending.Point != nil {
			return nil
		}
		// Too late to be cancelled: this is the order's channel now.
		ch := c.signed(ev.Point, 0)
		return AwaitChannel{s.Sets, s.Fee, s.Try, &ch}

	case ChannelGone:
		if s.Ending.of(ev.Point) {
			s.Ending = nil
			return c.open(s)
		}

	case ChannelUsable:
		if s.Ending.of(ev.Point) {
			return s // it is being dropped
		}

	default: // not expected in this state
	}
	return nil
}

// open asks for a channel as soon as the client is there and nothing is left of an
// earlier open.
func (c *turn) open(s AwaitClient) State {
	if s.Try.Conn == 0 || s.Ending != nil {
		return s
	}
	if s.Try.Attempt >= c.terms.Rules.MaxOpenAttempts {
		c.fail(s.Sets[0].Parts, later, "the channel could not be opened in time")
		return c.collect(tail(s.Sets), nil)
	}
	s.Try.Attempt++
	s.Try.Since = c.now
	c.do(OpenChannel{
		Attempt:        s.Try.Attempt,
		Conn:           s.Try.Conn,
		Receives:       s.Sets[0].Total() - s.Fee,
		Parts:          len(s.Sets[0].Parts),
		WithoutAnchors: s.Try.WithoutAnchors,
		Withhold:       c.terms.ClientTrustsLSP,
	})
	return AwaitChannel{Sets: s.Sets, Fee: s.Fee, Try: s.Try}
}

func (s AwaitClient) hold() []Set { return s.Sets }

func (s AwaitClient) with(c *turn, sets []Set) State {
	if serves(c.terms, sets, s.Sets[0].Hash) {
		s.Sets = sets
		return s
	}
	return c.collect(sets, s.Ending)
}

func (s AwaitClient) due(*Terms) (time.Time, bool) { return time.Time{}, false }
func (s AwaitClient) late(*turn) State             { return s }
