package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/store"
)

// errDied is what a node gets from its disk and its chain after its death.
var errDied = errors.New("the test has ended this life of the node")

// moment is a point in the life of a node: the nth write of a name, or the nth message
// of a name, before or after it.
type moment struct {
	name  string
	nth   int
	after bool
}

func (m moment) String() string {
	when := "before"
	if m.after {
		when = "after"
	}
	return fmt.Sprintf("%s %s #%d", when, m.name, m.nth)
}

// lifeline holds the life of a node. At its end nothing reaches the disk any more,
// nothing is broadcast, and the connections are cut; what was on the disk at that
// moment is what the next life starts from.
type lifeline struct {
	mu       sync.Mutex
	dead     bool                         // guarded by mu
	failing  bool                         // guarded by mu; the disk has failed, the connections are still there
	diskOnly bool                         // guarded by mu; the end is an error of the disk
	conns    map[*lineConn]struct{}       // guarded by mu
	counts   map[string]int               // guarded by mu; of writes since arm
	list     []moment                     // guarded by mu; the same, in their order
	commits  int                          // guarded by mu; the same, counted
	dies     func(n int, at moment) bool  // guarded by mu; nil: lives on
	hit      chan struct{}                // guarded by mu; closed at the death
	out      map[chainhash.Hash]time.Time // guarded by mu; broadcast, in all lives
	late     []string                     // guarded by mu; what was tried to be broadcast after the end
}

func newLifeline() *lifeline {
	return &lifeline{
		conns: map[*lineConn]struct{}{}, counts: map[string]int{},
		hit: make(chan struct{}), out: map[chainhash.Hash]time.Time{},
	}
}

func (l *lifeline) seams() node.Lifeline {
	return node.Lifeline{
		Commit: l.commit, Broadcast: l.broadcast, Dial: l.dial, Bind: l.bind,
	}
}

// arm begins to count writes, and ends the life where dies says so; nil: nowhere. The
// channel is closed at that moment. With diskOnly the end is an error of the disk, and
// the connections are left to the node.
func (l *lifeline) arm(diskOnly bool, dies func(n int, at moment) bool) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts, l.list, l.commits, l.dies = map[string]int{}, nil, 0, dies
	l.hit, l.diskOnly, l.late = make(chan struct{}), diskOnly, nil
	clear(l.out)
	return l.hit
}

// disarm ends the counting and returns what was counted.
func (l *lifeline) disarm() []moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dies = nil
	return l.list
}

// revive begins the next life, and returns what the one before has signed and broadcast
// after an error of the disk.
func (l *lifeline) revive() (late []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.failing, l.diskOnly, l.dies = false, false, false, nil
	return l.late
}

func (l *lifeline) commit(done bool, writes []store.Write) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || l.failing {
		return errDied
	}
	var names []string
	for _, w := range writes {
		names = append(names, w.String())
	}
	name := strings.Join(names, " + ")
	if !done {
		l.counts[name]++
		l.commits++
		l.list = append(l.list, moment{name: name, nth: l.counts[name]})
	}
	at := moment{name, l.counts[name], done}
	if l.dies == nil || !l.dies(l.commits, at) {
		return nil
	}
	if l.failing = l.diskOnly; !l.failing {
		l.dead = true
		l.cut()
	}
	close(l.hit)
	return errDied
}

// cut ends all connections. Callers hold mu.
func (l *lifeline) cut() {
	for c := range l.conns {
		c.TCPConn.Close()
	}
	clear(l.conns)
}

// disconnect ends all connections of a node that lives on.
func (l *lifeline) disconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *lifeline) broadcast(tx *wire.MsgTx) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, before := l.out[tx.TxHash()]; l.failing && !before {
		l.late = append(l.late, "broadcast "+tx.TxHash().String())
	}
	if l.dead {
		return errDied
	}
	l.out[tx.TxHash()] = time.Now()
	return nil
}

// says notes signatures that leave after the disk's error.
func (l *lifeline) says(sent bool, m lnwire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !sent || !l.failing {
		return
	}
	switch m.(type) {
	case *lnwire.CommitSig, *lnwire.FundingCreated, *lnwire.FundingSigned, *lnwire.ClosingSigned,
		*lnwire.RevokeAndAck:

		l.late = append(l.late, m.MsgType().String())
	}
}

// broadcasts lists what has left since arm.
func (l *lifeline) broadcasts() []chainhash.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []chainhash.Hash
	for hash := range l.out {
		list = append(list, hash)
	}
	return list
}

func (l *lifeline) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return l.adopt(c)
}

func (l *lifeline) bind(ctx context.Context, network, addr string) (net.Listener, error) {
	in, err := new(net.ListenConfig).Listen(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return lineListener{in, l}, nil
}

func (l *lifeline) adopt(c net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		c.Close()
		return nil, errDied
	}
	own := &lineConn{c.(*net.TCPConn), l}
	l.conns[own] = struct{}{}
	return own, nil
}

// lineConn is a connection on a lifeline.
type lineConn struct {
	*net.TCPConn
	l *lifeline
}

func (c *lineConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.TCPConn.Close()
}

type lineListener struct {
	net.Listener
	l *lifeline
}

func (in lineListener) Accept() (net.Conn, error) {
	for {
		c, err := in.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if own, err := in.l.adopt(c); err == nil {
			return own, nil
		}
	}
}

// watchman sits at the payer's side and measures how long each HTLC was out, from
// update_add_htlc to update_fulfill_htlc or update_fail_htlc.
type watchman struct {
	mu   sync.Mutex
	out  map[payersHTLC]time.Time // guarded by mu
	max  time.Duration            // guarded by mu
	seen int                      // guarded by mu
}

type payersHTLC struct {
	id    lnwire.ChannelID
	index uint64
}

func (w *watchman) line(sent bool, m lnwire.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		w.out = map[payersHTLC]time.Time{}
	}
	switch m := m.(type) {
	case *lnwire.UpdateAddHTLC:
		key := payersHTLC{m.ChanID, m.ID}
		if _, again := w.out[key]; sent && !again { // sent again after a reconnect it counts from the first time
			w.out[key] = time.Now()
			w.seen++
		}
	case *lnwire.UpdateFulfillHTLC:
		w.answered(sent, payersHTLC{m.ChanID, m.ID})
	case *lnwire.UpdateFailHTLC:
		w.answered(sent, payersHTLC{m.ChanID, m.ID})
	case *lnwire.UpdateFailMalformedHTLC:
		w.answered(sent, payersHTLC{m.ChanID, m.ID})
	}
}

// answered ends the wait. Callers hold mu.
func (w *watchman) answered(sent bool, key payersHTLC) {
	began, ok := w.out[key]
	if sent || !ok {
		return
	}
	w.max = max(w.max, time.Since(began))
	delete(w.out, key)
}

// report is how many HTLCs are unanswered, how many there were, and the longest hold.
func (w *watchman) report() (open, seen int, longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out), w.seen, w.max
}

// errorLog keeps the errors that a node logs.
type errorLog struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (e *errorLog) over(log *slog.Logger) *slog.Logger {
	return slog.New(errorHandler{log.Handler(), e})
}

// take returns the errors since the last time.
func (e *errorLog) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := e.lines
	e.lines = nil
	return lines
}

type errorHandler struct {
	slog.Handler
	to *errorLog
}

func (h errorHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.Handler.Enabled(ctx, level)
}

func (h errorHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		h.to.mu.Lock()
		h.to.lines = append(h.to.lines, r.Message)
		h.to.mu.Unlock()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h errorHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorHandler{h.Handler.WithAttrs(attrs), h.to}
}
