package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// checkAlternation: Connected and Disconnected take turns, so there never were
// two connections of the one peer, and the last one is the one that is there.
func checkAlternation(t *testing.T, n *testNode) {
	t.Helper()
	var open string
	for _, event := range n.seen() {
		var id string
		if _, err := fmt.Sscanf(event, "connected %s", &id); err == nil {
			require.Empty(t, open, "%v", n.seen())
			open = id
		} else if _, err := fmt.Sscanf(event, "disconnected %s", &id); err == nil {
			require.Equal(t, open, id, "%v", n.seen())
			open = ""
		}
	}
	peers := n.Peers()
	if open == "" {
		require.Empty(t, peers)
		return
	}
	require.Len(t, peers, 1)
	require.Equal(t, open, fmt.Sprint(peers[0].ID()))
}

// The peer's new connection takes the place of its old one, whose Disconnected
// has returned before.
func TestReplace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onEnd = func(*Conn) { <-time.After(2 * time.Second) }
		a.run(t)
		first, old := connectScript(t, n, a, "a:1", testKey(9))
		begin := time.Now()
		second := dialScript(t, n, a, "a:1", testKey(9)).greet()
		first.wantGone()
		<-old.gone
		synctest.Wait()
		require.Equal(t, 2*time.Second, time.Since(begin))
		require.Equal(t, []string{"connected 1", "disconnected 1", "connected 2"}, a.seen())
		require.ErrorIs(t, a.lastEnd(), ErrReplaced)
		require.ErrorIs(t, old.SendMessage(false, custom(t, 37913, "")), ErrReplaced)
		require.True(t, second.say(custom(t, 37913, "")))
		synctest.Wait()
		require.Len(t, a.messages(), 1)
	})
}

// The same node id from 50 sockets at once, while the Handler is slow.
func TestReconnectStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onEnd = func(*Conn) { <-time.After(time.Second) }
		a.run(t)
		for range 50 {
			go dialScript(t, n, a, "a:1", testKey(9)).greet()
		}
		pass(20 * time.Second)
		checkAlternation(t, a)
		require.Len(t, a.Peers(), 1)
		require.LessOrEqual(t, len(a.seen()), 7, "of those who wait only the last goes on: %v", a.seen())
		require.Len(t, a.slots, 1)
	})
}

// latency delays the dials of a node.
func latency(n *memNet, d time.Duration) func(*Config) {
	return func(c *Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-time.After(d)
			return n.dial(ctx, network, addr)
		}
	}
}

// Both nodes dial at once, with every delay between the two: one connection
// stays, the same at both, and soon.
func TestCrossingDials(t *testing.T) {
	low, high := keysInOrder()
	for _, lead := range []time.Duration{
		-time.Second, -time.Millisecond, -1, 0, 1, time.Millisecond, time.Second,
	} {
		for range 20 {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, low, "a:1", latency(n, 2*time.Second+lead))
				b := startNode(t, n, high, "b:1", latency(n, 2*time.Second))
				for _, dial := range []struct {
					from, to *testNode
					addr     string
				}{{a, b, "b:1"}, {b, a, "a:1"}} {
					go func() {
						_, err := dial.from.Connect(t.Context(), dial.to.key.PubKey(), dial.addr)
						if err != nil {
							t.Log(err) // replaced before it was told, perhaps
						}
					}()
				}
				pass(10 * time.Second)
				checkAlternation(t, a)
				checkAlternation(t, b)
				require.LessOrEqual(t, len(a.seen()), 3, "%v", a.seen())
				require.LessOrEqual(t, len(b.seen()), 3, "%v", b.seen())
				wantSame(t, a, b)
				pass(time.Hour)
				wantSame(t, a, b)
			})
		}
	}
}

// The same with random delays on the way, which differ for the two connections.
func TestCrossingDialsFarAway(t *testing.T) {
	low, high := keysInOrder()
	for seed := range uint64(300) {
		bubble(t, func(t *testing.T) {
			t.Cleanup(func() { pass(time.Second) }) // the last bytes arrive
			random := rand.New(rand.NewPCG(seed, 0))
			var mu sync.Mutex
			some := func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(random.Int64N(3e8))
			}
			n := newMemNet()
			n.delay = some
			a := startNode(t, n, low, "a:1", latency(n, some()))
			b := startNode(t, n, high, "b:1", latency(n, some()))
			a.Keep(b.id(), []string{"b:1"})
			b.Keep(a.id(), []string{"a:1"})
			pass(10 * time.Second)
			checkAlternation(t, a)
			checkAlternation(t, b)
			require.LessOrEqual(t, len(a.seen()), 3, "seed %d: %v", seed, a.seen())
			require.LessOrEqual(t, len(b.seen()), 3, "seed %d: %v", seed, b.seen())
			ca, ok := a.Get(b.id())
			require.True(t, ok, "seed %d", seed)
			cb, ok := b.Get(a.id())
			require.True(t, ok, "seed %d", seed)
			require.NotEqual(t, ca.Inbound(), cb.Inbound(), "seed %d", seed)
		})
	}
}

// wantSame: the two nodes have one connection, whose ends are each other.
func wantSame(t *testing.T, a, b *testNode) {
	t.Helper()
	ca, ok := a.Get(b.id())
	require.True(t, ok, "%v %v", a.seen(), b.seen())
	cb, ok := b.Get(a.id())
	require.True(t, ok, "%v %v", a.seen(), b.seen())
	require.NotEqual(t, ca.Inbound(), cb.Inbound())
	before := len(b.messages())
	require.NoError(t, ca.SendMessage(true, custom(t, 37913, "same")))
	synctest.Wait()
	require.Len(t, b.messages(), before+1)
}

// crossed makes a script that the node dialled, and then dials the node from the
// same node id: what a peer does that has lost its connection, or that dialled
// at the same time.
func crossed(
	t *testing.T, n *memNet, a *testNode, peer *keychain.PrivKeyECDH,
) (old *script, oldConn *Conn) {
	t.Helper()
	l, err := n.bind(t.Context(), "tcp", "peer:1")
	require.NoError(t, err)
	accepted := make(chan *script)
	go func() {
		socket, err := l.Accept()
		require.NoError(t, err)
		wire, err := respond(socket, peer)
		require.NoError(t, err)
		accepted <- newScript(t, wire).greet()
	}()
	go func() {
		_, err := a.Connect(t.Context(), peer.PubKey(), "peer:1")
		if err != nil {
			t.Error(err)
		}
	}()
	old = <-accepted
	synctest.Wait()
	oldConn, ok := a.Get(key(peer.PubKey()))
	require.True(t, ok)
	require.False(t, oldConn.Inbound())
	require.NoError(t, l.Close())
	return old, oldConn
}

// The node dialled the peer; the peer has lost that connection and dials the
// node. It must get in, whoever's node id is smaller.
func TestInboundReplacesHalfDead(t *testing.T) {
	low, high := keysInOrder()
	for name, test := range map[string]struct {
		us, peer *keychain.PrivKeyECDH
		within   time.Duration
	}{
		"our dial would stay":   {low, high, proofOfLife},
		"their dial would stay": {high, low, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, test.us, "a:1")
				_, old := crossed(t, n, a, test.peer) // never answers a ping
				begin := time.Now()
				dialScript(t, n, a, "a:1", test.peer).greet()
				<-old.gone
				synctest.Wait()
				require.Equal(t, test.within, time.Since(begin))
				require.Equal(t, []string{"connected 1", "disconnected 1", "connected 2"}, a.seen())
			})
		})
	}
}

// The peer has both connections, and by the rule ours stays: it answers a ping
// on it.
func TestCrossingKeepsOurDialThatLives(t *testing.T) {
	low, high := keysInOrder()
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, low, "a:1")
		old, _ := crossed(t, n, a, high)
		old.answerPings()
		dialScript(t, n, a, "a:1", high).greet().wantGone()
		synctest.Wait()
		require.Equal(t, []string{"connected 1"}, a.seen())
	})
}

// A dial that can't be cancelled comes through after the node has connected by
// itself: it ends before our init, although by the rule our dial would stay.
func TestDialGivesUp(t *testing.T) {
	low, high := keysInOrder()
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, low, "a:1", func(c *Config) {
			c.Dial = func(_ context.Context, network, addr string) (net.Conn, error) {
				<-time.After(2 * time.Second)
				return n.dial(context.Background(), network, addr)
			}
		})
		got := make(chan *Conn, 1)
		go func() {
			c, err := a.Connect(t.Context(), high.PubKey(), "b:1")
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		<-time.After(time.Second)
		_, c := connectScript(t, n, a, "a:1", high)
		l, err := n.bind(t.Context(), "tcp", "b:1")
		require.NoError(t, err)
		socket, err := l.Accept()
		require.NoError(t, err)
		wire, err := respond(socket, high)
		if err == nil {
			_, err = wire.read(time.Hour, time.Hour)
		}
		require.Error(t, err, "no init came")
		socket.Close()
		require.Same(t, c, <-got)
		require.Equal(t, []string{"connected 1"}, a.seen())
	})
}

// The socket of the old connection is broken: nobody waits for a pong.
func TestInboundReplacesBroken(t *testing.T) {
	low, high := keysInOrder()
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, low, "a:1")
		a.onMsg = func(*Conn, lnwire.Message) { <-time.After(time.Second) }
		a.run(t)
		old, _ := crossed(t, n, a, high)
		require.True(t, old.say(custom(t, 37913, "")))
		synctest.Wait() // the reader is in the Handler and notices nothing
		old.wire.Close()
		begin := time.Now()
		dialScript(t, n, a, "a:1", high).greet()
		pass(2 * time.Second)
		require.Less(t, time.Since(begin), proofOfLife)
		require.Equal(t, []string{
			"connected 1", "message 37913", "disconnected 1", "connected 2",
		}, a.seen())
	})
}

// A newcomer that has to wait too long for the old one's end is let go.
func TestNewcomerWaitsNotForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		hold := make(chan struct{})
		a := newNode(t, n, testKey(1), "a:1")
		a.onEnd = func(*Conn) { <-hold }
		a.run(t)
		connectScript(t, n, a, "a:1", testKey(9))
		begin := time.Now()
		dialScript(t, n, a, "a:1", testKey(9)).greet().wantGone()
		require.Equal(t, 15*time.Second, time.Since(begin))
		require.Equal(t, []string{"connected 1"}, a.seen())
		close(hold)
		synctest.Wait()
		require.Equal(t, []string{"connected 1", "disconnected 1"}, a.seen())
		require.Empty(t, a.slots)
	})
}

// A message that the old connection still has in the Handler ends before the new
// one is told.
func TestReplaceWhileBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onMsg = func(c *Conn, _ lnwire.Message) {
			<-c.QuitSignal()
			a.note("left")
		}
		a.run(t)
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		require.True(t, s.say(custom(t, 37913, "")))
		dialScript(t, n, a, "a:1", testKey(9)).greet()
		synctest.Wait()
		require.Equal(t, []string{
			"connected 1", "message 37913", "left", "disconnected 1", "connected 2",
		}, a.seen())
	})
}
