package chanfactory

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Subject says which funding an event is about.
type Subject struct {
	// Tag is the OpenRequest's; empty for channels that a peer opened.
	Tag string
	// Peer is the other node.
	Peer [33]byte
	// PendingID is the temporary channel id. After a restart it is zero.
	PendingID [32]byte
}

// Of returns the subject.
func (s Subject) Of() Subject { return s }

// Event is something that happened to a funding. Events of one funding come in
// order: Sent, Accepted, Created, Signed, then Broadcast (unless withheld) and
// Ready in either order, Confirmed, Closed; or Failed, which is the last one.
type Event interface {
	Of() Subject
	event()
}

// Sent says that open_channel has left.
type Sent struct {
	Subject
	// PeerID is the connection that it left on.
	PeerID uint64
}

// Accepted says that the peer's accept_channel passed every check.
type Accepted struct {
	Subject
}

// Created says that the intent is stored and funding_created is leaving.
type Created struct {
	Subject
	Point wire.OutPoint
}

// Signed says that the channel is in the store with a commitment that the peer
// signed. From here on the peer remembers the channel, and so do we: it is no
// longer ended by a lost connection. Sent for channels that we accepted too.
type Signed struct {
	Subject
	Point wire.OutPoint
}

// Broadcast says that the funding transaction was given to the network, once
// for each funding and process (again after a restart until it confirms).
type Broadcast struct {
	Subject
	Point wire.OutPoint
}

// Ready says that channel_ready has gone both ways and the link is made. It is
// sent once for each funding; the link may become active just after or before.
type Ready struct {
	Subject
	Point  wire.OutPoint
	ChanID lnwire.ChannelID
	// PeerID is the connection on which the channel became ready.
	PeerID uint64
	// Alias is our alias for the channel (the scid of its first days), or the
	// confirmed scid when the channel has no alias.
	Alias lnwire.ShortChannelID
	// PeerAlias is the alias that the peer gave us: the scid that a private
	// channel_update to it must name. Zero when it gave none.
	PeerAlias lnwire.ShortChannelID
}

// Confirmed says that the funding transaction has its confirmations.
type Confirmed struct {
	Subject
	Point wire.OutPoint
	Scid  lnwire.ShortChannelID
}

// Failed says that an opening ended without a channel and that everything that
// it held is given back. The tag may be used again.
type Failed struct {
	Subject
	Fault Fault
	// Reason is for people; it may quote the peer, printable and cut short.
	Reason string
	// CanRetryWithoutAnchors is true when the peer refused a channel type with
	// anchors: an OpenRequest with WithoutAnchors may pass.
	CanRetryWithoutAnchors bool
}

// Dropped says that a stored funding came to nothing: Drop was called, it
// never confirmed in time, or after a restart its channel was not in the store.
// Its coins are free. The tag may be used again.
type Dropped struct {
	Subject
	Point  wire.OutPoint
	Reason string
}

// Closed says that a cooperative close of the channel is confirmed.
type Closed struct {
	Subject
	Point     wire.OutPoint
	ClosingTx chainhash.Hash
}

func (Sent) event()      {}
func (Accepted) event()  {}
func (Created) event()   {}
func (Signed) event()    {}
func (Broadcast) event() {}
func (Ready) event()     {}
func (Confirmed) event() {}
func (Failed) event()    {}
func (Dropped) event()   {}
func (Closed) event()    {}
