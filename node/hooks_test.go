package node

import "github.com/lightningnetwork/lnd/clock"

// HoldClaims makes the node hold HTLCs from which an LSP has withheld a fee: it
// does not come to judging the fee before release is called.
func (n *Node) HoldClaims() (release func()) {
	n.buyer.mu.Lock()
	return n.buyer.mu.Unlock
}

// SetClock makes the node live by another clock.
func (o *Options) SetClock(c clock.Clock) { o.clock = c }
