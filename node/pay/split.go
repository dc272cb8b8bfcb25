package pay

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/lightningnetwork/lnd/lnwire"
)

// leg is one part of a plan: an amount for the destination and the way that it takes.
type leg struct {
	way    way
	amount lnwire.MilliSatoshi
	fee    lnwire.MilliSatoshi
}

// task is what a plan has to bring about.
type task struct {
	// amount is what the destination must still get; budget is what that may cost in fees.
	amount, budget lnwire.MilliSatoshi

	// parts is how many more parts may be out; more than one only if the invoice has basic_mpp.
	parts int
	mpp   bool

	// ways are the ways to go, and notes what was learned about their channels.
	ways  []way
	notes notes

	// least is the smallest amount that every way takes; split works it out.
	least lnwire.MilliSatoshi
}

// split plans the parts that carry the amount: one part if any way can carry it alone, the cheapest
// of those that failed least; else as few as possible, else as cheap ones as possible. On success
// the amounts of the legs add up to the task's, their fees stay within its budget and there are at
// most as many as it allows. Otherwise the text says why not, for a person.
func split(t task) (legs []leg, problem string) {
	ways := slices.DeleteFunc(slices.Clone(t.ways), func(w way) bool {
		return t.notes.barred(w)
	})
	if len(t.ways) == 0 {
		return nil, "no channel of ours leads to the recipient: open one with it, or with a " +
			"node that its invoice names in a route hint"
	}
	t.least = t.smallest()
	if len(ways) == 0 {
		return nil, "every way to the recipient has failed: try again later"
	}
	if t.parts < 1 {
		return nil, "as many parts as allowed are out"
	}
	if one, ok := t.single(ways); ok {
		return []leg{one}, ""
	}
	if t.mpp && t.parts > 1 {
		for _, order := range []func(a, b leg) int{byAmount, byPrice} {
			if legs, ok := t.several(ways, order); ok {
				return legs, ""
			}
		}
	}
	return nil, t.problem(ways)
}

// single is the best way to carry all of it at once.
func (t task) single(ways []way) (best leg, ok bool) {
	for _, w := range ways {
		l, fits := t.fit(w, t.amount, w.channel.Bandwidth)
		if !fits || l.amount != t.amount || l.fee > t.budget {
			continue
		}
		if !ok || t.better(l, best) {
			best, ok = l, true
		}
	}
	return best, ok
}

// better prefers ways that failed less often, then lower fees, then shorter ways, then larger
// channels.
func (t task) better(a, b leg) bool {
	return cmp.Or(
		cmp.Compare(t.notes.fails(a.way), t.notes.fails(b.way)),
		cmp.Compare(a.fee, b.fee),
		cmp.Compare(len(a.way.edges), len(b.way.edges)),
		cmp.Compare(b.way.channel.Bandwidth, a.way.channel.Bandwidth),
	) < 0
}

// several takes the best leg by order until all is carried. A channel may carry several parts.
func (t task) several(ways []way, order func(a, b leg) int) ([]leg, bool) {
	left := make(map[lnwire.ShortChannelID]lnwire.MilliSatoshi)
	for _, w := range ways {
		left[w.channel.Scid] = w.channel.Bandwidth
	}
	amount, budget := t.amount, t.budget
	var legs []leg
	for amount > 0 && len(legs) < t.parts {
		best, ok := leg{}, false
		for _, w := range ways {
			l, fits := t.fit(w, amount, left[w.channel.Scid])
			if fits && l.fee <= budget && (!ok || order(l, best) < 0) {
				best, ok = l, true
			}
		}
		if !ok {
			return nil, false
		}
		legs = append(legs, best)
		amount -= best.amount
		budget -= best.fee
		left[best.way.channel.Scid] -= best.amount + best.fee
	}
	return legs, amount == 0
}

// byAmount puts larger legs first, so that few are needed.
func byAmount(a, b leg) int {
	return cmp.Or(cmp.Compare(b.amount, a.amount), cmp.Compare(a.fee, b.fee))
}

// byPrice puts legs with a lower fee in proportion first, then larger ones.
func byPrice(a, b leg) int {
	// a.fee / a.amount against b.fee / b.amount, in 128 bits.
	ahi, alo := bits.Mul64(uint64(a.fee), uint64(b.amount))
	bhi, blo := bits.Mul64(uint64(b.fee), uint64(a.amount))
	return cmp.Or(cmp.Compare(ahi, bhi), cmp.Compare(alo, blo), byAmount(a, b))
}

// fit is the largest leg of at most amount on a way whose channel has room left. It leaves either
// nothing over, or enough for the smallest part that the ways take.
func (t task) fit(w way, amount, room lnwire.MilliSatoshi) (leg, bool) {
	if w.channel.MaxHTLC != 0 {
		room = min(room, w.channel.MaxHTLC)
	}
	w = t.notes.apply(w)
	most := min(w.largest(room), t.notes.limit(w))
	if rest := t.least; amount > most && amount-most < rest {
		if most <= rest {
			return leg{}, false
		}
		most = amount - rest
	}
	l := leg{way: w, amount: min(amount, most)}
	total, ok := w.total(l.amount)
	if !ok || l.amount == 0 || total > room || total < w.channel.MinHTLC || tooSmall(w, l.amount) {
		return leg{}, false
	}
	l.fee = total - l.amount
	return l, true
}

// tooSmall says whether a node on the way would refuse so small an amount.
func tooSmall(w way, amount lnwire.MilliSatoshi) bool {
	for _, e := range slices.Backward(w.edges) {
		if amount < e.policy.min {
			return true
		}
		amount += e.policy.fee(amount)
	}
	return false
}

// smallest is the smallest amount that every way takes.
func (t task) smallest() lnwire.MilliSatoshi {
	smallest := lnwire.MilliSatoshi(1)
	for _, w := range t.ways {
		smallest = max(smallest, w.channel.MinHTLC)
		for _, e := range t.notes.apply(w).edges {
			smallest = max(smallest, e.policy.min)
		}
	}
	return smallest
}

// problem says why no plan was found over the ways that are left.
func (t task) problem(ways []way) string {
	var room, largest, cheapest lnwire.MilliSatoshi
	counted := make(map[lnwire.ShortChannelID]bool)
	for _, w := range ways {
		w = t.notes.apply(w)
		can := w.largest(w.channel.Bandwidth)
		if !counted[w.channel.Scid] {
			room += can
			counted[w.channel.Scid] = true
		}
		largest = max(largest, can)
		if total, ok := w.total(t.amount); ok && can >= t.amount {
			if fee := total - t.amount; cheapest == 0 || fee < cheapest {
				cheapest = fee
			}
		}
	}
	switch {
	case cheapest > t.budget:
		return fmt.Sprintf("the cheapest way costs a fee of %d msat and %d msat are allowed: "+
			"allow a larger fee", cheapest, t.budget)

	case room < t.amount:
		return fmt.Sprintf("our channels towards the recipient can carry %d msat of %d msat: "+
			"open or refill a channel", room, t.amount)

	case largest < t.amount && !t.mpp:
		return fmt.Sprintf("the invoice cannot be paid in parts and no channel of ours can carry "+
			"%d msat at once: the largest can carry %d msat", t.amount, largest)

	case largest < t.amount && t.parts < len(counted):
		return fmt.Sprintf("%d parts are not enough to carry %d msat: allow more parts",
			t.parts, t.amount)

	case t.amount < t.least:
		return fmt.Sprintf("%d msat are less than a channel on the way takes at once", t.amount)

	default:
		return fmt.Sprintf("no way was found to carry %d msat with a fee of at most %d msat",
			t.amount, t.budget)
	}
}
