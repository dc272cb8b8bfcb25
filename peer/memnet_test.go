package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// memNet is a network in memory: net.Pipe between names.
type memNet struct {
	mu        sync.Mutex
	listeners map[string]*memListener
	hang      map[string]bool      // dials to these names wait for their context
	delay     func() time.Duration // of a new connection, one way; nil: none
	dialed    []dialRecord
}

type dialRecord struct {
	at   time.Time
	addr string
}

func newMemNet() *memNet {
	return &memNet{listeners: make(map[string]*memListener), hang: make(map[string]bool)}
}

func (n *memNet) bind(_ context.Context, _, addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, errors.New("address in use")
	}
	l := &memListener{
		net: n, addr: memAddr(addr), conns: make(chan net.Conn), end: make(chan struct{}),
	}
	n.listeners[addr] = l
	return l, nil
}

func (n *memNet) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	l, hang := n.listeners[addr], n.hang[addr]
	n.dialed = append(n.dialed, dialRecord{time.Now(), addr})
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if l == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	if n.delay != nil {
		ours, theirs = delayed(n.delay())
	}
	select {
	case l.conns <- &memConn{theirs, "dialler:1"}:
		return &memConn{ours, l.addr}, nil
	case <-l.end:
	case <-ctx.Done():
	}
	ours.Close()
	theirs.Close()
	return nil, errors.New("connection refused")
}

// delayed is a pipe whose bytes take that long, and which takes any number.
func delayed(d time.Duration) (ours, theirs net.Conn) {
	ours, near := net.Pipe()
	far, theirs := net.Pipe()
	go relay(near, far, d)
	go relay(far, near, d)
	return ours, theirs
}

func relay(from, to net.Conn, d time.Duration) {
	type chunk struct {
		due  time.Time
		data []byte
	}
	under := make(chan chunk, 10_000)
	go func() {
		defer close(under)
		for {
			buf := make([]byte, 4096)
			n, err := from.Read(buf)
			under <- chunk{time.Now().Add(d), buf[:n]}
			if err != nil {
				return
			}
		}
	}()
	for c := range under {
		<-time.After(time.Until(c.due))
		if _, err := to.Write(c.data); err != nil {
			from.Close()
		}
	}
	to.Close()
}

// dials returns when the address was dialled, since the beginning.
func (n *memNet) dials(addr string, begin time.Time) (at []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.dialed {
		if d.addr == addr {
			at = append(at, d.at.Sub(begin))
		}
	}
	return at
}

type memListener struct {
	net   *memNet
	addr  memAddr
	conns chan net.Conn
	once  sync.Once
	end   chan struct{}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		close(l.end)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		delete(l.net.listeners, string(l.addr))
	})
	return nil
}

func (l *memListener) Addr() net.Addr { return l.addr }

type memAddr string

func (memAddr) Network() string  { return "mem" }
func (a memAddr) String() string { return string(a) }

type memConn struct {
	net.Conn
	remote memAddr
}

func (c *memConn) RemoteAddr() net.Addr { return c.remote }
