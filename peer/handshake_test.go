package peer

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/brontide"
	"github.com/stretchr/testify/require"
)

// actOne is a valid act one for that node.
func actOne(t *testing.T, to *testNode) []byte {
	t.Helper()
	act, err := brontide.NewBrontideMachine(true, testKey(9), to.key.PubKey()).GenActOne()
	require.NoError(t, err)
	return act[:]
}

const browser = "GET / HTTP/1.1\r\nHost: inlet\r\nAccept: text/html\r\nUser-Agent: lost\r\n\r\n"

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
		"a web browser":       func([]byte) []byte { return []byte(browser) },
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

// Somebody has our node key, or it is our own address.
func TestHandshakeWithSelf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		dialScript(t, n, a, "a:1", testKey(1)).wantGone()
		require.Empty(t, a.seen())
	})
}
