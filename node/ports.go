package node

import (
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/forward"
	"github.com/inletlsp/inlet/node/orders"
)

// fundingCourt is the court as the channel factory wants it.
type fundingCourt struct{ n *Node }

func (c fundingCourt) WatchNewChannel(ch *channeldb.OpenChannel) error {
	return c.n.court.Arbitrator().WatchNewChannel(ch)
}

func (c fundingCourt) Forget(point wire.OutPoint) error {
	return c.n.court.Arbitrator().ResolveContract(point)
}

// watch is the court as links want it.
type watch struct{ n *Node }

func (w watch) SubscribeChannelEvents(p forward.ChannelPoint) (
	*contractcourt.ChainEventSubscription, error) {
	return w.n.court.Arbitrator().SubscribeChannelEvents(p)
}

func (w watch) UpdateContractSignals(p forward.ChannelPoint,
	s *contractcourt.ContractSignals) error {
	return w.n.court.Arbitrator().UpdateContractSignals(p, s)
}

func (w watch) NotifyContractUpdate(p forward.ChannelPoint,
	u *contractcourt.ContractUpdate) error {
	return w.n.court.Arbitrator().NotifyContractUpdate(p, u)
}

// ForceClose refuses a channel whose funding has not been seen: its commitment
// would spend an output that may never exist, and the peer could not be told.
func (w watch) ForceClose(p forward.ChannelPoint) error {
	_, err := w.n.forceClose(p)
	return err
}

// fundingLinks is the set of links as the channel factory wants it.
type fundingLinks struct{ n *Node }

func (l fundingLinks) Ready(p chanfactory.Peer, ch *channeldb.OpenChannel,
	m *lnwire.ChannelReady) error {

	conn, ok := p.(connPeer)
	if !ok {
		return fmt.Errorf("node: channel became ready on a %T", p)
	}
	return l.n.links.Ready(conn, ch, m)
}

func (l fundingLinks) Find(id lnwire.ChannelID) (htlcswitch.ChannelUpdateHandler,
	*lnwallet.LightningChannel, bool) {
	return l.n.links.Find(id)
}

func (l fundingLinks) Refresh(id lnwire.ChannelID) { l.n.links.Refresh(id) }
func (l fundingLinks) Remove(id lnwire.ChannelID)  { l.n.links.Remove(id) }

// withheld says that a channel's funding is withheld.
func (n *Node) withheld(point wire.OutPoint) bool { return n.factory.Withheld(point) }

// linkEvents passes the life of links on. The calls come from the links'
// goroutines; everything here only queues.
type linkEvents struct{ n *Node }

func (e linkEvents) ChannelUsable(u forward.Usable) {
	e.n.orders.ChannelUsable(jit.ChannelUsable{
		Point: u.Point, Conn: jit.Conn(u.Conn),
		HTLCMin: u.HTLCMin, MaxHTLCs: int(u.MaxHTLCs),
	})
	if u.Fresh {
		e.n.events.add(Event{Kind: ChannelOpened, ChannelPoint: u.Point.String(),
			Peer: peerKey(u.Peer), OrderID: e.n.orders.OrderOf(u.Point.String())})
	}
}

func (e linkEvents) ChannelUnusable(forward.ChannelPoint) {}

// Fulfilled is the first moment at which a preimage is known here.
func (e linkEvents) Fulfilled(p lntypes.Preimage) { e.n.orders.Preimage(p) }

func (e linkEvents) Reestablished(p forward.Peer, id lnwire.ChannelID) {
	if conn, ok := p.(connPeer); ok {
		e.n.factory.Reestablished(conn, id)
	}
}

// fundingEvent takes what the channel factory tells and passes it to the order
// that the channel is for, if it is for one.
func (n *Node) fundingEvent(ev chanfactory.Event) {
	s := ev.Of()
	switch ev.(type) {
	case chanfactory.Signed, chanfactory.Broadcast, chanfactory.Dropped, chanfactory.Confirmed,
		chanfactory.Closed:
		defer n.backups.Changed()
	}
	switch ev := ev.(type) {
	case chanfactory.Sent:
		n.orders.Stage(s.Tag, orders.StageOpenSent)
	case chanfactory.Accepted:
		n.orders.Stage(s.Tag, orders.StageAccepted)
	case chanfactory.Created:
		n.orders.Stage(s.Tag, orders.StageFundingCreated)
	case chanfactory.Signed:
		n.countAnchors()
		n.orders.Funding(s.Tag, jit.OpenSigned{Point: ev.Point})
	case chanfactory.Ready:
		if s.Tag == "" { // ours were counted when they were signed
			n.countAnchors()
		}
	case chanfactory.Broadcast:
		n.orders.Stage(s.Tag, orders.StageBroadcast)
	case chanfactory.Failed:
		n.orders.Funding(s.Tag, jit.OpenFailed{
			Fault: orderFault(ev.Fault), Reason: ev.Reason,
			CanRetryWithoutAnchors: ev.CanRetryWithoutAnchors,
		})
	case chanfactory.Dropped:
		n.countAnchors()
		n.orders.ChannelDropped(ev.Point)
		n.forgetLink(ev.Point, false)
	case chanfactory.Confirmed:
		n.orders.ChannelConfirmed(ev.Point)
		n.events.add(Event{Kind: ChannelConfirmed, ChannelPoint: ev.Point.String(),
			Peer: peerKey(s.Peer), OrderID: n.orders.OrderOf(ev.Point.String())})
	case chanfactory.Closed:
		n.log.Info("channel closed by agreement", "chan", ev.Point.String(),
			"tx", ev.ClosingTx.String())
	}
	n.openers.tell(ev)
}

func orderFault(f chanfactory.Fault) jit.Fault {
	switch f {
	case chanfactory.PeerRefused:
		return jit.FaultRefused
	case chanfactory.PeerGone:
		return jit.FaultGone
	case chanfactory.PeerTerms:
		return jit.FaultTerms
	case chanfactory.Timeout:
		return jit.FaultTimeout
	}
	return jit.FaultOurs
}

// channelClosed is told by the court that a funding output is spent.
func (n *Node) channelClosed(point wire.OutPoint) {
	n.countAnchors()
	n.backups.Changed()
	n.orders.ChannelGone(point)
	n.events.add(Event{Kind: ChannelClosed, ChannelPoint: point.String()})
	closed, err := n.channels.ChannelStateDB().FetchClosedChannel(&point)
	agreed := err == nil && closed.CloseType == channeldb.CooperativeClose
	n.forgetLink(point, agreed)
	n.forgetPeers()
}

// forgetLink removes what the links keep for a channel that is closed.
func (n *Node) forgetLink(point wire.OutPoint, byAgreement bool) {
	if err := n.links.Forget(lnwire.NewChanIDFromOutPoint(point), byAgreement); err != nil {
		n.log.Warn("cannot forget policy of closed channel", "chan", point.String(), "err", err)
	}
}
