package pay

import (
	"slices"

	"github.com/lightningnetwork/lnd/lnwire"
)

// maxFails is the number of failures of one channel after which a payment leaves it alone.
const maxFails = 3

// note is what a payment has learned about one channel, ours or another's. It is forgotten with the
// payment.
type note struct {
	scid lnwire.ShortChannelID

	// fails counts failures that may pass; barred channels are not used again.
	fails  int
	barred bool

	// since is the first attempt that was made after the last counted failure. The parts of one
	// plan often fail together, for one reason: they are counted once.
	since int

	// limit bounds a part over the channel; 0 is no bound.
	limit lnwire.MilliSatoshi

	// policy replaces the invoice's, since the channel's owner has told another one.
	policy *policy
}

// notes are values: learning makes new ones.
type notes []note

func (n notes) about(scid lnwire.ShortChannelID) note {
	for _, x := range n {
		if x.scid == scid {
			return x
		}
	}
	return note{scid: scid}
}

// with gives the notes with one changed.
func (n notes) with(scid lnwire.ShortChannelID, change func(*note)) notes {
	out := slices.Clone(n)
	for i := range out {
		if out[i].scid == scid {
			change(&out[i])
			return out
		}
	}
	fresh := note{scid: scid}
	change(&fresh)
	return append(out, fresh)
}

// each gives the notes about the channels of a way.
func (n notes) each(w way) []note {
	list := []note{n.about(w.channel.Scid)}
	for _, e := range w.edges {
		list = append(list, n.about(e.scid))
	}
	return list
}

func (n notes) barred(w way) bool {
	return slices.ContainsFunc(n.each(w), func(x note) bool { return x.barred })
}

func (n notes) fails(w way) int {
	sum := 0
	for _, x := range n.each(w) {
		sum += x.fails
	}
	return sum
}

// limit is the largest part that is still tried on a way.
func (n notes) limit(w way) lnwire.MilliSatoshi {
	limit := maxMoney
	for _, x := range n.each(w) {
		if x.limit != 0 {
			limit = min(limit, x.limit)
		}
	}
	return limit
}

// apply puts learned policies in the place of the invoice's.
func (n notes) apply(w way) way {
	if len(w.edges) == 0 || len(n) == 0 {
		return w
	}
	w.edges = slices.Clone(w.edges)
	for i := range w.edges {
		if p := n.about(w.edges[i].scid).policy; p != nil {
			w.edges[i].policy = *p
		}
	}
	return w
}

// bar gives up a channel.
func (n notes) bar(scid lnwire.ShortChannelID) notes {
	return n.with(scid, func(x *note) { x.barred = true })
}

// lesson is a failed part.
type lesson struct {
	fault fault
	part  attempt

	// index is the part's place among the attempts, next that of the next one to be made.
	index, next int

	// mpp says whether smaller parts can be tried.
	mpp bool
}

// learn draws the lesson of a failed part. It is final if no other way can do better: then the
// whole payment has failed.
func (n notes) learn(l lesson) (_ notes, final bool) {
	hops, f := l.part.hops, l.fault
	switch {
	case f.kind == faultOurs:
		return n, true

	case f.kind == faultLost:
		return n.failed(hops[0].scid, l), false

	case f.kind == faultUnreadable:
		return n.bar(hops[len(hops)-1].scid), false

	case f.source >= len(hops):
		return n.learnFromRecipient(l)
	}
	// The failing channel is the one that leaves the failing node.
	scid := hops[max(f.source, 0)].scid
	arriving := hops[max(f.source-1, 0)].scid
	switch f.code {
	case lnwire.CodeTemporaryChannelFailure:
		return n.learnLimit(l, scid), false

	case lnwire.CodeAmountBelowMinimum, lnwire.CodeFeeInsufficient,
		lnwire.CodeIncorrectCltvExpiry:

		return n.learnPolicy(l, scid), false

	case lnwire.CodeExpiryTooSoon:
		return n.failed(scid, l), false

	case lnwire.CodeTemporaryNodeFailure:
		return n.failed(arriving, l), false

	case lnwire.CodePermanentNodeFailure, lnwire.CodeRequiredNodeFeatureMissing:
		return n.bar(arriving), false

	default:
		return n.bar(scid), false
	}
}

// learnFromRecipient: what the recipient refuses for good ends the payment.
func (n notes) learnFromRecipient(l lesson) (notes, bool) {
	switch l.fault.code {
	case lnwire.CodeMPPTimeout, lnwire.CodeTemporaryNodeFailure:
		return n.failed(l.part.hops[len(l.part.hops)-1].scid, l), false

	default:
		return n, true
	}
}

// learnLimit: the channel could not carry the part, but smaller ones may pass. Of our own channel
// we know the balance, so it lacked only what one more HTLC costs; of another's we know nothing.
func (n notes) learnLimit(l lesson, scid lnwire.ShortChannelID) notes {
	if l.index < n.about(scid).since {
		return n
	}
	n = n.failed(scid, l)
	if !l.mpp {
		return n
	}
	limit := l.part.amount / 2
	if l.fault.source == 0 {
		limit = l.part.amount / 20 * 19
	}
	if limit == 0 {
		return n.bar(scid)
	}
	return n.with(scid, func(x *note) { x.limit = limit })
}

// learnPolicy takes over the policy that came with a failure. Without one, or with the one that was
// already followed, the channel is of no use.
func (n notes) learnPolicy(l lesson, scid lnwire.ShortChannelID) notes {
	f := l.fault
	if f.source == 0 || f.update == nil || f.updated != scid {
		return n.bar(scid)
	}
	old := n.about(scid)
	switch {
	case l.index < old.since:
		return n

	case old.policy != nil && *old.policy == *f.update:
		return n.bar(scid)
	}
	return n.failed(scid, l).with(scid, func(x *note) { x.policy = f.update })
}

// failed counts a failure that may pass.
func (n notes) failed(scid lnwire.ShortChannelID, l lesson) notes {
	return n.with(scid, func(x *note) {
		if l.index < x.since {
			return
		}
		x.fails++
		x.since = l.next
		x.barred = x.barred || x.fails >= maxFails
	})
}
