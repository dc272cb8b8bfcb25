package peer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// connectDeaf is a connection whose other end reads nothing after init.
func connectDeaf(t *testing.T, n *memNet, to *testNode, addr string) (*secure, *Conn) {
	t.Helper()
	socket, err := n.dial(t.Context(), "tcp", addr)
	require.NoError(t, err)
	wire, err := initiate(socket, testKey(9), to.key.PubKey())
	require.NoError(t, err)
	_, err = wire.read(time.Hour, time.Hour)
	require.NoError(t, err)
	require.NoError(t, wire.write(rawInit(nil, nil, nil)))
	require.NoError(t, wire.flush())
	synctest.Wait()
	c, ok := to.Get(key(testKey(9).PubKey()))
	require.True(t, ok)
	return wire, c
}

func TestSendOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		for i := 0; i < 3000; i += 3 {
			require.NoError(t, c.SendMessage(i%2 == 0, custom(t, 37913, fmt.Sprint(i)),
				custom(t, 37913, fmt.Sprint(i+1)), custom(t, 37913, fmt.Sprint(i+2))))
		}
		for i := range 3000 {
			require.Equal(t, custom(t, 37913, fmt.Sprint(i)), s.next())
		}
		require.NoError(t, c.SendMessage(true), "nothing is nothing")
	})
}

// SendMessage(sync) returns when the peer's side has taken the bytes, not before.
func TestSendSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		wire, c := connectDeaf(t, n, a, "a:1")
		begin := time.Now()
		go func() {
			<-time.After(3 * time.Second)
			newScript(t, wire)
		}()
		require.NoError(t, c.SendMessage(false, custom(t, 37913, "first")))
		require.Zero(t, time.Since(begin))
		require.NoError(t, c.SendMessage(true, custom(t, 37913, "second")))
		require.Equal(t, 3*time.Second, time.Since(begin))
	})
}

// Those who wait for their bytes are told although much more is queued.
func TestSendSyncUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		wire, c := connectDeaf(t, n, a, "a:1")
		big := custom(t, 37913, strings.Repeat("z", 5000))
		require.NoError(t, c.SendMessage(false, big))
		synctest.Wait() // the writer is stuck in it
		told := make(chan error, 1)
		go func() { told <- c.SendMessage(true, big) }()
		synctest.Wait()
		for range 500 {
			require.NoError(t, c.SendMessage(false, big))
		}
		for range 100 {
			_, err := wire.read(time.Hour, time.Hour)
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, told, 1)
		require.NoError(t, <-told)
	})
}

func TestSlowReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		_, c := connectDeaf(t, n, a, "a:1")
		msg := custom(t, 37913, strings.Repeat("z", 60_000))
		begin := time.Now()
		var err error
		sent := 0
		for err == nil {
			err = c.SendMessage(false, msg)
			sent++
			c.queue.mu.Lock()
			require.LessOrEqual(t, c.queue.urgent.bytes, 4<<20, "the queue doesn't grow")
			c.queue.mu.Unlock()
		}
		require.ErrorIs(t, err, ErrSlowReader)
		require.Less(t, sent, 75)
		require.Equal(t, 5*time.Second, time.Since(begin))
		synctest.Wait()
		require.ErrorIs(t, a.lastEnd(), ErrSlowReader)
		require.ErrorIs(t, c.SendMessage(true, msg), ErrSlowReader)
	})
}

// A peer that takes one message in 4 seconds keeps each write deadline, but not
// those waiting who want to send more than the queue holds.
func TestTrickleReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.QueueMessages = 10 })
		wire, c := connectDeaf(t, n, a, "a:1")
		go func() {
			for {
				<-time.After(4 * time.Second)
				if _, err := wire.read(time.Hour, time.Hour); err != nil {
					return
				}
			}
		}()
		big := custom(t, 37913, strings.Repeat("z", 60_000))
		waiting := make(chan error)
		for range 30 {
			go func() { waiting <- c.SendMessage(false, big) }()
		}
		var failed int
		for range 30 {
			if err := <-waiting; err != nil {
				require.ErrorIs(t, err, ErrSlowReader)
				failed++
			}
		}
		require.InDelta(t, 18, failed, 2)
		require.True(t, c.ended())
		<-time.After(time.Minute)
	})
}

func TestSendLazy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.QueueMessages = 16 })
		wire, c := connectDeaf(t, n, a, "a:1")
		// The writer is stuck in this one.
		require.NoError(t, c.SendMessage(false, custom(t, 37913, strings.Repeat("z", 60_000))))
		synctest.Wait()
		require.NoError(t, c.SendMessageLazy(false,
			custom(t, 37913, "lazy 1"), custom(t, 37913, "lazy 2")))
		third := make(chan error, 1)
		go func() { third <- c.SendMessageLazy(true, custom(t, 37913, "lazy 3")) }()
		require.NoError(t, c.SendMessage(false, custom(t, 37913, "urgent")))
		synctest.Wait()
		require.Empty(t, third, "an eighth of 16 are there")

		s := newScript(t, wire)
		var order []string
		s.next()
		for range 4 {
			order = append(order, string(s.next().(*lnwire.Custom).Data))
		}
		require.Equal(t, []string{"urgent", "lazy 1", "lazy 2", "lazy 3"}, order)
		require.NoError(t, <-third)
	})
}

// A sender that waits for room gets the reason when the connection ends.
func TestSendWhileItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.QueueMessages = 1 })
		_, c := connectDeaf(t, n, a, "a:1")
		big := custom(t, 37913, strings.Repeat("z", 60_000))
		require.NoError(t, c.SendMessage(false, big))
		synctest.Wait()
		require.NoError(t, c.SendMessage(false, big))
		errs := make(chan error, 3)
		go func() { errs <- c.SendMessage(false, big) }()
		go func() { errs <- c.SendMessage(true, big) }()
		go func() { errs <- c.SendMessageLazy(true, big) }()
		synctest.Wait()
		c.Disconnect(fmt.Errorf("enough"))
		for range 3 {
			require.ErrorContains(t, <-errs, "enough")
		}
	})
}

func TestSendUnencodable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		fine, large := custom(t, 37913, "fine"), custom(t, 37913, strings.Repeat("z", 65534))
		require.ErrorContains(t, c.SendMessage(true, fine, large), "too large")
		synctest.Wait()
		require.Empty(t, s.got, "all or nothing")
		require.NoError(t, c.SendMessage(true, custom(t, 37913, strings.Repeat("z", 65533))))
		require.Len(t, a.Peers(), 1)
	})
}

// What was queued before Disconnect arrives: an `error` must not be lost.
func TestFarewell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		for range 100 {
			require.NoError(t, c.SendMessage(false, custom(t, 37913, "")))
		}
		require.NoError(t, c.SendMessage(false, &lnwire.Error{Data: []byte("last words")}))
		c.Disconnect(nil)
		c.Disconnect(fmt.Errorf("the first reason counts"))
		for range 100 {
			require.IsType(t, &lnwire.Custom{}, s.next())
		}
		require.Equal(t, lnwire.ErrorData("last words"), s.next().(*lnwire.Error).Data)
		require.Nil(t, s.next())
		synctest.Wait()
		require.ErrorIs(t, a.lastEnd(), ErrDisconnected)
	})
}

// A peer that doesn't read its last words has a second.
func TestFarewellToDeaf(t *testing.T) {
	for _, inTheMiddle := range []bool{false, true} {
		bubble(t, func(t *testing.T) { farewellToDeaf(t, inTheMiddle) })
	}
}

func farewellToDeaf(t *testing.T, inTheMiddle bool) {
	n := newMemNet()
	a := startNode(t, n, testKey(1), "a:1")
	_, c := connectDeaf(t, n, a, "a:1")
	for range 10 {
		require.NoError(t, c.SendMessage(false, custom(t, 37913, strings.Repeat("z", 60_000))))
	}
	if inTheMiddle {
		synctest.Wait()
	}
	begin := time.Now()
	c.Disconnect(nil)
	<-c.gone
	require.Equal(t, linger, time.Since(begin))
}

// After Disconnect no more messages reach the Handler.
func TestNothingAfterDisconnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onMsg = func(c *Conn, _ lnwire.Message) { c.Disconnect(nil) }
		a.run(t)
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		for s.say(custom(t, 37913, "")) {
		}
		<-c.gone
		require.Equal(t, []string{"connected 1", "message 37913", "disconnected 1"}, a.seen())
	})
}
