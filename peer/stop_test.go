package peer

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// Stop in the middle of everything: a bubble fails when a goroutine is left.
func TestStopWhileBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		n.hang["x:1"] = true
		a := newNode(t, n, testKey(1), "a:1")
		a.onMsg = func(c *Conn, _ lnwire.Message) { <-c.QuitSignal() }
		a.onEnd = func(*Conn) { <-time.After(10 * time.Millisecond) }
		a.run(t)

		// A Handler that is busy, an idle peer, and one with words in its queue.
		busy, _ := connectScript(t, n, a, "a:1", testKey(11))
		require.True(t, busy.say(custom(t, 37913, "")))
		idle, _ := connectScript(t, n, a, "a:1", testKey(12))
		last, c := connectScript(t, n, a, "a:1", testKey(13))
		// A silent socket, one without init, a newcomer that waits for its place.
		socket, err := n.dial(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		mute := dialScript(t, n, a, "a:1", testKey(14))
		dialScript(t, n, a, "a:1", testKey(11)).greet()
		// A dial that hangs, a node that waits for its next attempt.
		a.Keep(key(testKey(15).PubKey()), []string{"x:1"})
		a.Keep(key(testKey(16).PubKey()), []string{"gone:1"})
		failed := make(chan error, 1)
		go func() {
			_, err := a.Connect(t.Context(), testKey(17).PubKey(), "x:1")
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, c.SendMessage(false, custom(t, 37913, "bye")))

		begin := time.Now()
		a.stop()
		require.LessOrEqual(t, time.Since(begin), linger+100*time.Millisecond)
		require.Empty(t, a.Peers())
		require.Empty(t, a.keptRunning())
		require.ErrorIs(t, <-failed, ErrStopped)
		require.Equal(t, custom(t, 37913, "bye"), last.next())
		for _, s := range []*script{busy, idle, last, mute} {
			s.wantGone()
		}
		_, err = socket.Read(make([]byte, 1))
		require.Error(t, err)
		connected, gone := 0, 0
		for _, event := range a.seen() {
			var id int
			if _, err := fmt.Sscanf(event, "connected %d", &id); err == nil {
				connected++
			}
			if _, err := fmt.Sscanf(event, "disconnected %d", &id); err == nil {
				gone++
			}
		}
		require.Equal(t, connected, gone)
		require.ElementsMatch(t, []error{ErrReplaced, ErrStopped, ErrStopped}, a.ends)
		_, err = n.dial(t.Context(), "tcp", "a:1")
		require.Error(t, err, "the listener is closed")
		a.Keep(key(testKey(18).PubKey()), []string{"x:1"})
	})
}

// keptRunning lists the nodes for which a routine thinks it runs.
func (m *Manager) keptRunning() (nodes []string) {
	for node, s := range m.slots {
		if s.dialing != nil || s.conn != nil {
			nodes = append(nodes, hexKey(node))
		}
	}
	return nodes
}

// Stop while two nodes talk, many times, at any moment of their life.
func TestStopAnyTime(t *testing.T) {
	for i := range 40 {
		bubble(t, func(t *testing.T) {
			t.Cleanup(func() { pass(time.Second) })
			n := newMemNet()
			n.delay = func() time.Duration { return 10 * time.Millisecond }
			a := startNode(t, n, testKey(1), "a:1")
			b := startNode(t, n, testKey(2), "b:1")
			chat := func(c *Conn, msg lnwire.Message) { _ = c.SendMessage(false, msg) }
			a.onMsg, b.onMsg = chat, chat
			a.onConn = func(c *Conn) error { return c.SendMessage(false, custom(t, 37913, "hi")) }
			a.Keep(b.id(), []string{"b:1"})
			b.Keep(a.id(), []string{"a:1"})
			pass(time.Duration(i) * 3 * time.Millisecond)
			a.stop()
			checkAlternation(t, a)
			pass(time.Duration(i) * time.Millisecond)
			b.stop()
			checkAlternation(t, b)
		})
	}
}

// failing is a listener that is out of file descriptors for a while.
type failing struct {
	net.Listener
	left int
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, fmt.Errorf("accept: too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		listener, err := n.bind(t.Context(), "tcp", "a:1")
		require.NoError(t, err)
		a := newNode(t, n, testKey(1), "a:1")
		a.cfg.Listen = nil
		a.run(t)
		ended := make(chan struct{})
		require.True(t, a.start(func(ctx context.Context) {
			a.routineAccept(ctx, &failing{listener, 20})
			close(ended)
		}))
		pass(time.Second)
		begin := time.Now()
		connectScript(t, n, a, "a:1", testKey(9))
		require.InDelta(t, 1, time.Since(begin).Seconds(), 0.2)
		require.Contains(t, a.logs.String(), "too many open files")
		require.NoError(t, listener.Close())
		<-ended
	})
}
