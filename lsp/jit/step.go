package jit

import (
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	later = lnwire.CodeTemporaryChannelFailure
	never = lnwire.CodeUnknownNextPeer

	// lost is for what was forwarded over a channel that is given up: it is the failure that
	// lnd's switch gives then.
	lost = lnwire.CodePermanentChannelFailure
)

// New is an order as it stands when it was just bought.
func New(id string, t Terms) Order {
	t.ValidUntil, t.AliasUntil = t.ValidUntil.UTC().Round(0), t.AliasUntil.UTC().Round(0)
	return Order{ID: id, Terms: t, State: AwaitParts{}}
}

// Step moves the order by one event at time now. The error is always an
// *UnexpectedError, and then the order is as it was.
//
// A deadline that has passed is acted on before the event, so that a late Tick
// changes nothing about the outcome.
func (o Order) Step(now time.Time, ev Event) (Order, []Command, error) {
	c, s := newTurn(o, now), o.State
	if _, reborn := ev.(Restarted); !reborn {
		s = c.runOut(s)
	}
	if s = c.handle(s, ev); s == nil {
		return o, nil, &UnexpectedError{o.State, ev}
	}
	s = c.runOut(s)
	return Order{o.ID, o.Terms, s, c.answered, c.overrun}, c.cmds, nil
}

// turn is one step in the making.
type turn struct {
	terms    *Terms
	now      time.Time
	cmds     []Command
	answered []Answer
	overrun  bool

	// resolved is the part that a PartClaimed or PartFailed is about.
	resolved Answer
}

func newTurn(o Order, now time.Time) *turn {
	return &turn{
		terms:    &o.Terms,
		now:      now.UTC().Round(0), // as it reads back from the store
		answered: slices.Clone(o.Answered),
		overrun:  o.Overrun,
	}
}

// handle gives the event to the state, less what is the same in every state.
func (c *turn) handle(s State, ev Event) State {
	switch ev := ev.(type) {
	case Tick:
		return s

	case Height:
		s = c.reach(s, ev.Height)
		c.forget(ev.Height)
		return s

	case PartArrived:
		s = c.arrived(c.reach(s, ev.Height), ev)
		c.forget(ev.Height)
		return s

	case PartClaimed:
		return c.resolve(s, ev.Key, ev)

	case PartFailed:
		return c.resolve(s, ev.Key, ev)

	case PreimageKnown:
		if claim, ok := s.(AwaitClaim); ok && claim.Hash == ev.Hash {
			return claim.release(c)
		}
		return s

	case PartStuck:
		return c.stuck(s, ev.Key)

	case PartGone:
		return c.partGone(s, ev.Key)

	case Restarted:
		return c.restart(s, ev)

	case OpenSigned, OpenFailed:
		// The open has ended: there is nothing to cancel, be it late.
		c.undo(CancelOpen{})

	case ChannelGone:
		c.undo(DropChannel{ev.Point})

	default: // for the state alone
	}
	return s.step(c, ev)
}

// arrived gives a part that is new to the state.
func (c *turn) arrived(s State, ev PartArrived) State {
	if c.repeat(ev.Part.Key) || holds(s, ev.Part.Key) {
		return s
	}
	if _, dead := s.(Dead); !dead && !c.admit(s, ev) {
		return s
	}
	return s.step(c, ev)
}

// do adds a command.
func (c *turn) do(cmd Command) { c.cmds = append(c.cmds, cmd) }

// undo takes back a command of this step that the event has made pointless: a
// deadline had passed when the event came.
func (c *turn) undo(cmd Command) {
	c.cmds = slices.DeleteFunc(c.cmds, func(other Command) bool { return other == cmd })
}

// expired says that the offer has run out.
//
// bLIP-52: the LSP goes on only while the time is "strictly less than" valid_until.
func (c *turn) expired() bool { return !c.now.Before(c.terms.ValidUntil) }

// aliasEnded says that the scid is no alias any more, the fee paid or not.
func (c *turn) aliasEnded() bool {
	return c.expired() && !c.now.Before(c.terms.AliasUntil)
}

// runOut acts on deadlines until none has passed. Each round answers a set or ends
// a wait, of which there are few.
func (c *turn) runOut(s State) State {
	for range 4 * maxSets {
		d, ok := deadline(c.terms, s)
		if !ok || c.now.Before(d) {
			return s
		}
		s = c.weed(s, c.overdue(s))
		if d, ok := s.due(c.terms); ok && !c.now.Before(d) {
			s = s.late(c)
		}
	}
	panic("jit: BUG: a deadline stays after it was acted on: " + s.Name())
}

// reach acts on a block height.
func (c *turn) reach(s State, height uint32) State {
	if at, ok := lapse(c.terms, c.answered, s); ok && at <= height {
		s = s.(AwaitClaim).drop(c)
	}
	_, paid := s.(Paid)
	return c.weed(s, func(set Set) (lnwire.FailCode, string) {
		if set.untilHeight(c.terms, paid) > height {
			return 0, ""
		}
		return later, "the HTLC is too near its expiry"
	})
}

// overdue says why a set that has been held to its deadline fails.
func (c *turn) overdue(s State) func(Set) (lnwire.FailCode, string) {
	_, paid := s.(Paid)
	return func(set Set) (lnwire.FailCode, string) {
		until := set.until(c.terms, paid)
		switch {
		case c.now.Before(until):
			return 0, ""

		case until.Before(set.Since.Add(c.terms.Rules.Hold)):
			// bLIP-52: "MUST fail with `unknown_next_peer` if all parts have **NOT**
			// summed up to at least `payment_size_msat` **AND**
			// `opening_fee_params.valid_until` has passed."
			return never, "the offer has run out"
		}
		return later, "the parts were held as long as they may be"
	}
}

// weed fails the sets that doomed has a code for and leaves the others to the state.
func (c *turn) weed(s State, doomed func(Set) (lnwire.FailCode, string)) State {
	sets := s.hold()
	var keep []Set
	for _, set := range sets {
		if code, why := doomed(set); code != 0 {
			c.fail(set.Parts, code, why)
			continue
		}
		keep = append(keep, set)
	}
	if len(keep) == len(sets) {
		return s
	}
	return s.with(c, keep)
}

// admit fails a new part that no state could take, and says whether it may go on.
func (c *turn) admit(s State, ev PartArrived) bool {
	_, paid := s.(Paid)
	code, why := c.judge(ev, paid)
	if code == 0 && (c.overrun || !c.room(s)) {
		c.do(FailPart{ev.Part.Key, later, "too many parts have come for this order"})
		c.overrun = true
		return false
	}
	if code != 0 {
		c.fail([]Part{ev.Part}, code, why)
	}
	return code == 0
}

func (c *turn) judge(ev PartArrived, paid bool) (lnwire.FailCode, string) {
	p, r := ev.Part, c.terms.Rules
	switch {
	case ev.Refuse != 0:
		return ev.Refuse, "the node holds too many parts"

	case p.IncomingAmount < p.Amount:
		return lnwire.CodeFeeInsufficient, "the HTLC is less than what it asks us to forward"

	case less(p.IncomingExpiry, uint32(c.terms.CLTVExpiryDelta)) < p.OutgoingExpiry:
		return lnwire.CodeIncorrectCltvExpiry, "less than lsp_cltv_expiry_delta between the HTLCs"

	case less(p.IncomingExpiry, r.ExpiryMargin) <= ev.Height:
		return lnwire.CodeExpiryTooSoon, "the HTLC is too near its expiry"

	case paid:
		return 0, "" // an ordinary forward: the link's own checks hold

	case less(p.OutgoingExpiry, r.MinFinalExpiryDelta) < ev.Height:
		return later, "the client would find the expiry too near"

	case p.Amount < r.HTLCMin:
		return never, "the part is under htlc_minimum_msat"
	}
	return 0, ""
}

// Deadline is when the order wants a Tick. It follows from the state, so nothing
// is lost in a restart.
func (o Order) Deadline() (time.Time, bool) { return deadline(&o.Terms, o.State) }

func deadline(t *Terms, s State) (time.Time, bool) {
	first, ok := s.due(t)
	_, paid := s.(Paid)
	for _, set := range s.hold() {
		if until := set.until(t, paid); !ok || until.Before(first) {
			first, ok = until, true
		}
	}
	return first, ok
}

// DeadlineHeight is the block height from which the order wants a Height: the
// lowest over the held parts of incoming expiry less Rules.ExpiryMargin, and, while
// the fee is not paid, of the last at which the client takes the part; that at which a
// withheld channel is given up; or that at which an answered part need not be remembered
// any more.
func (o Order) DeadlineHeight() (uint32, bool) {
	lowest, ok := ^uint32(0), false
	_, paid := o.State.(Paid)
	for _, set := range o.State.hold() {
		lowest, ok = min(lowest, set.untilHeight(&o.Terms, paid)), true
	}
	if at, lapses := lapse(&o.Terms, o.Answered, o.State); lapses {
		lowest, ok = min(lowest, at), true
	}
	for _, a := range o.Answered {
		if at, resolved := a.forgetAt(&o.Terms); resolved {
			lowest, ok = min(lowest, at), true
		}
	}
	return lowest, ok
}

// Held are the parts that are neither forwarded nor failed.
func (o Order) Held() []Part { return heldParts(o.State.hold()) }

// Channel is the order's channel, if it has one.
func (o Order) Channel() (Channel, bool) {
	switch s := o.State.(type) {
	case AwaitChannel:
		if s.Channel != nil {
			return *s.Channel, true
		}
	case AwaitClaim:
		return s.Channel, true
	case Owed:
		return s.Channel, true
	case Paid:
		return s.Channel, true
	case AwaitParts, AwaitClient, Dead:
	}
	return Channel{}, false
}

// Unpaid says that parts may leave only over the order's own channel.
func (o Order) Unpaid() bool {
	_, paid := o.State.(Paid)
	return !paid
}

// Done says that the record may be deleted: there is no channel that the scid
// could still lead to, and no part that could come back.
func (o Order) Done() bool {
	_, dead := o.State.(Dead)
	ch, _ := o.Channel()
	return (dead || ch.Gone) && len(o.Answered) == 0 && len(o.Held()) == 0
}
