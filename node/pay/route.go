package pay

import (
	"math/bits"
	"slices"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
)

const (
	// finalPad is the number of blocks that the final expiry gets beyond what the invoice asks
	// for, so that blocks which come while the HTLC is under way do not make it fail.
	finalPad = 3

	// maxTimeLock is the largest number of blocks that we let our money be locked.
	// BOLT 4 recommends 2016 blocks as max_htlc_cltv to those who forward.
	maxTimeLock = 2016

	// maxWays bounds the ways that a plan looks at.
	maxWays = 200

	million = 1_000_000
)

// policy is what a node asks for to forward over a channel of its own.
type policy struct {
	base  lnwire.MilliSatoshi
	ppm   uint32 // millionths of the amount forwarded
	delta uint32 // blocks
	min   lnwire.MilliSatoshi
}

// fee is what forwarding amount costs; more than maxMoney means that it cannot be paid.
// BOLT 7: "fee_base_msat + ( amount_to_forward * fee_proportional_millionths / 1000000 )"
func (p policy) fee(amount lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	hi, lo := bits.Mul64(uint64(amount), uint64(p.ppm))
	if hi >= million {
		return maxMoney + 1
	}
	part, _ := bits.Div64(hi, lo, million)
	if part > uint64(maxMoney) {
		return maxMoney + 1
	}
	return p.base + lnwire.MilliSatoshi(part)
}

// largest is the largest amount whose forwarding is paid by incoming.
func (p policy) largest(incoming lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	incoming = min(incoming, maxMoney)
	if incoming <= p.base {
		return 0
	}
	hi, lo := bits.Mul64(uint64(incoming-p.base), million)
	quo, _ := bits.Div64(hi, lo, million+uint64(p.ppm))
	amount := lnwire.MilliSatoshi(quo)
	// The fee is rounded down, so one more may fit.
	for amount+1+p.fee(amount+1) <= incoming {
		amount++
	}
	return amount
}

// edge is a channel of others, in the direction of the payment.
type edge struct {
	scid     lnwire.ShortChannelID
	from, to route.Vertex
	policy   policy
}

// way is a channel of ours and the edges from its peer to the destination; no edges if the peer is
// the destination.
type way struct {
	channel Channel
	edges   []edge
}

// total is what has to leave us for the destination to get amount; ok is false if that is more
// money than there is.
func (w way) total(amount lnwire.MilliSatoshi) (_ lnwire.MilliSatoshi, ok bool) {
	for _, e := range slices.Backward(w.edges) {
		fee := e.policy.fee(amount)
		if fee > maxMoney || amount > maxMoney {
			return 0, false
		}
		amount += fee
	}
	return amount, amount <= maxMoney
}

// largest is the largest amount that the destination can get when room leaves us.
func (w way) largest(room lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	for _, e := range w.edges {
		room = e.policy.largest(room)
	}
	return room
}

// delta is the number of blocks that the edges add to the final expiry.
func (w way) delta() uint32 {
	var sum uint32
	for _, e := range w.edges {
		sum += e.policy.delta
	}
	return sum
}

// hops is the route of one part. Each hop is the HTLC that arrives at its node: the channel that it
// comes over, its amount and its expiry height.
func (w way) hops(amount lnwire.MilliSatoshi, height, finalDelta uint32,
	dest route.Vertex) []routeHop {

	hops := make([]routeHop, len(w.edges)+1)
	expiry := height + finalDelta + finalPad
	for n := len(hops) - 1; n > 0; n-- {
		e := w.edges[n-1]
		hops[n] = routeHop{node: e.to, scid: e.scid, amount: amount, expiry: expiry}
		amount += e.policy.fee(amount)
		expiry += e.policy.delta
	}
	first := dest
	if len(w.edges) > 0 {
		first = w.edges[0].from
	}
	hops[0] = routeHop{node: first, scid: w.channel.Scid, amount: amount, expiry: expiry}
	return hops
}

// routeHop is one HTLC of a part's route.
type routeHop struct {
	node   route.Vertex
	scid   lnwire.ShortChannelID
	amount lnwire.MilliSatoshi
	expiry uint32
}

// findWays lists how the destination can be reached: over a channel with it, and over a channel
// with a node that a route hint passes. The rest of a hint is followed from the last such node on.
func findWays(b bill, channels []Channel, self route.Vertex) []way {
	var ways []way
	for _, c := range channels {
		if c.Peer == b.dest {
			ways = append(ways, way{channel: c})
			continue
		}
		for _, path := range b.hints {
			from := lastFrom(path, c.Peer)
			if from < 0 || passesTwice(path[from:], self) {
				continue
			}
			ways = append(ways, way{channel: c, edges: slices.Clone(path[from:])})
		}
	}
	ways = slices.DeleteFunc(ways, func(w way) bool {
		return w.delta()+b.delta+finalPad > maxTimeLock
	})
	return ways[:min(len(ways), maxWays)]
}

// lastFrom is the index of the last edge that leaves node, or -1.
func lastFrom(path []edge, node route.Vertex) int {
	for n, e := range slices.Backward(path) {
		if e.from == node {
			return n
		}
	}
	return -1
}

// passesTwice says whether a path comes through us or through one node twice.
func passesTwice(path []edge, self route.Vertex) bool {
	seen := map[route.Vertex]bool{self: true}
	for _, e := range path {
		if seen[e.from] {
			return true
		}
		seen[e.from] = true
	}
	return seen[path[len(path)-1].to]
}
