package peer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// answerPings answers each ping for as long as the connection lasts.
func (s *script) answerPings() {
	go func() {
		for raw := range s.got {
			if msg, err := decode(raw); err == nil {
				if ping, ok := msg.(*lnwire.Ping); ok {
					s.say(lnwire.NewPong(make([]byte, ping.NumPongBytes)))
				}
			}
		}
	}()
}

func TestPingKeepsAlive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		for i := range 1000 {
			begin := time.Now()
			ping, ok := s.next().(*lnwire.Ping)
			require.True(t, ok)
			if i > 0 {
				require.Equal(t, 30*time.Second, time.Since(begin))
			}
			require.LessOrEqual(t, ping.NumPongBytes, uint16(256))
			require.Empty(t, ping.PaddingBytes)
			require.True(t, s.say(lnwire.NewPong(make([]byte, ping.NumPongBytes))))
		}
		require.Len(t, a.Peers(), 1)
	})
}

func TestPingTimeout(t *testing.T) {
	const patience = 30*time.Second + pongPatience*20*time.Second
	for name, test := range map[string]struct {
		every time.Duration // another message so often
		pong  []byte        // a pong of the wrong size with it
		want  time.Duration
	}{
		"silent":              {time.Hour, nil, 50 * time.Second},
		"talks, never a pong": {time.Second, nil, patience},
		"wrong pongs":         {2 * time.Second, []byte{0, 19, 2, 0}, patience},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1")
				begin := time.Now()
				s, c := connectScript(t, n, a, "a:1", testKey(9))
				go func() {
					for {
						<-time.After(test.every)
						msg := []byte{0x94, 0x19}
						if test.pong != nil {
							msg = append(test.pong, make([]byte, 512)...)
						}
						if !s.send(msg) {
							return
						}
					}
				}()
				<-c.QuitSignal()
				require.InDelta(t, test.want.Seconds(), time.Since(begin).Seconds(), 1)
				synctest.Wait()
				require.ErrorIs(t, a.lastEnd(), ErrPingTimeout)
				<-time.After(2 * test.every)
			})
		})
	}
}

// The time that our own Handler takes doesn't count as the peer's silence.
func TestPingWhileHandlerIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		a.onMsg = func(*Conn, lnwire.Message) { <-time.After(10 * time.Minute) }
		a.run(t)
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		s.answerPings()
		require.True(t, s.say(custom(t, 37913, "")))
		pass(time.Hour)
		require.False(t, c.ended())
	})
}

func TestPinger(t *testing.T) {
	start := time.Now()
	p := newPinger(30*time.Second, 20*time.Second)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	check := func(seconds int) (int, bool) {
		wait, dead := p.check(at(seconds))
		return int(wait.Round(time.Second) / time.Second), dead
	}
	want := func(seconds, wait int, dead bool) {
		t.Helper()
		gotWait, gotDead := check(seconds)
		require.Equal(t, dead, gotDead)
		if !dead {
			require.Equal(t, wait, gotWait)
		}
	}
	want(100, 1, false) // the reader has not begun
	p.reading(at(0), true)
	want(10, 20, false)
	want(31, 0, false)
	msg, answered := p.begin(at(31))
	require.EqualValues(t, 1, msg.NumPongBytes)
	none, same := p.begin(at(32))
	require.Nil(t, none, "one at a time")
	require.Equal(t, answered, same)
	want(32, 19, false)

	// Ten minutes in the Handler, right before the pong would be read.
	p.reading(at(40), false)
	want(400, 1, false)
	p.reading(at(640), true)
	want(640, 20, false)
	want(660, 0, true)
	// Other messages count as a sign of life, for a while.
	for i := range 6 {
		p.reading(at(650+20*i), false)
		p.reading(at(650+20*i), true)
	}
	want(750, 1, false)
	want(751, 0, true)

	require.False(t, p.pong(lnwire.NewPong(make([]byte, 2))))
	require.True(t, p.pong(lnwire.NewPong(make([]byte, 1))))
	<-answered
	require.False(t, p.pong(lnwire.NewPong(make([]byte, 1))))
	want(800, 0, false)
}

func TestPingFlood(t *testing.T) {
	pong, err := encode(lnwire.NewPong(make([]byte, 7)))
	require.NoError(t, err)
	ping, err := encode(lnwire.NewPing(65531))
	require.NoError(t, err)
	for name, raw := range map[string][]byte{"ping": ping, "pong": pong} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1")
				s, _ := connectScript(t, n, a, "a:1", testKey(9))
				s.answerPings()
				for range 120 {
					require.True(t, s.send(raw))
					<-time.After(time.Second)
				}
				require.Len(t, a.Peers(), 1, "one a second is fine")
				begin := time.Now()
				for s.send(raw) {
				}
				require.Zero(t, time.Since(begin))
				pass(time.Second)
				require.ErrorIs(t, a.lastEnd(), ErrPingFlood)
			})
		})
	}
}

// Nothing at all comes, and pings are off: the idle deadline ends it.
func TestIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.Ping = time.Hour })
		s, c := connectScript(t, n, a, "a:1", testKey(9))
		<-time.After(4 * time.Minute)
		require.True(t, s.say(custom(t, 37913, "")))
		begin := time.Now()
		<-c.QuitSignal()
		require.Equal(t, 5*time.Minute, time.Since(begin))
		synctest.Wait()
		require.ErrorContains(t, a.lastEnd(), "silent")
	})
}
