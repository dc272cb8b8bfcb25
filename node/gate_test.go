package node_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
)

// gateway is the gate of one node, with rules for single messages. What no rule is for
// passes. The order of what passes in one direction stays.
type gateway struct {
	mu    sync.Mutex
	rules []*rule         // guarded by mu
	lanes map[lane]*queue // guarded by mu
	mute  bool            // guarded by mu: nothing passes in either direction
}

// lane is one direction to one peer.
type lane struct {
	peer [33]byte
	sent bool
}

type queue struct {
	mu   sync.Mutex
	shut *rule        // guarded by mu; nil: open
	held []node.Gated // guarded by mu, behind shut

	came map[lnwire.MessageType]int // guarded by mu; what came to the gate
}

// rule is for one kind of message in one direction.
type rule struct {
	sent  bool
	kind  lnwire.MessageType
	peer  [33]byte // zero: any
	times int      // how often it applies; 0: always
	does  func(*queue, *rule, node.Gated)

	mu    sync.Mutex
	count int           // guarded by mu
	hit   chan struct{} // closed at the first; set once
}

func newGateway() *gateway { return &gateway{lanes: map[lane]*queue{}} }

// handle is the node's gate.
func (g *gateway) handle(m node.Gated) {
	g.mu.Lock()
	key := lane{m.Peer, m.Sent}
	q := g.lanes[key]
	if q == nil {
		q = &queue{came: map[lnwire.MessageType]int{}}
		g.lanes[key] = q
	}
	g.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() { q.came[m.Msg.MsgType()]++ }()
	if q.shut != nil {
		q.held = append(q.held, m)
		return
	}
	g.apply(q, m)
}

// got is how many messages of a kind came, or were sent, and were dealt with.
func (g *gateway) got(key lane, kind lnwire.MessageType) int {
	g.mu.Lock()
	q := g.lanes[key]
	g.mu.Unlock()
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.came[kind]
}

// apply does what a rule says. The caller holds q.mu.
func (g *gateway) apply(q *queue, m node.Gated) {
	r, mute := g.find(m)
	switch {
	case mute:
	case r == nil:
		_ = m.Pass(m.Msg) // what can't be sent is lost, as on a wire
	default:
		r.does(q, r, m)
		r.mu.Lock()
		if r.count++; r.count == 1 {
			close(r.hit)
		}
		r.mu.Unlock()
	}
}

func (g *gateway) find(m node.Gated) (_ *rule, mute bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.rules {
		if r.sent != m.Sent || r.kind != m.Msg.MsgType() ||
			r.peer != [33]byte{} && r.peer != m.Peer {

			continue
		}
		r.mu.Lock()
		used := r.times != 0 && r.count >= r.times
		r.mu.Unlock()
		if !used {
			return r, g.mute
		}
	}
	return nil, g.mute
}

func (g *gateway) add(r *rule) *rule {
	r.hit = make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = append(g.rules, r)
	return r
}

// clear forgets all rules; what is held stays so.
func (g *gateway) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = nil
}

// hold keeps the next message of a kind, and all behind it, until open.
func (g *gateway) hold(sent bool, kind lnwire.MessageType) *rule {
	return g.add(&rule{sent: sent, kind: kind, times: 1,
		does: func(q *queue, r *rule, m node.Gated) {
			q.shut, q.held = r, append(q.held, m)
		}})
}

// open lets what a rule holds pass. The first passes without a look at the rules.
func (g *gateway) open(r *rule) {
	g.mu.Lock()
	var queues []*queue
	for _, q := range g.lanes {
		queues = append(queues, q)
	}
	g.mu.Unlock()
	for _, q := range queues {
		q.mu.Lock()
		if q.shut == r {
			held := q.held
			q.shut, q.held = nil, nil
			for i, m := range held {
				switch {
				case q.shut != nil:
					q.held = append(q.held, m)
				case i == 0:
					_ = m.Pass(m.Msg)
				default:
					g.apply(q, m)
				}
			}
		}
		q.mu.Unlock()
	}
}

// replace puts others in the place of the next messages of a kind; none drops them. change
// must not touch what it is given.
func (g *gateway) replace(sent bool, kind lnwire.MessageType, times int,
	change func(lnwire.Message) []lnwire.Message) *rule {

	return g.add(&rule{sent: sent, kind: kind, times: times,
		does: func(_ *queue, _ *rule, m node.Gated) {
			for _, other := range change(m.Msg) {
				_ = m.Pass(other)
			}
		}})
}

// watch only sees messages of a kind.
func (g *gateway) watch(sent bool, kind lnwire.MessageType, peer [33]byte,
	see func(lnwire.Message)) *rule {

	return g.add(&rule{sent: sent, kind: kind, peer: peer,
		does: func(_ *queue, _ *rule, m node.Gated) {
			if see != nil {
				see(m.Msg)
			}
			_ = m.Pass(m.Msg)
		}})
}

// silence drops everything in both directions, or ends that.
func (g *gateway) silence(mute bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute = mute
}

// seen is how often a rule was used.
func (r *rule) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// reached waits for the first message of a rule.
func (r *rule) reached(t testing.TB) {
	t.Helper()
	select {
	case <-r.hit:
	case <-time.After(waitLink):
		t.Fatalf("no %v (sent %t) came to the gate", r.kind, r.sent)
	}
}

// cable is a TCP connection's way between two nodes that a test can cut or make silent.
type cable struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	state  lineState         // guarded by mu
	conns  map[net.Conn]bool // guarded by mu
	closed bool              // guarded by mu
}

type lineState int

const (
	lineOpen lineState = iota
	// lineCut: connections end and new ones are refused.
	lineCut
	// lineSilent: connections live, nothing is delivered on them in either direction.
	lineSilent
)

func newCable(t testing.TB, target string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n := &cable{target: target, listener: l, conns: map[net.Conn]bool{}}
	n.wg.Go(n.routineAccept)
	t.Cleanup(func() {
		n.mu.Lock()
		n.closed = true
		n.mu.Unlock()
		_ = l.Close()
		n.set(lineCut)
		n.wg.Wait()
	})
	return n
}

func (l *cable) addr() string { return l.listener.Addr().String() }

// set changes what the line does. Connections that were silent end when it opens: bytes
// of theirs are missing.
func (l *cable) set(s lineState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == lineSilent || s == lineCut {
		for c := range l.conns {
			_ = c.Close()
		}
	}
	l.state = s
}

func (l *cable) is() lineState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *cable) routineAccept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.routinePass(c) })
	}
}

func (l *cable) routinePass(client net.Conn) {
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l.mu.Lock()
	if l.state == lineCut || l.closed {
		l.mu.Unlock()
		_, _ = client.Close(), server.Close()
		return
	}
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.pass(server, client) })
	both.Go(func() { l.pass(client, server) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, client)
	delete(l.conns, server)
	l.mu.Unlock()
}

func (l *cable) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && l.is() == lineOpen {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			break
		}
	}
	if l.is() == lineSilent { // an end that nobody is told of
		_, _ = io.Copy(io.Discard, to)
	}
	_, _ = to.Close(), from.Close()
}
