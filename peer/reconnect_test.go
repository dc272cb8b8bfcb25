package peer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoff(t *testing.T) {
	limits := Limits{}.withDefaults()
	for attempts, want := range []int{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300} {
		full := time.Duration(want) * time.Second
		require.Equal(t, full, backoff(attempts, limits, 0))
		require.Equal(t, full-full/4, backoff(attempts, limits, 0.5))
	}
	require.Equal(t, 5*time.Minute, backoff(1_000_000, limits, 0))
}

// A kept node that is away is dialled for ever, less and less often.
func TestReconnectBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		begin := time.Now()
		a := startNode(t, n, testKey(1), "a:1")
		b := testKey(2)
		a.Keep(key(b.PubKey()), []string{"b:1", "b:2"})
		pass(20 * time.Minute)
		var want []time.Duration
		for _, at := range []int{0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111} {
			want = append(want, time.Duration(at)*time.Second)
		}
		require.Equal(t, want, n.dials("b:1", begin))
		require.Equal(t, want, n.dials("b:2", begin), "each address in each round")

		startNode(t, n, b, "b:2")
		pass(5 * time.Minute)
		require.True(t, a.has(2))
		require.Len(t, n.dials("b:2", begin), len(want)+1)
	})
}

// A connection that had lasted is dialled again at once when it drops; one that
// drops again and again is not dialled in a tight loop.
func TestReconnectAfterDrop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		b := startNode(t, n, testKey(2), "b:1")
		begin := time.Now()
		a.Keep(b.id(), []string{"b:1"})
		pass(time.Minute)
		require.Len(t, n.dials("b:1", begin), 1)

		require.NoError(t, b.Manager.Disconnect(a.id()))
		pass(0)
		require.Equal(t, []time.Duration{0, time.Minute}, n.dials("b:1", begin))
		require.True(t, a.has(2))

		b.onConn = func(*Conn) error { return errors.New("go away") }
		require.NoError(t, b.Manager.Disconnect(a.id()))
		pass(100 * time.Second)
		at := n.dials("b:1", begin)
		require.Less(t, len(at), 11, "%v", at)
		require.Greater(t, len(at), 7, "%v", at)
	})
}

// Our own Handler refuses a kept node: no tight loop either.
func TestReconnectRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onConn = func(*Conn) error { return errors.New("not now") }
		begin := time.Now()
		b := startNode(t, n, testKey(2), "b:1")
		a.Keep(b.id(), []string{"b:1"})
		a.run(t)
		pass(100 * time.Second)
		require.Less(t, len(n.dials("b:1", begin)), 9)
	})
}

func TestForget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		n.hang["b:3"] = true
		begin := time.Now()
		a := startNode(t, n, testKey(1), "a:1")
		b := key(testKey(2).PubKey())
		for _, addr := range []string{"b:1", "b:3"} {
			a.Keep(b, []string{addr})
			pass(2 * time.Second)
			a.Forget(b)
			synctest.Wait()
			require.Empty(t, a.slots, "a dial to %s that is under way ends", addr)
			before := len(n.dials(addr, begin))
			pass(time.Hour)
			require.Len(t, n.dials(addr, begin), before)
		}
		a.Forget(b)

		live := startNode(t, n, testKey(2), "b:1")
		a.Keep(b, []string{"b:1"})
		synctest.Wait()
		a.Keep(b, nil)
		pass(time.Minute)
		require.True(t, a.has(2), "a connection that is there stays")
		live.stop()
		pass(time.Hour)
		require.False(t, a.has(2))
		require.Empty(t, a.slots)
	})
}

// New addresses are tried at once.
func TestKeepAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		b := startNode(t, n, testKey(2), "b:2")
		a.Keep(b.id(), []string{"b:1"})
		pass(time.Hour)
		require.False(t, a.has(2))
		a.Keep(b.id(), []string{"b:2"})
		synctest.Wait()
		require.True(t, a.has(2))
	})
}

func TestKeepNonsense(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		a.Keep([33]byte{5}, []string{"b:1"})
		a.Keep(a.id(), []string{"a:1"})
		synctest.Wait()
		require.Empty(t, a.slots)
	})
}

// A node that connects by itself ends our waiting, and our dial.
func TestInboundEndsReconnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		n.hang["b:3"] = true
		begin := time.Now()
		a := startNode(t, n, testKey(1), "a:1")
		a.Keep(key(testKey(2).PubKey()), []string{"b:3"})
		pass(time.Second)
		require.Len(t, n.dials("b:3", begin), 1, "it hangs")
		s, _ := connectScript(t, n, a, "a:1", testKey(2))
		s.answerPings()
		pass(time.Hour)
		require.Len(t, n.dials("b:3", begin), 1)
		require.Equal(t, []string{"connected 1"}, a.seen())
		s.wire.Close()
		pass(0)
		require.Len(t, n.dials("b:3", begin), 2, "dialled as soon as it drops")
	})
}

// Connect while a dial of ours hangs gets the connection that the node makes.
func TestInboundServesConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		n.hang["b:3"] = true
		a := startNode(t, n, testKey(1), "a:1")
		got := make(chan *Conn, 1)
		go func() {
			c, err := a.Connect(t.Context(), testKey(2).PubKey(), "b:3")
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		pass(time.Second)
		_, c := connectScript(t, n, a, "a:1", testKey(2))
		require.Same(t, c, <-got)
	})
}

// Only Limits.Dials reconnects dial at once, and the others have their turn.
func TestReconnectLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		n.hang["x:1"] = true
		begin := time.Now()
		a := newNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.Dials = 3 })
		for i := byte(11); i <= 20; i++ {
			a.Keep(key(testKey(i).PubKey()), []string{"x:1"})
		}
		require.Empty(t, n.dials("x:1", begin), "Run begins")
		a.run(t)
		synctest.Wait()
		require.Len(t, n.dials("x:1", begin), 3)
		pass(40 * time.Second)
		require.Len(t, n.dials("x:1", begin), 9)
	})
}
