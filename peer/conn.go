package peer

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

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
	pub     [33]byte
	inbound bool
	local   *lnwire.FeatureVector
	remote  *lnwire.FeatureVector
	limits  *Limits
	wire    *secure
	queue   *queue
	pings   *pinger
	since   time.Time
	// standing is of an inbound connection; guarded by Manager.admission.
	standing standing
	active   atomic.Int64 // Unix nanoseconds of the last message but ping and pong
	life
}

// life is how a connection ends, in this order: quit, readEnd and writeEnd in
// either order, gone.
type life struct {
	once     sync.Once
	reason   error         // read after quit is closed
	hangUp   time.Time     // when the socket is closed at the latest; read after quit is closed
	quit     chan struct{} // closed when it ends, whoever ends it
	readEnd  chan struct{} // closed when nothing more is read
	writeEnd chan struct{} // closed when the writer has returned; the socket is closed then
	ready    chan struct{} // closed when Handler.Connected has returned
	gone     chan struct{} // closed when Handler.Disconnected has returned
}

func newConn(id uint64, wire *secure, inbound bool, limits *Limits) *Conn {
	c := &Conn{
		id: id, inbound: inbound, limits: limits, wire: wire,
		queue: newQueue(limits.QueueMessages, limits.QueueBytes),
		pings: newPinger(limits.Ping, limits.Pong), since: time.Now(),
		life: life{
			quit: make(chan struct{}), readEnd: make(chan struct{}),
			writeEnd: make(chan struct{}), ready: make(chan struct{}),
			gone: make(chan struct{}),
		},
	}
	copy(c.pub[:], wire.remote.SerializeCompressed())
	c.touch()
	return c
}

// ID is unique among all connections of this process and grows with time.
func (c *Conn) ID() uint64 { return c.id }

// PubKey is the node id of the peer, as BOLT 8 proved it.
func (c *Conn) PubKey() [33]byte { return c.pub }

// IdentityKey is PubKey as a key.
func (c *Conn) IdentityKey() *btcec.PublicKey { return c.wire.remote }

// Address is where the peer is: for an inbound connection the address that it
// came from, which is not one that it listens on.
func (c *Conn) Address() net.Addr { return c.wire.RemoteAddr() }

// Inbound says that the peer dialled us.
func (c *Conn) Inbound() bool { return c.inbound }

// LocalFeatures is what our init offered. It must not be changed.
func (c *Conn) LocalFeatures() *lnwire.FeatureVector { return c.local }

// RemoteFeatures is what the peer's init offered. It must not be changed.
func (c *Conn) RemoteFeatures() *lnwire.FeatureVector { return c.remote }

// QuitSignal is closed when the connection ends.
func (c *Conn) QuitSignal() <-chan struct{} { return c.quit }

// Disconnect ends the connection for that reason (nil: ErrDisconnected). What
// was queued before is still sent if the peer takes it within a second. It
// never blocks; Handler.Disconnected follows on the connection's own goroutine.
func (c *Conn) Disconnect(reason error) {
	c.once.Do(func() {
		if reason == nil {
			reason = ErrDisconnected
		}
		c.reason = reason
		c.hangUp = time.Now().Add(linger)
		close(c.quit)
		_ = c.wire.SetWriteDeadline(c.hangUp) // the writer may be in the middle of a message
	})
}

// kill is Disconnect without last words.
func (c *Conn) kill(reason error) {
	c.Disconnect(reason)
	c.wire.Close()
}

// ended says that the connection is ending or has ended.
func (c *Conn) ended() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

// touch notes that the peer does something.
func (c *Conn) touch() { c.active.Store(time.Now().UnixNano()) }

// idle is for how long the peer has done nothing but ping.
func (c *Conn) idle() time.Duration { return time.Since(time.Unix(0, c.active.Load())) }
