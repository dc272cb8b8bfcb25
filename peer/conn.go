package peer

import (
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Conn is one connection to one node, from after both init until it ends. All
// methods may be called from any goroutine, also after the end.
//
// Together with AddNewChannel, AddPendingChannel, RemovePendingChannel and
// WipeChannel it is an lnpeer.Peer.
type Conn struct {
	id      uint64
	key     *btcec.PublicKey
	pub     [33]byte
	inbound bool
	addr    net.Addr
	local   *lnwire.FeatureVector
	remote  *lnwire.FeatureVector
	quit    chan struct{}
}

// ID is unique among all connections of this process and grows with time.
func (c *Conn) ID() uint64 { return c.id }

// PubKey is the node id of the peer, as BOLT 8 proved it.
func (c *Conn) PubKey() [33]byte { return c.pub }

// IdentityKey is PubKey as a key.
func (c *Conn) IdentityKey() *btcec.PublicKey { return c.key }

// Address is where the peer is: for an inbound connection the address that it
// came from, which is not one that it listens on.
func (c *Conn) Address() net.Addr { return c.addr }

// Inbound says that the peer dialled us.
func (c *Conn) Inbound() bool { return c.inbound }

// LocalFeatures is what our init offered. It must not be changed.
func (c *Conn) LocalFeatures() *lnwire.FeatureVector { return c.local }

// RemoteFeatures is what the peer's init offered. It must not be changed.
func (c *Conn) RemoteFeatures() *lnwire.FeatureVector { return c.remote }

// QuitSignal is closed when the connection ends.
func (c *Conn) QuitSignal() <-chan struct{} { return c.quit }

// SendMessage queues messages in this order behind all that was queued before,
// together. With sync it returns after their bytes were handed to the network
// (which doesn't say that the peer has them), without after they were queued.
//
// When the queue is full it waits for room, at most Limits.Write: then the peer
// doesn't read, the connection ends with ErrSlowReader, and so it does when the
// peer takes a message no faster. A message that can't be encoded is an error
// and nothing of this call is sent. After the end it returns the reason of the
// end; whether messages of an unfinished call left is then unknown.
func (c *Conn) SendMessage(sync bool, msgs ...lnwire.Message) error { return ErrDisconnected }

// SendMessageLazy is SendMessage for what can wait, such as gossip: it is sent
// when nothing else is queued, has an eighth of the queue's room, and waits for
// room as long as the connection lasts.
func (c *Conn) SendMessageLazy(sync bool, msgs ...lnwire.Message) error { return ErrDisconnected }

// Disconnect ends the connection for that reason (nil: ErrDisconnected). What
// was queued before is still sent if the peer takes it within a second. It
// never blocks; Handler.Disconnected follows on the connection's own goroutine.
func (c *Conn) Disconnect(reason error) {}
