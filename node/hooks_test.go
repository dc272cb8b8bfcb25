package node

import (
	"errors"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/orders"
)

// HoldClaims makes the node hold HTLCs from which an LSP has withheld a fee: it
// does not come to judging the fee before release is called.
func (n *Node) HoldClaims() (release func()) {
	n.buyer.mu.Lock()
	return n.buyer.mu.Unlock
}

// SetClock makes the node live by another clock.
func (o *Options) SetClock(c clock.Clock) { o.clock = c }

// Mischief is what an LSP does that breaks its word. Nil members change nothing.
type Mischief struct {
	Switch   func(orders.Switch) orders.Switch
	Open     func(*chanfactory.OpenRequest)
	Wire     func(sent bool, m lnwire.Message)
	Features func(*lnwire.RawFeatureVector)
}

// SetMischief makes the node break its word.
func (o *Options) SetMischief(m Mischief) {
	o.seams = seams{
		wrapSwitch: m.Switch, changeOpen: m.Open, onWire: m.Wire, features: m.Features,
	}
}

// Say sends a peer any message.
func (n *Node) Say(to *btcec.PublicKey, m lnwire.Message) error {
	c, ok := n.peers.Get([33]byte(to.SerializeCompressed()))
	if !ok {
		return errors.New("not connected")
	}
	return c.SendMessage(true, m)
}

// ConnOf is the connection with a peer, 0 for none.
func (n *Node) ConnOf(of *btcec.PublicKey) uint64 {
	c, ok := n.peers.Get([33]byte(of.SerializeCompressed()))
	if !ok {
		return 0
	}
	return c.ID()
}
