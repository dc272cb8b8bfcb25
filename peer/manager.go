package peer

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"

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
	// Bind makes listeners. Nil: a net.ListenConfig.
	Bind func(ctx context.Context, network, addr string) (net.Listener, error)
	// Jitter returns a random number in [0,1) for the backoff. Nil: math/rand/v2.
	Jitter func() float64
	// Log gets what an operator wants to know. Nil: nothing is logged.
	Log *slog.Logger
}

// Manager keeps all connections of one node.
type Manager struct {
	cfg      Config
	self     [33]byte
	log      *peerLog
	shakes   handshakes
	dials    chan struct{} // a place for each reconnect that is dialling
	started  chan struct{} // closed when Run serves
	stopping chan struct{} // closed when Run ends
	// tasks are goroutines for Run to start and wait for.
	tasks chan func(context.Context)
	wg    sync.WaitGroup
	// admission is held while room for a newcomer is looked for, with calls of
	// KnownPeer; mu is not held then.
	admission sync.Mutex

	mu     sync.Mutex
	state  runState           // guarded by mu
	addrs  []net.Addr         // guarded by mu
	slots  map[[33]byte]*slot // guarded by mu, and all in them
	lastID uint64             // guarded by mu
}

type runState int

const (
	notRun runState = iota
	running
	stopped
)

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Manager, error) {
	if cfg.NodeKey == nil || cfg.Features == nil || cfg.Handler == nil {
		return nil, errors.New("peer: Config needs NodeKey, Features and Handler")
	}
	if cfg.ChainHash == (chainhash.Hash{}) {
		return nil, errors.New("peer: Config needs ChainHash")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if !cfg.Limits.valid() {
		return nil, fmt.Errorf("peer: limits must be positive: %+v", cfg.Limits)
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Bind == nil {
		cfg.Bind = new(net.ListenConfig).Listen
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.KnownPeer == nil {
		cfg.KnownPeer = func([33]byte) bool { return false }
	}
	if cfg.KnownCustom == nil {
		cfg.KnownCustom = func(lnwire.MessageType) bool { return false }
	}
	m := &Manager{
		cfg: cfg, log: newPeerLog(cfg.Log),
		shakes:  handshakes{limit: cfg.Limits.Handshakes},
		dials:   make(chan struct{}, cfg.Limits.Dials),
		started: make(chan struct{}), stopping: make(chan struct{}),
		tasks: make(chan func(context.Context)),
		slots: make(map[[33]byte]*slot),
	}
	copy(m.self[:], cfg.NodeKey.PubKey().SerializeCompressed())
	return m, nil
}

// Run binds the listeners, accepts, reconnects and serves until ctx ends. It
// then ends all connections (what they have queued gets a second to leave),
// tells the Handler, waits for every goroutine, and returns nil. It returns an
// error at once when an address can't be listened on. A Manager runs once.
func (m *Manager) Run(ctx context.Context) error {
	// Whatever ends because Run does gets ErrStopped as its reason.
	serving, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(ErrStopped)
	listeners, err := m.begin(ctx)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		m.wg.Go(func() { m.routineAccept(serving, l) })
	}
	close(m.started)
	m.keepAll()
	for ctx.Err() == nil {
		select {
		case task := <-m.tasks:
			m.wg.Go(func() { task(serving) })
		case <-ctx.Done():
		}
	}
	cancel(ErrStopped)
	m.end(listeners)
	m.wg.Wait()
	return nil
}

// begin binds the listeners, all or none.
func (m *Manager) begin(ctx context.Context) (listeners []net.Listener, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != notRun {
		return nil, ErrRunning
	}
	defer func() {
		for _, l := range listeners {
			if err != nil {
				l.Close()
			}
		}
	}()
	for _, addr := range m.cfg.Listen {
		l, err := m.cfg.Bind(ctx, "tcp", addr)
		if err != nil {
			return listeners, fmt.Errorf("peer: listen on %s: %w: free the port, or "+
				"change listen in the config", addr, err)
		}
		listeners = append(listeners, l)
	}
	for _, l := range listeners {
		m.addrs = append(m.addrs, l.Addr())
		m.cfg.Log.Info("listening for peers", "addr", l.Addr().String())
	}
	m.state = running
	return listeners, nil
}

// end stops all that Run has started.
func (m *Manager) end(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
	m.mu.Lock()
	m.state = stopped
	m.mu.Unlock()
	close(m.stopping)
	for _, c := range m.Peers() {
		c.Disconnect(ErrStopped)
	}
}

// start has Run start a goroutine, unless it ends.
func (m *Manager) start(task func(context.Context)) bool {
	select {
	case m.tasks <- task:
		return true
	case <-m.stopping:
		return false
	}
}

// Started is closed when the listeners are bound. It stays open when Run failed.
func (m *Manager) Started() <-chan struct{} { return m.started }

// Addrs are the addresses that we listen on, ports filled in. None before Started.
func (m *Manager) Addrs() []net.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.addrs)
}

// Disconnect ends the connection to that node, if it is there; else it returns
// ErrNotConnected. A node that is kept comes back.
func (m *Manager) Disconnect(node [33]byte) error {
	c, ok := m.Get(node)
	if !ok {
		return ErrNotConnected
	}
	c.Disconnect(nil)
	return nil
}

// Get returns the connection to that node.
func (m *Manager) Get(node [33]byte) (*Conn, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.slots[node]; s != nil && s.conn != nil && !s.conn.ended() {
		return s.conn, true
	}
	return nil, false
}

// Peers returns all connections, oldest first.
func (m *Manager) Peers() []*Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*Conn
	for _, s := range m.slots {
		if s.conn != nil && !s.conn.ended() {
			all = append(all, s.conn)
		}
	}
	slices.SortFunc(all, func(a, b *Conn) int { return cmp.Compare(a.id, b.id) })
	return all
}

// hexKey is a node id as people write it.
func hexKey(node [33]byte) string { return hex.EncodeToString(node[:]) }
