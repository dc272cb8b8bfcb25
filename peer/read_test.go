package peer

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// messageCase is one message of a peer, and what becomes of it.
type messageCase struct {
	raw     []byte
	handled bool  // the Handler gets it
	pong    int   // size of the pong; 0: none
	want    error // the reason of the end; nil: it goes on
}

func messageCases(t *testing.T) map[string]messageCase {
	ping := func(size uint16, rest ...byte) []byte {
		raw, err := encode(lnwire.NewPing(size))
		require.NoError(t, err)
		return append(raw, rest...)
	}
	channel := func(kind byte, rest ...byte) []byte {
		return append(append([]byte{0, kind}, make([]byte, 32)...), rest...)
	}
	ignored := func(raw ...byte) messageCase { return messageCase{raw: raw} }
	handled := func(raw ...byte) messageCase { return messageCase{raw: raw, handled: true} }
	unknown := func(raw ...byte) messageCase { return messageCase{raw: raw, want: ErrUnknownMessage} }
	broken := func(raw ...byte) messageCase { return messageCase{raw: raw, want: ErrMalformed} }
	return map[string]messageCase{
		"unknown odd":       ignored(0x03, 0xe9, 1, 2, 3),
		"unknown even":      unknown(0x03, 0xe8, 1, 2, 3),
		"draft of lnd, odd": ignored(0, 111, 1),
		"quiescence":        unknown(0, 2, 1),
		"onion message":     ignored(2, 1, 1),
		"gossip query":      ignored(1, 5, 1),
		"gossip reply":      unknown(1, 8, 1),

		"largest custom":       handled(append([]byte{0xff, 0xff}, make([]byte, 65533)...)...),
		"empty custom":         handled(0x94, 0x19),
		"custom, unknown even": unknown(0x94, 0x1a, '{'),
		"custom, known even":   handled(0x80, 0x02, '{'),

		"no bytes":                       broken(),
		"one byte":                       broken(1),
		"open_channel cut off":           broken(channel(32, make([]byte, 68)...)...),
		"accept_channel, bad key":        broken(channel(33, make([]byte, 268)...)...),
		"channel_ready, tlv not minimal": broken(append(channelReady(t), 0xfd, 0, 1, 0)...),
		"commitment_signed, no signatures": broken(channel(132,
			append(make([]byte, 64), 0xff, 0xff)...)...),

		"ping cut off":          broken(0, 18, 0),
		"ping, padding cut off": broken(0, 18, 0, 0, 0, 9),
		"ping for one":          {raw: ping(1), pong: 1},
		"ping, trailing bytes":  {raw: ping(3, 1, 2, 3), pong: 3},
		"ping for the largest":  {raw: ping(65531), pong: 65531},
		"ping for too many":     ignored(ping(65532)...),
		"ping for the most":     ignored(ping(65535)...),
		"pong unasked":          ignored(0, 19, 0, 1, 0),

		"error for all channels":   handled(channel(17, 0, 2, 'n', 'o')...),
		"warning":                  handled(channel(1, 0, 2, 'h', 'm')...),
		"warning, length too long": broken(channel(1, 0xff, 0xff)...),
	}
}

func TestMessages(t *testing.T) {
	for name, test := range messageCases(t) {
		t.Run(name, func(t *testing.T) { bubble(t, test.run) })
	}
}

func (test messageCase) run(t *testing.T) {
	n := newMemNet()
	a := startNode(t, n, testKey(1), "a:1", func(c *Config) {
		c.KnownCustom = func(kind lnwire.MessageType) bool { return kind == 0x8002 }
	})
	s, _ := connectScript(t, n, a, "a:1", testKey(9))
	require.True(t, s.send(test.raw))
	if test.want != nil {
		s.wantWarning(test.want.Error())
		synctest.Wait()
		require.ErrorIs(t, a.lastEnd(), test.want)
		require.Equal(t, []string{"connected 1", "disconnected 1"}, a.seen())
		return
	}
	if test.pong > 0 {
		pong, ok := s.next().(*lnwire.Pong)
		require.True(t, ok)
		require.Equal(t, lnwire.PongPayload(make([]byte, test.pong)), pong.PongBytes)
	}
	synctest.Wait()
	require.Empty(t, s.got, "nothing else is answered")
	require.Len(t, a.Peers(), 1)
	if !test.handled {
		require.Empty(t, a.messages())
		return
	}
	require.Len(t, a.messages(), 1)
	again, err := encode(a.messages()[0])
	require.NoError(t, err)
	require.Equal(t, test.raw, again, "passed on as it came")
}

func channelReady(t *testing.T) []byte {
	t.Helper()
	raw, err := encode(lnwire.NewChannelReady(lnwire.ChannelID{1}, testKey(7).PubKey()))
	require.NoError(t, err)
	return raw
}

// A header that fails to decrypt ends the connection without an answer: the
// stream is lost.
func TestBrokenEncryption(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		_, err := s.wire.Conn.Write(bytes.Repeat([]byte{0x55}, 100))
		_ = err // the node may hang up before it has taken them all
		s.wantGone()
		synctest.Wait()
		require.ErrorContains(t, a.lastEnd(), "read from peer")
	})
}

// A message whose end never comes.
func TestMessageCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		require.NoError(t, s.wire.noise.WriteMessage(make([]byte, 1000)))
		var wire bytes.Buffer
		_, err := s.wire.noise.Flush(&wire)
		require.NoError(t, err)
		_, err = s.wire.Conn.Write(wire.Bytes()[:500])
		require.NoError(t, err)
		begin := time.Now()
		s.wantGone()
		require.Equal(t, 5*time.Second, time.Since(begin))
		synctest.Wait()
		require.ErrorContains(t, a.lastEnd(), "silent")
	})
}

// What a peer says goes into the log as printable text, and not much of it.
func TestPeerTextInLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.ReadRate = 1 << 20 })
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		evil := "all fine\nlevel=ERROR msg=\x1b[31mowned\u202e\u2028" + strings.Repeat("x", 60_000)
		begin := time.Now()
		for range 1000 {
			require.True(t, s.say(&lnwire.Warning{Data: []byte(evil)}))
			require.True(t, s.say(&lnwire.Error{ChanID: lnwire.ChannelID{7}, Data: []byte(evil)}))
		}
		pass(time.Minute)
		require.Len(t, a.messages(), 2000, "the handler gets each")
		log := a.logs.String()
		for line := range strings.Lines(log) {
			require.LessOrEqual(t, len(line), 700)
			require.NotContains(t, line, "\x1b")
			require.False(t, strings.HasPrefix(line, "level=ERROR"))
		}
		require.Contains(t, log, "lines_dropped=")
		require.Less(t, float64(len(log)), 100_000+time.Since(begin).Minutes()*1_000_000/2)
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain ~ text":           "plain ~ text",
		"a\x00b\nc\x7f":          "a.b.c.",
		"é":                      "..",
		strings.Repeat("y", 256): strings.Repeat("y", 256),
		strings.Repeat("y", 257): strings.Repeat("y", 253) + "...",
	} {
		require.Equal(t, want, Printable([]byte(in)))
	}
}

// While the Handler is busy with a message no other is read from this peer,
// those of another are.
func TestBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		hold := make(chan struct{})
		a := newNode(t, n, testKey(1), "a:1", func(c *Config) { c.Limits.ReadRate = 1 << 20 })
		a.onMsg = func(c *Conn, _ lnwire.Message) {
			if c.ID() == 1 {
				<-hold
			}
		}
		a.run(t)
		s, _ := connectScript(t, n, a, "a:1", testKey(8))
		go func() {
			for range 1000 {
				s.say(custom(t, 37913, strings.Repeat("z", 10_000)))
			}
		}()
		other, _ := connectScript(t, n, a, "a:1", testKey(9))
		require.True(t, other.say(custom(t, 37913, "")))
		require.True(t, other.say(custom(t, 37913, "")))
		synctest.Wait()
		require.Len(t, a.messages(), 3, "one of the first peer is under way")
		close(hold)
		pass(time.Minute)
		require.Len(t, a.messages(), 1002)
	})
}

// A stranger is read no faster than Limits.ReadRate, a peer with a channel is.
func TestReadRate(t *testing.T) {
	for name, known := range map[string]bool{"stranger": false, "with a channel": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1", func(c *Config) {
					c.Limits.ReadRate = 100_000
					c.KnownPeer = func([33]byte) bool { return known }
				})
				s, _ := connectScript(t, n, a, "a:1", testKey(9))
				begin := time.Now()
				msg := custom(t, 37913, strings.Repeat("z", 10_000-2))
				for range 240 {
					require.True(t, s.say(msg))
				}
				synctest.Wait()
				if known {
					require.Zero(t, time.Since(begin))
				} else {
					require.InDelta(t, 20, time.Since(begin).Seconds(), 0.3)
				}
			})
		})
	}
}
