package regtest

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// front is the address under which clients reach a program that is not always ready behind it.
type front struct {
	addr   string
	target string

	mu       sync.Mutex
	listener net.Listener      // guarded by mu; nil while closed
	conns    map[net.Conn]bool // guarded by mu
	wg       sync.WaitGroup
}

// open starts passing connections on to the target.
func (f *front) open() error {
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return fmt.Errorf("regtest: listen: %w", err)
	}
	f.mu.Lock()
	f.listener, f.conns = listener, make(map[net.Conn]bool)
	f.mu.Unlock()
	f.wg.Add(1)
	go f.routineAccept(listener)
	return nil
}

// close refuses new connections, ends the old ones and waits for their goroutines.
func (f *front) close() {
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
	for conn := range f.conns {
		conn.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// routineAccept takes connections; close waits for it.
func (f *front) routineAccept(listener net.Listener) {
	defer f.wg.Done()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		f.wg.Add(1)
		go f.routinePass(conn)
	}
}

// routinePass carries one connection's bytes both ways; close waits for it.
func (f *front) routinePass(client net.Conn) {
	defer f.wg.Done()
	server, err := net.Dial("tcp", f.target)
	if err != nil {
		client.Close()
		return
	}
	f.mu.Lock()
	if f.listener == nil {
		f.mu.Unlock()
		client.Close()
		server.Close()
		return
	}
	f.conns[client], f.conns[server] = true, true
	f.mu.Unlock()

	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		to.Close()
		from.Close()
	}
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()

	f.mu.Lock()
	delete(f.conns, client)
	delete(f.conns, server)
	f.mu.Unlock()
}
