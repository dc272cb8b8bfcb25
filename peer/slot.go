package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
)

// proofOfLife is how long an old connection has to answer a ping when a new one
// of the same node wants its place.
const proofOfLife = 3 * time.Second

var (
	errConnected = errors.New("peer: the node is connected already")
	errTimeout   = errors.New("peer: handshake took too long")
)

// slot is all that the Manager knows of one node. Guarded by Manager.mu.
type slot struct {
	// conn is the connection that the Handler knows of: from before Connected to
	// after Disconnected.
	conn *Conn
	// claims is how many connections are in claim, and newest the highest id of an
	// inbound one that was: of several that wait for the old one to end, only the
	// last goes on. We dial one at a time, and whether that one stays is the rule
	// of claim to say, else both nodes could drop their own dial for the other's.
	claims int
	newest uint64
	// dialing is our dial to this node, one at a time.
	dialing *dialing
	// keep is set while the node is kept.
	keep *keep
}

type dialing struct {
	done chan struct{} // closed when it is over
	// cancel ends it when the node has connected by itself; nil from the moment
	// that our init leaves: see claim.
	cancel context.CancelCauseFunc
}

// slot returns a node's slot, made if need be. mu is held.
func (m *Manager) slot(node [33]byte) *slot {
	s := m.slots[node]
	if s == nil {
		s = new(slot)
		m.slots[node] = s
	}
	return s
}

// tidy forgets a node of which nothing is known. mu is held.
func (m *Manager) tidy(node [33]byte) {
	s := m.slots[node]
	if s != nil && s.conn == nil && s.claims == 0 && s.dialing == nil && s.keep == nil {
		delete(m.slots, node)
	}
}

// establish makes a connection of a socket: handshake, init, the place of the
// node's one connection, Connected. node is nil if it dialled us. ctx bounds all
// of it but Connected. It returns another connection when that one stays. The
// socket is ours from here on.
func (m *Manager) establish(
	ctx context.Context, socket net.Conn, node *btcec.PublicKey,
) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.cfg.Limits.Handshake, errTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()

	wire, err := m.encrypt(socket, node)
	switch {
	case err != nil:
	case key(wire.remote) == m.self:
		err = ErrSelf
	case node != nil && !m.commit(wire):
		err = errConnected
	}
	if err != nil {
		socket.Close()
		return nil, because(ctx, err)
	}
	c := newConn(m.nextID(), wire, node == nil, &m.cfg.Limits)
	m.wg.Go(c.routineWrite)
	if err := m.greet(c); err != nil {
		return nil, m.reject(c, because(ctx, err))
	}
	winner, err := m.claim(ctx, c)
	if err == nil && winner != c {
		_ = m.reject(c, ErrReplaced)
		return winner, winner.whenReady(ctx)
	}
	if err != nil {
		return nil, m.reject(c, because(ctx, err))
	}
	if !stop() {
		c.kill(context.Cause(ctx))
	}
	return c, m.introduce(c)
}

// because prefers the reason of a context that has ended to what it led to.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (m *Manager) encrypt(socket net.Conn, node *btcec.PublicKey) (wire *secure, err error) {
	if node == nil {
		wire, err = respond(socket, m.cfg.NodeKey)
	} else {
		wire, err = initiate(socket, m.cfg.NodeKey, node)
	}
	if err != nil {
		return nil, fmt.Errorf("peer: %w: %w", ErrHandshake, err)
	}
	return wire, nil
}

func (m *Manager) nextID() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID++
	return m.lastID
}

// reject ends a connection that the Handler never heard of, and returns err.
func (m *Manager) reject(c *Conn, err error) error {
	// Only after the peer's init. BOLT 1: "MUST wait to receive `init` before
	// sending any other messages."
	for _, reason := range []error{ErrWrongNetwork, ErrFeatures, ErrTooManyPeers} {
		if errors.Is(err, reason) {
			c.tell(err)
		}
	}
	c.Disconnect(err)
	newReader(c, &m.cfg, m.log).loop()
	return err
}

// claim makes c the connection of its node, and returns c, when the old one is
// gone; or returns the old one, which stays.
//
// When both nodes dial at once there are two good connections, and each node
// must end the same one. A dialler that has been dialled gives up before it
// sends init (see commit): that ends none that the other counts on. When both
// init have crossed too, the connection stays that the node with the smaller id
// dialled, as in lnd.
//
// But a node that dials us while we have a connection to it may simply have lost
// that one. So the rule never favours the old one unless it answers a ping.
func (m *Manager) claim(ctx context.Context, c *Conn) (*Conn, error) {
	m.join(c)
	defer m.leave(c)
	for {
		old, err := m.take(c)
		if old == nil {
			return c, err
		}
		if !old.ended() && m.staysFor(old, c) {
			return old, nil
		}
		old.kill(ErrReplaced)
		select {
		case <-old.gone:
		case <-c.quit:
			return nil, c.reason
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (m *Manager) join(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slot(c.pub)
	s.claims++
	if c.inbound {
		s.newest = max(s.newest, c.id)
	}
}

func (m *Manager) leave(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slot(c.pub).claims--
	m.tidy(c.pub)
}

// staysFor says that the old connection is the one to keep of two.
func (m *Manager) staysFor(old, c *Conn) bool {
	if old.inbound == c.inbound {
		return false
	}
	oursStays := bytes.Compare(m.self[:], c.pub[:]) < 0
	if !c.inbound {
		return !oursStays
	}
	return oursStays && old.alive(proofOfLife)
}

// take gives the node's place to c, or returns who has it.
func (m *Manager) take(c *Conn) (old *Conn, err error) {
	m.admission.Lock()
	defer m.admission.Unlock()
	old, inbound, err := m.ask(c)
	if old != nil || err != nil {
		return old, err
	}
	var victim *Conn
	if c.inbound && !c.ask(time.Now(), m.cfg.KnownPeer, 0) {
		if victim, err = evict(inbound, m.cfg.KnownPeer, m.cfg.Limits.Strangers); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == stopped {
		return nil, ErrStopped
	}
	if victim != nil {
		victim.kill(ErrEvicted)
	}
	s := m.slot(c.pub)
	s.conn = c
	if s.dialing != nil && s.dialing.cancel != nil {
		s.dialing.cancel(errConnected)
	}
	if s.keep != nil {
		s.keep.poke()
	}
	return nil, nil
}

// ask looks whether c may have its node's place, and lists the inbound ones of
// all nodes.
func (m *Manager) ask(c *Conn) (old *Conn, inbound []*Conn, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slot(c.pub)
	if c.inbound && c.id < s.newest {
		return nil, nil, ErrReplaced
	}
	if s.conn != nil {
		return s.conn, nil, nil
	}
	for _, other := range m.slots {
		if other.conn != nil && other.conn.inbound {
			inbound = append(inbound, other.conn)
		}
	}
	return nil, inbound, nil
}

// introduce tells the Handler and starts to read.
func (m *Manager) introduce(c *Conn) error {
	if err := m.cfg.Handler.Connected(c); err != nil {
		err = fmt.Errorf("peer: %w: %w", ErrRefused, err)
		c.Disconnect(err)
		newReader(c, &m.cfg, m.log).loop()
		m.release(c, 0)
		return err
	}
	close(c.ready)
	m.log.say(slog.LevelInfo, "peer connected", "peer", hexKey(c.pub),
		"addr", c.Address().String(), "inbound", c.inbound, "conn", c.id)
	m.wg.Go(func() { m.routineServe(c) })
	return nil
}

// routineServe is the read goroutine of a connection. Run waits for it.
func (m *Manager) routineServe(c *Conn) {
	since := time.Now()
	newReader(c, &m.cfg, m.log).loop()
	lasted := time.Since(since)
	m.log.say(slog.LevelInfo, "peer disconnected", "peer", hexKey(c.pub), "conn", c.id,
		"err", c.reason)
	m.cfg.Handler.Disconnected(c, c.reason)
	m.release(c, lasted)
}

// release gives the node's place back.
func (m *Manager) release(c *Conn, lasted time.Duration) {
	m.mu.Lock()
	s := m.slot(c.pub)
	s.conn = nil
	m.tidy(c.pub)
	m.mu.Unlock()
	close(c.gone)
	m.reconnect(c.pub, lasted)
}

// whenReady waits until the Handler knows the connection.
func (c *Conn) whenReady(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-c.gone:
		return c.reason
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
