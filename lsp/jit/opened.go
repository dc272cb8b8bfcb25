package jit

import (
	"slices"
	"time"
)

func (Owed) Name() string { return "owed" }

func (s Owed) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case PartArrived:
		sets, first := c.add(s.Sets, ev.Part)
		next := c.rest(s.Channel, sets)
		if _, ok := next.(Owed); ok && first && s.Channel.Conn == 0 && holds(next, ev.Part.Key) {
			c.do(WakeClient{})
		}
		return next

	case ChannelUsable:
		if ev.Point == s.Channel.Point {
			return Owed{s.Sets, s.Channel.usable(ev)}
		}

	case ChannelGone:
		if ev.Point == s.Channel.Point {
			return c.die(s.Sets, "the channel is closed")
		}

	case ClientGone:
		s.Channel.Conn = 0
		return s

	case OpenSigned:
		if ev.Point == s.Channel.Point {
			return s
		}

	case ClientOnline:
		return s

	default: // not expected in this state
	}
	return nil
}

func (s Owed) hold() []Set                    { return s.Sets }
func (s Owed) with(c *turn, sets []Set) State { return c.rest(s.Channel, sets) }
func (s Owed) due(*Terms) (time.Time, bool)   { return time.Time{}, false }
func (s Owed) late(*turn) State               { return s }

func (Paid) Name() string { return "paid" }

func (s Paid) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case PartArrived:
		return s.arrived(c, ev.Part)

	case PartClaimed:
		s.Collected += c.resolved.ExtraFee
		return s

	case ChannelUsable:
		if ev.Point == s.Channel.Point {
			s.Channel = s.Channel.usable(ev)
			return s.flush(c)
		}

	case ChannelGone:
		if ev.Point == s.Channel.Point {
			s.Channel.Gone, s.Channel.Conn = true, 0
			return s.flush(c)
		}

	case ClientGone:
		s.Channel.Conn = 0
		return s

	case ClientOnline, PartFailed:
		return s

	default: // not expected in this state
	}
	return nil
}

// arrived forwards a payment over the scid in full.
//
// bLIP-52: "LSPs MUST consider the `jit_channel_scid` as yet another alias for the
// specified client, up to until the `valid_until` time selected."
func (s Paid) arrived(c *turn, p Part) State {
	i := slices.IndexFunc(s.Sets, func(set Set) bool { return set.Hash == p.Hash })
	switch {
	case s.Channel.Gone:
		c.refuse(p, "the channel is closed")

	case c.aliasEnded():
		c.refuse(p, "the offer has run out")

	case s.Channel.Conn != 0:
		c.resume(p, c.now)

	// The switch would answer unknown_next_peer for a link that is down, and payers
	// take that for good: hold instead.
	case i < 0 && len(s.Sets) == maxSets || i >= 0 && len(s.Sets[i].Parts) >= c.terms.Rules.MaxParts:
		c.fail([]Part{p}, later, "the client is away and too many parts wait for it")

	case i < 0:
		s.Sets = append(slices.Clip(s.Sets), Set{p.Hash, c.now, []Part{p}})
		c.do(WakeClient{})

	default:
		s.Sets = slices.Clone(s.Sets)
		s.Sets[i].Parts = append(slices.Clip(s.Sets[i].Parts), p)
	}
	return s
}

// flush answers what is held, if that can be done now.
func (s Paid) flush(c *turn) State {
	parts := heldParts(s.Sets)
	switch {
	case s.Channel.Gone:
		c.fail(parts, never, "the channel is closed")
	case s.Channel.Conn == 0:
		return s
	default:
		for _, set := range s.Sets {
			for _, p := range set.Parts {
				c.resume(p, set.Since)
			}
		}
	}
	s.Sets = nil
	return s
}

func (s Paid) hold() []Set { return s.Sets }

func (s Paid) with(_ *turn, sets []Set) State {
	s.Sets = sets
	return s
}

func (s Paid) due(*Terms) (time.Time, bool) { return time.Time{}, false }
func (s Paid) late(*turn) State             { return s }

func (Dead) Name() string { return "dead" }

func (s Dead) step(c *turn, ev Event) State {
	switch ev := ev.(type) {
	case PartArrived:
		c.fail([]Part{ev.Part}, never, "the order is dead")
		return s

	case OpenSigned:
		// The open outlived the offer. The channel is there, and it is owed for.
		ch := c.signed(ev.Point, 0)
		if ch.Withheld {
			c.do(DropChannel{ch.Point})
			return s
		}
		return Owed{Channel: ch}

	case ClientOnline, ClientGone, OpenFailed, ChannelGone, ChannelUsable, PartClaimed, PartFailed:
		return s

	default: // not expected in this state
	}
	return nil
}

func (Dead) hold() []Set                  { return nil }
func (s Dead) with(*turn, []Set) State    { return s }
func (Dead) due(*Terms) (time.Time, bool) { return time.Time{}, false }
func (s Dead) late(*turn) State           { return s }
