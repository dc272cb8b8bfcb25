package node

import (
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/peer"
)

// Gated is a message at the gate between a node and its peers.
type Gated = gated

// SetPeerLimits changes what peers may take of the node's time.
func (o *Options) SetPeerLimits(change func(*peer.Limits)) { o.seams.limits = change }

// Nudge has the orders look at the clock: a test that sets it may do so while they look
// away.
func (n *Node) Nudge() { n.orders.ClientGone([33]byte{}, 0) }

// FundingsOf lists the fundings of an order that are out, or may go out.
func (n *Node) FundingsOf(order string) ([]wire.OutPoint, error) {
	list, err := n.factory.Fundings()
	var points []wire.OutPoint
	for _, f := range list {
		if f.Tag == order && f.State != chanfactory.Gone {
			points = append(points, f.Point)
		}
	}
	return points, err
}

// ChainReachable says that the chain backend answers.
func (n *Node) ChainReachable() bool { return n.source.Status().BackendReachable }
