package peer

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
)

// stableAfter is how long a connection must have lasted for the next attempt to
// be made at once. Else a peer that hangs up after init would be dialled in a
// tight loop.
const stableAfter = 30 * time.Second

// keep is a node that we reconnect to. Guarded by Manager.mu.
type keep struct {
	node     *btcec.PublicKey
	addrs    []string
	attempts int           // since the last connection that lasted
	running  bool          // routineReconnect runs
	wake     chan struct{} // tells it to look again, capacity 1
	cancel   context.CancelFunc
}

func (k *keep) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Keep reconnects to that node whenever it isn't connected, until Forget: at
// once when a connection that had lasted ends, then after growing waits up to
// Limits.BackoffMax, for ever. The addresses are tried in turn; calling it again
// replaces them and tries at once. Without addresses it is Forget.
func (m *Manager) Keep(node [33]byte, addrs []string) {
	if len(addrs) == 0 {
		m.Forget(node)
		return
	}
	id, err := btcec.ParsePubKey(node[:])
	if err != nil || node == m.self {
		m.cfg.Log.Error("cannot keep a connection to this node id", "peer", hexKey(node))
		return
	}
	m.mu.Lock()
	s := m.slot(node)
	if s.keep == nil {
		s.keep = &keep{node: id, wake: make(chan struct{}, 1)}
	}
	s.keep.addrs = slices.Clone(addrs)
	s.keep.attempts = 0
	s.keep.poke()
	m.mu.Unlock()
	m.reconnect(node, 0)
}

// Forget stops reconnecting to that node. A connection that is there stays.
func (m *Manager) Forget(node [33]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slots[node]
	if s == nil || s.keep == nil {
		return
	}
	if s.keep.cancel != nil {
		s.keep.cancel()
	}
	s.keep = nil
	m.tidy(node)
}

// keepAll starts what was kept before Run.
func (m *Manager) keepAll() {
	m.mu.Lock()
	var nodes [][33]byte
	for node := range m.slots {
		nodes = append(nodes, node)
	}
	m.mu.Unlock()
	m.wg.Go(func() {
		for _, node := range nodes {
			m.reconnect(node, 0)
		}
	})
}

// reconnect sees to it that a node that is kept and not connected is dialled.
// lasted is how long its connection was there.
func (m *Manager) reconnect(node [33]byte, lasted time.Duration) {
	select {
	case <-m.started:
	default:
		return // keepAll will
	}
	m.mu.Lock()
	s := m.slots[node]
	if s == nil || s.keep == nil || s.conn != nil {
		m.mu.Unlock()
		return
	}
	if lasted >= stableAfter {
		s.keep.attempts = 0
	}
	k, begin := s.keep, !s.keep.running
	s.keep.running = true
	m.mu.Unlock()
	if begin {
		m.start(func(ctx context.Context) { m.routineReconnect(ctx, k) })
	}
}

// routineReconnect dials until the node is connected or forgotten. Run waits for
// it.
func (m *Manager) routineReconnect(ctx context.Context, k *keep) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		wait, addrs, wanted := m.nextAttempt(k, cancel)
		if !wanted || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			m.attempt(ctx, k, addrs)
		case <-k.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// nextAttempt says when to dial where. Not wanted: the routine must return, and
// reconnect starts another one when it is.
func (m *Manager) nextAttempt(
	k *keep, cancel context.CancelFunc,
) (wait time.Duration, addrs []string, wanted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slots[key(k.node)]
	if s == nil || s.keep != k || s.conn != nil {
		k.running = false
		return 0, nil, false
	}
	k.cancel = cancel
	return backoff(k.attempts, m.cfg.Limits, m.cfg.Jitter()), k.addrs, true
}

// backoff is the wait before an attempt: none before the first, then doubling
// from BackoffMin to BackoffMax, of which a random part of up to a half is left
// out, so that the peers of a node that comes back don't all come at once.
func backoff(attempts int, limits Limits, jitter float64) time.Duration {
	if attempts == 0 {
		return 0
	}
	wait := limits.BackoffMin
	for range attempts - 1 {
		if wait *= 2; wait >= limits.BackoffMax {
			wait = limits.BackoffMax
			break
		}
	}
	return wait - time.Duration(jitter*float64(wait/2))
}

// attempt dials the addresses of a node in turn until one answers.
func (m *Manager) attempt(ctx context.Context, k *keep, addrs []string) {
	select {
	case m.dials <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-m.dials }()
	m.mu.Lock()
	k.attempts++
	first := k.attempts == 1
	m.mu.Unlock()
	for _, addr := range addrs {
		_, err := m.dial(ctx, k.node, addr)
		if err == nil || ctx.Err() != nil {
			return
		}
		level := slog.LevelDebug
		if first {
			level = slog.LevelInfo
		}
		m.log.say(level, "cannot reach peer, will try again", "peer", hexKey(key(k.node)),
			"addr", addr, "err", err)
	}
}
