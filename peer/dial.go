package peer

import (
	"context"
	"fmt"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Connect returns the connection to that node, and dials addr ("host:port") if
// there is none; then it returns after Handler.Connected has. It waits for
// Started. Errors: ctx's, the dial's, ErrSelf, ErrStopped, ErrHandshake, ErrNoInit,
// ErrWrongNetwork, ErrFeatures, ErrRefused.
func (m *Manager) Connect(ctx context.Context, node *btcec.PublicKey, addr string) (*Conn, error) {
	if key(node) == m.self {
		return nil, ErrSelf
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("peer: connect to %q: %w: write host:port, such as "+
			"203.0.113.7:9735", Printable([]byte(addr)), err)
	}
	select {
	case <-m.started:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type result struct {
		conn *Conn
		err  error
	}
	answer := make(chan result, 1)
	started := m.start(func(run context.Context) {
		run, cancel := context.WithCancelCause(run)
		defer cancel(nil)
		stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		defer stop()
		c, err := m.dial(run, node, addr)
		answer <- result{c, err}
	})
	if !started {
		return nil, ErrStopped
	}
	select {
	case r := <-answer:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func key(node *btcec.PublicKey) (raw [33]byte) {
	copy(raw[:], node.SerializeCompressed())
	return raw
}

// dial connects to a node, or waits for the dial that is under way, or returns
// the connection that is there.
func (m *Manager) dial(ctx context.Context, node *btcec.PublicKey, addr string) (*Conn, error) {
	dialCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mine := &dialing{done: make(chan struct{}), cancel: cancel}
	for {
		old, other := m.reserve(key(node), mine)
		if old != nil {
			return old, old.whenReady(ctx)
		}
		if other == nil {
			break
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	c, err := m.dialNow(dialCtx, node, addr)
	m.unreserve(key(node), mine)
	if err == nil {
		return c, nil
	}
	// The node may have connected while we dialled.
	if c, ok := m.Get(key(node)); ok {
		return c, c.whenReady(ctx)
	}
	return nil, err
}

func (m *Manager) dialNow(
	ctx context.Context, node *btcec.PublicKey, addr string,
) (*Conn, error) {
	dialCtx, cancel := context.WithTimeoutCause(ctx, m.cfg.Limits.Handshake, errTimeout)
	defer cancel()
	socket, err := m.cfg.Dial(dialCtx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("peer: dial %s: %w", addr, because(dialCtx, err))
	}
	return m.establish(ctx, socket, node)
}

// reserve makes d the dial to that node, unless there is a connection or a dial.
func (m *Manager) reserve(node [33]byte, d *dialing) (*Conn, *dialing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slot(node)
	if s.conn != nil && !s.conn.ended() {
		return s.conn, nil
	}
	if s.dialing != nil {
		return nil, s.dialing
	}
	s.dialing = d
	return nil, nil
}

func (m *Manager) unreserve(node [33]byte, d *dialing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slot(node).dialing = nil
	m.tidy(node)
	close(d.done)
}

// commit is asked before our init leaves on a connection that we dialled. No:
// the node has connected by itself meanwhile. Yes: from here on the node may
// count on this connection, and claim decides.
func (m *Manager) commit(wire *secure) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slot(key(wire.remote))
	if s.conn != nil && !s.conn.ended() {
		return false
	}
	if s.dialing != nil {
		s.dialing.cancel = nil
	}
	return true
}
