package chanfactory

import (
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// Peer is one connection to another node, after both init messages.
type Peer interface {
	// PubKey is the peer's node id in compressed form.
	PubKey() [33]byte
	// IdentityKey is the same key, parsed.
	IdentityKey() *btcec.PublicKey
	// Address is where the connection leads to.
	Address() net.Addr
	// LocalFeatures is what our init offered on this connection.
	LocalFeatures() *lnwire.FeatureVector
	// RemoteFeatures is what the peer's init offered.
	RemoteFeatures() *lnwire.FeatureVector
	// SendMessage sends; with sync it returns after the write.
	SendMessage(sync bool, msgs ...lnwire.Message) error
	// QuitSignal is closed when the connection has ended.
	QuitSignal() <-chan struct{}
	// Disconnect ends the connection and never blocks.
	Disconnect(error)
	// ID tells this connection from the peer's others, unique in the process.
	ID() uint64
}

// Court watches channels on the chain (lnd's ChainArbitrator in the node).
type Court interface {
	// WatchNewChannel starts the watch of a channel that was just stored. The
	// factory calls it before any funding transaction can be broadcast.
	WatchNewChannel(*channeldb.OpenChannel) error
	// Forget ends the watch of a channel whose funding never reached the
	// chain. The channel is already marked FundingCanceled.
	Forget(wire.OutPoint) error
}

// Links is the node's set of live channel links.
type Links interface {
	// Ready is called when channel_ready has gone both ways. It stores the
	// peer's next revocation point and makes the link, which needs no
	// channel_reestablish: either the channel is as old as the connection, or
	// the node sent channel_reestablish when the connection began. A link that
	// is live already gets the next revocation point. The channel handed in is
	// a fresh copy from the store; it is the link's alone from here on.
	Ready(p Peer, ch *channeldb.OpenChannel, m *lnwire.ChannelReady) error
	// Find returns the live link of a channel and the channel that it drives.
	// The factory writes to a channel that has a live link only inside the
	// link's own goroutine (OnCommitOnce, OnFlushedOnce).
	Find(lnwire.ChannelID) (link htlcswitch.ChannelUpdateHandler,
		lc *lnwallet.LightningChannel, ok bool)
	// Refresh lets the switch read the link's short channel ids again. It is
	// never called with the link's lock held.
	Refresh(lnwire.ChannelID)
	// Remove stops and removes the link and returns when it has ended. An
	// unknown channel is fine.
	Remove(lnwire.ChannelID)
}

// Coins is the wallet's stock as far as openings touch it; *wallet.Wallet has this shape.
type Coins interface {
	// Funder gives the assembler for one opening: it picks the coins and leases them.
	Funder() chanfunding.Assembler
	// RenewLeases prolongs the leases of the coins that a transaction spends, or takes them again
	// when they have ended. An error when another one has spent one of them, or a block this one.
	RenewLeases(tx *wire.MsgTx, until time.Time) error
	// Release gives coins back; one that is not leased, spent or unknown is no error.
	Release(points []wire.OutPoint) error
	// ReleaseStale gives back every leased coin that keep does not claim.
	ReleaseStale(keep func(wire.OutPoint) bool) ([]wire.OutPoint, error)
}

// Acceptor decides on channels that peers propose.
type Acceptor interface {
	// Judge is asked once for each open_channel that is well-formed and within
	// the factory's own limits. Its error text is sent to the peer.
	Judge(Proposal) (Terms, error)
	// Expects says that we have asked this peer for a channel, and that a payment may wait for
	// it. Channels that strangers never fund must not keep it out.
	Expects(peer [33]byte) bool
}

// Proposal is what a peer's open_channel asks for.
type Proposal struct {
	// Peer is the opener.
	Peer Peer
	// PendingID is its temporary channel id.
	PendingID [32]byte
	// Capacity is the size of the channel.
	Capacity btcutil.Amount
	// Push is what the opener gives us in the first commitment.
	Push lnwire.MilliSatoshi
	// Private is true when the channel is not to be announced.
	Private bool
	// Type is the negotiated channel_type; Type.ZeroConf says whether the
	// opener asks for bit 50.
	Type funding.ChanType
}

// Terms is what we let a peer's channel have.
type Terms struct {
	// ZeroConf takes the channel as usable before its funding confirms: the
	// opener is then trusted with all that it holds in it. A proposal with bit
	// 50 in its type is refused when this is false.
	ZeroConf bool
	// MinDepth is how many confirmations an ordinary channel needs; zero means
	// the policy's.
	MinDepth uint16
	// MaxToSelfDelay bounds the to_self_delay that we ask of the opener, in blocks; zero
	// means the policy's alone.
	MaxToSelfDelay uint16
}
