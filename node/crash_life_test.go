package node_test

import (
	"context"
	"errors"
	"fmt"
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
	at       moment                       // guarded by mu; of the death
	out      map[chainhash.Hash]time.Time // guarded by mu; broadcast, in all lives
	late     []string                     // guarded by mu; what was tried to be broadcast after the end
}

func newLifeline() *lifeline {
	return &lifeline{
		conns: map[*lineConn]struct{}{}, counts: map[string]int{},
		hit: make(chan struct{}), out: map[chainhash.Hash]time.Time{},
	}
}

// of puts a node on the lifeline, with each write a commit of its own.
func (l *lifeline) of(o *node.Options) {
	o.SetStoreGroup(1)
	o.SetMischief(node.Mischief{Lifeline: l.seams()})
}

func (l *lifeline) seams() node.Lifeline {
	return node.Lifeline{
		Commit: l.commit, Broadcast: l.broadcast, Dial: l.dial, Bind: l.bind,
	}
}

// arm begins to count writes, and ends the life where dies says so; nil: nowhere.
func (l *lifeline) arm(dies func(n int, at moment) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts, l.list, l.commits, l.dies = map[string]int{}, nil, 0, dies
	l.hit, l.at = make(chan struct{}), moment{}
	clear(l.out)
}

// disarm ends the counting and returns what was counted.
func (l *lifeline) disarm() []moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dies = nil
	return l.list
}

// died is closed at the end of the life.
func (l *lifeline) died() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hit
}

// place is where the life ended.
func (l *lifeline) place() moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// revive begins the next life. It is not ended.
func (l *lifeline) revive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.failing, l.diskOnly, l.dies = false, false, false, nil
	l.hit = make(chan struct{}) // nobody waits for the old one any more
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
	l.at = at
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
	if l.failing {
		l.late = append(l.late, tx.TxHash().String())
	}
	if l.dead {
		return errDied
	}
	l.out[tx.TxHash()] = time.Now()
	return nil
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
	out  map[watched]time.Time // guarded by mu
	max  time.Duration         // guarded by mu
	seen int                   // guarded by mu
}

type watched struct {
	id    lnwire.ChannelID
	index uint64
}

func (w *watchman) line(_ [33]byte, sent bool, m lnwire.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		w.out = map[watched]time.Time{}
	}
	switch m := m.(type) {
	case *lnwire.UpdateAddHTLC:
		key := watched{m.ChanID, m.ID}
		if _, again := w.out[key]; sent && !again { // sent again after a reconnect it counts from the first time
			w.out[key] = time.Now()
			w.seen++
		}
	case *lnwire.UpdateFulfillHTLC:
		w.answered(sent, watched{m.ChanID, m.ID})
	case *lnwire.UpdateFailHTLC:
		w.answered(sent, watched{m.ChanID, m.ID})
	case *lnwire.UpdateFailMalformedHTLC:
		w.answered(sent, watched{m.ChanID, m.ID})
	}
}

// answered ends the wait. Callers hold mu.
func (w *watchman) answered(sent bool, key watched) {
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
