package peer

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// strangers connects peers first..last, a second apart, each of which answers
// pings.
func strangers(t *testing.T, n *memNet, a *testNode, first, last byte) []*script {
	t.Helper()
	var all []*script
	for i := first; i <= last; i++ {
		s, _ := connectScript(t, n, a, "a:1", testKey(i))
		s.answerPings()
		all = append(all, s)
		<-time.After(time.Second)
	}
	return all
}

func (n *testNode) has(i byte) bool {
	_, ok := n.Get(key(testKey(i).PubKey()))
	return ok
}

func few(c *Config) { c.Limits.Strangers = 5 }

// All in use: the newest is refused.
func TestStrangersInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", few)
		strangers(t, n, a, 11, 15)
		dialScript(t, n, a, "a:1", testKey(16)).greet().wantWarning("too many peers")
		require.Len(t, a.Peers(), 5)
		require.False(t, a.has(16))
		synctest.Wait()
		require.Len(t, a.slots, 5, "nothing is kept of who was refused")
	})
}

// The longest idle makes room.
func TestStrangerIdleMakesRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", few)
		all := strangers(t, n, a, 11, 15)
		<-time.After(time.Minute)
		for _, i := range []int{0, 2} {
			require.True(t, all[i].say(custom(t, 37913, "still here")))
		}
		for range 10 {
			require.True(t, all[1].say(lnwire.NewPing(0)), "a ping is nothing to do")
		}
		connectScript(t, n, a, "a:1", testKey(16))
		require.False(t, a.has(12))
		require.ErrorIs(t, a.lastEnd(), ErrEvicted)
		connectScript(t, n, a, "a:1", testKey(17))
		require.False(t, a.has(14))
		require.Len(t, a.Peers(), 5)
	})
}

// Peers with channels neither count nor go.
func TestStrangersLeaveChannelPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		withChannel := make(map[[33]byte]bool)
		for i := byte(11); i <= 30; i++ {
			withChannel[key(testKey(i).PubKey())] = true
		}
		a := startNode(t, n, testKey(1), "a:1", few, func(c *Config) {
			c.KnownPeer = func(node [33]byte) bool { return withChannel[node] }
		})
		strangers(t, n, a, 11, 20)
		strangers(t, n, a, 31, 35)
		strangers(t, n, a, 21, 30)
		<-time.After(time.Minute)
		strangers(t, n, a, 36, 40)
		for i := byte(11); i <= 30; i++ {
			require.True(t, a.has(i))
		}
		require.Len(t, a.Peers(), 25)
	})
}

// A node that we dialled doesn't count.
func TestStrangersWeDialled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.Strangers = 1 })
		for i := byte(2); i <= 4; i++ {
			b := startNode(t, n, testKey(i), fmt.Sprint("b:", i))
			_, err := a.Connect(t.Context(), b.key.PubKey(), fmt.Sprint("b:", i))
			require.NoError(t, err)
		}
		<-time.After(time.Minute)
		strangers(t, n, a, 11, 11)
		<-time.After(time.Minute)
		strangers(t, n, a, 12, 12)
		require.True(t, a.has(2) && a.has(3) && a.has(4) && a.has(12))
		require.False(t, a.has(11))
	})
}

// Coming back takes no second place.
func TestStrangerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", few)
		strangers(t, n, a, 11, 15)
		strangers(t, n, a, 11, 15)
		require.Len(t, a.Peers(), 5)
	})
}

func TestBucket(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	b := bucket{burst: 10, perSecond: 2}
	for range 10 {
		require.Zero(t, b.take(now, 1))
	}
	require.Equal(t, 500*time.Millisecond, b.take(now, 1))
	require.Equal(t, time.Second, b.take(now, 1))
	require.Zero(t, b.take(now.Add(2*time.Second), 1))
	require.Zero(t, b.take(now.Add(time.Hour), 10))
	require.NotZero(t, b.take(now.Add(time.Hour), 1))
	b.refill()
	require.Zero(t, b.take(now.Add(time.Hour), 10))
}

func TestQueue(t *testing.T) {
	q := newQueue(16, 1000)
	item := func(size int) []outgoing { return []outgoing{{raw: make([]byte, size)}} }
	require.Nil(t, q.tryPush(&q.urgent, item(5000)), "a large one is let in when it is empty")
	require.NotNil(t, q.tryPush(&q.urgent, item(1)))
	_, ok := q.pop()
	require.True(t, ok)
	for range 16 {
		require.Nil(t, q.tryPush(&q.urgent, item(10)))
	}
	room := q.tryPush(&q.urgent, item(10))
	require.NotNil(t, room, "16 messages")
	require.Equal(t, room, q.tryPush(&q.urgent, item(10)))
	q.force(outgoing{raw: make([]byte, 7)})
	require.Equal(t, 167, q.urgent.bytes)
	q.pop()
	<-room
	require.Nil(t, q.tryPush(&q.lazy, item(125)))
	require.NotNil(t, q.tryPush(&q.lazy, item(1)), "an eighth of the bytes")
	for range 16 {
		got, _ := q.pop()
		require.LessOrEqual(t, len(got.raw), 10)
	}
	got, _ := q.pop()
	require.Len(t, got.raw, 125)
	_, ok = q.pop()
	require.False(t, ok)
	require.Zero(t, q.urgent.bytes+q.lazy.bytes)
}

// Strangers that are busy for ever keep their places for 6 seconds only.
func TestStrangersBusyForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", few)
		all := strangers(t, n, a, 11, 15)
		for _, s := range all {
			require.True(t, s.say(custom(t, 37913, "busy")))
		}
		dialScript(t, n, a, "a:1", testKey(16)).greet().wantWarning("too many peers")
		<-time.After(time.Second)
		require.True(t, all[0].say(custom(t, 37913, "busy")))
		connectScript(t, n, a, "a:1", testKey(16))
		require.False(t, a.has(11), "the first has had its turn")
		require.True(t, a.has(12))
		require.ErrorIs(t, a.lastEnd(), ErrEvicted)
	})
}

// A flood of newcomers does not become a flood of questions to KnownPeer, and whoever
// became known meanwhile neither goes nor counts.
func TestStrangersAreRarelyAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		asked, known := 0, make(map[[33]byte]bool)
		a := startNode(t, n, testKey(1), "a:1", few, func(c *Config) {
			c.KnownPeer = func(node [33]byte) bool { asked++; return known[node] }
		})
		strangers(t, n, a, 11, 15)
		asked = 0
		for range 100 {
			dialScript(t, n, a, "a:1", testKey(16)).greet().wantWarning("too many peers")
		}
		require.LessOrEqual(t, asked, 100+5)

		known[key(testKey(11).PubKey())] = true
		<-time.After(askAgainStranger)
		connectScript(t, n, a, "a:1", testKey(16))
		require.True(t, a.has(11))

		known[key(testKey(12).PubKey())] = true // the idlest, and nobody has asked yet
		<-time.After(strangerIdle)
		a.admission.Lock()
		for _, c := range a.Peers() {
			c.standing.asked = time.Now()
		}
		a.admission.Unlock()
		connectScript(t, n, a, "a:1", testKey(17))
		require.True(t, a.has(11) && a.has(12))
		require.Len(t, a.Peers(), 7)

		known = nil
		<-time.After(askAgainKnown)
		connectScript(t, n, a, "a:1", testKey(18))
		require.False(t, a.has(11), "it is a stranger again")
	})
}
