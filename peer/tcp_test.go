package peer

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// tcpNode is a node on a real port, and how to stop it.
func tcpNode(t *testing.T, change ...func(*Config)) *testNode {
	t.Helper()
	real := func(c *Config) { c.Dial, c.Bind = nil, nil }
	return startNode(t, nil, testKey(1), "127.0.0.1:0", append(change, real)...)
}

// dialTCP is lnd's own dialler.
func dialTCP(
	t *testing.T, a *testNode, tune ...func(*net.TCPConn) error,
) *brontide.Conn {
	t.Helper()
	address := &lnwire.NetAddress{IdentityKey: a.key.PubKey(), Address: a.Addrs()[0]}
	conn, err := brontide.Dial(testKey(2), address, time.Minute,
		func(network, addr string, timeout time.Duration) (net.Conn, error) {
			socket, err := net.DialTimeout(network, addr, timeout)
			for _, f := range tune {
				if err == nil {
					err = f(socket.(*net.TCPConn))
				}
			}
			return socket, err
		})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Real TCP, with lnd's own listener and dialler at the other end.
func TestHandshakeWithBrontide(t *testing.T) {
	a := tcpNode(t, func(c *Config) {
		c.Handler.(*recorder).onMsg = func(c *Conn, msg lnwire.Message) {
			_ = c.SendMessage(true, msg)
		}
	})
	talk(t, dialTCP(t, a), a)

	l, err := brontide.NewListener(testKey(3), "127.0.0.1:0", brontide.DisabledBanClosure)
	require.NoError(t, err)
	accepted := make(chan *brontide.Conn)
	go func() {
		defer close(accepted)
		if conn, err := l.Accept(); err == nil {
			accepted <- conn.(*brontide.Conn)
		}
	}()
	go func() {
		_, err := a.Connect(context.Background(), testKey(3).PubKey(), l.Addr().String())
		if err != nil {
			t.Error(err)
		}
	}()
	talk(t, <-accepted, a)
	require.NoError(t, l.Close())
}

// What is queued arrives although the peer goes on talking and reads slowly: to
// close a socket over unread bytes resets it, and drops what has not left.
func TestFarewellTCP(t *testing.T) {
	const count = 5
	big := custom(t, 37913, strings.Repeat("z", 60_000))
	a := tcpNode(t, func(c *Config) {
		c.Handler.(*recorder).onConn = func(c *Conn) error {
			for range count {
				if err := c.SendMessage(false, big); err != nil {
					return err
				}
			}
			c.Disconnect(nil)
			return nil
		}
	})
	conn := dialTCP(t, a, func(socket *net.TCPConn) error { return socket.SetReadBuffer(32 << 10) })
	_, err := conn.Write(rawInit(nil, nil, nil))
	require.NoError(t, err)
	talked := make(chan struct{})
	go func() {
		defer close(talked)
		for {
			if _, err := conn.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}()
	var got int
	for {
		raw, err := conn.ReadNextMessage()
		if err != nil {
			break
		}
		if kind, _ := messageType(raw); kind == 37913 {
			got++
		}
	}
	conn.Close()
	<-talked
	require.Equal(t, count, got)
}

// The kernel's buffers come on top of the queue, then it is over, too.
func TestSlowReaderTCP(t *testing.T) {
	connected := make(chan *Conn, 1)
	a := tcpNode(t, func(c *Config) {
		c.Limits.Write = 50 * time.Millisecond
		c.Handler.(*recorder).onConn = func(c *Conn) error { connected <- c; return nil }
	})
	_, err := dialTCP(t, a).Write(rawInit(nil, nil, nil))
	require.NoError(t, err)
	c := <-connected
	for err == nil {
		err = c.SendMessage(false, custom(t, 37913, strings.Repeat("z", 60_000)))
	}
	require.ErrorIs(t, err, ErrSlowReader)
}

// talk exchanges init and has a message echoed, over keys that change after
// 1000 messages.
func talk(t *testing.T, conn *brontide.Conn, a *testNode) {
	t.Helper()
	defer conn.Close()
	require.True(t, conn.RemotePub().IsEqual(a.key.PubKey()))
	init, err := newInit(testFeatures(), a.cfg.ChainHash)
	require.NoError(t, err)
	raw, err := encode(init)
	require.NoError(t, err)
	_, err = conn.Write(raw)
	require.NoError(t, err)
	raw, err = conn.ReadNextMessage()
	require.NoError(t, err)
	kind, _ := messageType(raw)
	require.EqualValues(t, lnwire.MsgInit, kind)
	for i := range 1100 {
		raw, err := encode(custom(t, 37913, fmt.Sprint(i)))
		require.NoError(t, err)
		_, err = conn.Write(raw)
		require.NoError(t, err)
		echo, err := conn.ReadNextMessage()
		require.NoError(t, err)
		require.Equal(t, raw, echo)
	}
}
