package jit

import (
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

type (
	amount   = lnwire.MilliSatoshi
	outPoint = wire.OutPoint
)

// signed is a channel that has just come into being, opened over conn (0: not
// known any more).
func (c *turn) signed(p wire.OutPoint, conn Conn) Channel {
	return Channel{
		Point:    p,
		Withheld: c.terms.ClientTrustsLSP,
		OpenedOn: conn,
	}
}

// Chan is the channel's id.
func (ch Channel) Chan() lnwire.ChannelID { return lnwire.NewChanIDFromOutPoint(ch.Point) }

// floor is the least that a part must leave the client.
func (ch Channel) floor() amount { return max(ch.HTLCMin, 1) }

// usable is the channel after it became usable.
func (ch Channel) usable(ev ChannelUsable) Channel {
	ch.Conn = ev.Conn
	ch.HTLCMin, ch.MaxHTLCs = ev.HTLCMin, ev.MaxHTLCs
	if ch.UsedOn == 0 {
		ch.UsedOn = ev.Conn
	}
	return ch
}

// skimLost says that the client may have forgotten that it takes less than the
// onion says on this channel: an LDK client keeps that in memory only, from its
// accept_channel on, and cannot be told apart from one that merely reconnected.
// The first payment takes that risk, unless the channel can be had anew for nothing.
func (ch Channel) skimLost() bool {
	switch {
	case ch.Conn == ch.OpenedOn:
		return false
	case ch.Tried:
		return true
	case ch.Withheld && ch.OpenedOn != 0:
		return true
	}
	return ch.Conn != ch.UsedOn
}

// rest goes on with a channel that no payment is under way on: with the first
// complete payment that can bear the fee, else the channel is owed for. One that was
// not broadcast is given up then, so that its coins are free.
func (c *turn) rest(ch Channel, sets []Set) State {
	for i := 0; i < len(sets) && !ch.Gone; i++ {
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
		if ch.Conn != 0 {
			return c.forward(ch, front(sets, i), fee, Try{})
		}
		c.do(WakeClient{})
		return AwaitChannel{front(sets, i), fee, Try{}, &ch}
	}
	switch {
	case ch.Withheld && ch.Gone:
		return c.collect(sets, nil)

	case ch.Gone:
		return c.die(sets, "the channel is closed")

	case ch.Withheld:
		c.do(DropChannel{ch.Point})
		return c.collect(sets, &Ending{&ch.Point})
	}
	return Owed{sets, ch}
}

// forward sends the payment sets[0] over a channel that is usable.
func (c *turn) forward(ch Channel, sets []Set, fee amount, try Try) State {
	parts, fee := sets[0].Parts, less64(fee, ch.Collected)
	why := fits(parts, fee, ch.floor())
	if ch.MaxHTLCs != 0 && len(parts) > ch.MaxHTLCs {
		why = "more parts than the client's max_accepted_htlcs"
	}
	if why != "" {
		c.fail(parts, never, why)
		return c.rest(ch, tail(sets))
	}

	var waived amount
	if fee > 0 && ch.skimLost() {
		switch {
		case ch.Withheld:
			c.do(DropChannel{ch.Point})
			try.Conn = ch.Conn
			return AwaitClient{sets, fee, try, &Ending{&ch.Point}}

		case c.terms.Rules.LostSkim == Refuse:
			c.fail(parts, never, "the client reconnected and may refuse the fee")
			return c.rest(ch, tail(sets))
		}
		fee, waived = 0, fee
	}
	if !ch.Alias {
		c.do(RegisterAlias{c.terms.SCID, ch.Point, ch.Chan()})
		ch.Alias = true
	}
	next := AwaitClaim{
		Sets: tail(sets), Hash: sets[0].Hash, Fee: fee, Waived: waived, Channel: ch,
	}
	for i, extra := range skim(parts, fee, ch.floor()) {
		next.Pending = append(next.Pending, c.send(ch, parts[i], extra, sets[0].Since))
	}
	return next
}

// send forwards one part over the order's channel.
//
// bLIP-25: extra_fee is on the parts that something was taken from, and no others.
func (c *turn) send(ch Channel, p Part, extra amount, since time.Time) CircuitKey {
	a := c.forwarded(p, extra, since)
	c.do(ForwardPart{ch.Chan(), a.Key, a.Amount, a.ExtraFee, a.Until})
	return a.Key
}

// gone is the key set less one key; nil when none is left.
func gone(keys []CircuitKey, key CircuitKey) ([]CircuitKey, bool) {
	i := slices.Index(keys, key)
	if i < 0 {
		return keys, false
	}
	return without(keys, i), true
}
