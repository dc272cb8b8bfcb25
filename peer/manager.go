package peer

import (
	"context"
	"log/slog"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Handler gets all that happens on connections. The calls for one connection
// come one after another from its read goroutine, those of different peers in
// parallel. A call must return soon after the connection's QuitSignal is closed,
// else Run can't end and the peer can't come back.
type Handler interface {
	// Connected is called after both init, before any other message is read.
	// Get and Peers know the connection by then, and it can send. When it returns
	// an error the connection ends, and Disconnected is not called.
	Connected(*Conn) error
	// Message gets every message but init, ping and pong. While it runs nothing
	// more is read from this peer: that is the back-pressure, and it must be
	// short against Limits.Pong. `error` and `warning` come here too.
	Message(*Conn, lnwire.Message)
	// Disconnected is called once for each Connected that returned nil, with the
	// reason of the end. Sending fails by then, and Get no longer knows the
	// connection. The next connection of this node waits until it returns.
	Disconnected(*Conn, error)
}

// Config is what New needs. NodeKey, ChainHash, Features and Handler must be set.
type Config struct {
	// NodeKey proves our node id. BOLT 8 uses it three times a connection: give
	// an in-memory key.
	NodeKey keychain.SingleKeyECDH
	// ChainHash is the genesis block of our chain.
	ChainHash chainhash.Hash
	// Features is what we offer that node in init. An even bit that the peer sets
	// is fine only if this set has it or its odd twin.
	Features func(remote [33]byte) *lnwire.RawFeatureVector
	// Listen are TCP addresses, such as ":9735". None: we only dial.
	Listen []string
	// Handler gets what happens.
	Handler Handler
	// KnownPeer says that a node has a channel with us, or another claim to our
	// time, such as an order that waits for it. It is asked whenever room is
	// short; it must be quick and must not call the Manager. Nil: no node has.
	KnownPeer func([33]byte) bool
	// KnownCustom says that an even custom message type (>= 32768) is understood;
	// all others end the connection. Odd ones always reach the Handler. Nil: none.
	KnownCustom func(lnwire.MessageType) bool
	// Limits bounds what peers can cost.
	Limits Limits
	// Dial makes outgoing connections. Nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Jitter returns a random number in [0,1) for the backoff. Nil: math/rand/v2.
	Jitter func() float64
	// Log gets what an operator wants to know. Nil: nothing is logged.
	Log *slog.Logger
}

// Manager keeps all connections of one node.
type Manager struct {
	cfg     Config
	started chan struct{}
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Manager, error) {
	return &Manager{cfg: cfg, started: make(chan struct{})}, nil
}

// Run binds the listeners, accepts, reconnects and serves until ctx ends. It
// then ends all connections (what they have queued gets a second to leave),
// tells the Handler, waits for every goroutine, and returns nil. It returns an
// error at once when an address can't be listened on. A Manager runs once.
func (m *Manager) Run(ctx context.Context) error { return ErrStopped }

// Started is closed when the listeners are bound. It stays open when Run failed.
func (m *Manager) Started() <-chan struct{} { return m.started }

// Addrs are the addresses that we listen on, ports filled in. None before Started.
func (m *Manager) Addrs() []net.Addr { return nil }

// Connect returns the connection to that node, and dials addr ("host:port") if
// there is none; then it returns after Handler.Connected has. It waits for
// Started. Errors: ctx's, the dial's, ErrSelf, ErrStopped, ErrHandshake, ErrNoInit,
// ErrWrongNetwork, ErrFeatures, ErrRefused.
func (m *Manager) Connect(ctx context.Context, node *btcec.PublicKey, addr string) (*Conn, error) {
	return nil, ErrStopped
}

// Disconnect ends the connection to that node, if it is there; else it returns
// ErrNotConnected. A node that is kept comes back.
func (m *Manager) Disconnect(node [33]byte) error { return ErrNotConnected }

// Get returns the connection to that node.
func (m *Manager) Get(node [33]byte) (*Conn, bool) { return nil, false }

// Peers returns all connections, oldest first.
func (m *Manager) Peers() []*Conn { return nil }

// Keep reconnects to that node whenever it isn't connected, until Forget: at
// once when a connection that had lasted ends, then after growing waits up to
// Limits.BackoffMax, for ever. The addresses are tried in turn; calling it again
// replaces them and tries at once. Without addresses it is Forget.
func (m *Manager) Keep(node [33]byte, addrs []string) {}

// Forget stops reconnecting to that node. A connection that is there stays.
func (m *Manager) Forget(node [33]byte) {}
