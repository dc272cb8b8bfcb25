package peer

import (
	"bytes"
	"log/slog"
	"net"
	"runtime"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// seeds are messages of every type that lnwire knows, as zeroes and cut off, and
// a few that are valid.
func seeds(t testing.TB) (all [][]byte) {
	for kind := range lnwire.MsgEnd + 1 {
		raw := []byte{byte(kind >> 8), byte(kind)}
		if _, err := lnwire.MakeEmptyMessage(lnwire.MessageType(kind)); err != nil && kind > 40 {
			continue
		}
		for _, size := range []int{0, 1, 33, 100, 500} {
			all = append(all, append(bytes.Clone(raw), make([]byte, size)...))
		}
		all = append(all, append(bytes.Clone(raw), bytes.Repeat([]byte{0xff}, 300)...))
	}
	init, err := newInit(testFeatures(), regtestHash)
	require.NoError(t, err)
	for _, msg := range []lnwire.Message{
		init, lnwire.NewPing(7), lnwire.NewPong(make([]byte, 9)),
		&lnwire.Warning{Data: []byte("hm")}, &lnwire.Error{Data: []byte("no")},
		lnwire.NewChannelReady(lnwire.ChannelID{1}, testKey(7).PubKey()),
		&lnwire.Custom{Type: 37913, Data: []byte(`{"jsonrpc":"2.0"}`)},
		&lnwire.Shutdown{Address: make([]byte, 22)},
	} {
		raw, err := encode(msg)
		require.NoError(t, err)
		all = append(all, raw)
	}
	// A TLV that claims 2^63 bytes.
	ready, err := encode(lnwire.NewChannelReady(lnwire.ChannelID{1}, testKey(7).PubKey()))
	require.NoError(t, err)
	return append(all, append(ready, 1, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0))
}

// No bytes make the parser fail otherwise than by an error, and what it takes can
// be sent on.
func FuzzDecode(f *testing.F) {
	for _, raw := range seeds(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 65535 {
			return
		}
		msg, err := parse(raw)
		if err != nil {
			require.Nil(t, msg)
			return
		}
		if msg == nil {
			return
		}
		if _, err := encode(msg); err != nil && len(raw) < 60_000 {
			t.Errorf("type %d was read and can't be written: %v", msg.MsgType(), err)
		}
	})
}

// No message costs much more memory than it has bytes, whatever lengths it claims.
func TestDecodeCost(t *testing.T) {
	all := seeds(t)
	for kind := range lnwire.MsgEnd + 1 {
		raw := bytes.Repeat([]byte{0xff}, 65535)
		raw[0], raw[1] = byte(kind>>8), byte(kind)
		all = append(all, raw)
	}
	for _, raw := range all {
		before := allocated()
		_, _ = parse(raw)
		cost := int(allocated() - before)
		require.LessOrEqual(t, cost, 64<<10+8*len(raw), "type %x", raw[:2])
	}
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// The same for init, where the features are.
func FuzzInit(f *testing.F) {
	f.Add(rawInit(nil, []byte{0x20, 0, 0, 0x80, 0x51, 0x01}, networks(regtestHash)))
	f.Add(rawInit([]byte{0x12}, nil, []byte{1, 0, 3, 2, 9, 9}))
	f.Add(rawInit(nil, bytes.Repeat([]byte{0xaa}, 8192), nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		init, err := parseInit(raw)
		if err != nil {
			return
		}
		remote, err := checkInit(init, testFeatures(), regtestHash)
		if err == nil {
			require.Empty(t, lnwire.NewFeatureVector(remote.RawFeatureVector, lnwire.Features).
				UnknownRequiredFeatures())
		}
	})
}

// A parser that panics costs the connection only.
func TestDecodePanic(t *testing.T) {
	msg, err := guarded(func() (lnwire.Message, error) { panic("bug") })
	require.Nil(t, msg)
	require.ErrorIs(t, err, ErrMalformed)
}

// FuzzReceive has any bytes after the handshake end in an answer, in a message for the
// Handler, or in the end of the connection, and nothing wait that is larger than was asked.
func FuzzReceive(f *testing.F) {
	for _, raw := range seeds(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 65535 {
			return
		}
		here, there := net.Pipe()
		defer there.Close()
		defer here.Close()
		cfg := Config{Handler: new(recorder), Log: slog.New(slog.DiscardHandler),
			KnownCustom: func(lnwire.MessageType) bool { return false }}
		limits := Limits{}.withDefaults()
		cfg.Limits = limits
		c := newConn(1, &secure{Conn: here, remote: testKey(9).PubKey()}, true, &limits)
		r := newReader(c, &cfg, newPeerLog(cfg.Log))
		err := r.receive(raw)
		if n := len(cfg.Handler.(*recorder).messages()); n > 1 || n == 1 && err != nil {
			t.Fatalf("%d messages, and %v", n, err)
		}
		if c.queue.urgent.bytes > 65535 || len(c.queue.urgent.items) > 1 {
			t.Fatalf("%d bytes are answered in %d messages", c.queue.urgent.bytes, len(c.queue.urgent.items))
		}
		if err != nil {
			c.tell(err)
		}
	})
}
