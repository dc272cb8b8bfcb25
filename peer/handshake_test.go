package peer

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tor"
	"github.com/stretchr/testify/require"
)

// actOne is a valid act one for that node.
func actOne(t *testing.T, to *testNode) []byte {
	t.Helper()
	act, err := brontide.NewBrontideMachine(true, testKey(9), to.key.PubKey()).GenActOne()
	require.NoError(t, err)
	return act[:]
}

func TestHandshakeGarbage(t *testing.T) {
	change := func(at int) func([]byte) []byte {
		return func(act []byte) []byte {
			act[at] ^= 1
			return act
		}
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"wrong version":       change(0),
		"point not on curve":  func(act []byte) []byte { clear(act[1:34]); return act },
		"bad mac":             change(49),
		"a web browser":       func([]byte) []byte { return []byte("GET / HTTP/1.1\r\nHost: inlet\r\nAccept: everything\r\n\r\n") },
		"cut off":             func(act []byte) []byte { return act[:20] },
		"act three is act 1":  func(act []byte) []byte { return append(act, act...) },
		"act three is zeroes": func(act []byte) []byte { return append(act, make([]byte, 66)...) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1")
				socket, err := n.dial(t.Context(), "tcp", "a:1")
				require.NoError(t, err)
				bytes := spoil(actOne(t, a))
				go func() {
					_, _ = socket.Write(bytes)
				}()
				begin := time.Now()
				_, _ = io.Copy(io.Discard, socket)
				require.LessOrEqual(t, time.Since(begin), 15*time.Second)
				socket.Close()
				synctest.Wait()
				require.Empty(t, a.seen())
				require.Zero(t, a.shakes.all.Len())
			})
		})
	}
}

func TestHandshakeDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		act := actOne(t, a)
		for _, dribble := range []time.Duration{time.Hour, time.Second} {
			socket, err := n.dial(t.Context(), "tcp", "a:1")
			require.NoError(t, err)
			begin := time.Now()
			for i := range act {
				<-time.After(dribble)
				if _, err = socket.Write(act[i : i+1]); err != nil {
					break
				}
			}
			require.Error(t, err, "one byte in %s", dribble)
			if dribble == time.Second {
				require.InDelta(t, 15, time.Since(begin).Seconds(), 1)
			}
		}
	})
}

// Act three of an earlier handshake proves nothing in a new one.
func TestHandshakeReplay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		var three []byte
		for replay := range 2 {
			socket, err := n.dial(t.Context(), "tcp", "a:1")
			require.NoError(t, err)
			noise := brontide.NewBrontideMachine(true, testKey(9), a.key.PubKey())
			one, err := noise.GenActOne()
			require.NoError(t, err)
			_, err = socket.Write(one[:])
			require.NoError(t, err)
			var two [brontide.ActTwoSize]byte
			_, err = io.ReadFull(socket, two[:])
			require.NoError(t, err)
			require.NoError(t, noise.RecvActTwo(two))
			if replay == 0 {
				act, err := noise.GenActThree()
				require.NoError(t, err)
				three = act[:]
			}
			_, err = socket.Write(three)
			require.NoError(t, err)
			_, err = io.ReadFull(socket, make([]byte, 18))
			if replay == 0 {
				require.NoError(t, err, "init's header comes")
			} else {
				require.ErrorIs(t, err, io.EOF)
			}
			socket.Close()
		}
	})
}

// Silent sockets don't keep an honest node out, however many there are.
func TestHandshakeLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.Handshakes = 50 })
		var closed int
		gone := make(chan struct{}, 1000)
		for range 1000 {
			socket, err := n.dial(t.Context(), "tcp", "a:1")
			require.NoError(t, err)
			go func() {
				_, _ = io.Copy(io.Discard, socket)
				socket.Close()
				gone <- struct{}{}
			}()
		}
		synctest.Wait()
		closed = len(gone)
		require.Equal(t, 950, closed, "the oldest made room")
		require.Equal(t, 50, a.shakes.all.Len())

		b := startNode(t, n, testKey(2), "b:1")
		_, err := b.Connect(t.Context(), a.key.PubKey(), "a:1")
		require.NoError(t, err)
		pass(15 * time.Second)
		require.Len(t, gone, 1000)
		require.Zero(t, a.shakes.all.Len())
		require.Len(t, a.Peers(), 1)
	})
}

// A handshake may stall after act three, too.
func TestInitDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		begin := time.Now()
		dialScript(t, n, a, "a:1", testKey(9)).wantGone()
		require.Equal(t, 15*time.Second, time.Since(begin))
		require.Empty(t, a.seen())
	})
}

// Real TCP, with lnd's own listener and dialler at the other end.
func TestHandshakeWithBrontide(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	rec := &recorder{onMsg: func(c *Conn, msg lnwire.Message) {
		_ = c.SendMessage(true, msg)
	}}
	a := newNode(t, nil, testKey(1), "127.0.0.1:0", func(c *Config) {
		c.Dial, c.Bind, c.Handler = nil, nil, rec
	})
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	<-a.Started()

	address := &lnwire.NetAddress{IdentityKey: a.key.PubKey(), Address: a.Addrs()[0]}
	conn, err := brontide.Dial(testKey(2), address, time.Minute, tor.DialFunc(net.DialTimeout))
	require.NoError(t, err)
	talk(t, conn, a)

	l, err := brontide.NewListener(testKey(3), "127.0.0.1:0", brontide.DisabledBanClosure)
	require.NoError(t, err)
	accepted := make(chan *brontide.Conn)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- conn.(*brontide.Conn)
	}()
	go func() {
		if _, err := a.Connect(ctx, testKey(3).PubKey(), l.Addr().String()); err != nil {
			t.Error(err)
		}
	}()
	conn = <-accepted
	talk(t, conn, a)
	require.NoError(t, l.Close())

	cancel()
	require.NoError(t, <-ended)
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
