package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of the server. It is for the operator's own programs on the same machine, so they
// are small.
const (
	maxConnections  = 128
	maxCalls        = 64
	maxLongCalls    = 48 // fewer than maxCalls, so that info and stop always find a place
	maxBodyBytes    = 64 << 10
	maxHeaderBytes  = 16 << 10
	headerTimeout   = 5 * time.Second
	readTimeout     = 10 * time.Second // header and body
	writeTimeout    = 10 * time.Second
	idleTimeout     = 60 * time.Second
	shutdownTimeout = 5 * time.Second
)

// Options configure a Server.
type Options struct {
	// Listen is the HOST:PORT to serve on, on the loopback interface; empty is DefaultListen.
	Listen string

	// Dir is the data directory, where the token file is, or is made.
	Dir string

	// Backend answers the calls.
	Backend Backend

	// Metrics answers GET /metrics; nil means that there are none.
	Metrics http.Handler

	// Log gets the server's own events; nil discards them.
	Log *slog.Logger
}

// Server serves the API. Its life is NewServer, Listen, Run, Close.
type Server struct {
	options Options
	token   string
	routes  map[string]Route
	log     *slog.Logger

	// calls and longCalls hold one element for each call under way.
	calls, longCalls chan struct{}

	connections atomic.Int64
	listener    net.Listener // set by Listen, before Run

	mu        sync.Mutex
	lingering []net.Conn // guarded by mu: callers of stop who wait for the process to end
	closed    bool       // guarded by mu
}

// NewServer checks the options, and reads or makes the token file. It starts nothing.
func NewServer(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := CheckListen(o.Listen); err != nil {
		return nil, err
	}
	token, err := makeToken(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o, token: token, log: o.Log, routes: map[string]Route{},
		calls:     make(chan struct{}, maxCalls),
		longCalls: make(chan struct{}, maxLongCalls),
	}
	for _, r := range Routes(o.Backend) {
		s.routes[r.Name] = r
	}
	return s, nil
}

// Listen binds the address, so that a port in use is known before anything else starts. Calling
// it is optional: Run does it otherwise.
func (s *Server) Listen() error {
	if s.listener != nil {
		return nil
	}
	listener, err := listen(s.options.Listen)
	if err != nil {
		return err
	}
	s.listener = listener
	return nil
}

// Addr is the bound HOST:PORT; it is valid after Listen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends. Then the contexts of calls under way end too, they get a moment to
// answer, and Run returns with no goroutine left.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	server := s.httpServer(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }() // awaited below on both ways out

	s.log.Info("admin API is up", "address", s.Addr())
	select {
	case err := <-served:
		return fmt.Errorf("api: serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil { // a call that doesn't look at its context loses its connection
		s.log.Warn("admin API calls were cut off", "err", err)
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("api: serve: %w", err)
	}
	return nil
}

// Close lets go of the callers of stop, who wait for the end of the node. Call it last, when the
// database is closed; the end of the process does the same.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conn := range s.lingering {
		_ = conn.Close()
	}
	s.lingering = nil
}

func (s *Server) httpServer(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.countConnection,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// countConnection drops a connection beyond the limit at once, so that a program without the
// token can't use up the node's file descriptors.
func (s *Server) countConnection(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.connections.Add(1) > maxConnections {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}
