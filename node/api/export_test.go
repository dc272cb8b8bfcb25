package api

import (
	"context"
	"net"
)

// What the tests need to see of the limits.
const (
	MaxConnections = maxConnections
	MaxCalls       = maxCalls
	MaxLongCalls   = maxLongCalls
	MaxBodyBytes   = maxBodyBytes
	IdleTimeout    = idleTimeout
)

// ListenOn makes the server serve on l.
func (s *Server) ListenOn(l net.Listener) { s.listener = l }

// Token is the token that the server wants.
func (s *Server) Token() string { return s.token }

// DialWith makes the client connect through dial.
func (c *Client) DialWith(dial func(context.Context) (net.Conn, error)) { c.dial = dial }
