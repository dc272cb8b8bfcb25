package node

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnpeer"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/peer"
)

// errFundingElsewhere answers lnd's links when they ask the peer to make channels,
// which they never do: chanfactory makes them.
var errFundingElsewhere = errors.New("node: channels are made by the channel factory")

// connPeer is a connection in the shape that lnd's links know.
type connPeer struct {
	*peer.Conn
	wipe func(wire.OutPoint)
	tap  func(sent bool, m lnwire.Message)
	gate gate // nil but in tests
}

// SendMessage implements lnpeer.Peer.
func (p connPeer) SendMessage(sync bool, msgs ...lnwire.Message) error {
	if p.gate != nil {
		return p.gate.send(p, sync, msgs)
	}
	for _, m := range msgs {
		p.tap(true, m)
	}
	return p.Conn.SendMessage(sync, msgs...)
}

func (p connPeer) AddNewChannel(*lnpeer.NewChannel, <-chan struct{}) error {
	return errFundingElsewhere
}

func (p connPeer) AddPendingChannel(lnwire.ChannelID, <-chan struct{}) error { return nil }

func (p connPeer) RemovePendingChannel(lnwire.ChannelID) error { return nil }

// WipeChannel removes the channel's link; a link calls it from another goroutine
// than its own when it sees its channel closed on chain.
func (p connPeer) WipeChannel(point *wire.OutPoint) { p.wipe(*point) }

var _ lnpeer.Peer = connPeer{}

// peerHandler routes what peers say to the part that it concerns. peer.Manager
// calls it in order for each connection, from the connection's read goroutine.
type peerHandler struct{ n *Node }

func (h peerHandler) wrap(c *peer.Conn) connPeer {
	tap := func(sent bool, m lnwire.Message) { h.n.opts.seams.wire(c.PubKey(), sent, m) }
	return connPeer{Conn: c, gate: h.n.opts.seams.gate, tap: tap, wipe: func(point wire.OutPoint) {
		h.n.links.Remove(lnwire.NewChanIDFromOutPoint(point))
	}}
}

// Connected waits until what the last connection brought is stored, starts the links
// of our channels with the peer, then tells those who
// wait for it: the funding flow first, because an order may open right away.
func (h peerHandler) Connected(c *peer.Conn) error {
	p := h.wrap(c)
	if err := h.n.factory.Quiesce(p); err != nil {
		return fmt.Errorf("node: finish what the peer's last connection brought: %w", err)
	}
	if err := h.n.links.PeerOnline(p); err != nil {
		return fmt.Errorf("node: start channels with peer: %w", err)
	}
	h.n.factory.PeerOnline(p)
	h.n.orders.ClientOnline(c.PubKey(), c.ID())
	return nil
}

// Disconnected undoes Connected in reverse.
func (h peerHandler) Disconnected(c *peer.Conn, _ error) {
	p := h.wrap(c)
	h.n.orders.ClientGone(c.PubKey(), c.ID())
	h.n.lspGone(c.PubKey())
	h.n.factory.PeerGone(p)
	h.n.links.PeerGone(p)
}

// Message takes one message.
func (h peerHandler) Message(c *peer.Conn, m lnwire.Message) {
	if gate := h.n.opts.seams.gate; gate != nil {
		gate.take(c, m, func(m lnwire.Message) { h.route(c, m) })
		return
	}
	h.route(c, m)
}

// route brings one message to the part that it concerns.
func (h peerHandler) route(c *peer.Conn, m lnwire.Message) {
	p := h.wrap(c)
	p.tap(false, m)
	switch m := m.(type) {
	case *lnwire.OpenChannel, *lnwire.AcceptChannel, *lnwire.FundingCreated,
		*lnwire.FundingSigned, *lnwire.ChannelReady, *lnwire.Shutdown, *lnwire.ClosingSigned:
		h.n.factory.Handle(p, m)

	case *lnwire.Error:
		h.n.peerError(p, m)

	case *lnwire.Warning: // the peer package has logged it, bounded
		h.n.factory.Handle(p, m)

	case *lnwire.ChannelReestablish: // lnd does not count it among link messages
		h.deliver(p, m.ChanID, m)

	case lnwire.LinkUpdater:
		h.deliver(p, m.TargetChanID(), m)

	case *lnwire.ChannelUpdate1:
		if err := h.n.links.PeerUpdate(p, m); err != nil {
			h.n.log.Debug("ignored channel_update", "peer", peerKey(c.PubKey()), "err", err)
		}

	case *lnwire.Custom:
		if m.Type == lsp.MessageType {
			h.n.lspMessage(c, m.Data)
		}
	}
}

func (h peerHandler) deliver(p connPeer, id lnwire.ChannelID, m lnwire.Message) {
	if err := h.n.links.Deliver(p, id, m); err != nil {
		p.Disconnect(fmt.Errorf("node: deliver %v: %w", m.MsgType(), err))
	}
}
