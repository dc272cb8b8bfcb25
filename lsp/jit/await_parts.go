package jit

import "time"

func (AwaitParts) Name() string { return "awaiting_parts" }

func (s AwaitParts) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case PartArrived:
		sets, first := c.add(s.Sets, ev.Part)
		next := c.collect(sets, s.Ending)
		if _, ok := next.(AwaitParts); ok && first && holds(next, ev.Part.Key) {
			c.do(WakeClient{}) // a sleeping client has the hold to come
		}
		return next

	case OpenSigned:
		if s.Ending != nil && s.Ending.Point != nil {
			return nil
		}
		// We had given the open up; the channel exists all the same. Never a second.
		return c.rest(c.signed(ev.Point, 0), s.Sets)

	case OpenFailed:
		if s.Ending != nil && s.Ending.Point == nil {
			return AwaitParts{Sets: s.Sets}
		}

	case ChannelGone:
		if s.Ending.of(ev.Point) {
			return AwaitParts{Sets: s.Sets}
		}

	case ChannelUsable:
		if s.Ending.of(ev.Point) {
			return s // it is being dropped
		}

	case ClientOnline, ClientGone:
		return s

	default: // not expected in this state
	}
	return nil
}

func (s AwaitParts) hold() []Set { return s.Sets }

func (s AwaitParts) with(c *turn, sets []Set) State { return c.collect(sets, s.Ending) }

func (s AwaitParts) due(t *Terms) (time.Time, bool) { return t.ValidUntil, true }

func (s AwaitParts) late(c *turn) State {
	// What the sets had to wait for is over: overdue has failed the incomplete ones,
	// and complete ones are not here.
	return c.die(s.Sets, "the offer has run out")
}

// collect goes on without a channel: with the first complete payment that can bear
// its fee, else waiting for parts.
func (c *turn) collect(sets []Set, e *Ending) State {
	for i := 0; i < len(sets); i++ {
		if !sets[i].complete(c.terms) {
			continue
		}
		fee, why := c.price(sets[i])
		if why != "" {
			c.fail(sets[i].Parts, never, why)
			sets = without(sets, i)
			i--
			continue
		}
		c.do(WakeClient{})
		return AwaitClient{Sets: front(sets, i), Fee: fee, Ending: e}
	}
	return AwaitParts{sets, e}
}

// price is the fee of a complete payment, or why it cannot be served.
func (c *turn) price(set Set) (fee amount, why string) {
	t, size := c.terms, c.terms.PaymentSize
	if size == 0 {
		size = set.Total()
		if size < t.MinPayment || size > t.MaxPayment {
			return 0, "the payment is outside the sizes of the offer"
		}
	}
	fee, ok := t.fee(size)
	if !ok {
		return 0, "the fee overflows"
	}
	return fee, fits(set.Parts, fee, t.Rules.HTLCMin)
}

// die ends an order that can have no channel any more.
func (c *turn) die(sets []Set, why string) State {
	c.fail(heldParts(sets), never, why)
	c.do(Finished{})
	return Dead{}
}

// of says that this channel is the one being dropped.
func (e *Ending) of(p outPoint) bool { return e != nil && e.Point != nil && *e.Point == p }
