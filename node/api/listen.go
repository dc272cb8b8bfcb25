package api

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// DefaultListen is where the API listens when nothing else is asked for.
const DefaultListen = "127.0.0.1:9736"

// ErrNotLoopback refuses an address that other machines can reach: the token would travel in
// the clear.
var ErrNotLoopback = errors.New("api: admin_listen is not on the loopback interface")

// CheckListen says whether addr (HOST:PORT) is one that the API serves on: a loopback address
// or the word localhost.
func CheckListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("api: admin_listen %q is not HOST:PORT: %w", addr, err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("%w: %s: use %s, and reach it from elsewhere through an SSH tunnel "+
			"(TLS for other addresses is to come)", ErrNotLoopback, addr, DefaultListen)
	}
	return nil
}

// isLoopback is true for loopback IP literals and the word localhost. Any other name may resolve
// to anything, so it isn't looked up.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hostAllowed judges a Host header. A page in a browser can make its own name resolve to
// 127.0.0.1 (DNS rebinding), but then its name is what the Host header says.
func hostAllowed(header string) bool {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return isLoopback(host)
}

// listen binds addr and makes sure that localhost did not resolve to an outside interface.
func listen(addr string) (net.Listener, error) {
	if err := CheckListen(addr); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("api: admin_listen %s is in use: stop the program that has it "+
			"(another inlet?), or set admin_listen to a free port: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("api: listen on %s: %w", addr, err)
	}
	if bound, ok := listener.Addr().(*net.TCPAddr); !ok || !bound.IP.IsLoopback() {
		_ = listener.Close()
		return nil, fmt.Errorf("%w: %s is %s on this machine", ErrNotLoopback, addr,
			listener.Addr())
	}
	return listener, nil
}
