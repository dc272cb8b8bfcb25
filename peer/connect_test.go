package peer

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

func TestConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		b := startNode(t, n, testKey(2), "b:1")

		c, err := a.Connect(t.Context(), b.key.PubKey(), "b:1")
		require.NoError(t, err)
		require.Equal(t, []string{"connected 1"}, a.seen(), "Connect returns after Connected")
		synctest.Wait()
		require.Equal(t, []string{"connected 1"}, b.seen())

		require.Equal(t, b.id(), c.PubKey())
		require.True(t, c.IdentityKey().IsEqual(b.key.PubKey()))
		require.False(t, c.Inbound())
		require.Equal(t, "b:1", c.Address().String())
		require.True(t, c.LocalFeatures().HasFeature(lnwire.StaticRemoteKeyOptional))
		require.True(t, c.RemoteFeatures().HasFeature(lnwire.AnchorsZeroFeeHtlcTxOptional))
		require.Equal(t, []*Conn{c}, a.Peers())

		again, err := a.Connect(t.Context(), b.key.PubKey(), "b:1")
		require.NoError(t, err)
		require.Same(t, c, again, "a second Connect returns the connection that is there")

		other, ok := b.Get(a.id())
		require.True(t, ok)
		require.True(t, other.Inbound())

		require.NoError(t, c.SendMessage(true, custom(t, 37913, "up")))
		require.NoError(t, other.SendMessage(true, custom(t, 37913, "down")))
		synctest.Wait()
		require.Equal(t, []lnwire.Message{custom(t, 37913, "up")}, b.messages())
		require.Equal(t, []lnwire.Message{custom(t, 37913, "down")}, a.messages())

		require.NoError(t, a.Manager.Disconnect(b.id()))
		pass(time.Millisecond)
		require.Equal(t, []string{"connected 1", "message 37913", "disconnected 1"}, a.seen())
		require.Equal(t, []string{"connected 1", "message 37913", "disconnected 1"}, b.seen())
		require.ErrorIs(t, a.lastEnd(), ErrDisconnected)
		require.ErrorIs(t, a.Manager.Disconnect(b.id()), ErrNotConnected)
		require.ErrorIs(t, c.SendMessage(false, custom(t, 37913, "late")), ErrDisconnected)
		require.Empty(t, a.slots, "nothing of a node that is gone is kept")
	})
}

func TestConnectFails(t *testing.T) {
	refusal := errors.New("not today")
	for name, test := range map[string]struct {
		change  func(*Config)
		addr    string
		want    error
		warning bool
	}{
		"nobody listens":     {addr: "nobody:1"},
		"no port":            {addr: "b"},
		"wrong node id":      {addr: "c:1", want: ErrHandshake},
		"other network":      {addr: "b:1", want: ErrWrongNetwork, change: otherNetwork},
		"handler refuses":    {addr: "b:1", want: refusal},
		"unknown even offer": {addr: "b:1", want: ErrFeatures, change: demanding},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1")
				if errors.Is(test.want, refusal) {
					a.onConn = func(*Conn) error { return refusal }
				}
				var change []func(*Config)
				if test.change != nil {
					change = append(change, test.change)
				}
				b := startNode(t, n, testKey(2), "b:1", change...)
				startNode(t, n, testKey(3), "c:1")
				_, err := a.Connect(t.Context(), b.key.PubKey(), test.addr)
				require.Error(t, err)
				if test.want != nil {
					require.ErrorIs(t, err, test.want)
				}
				synctest.Wait()
				require.Empty(t, a.Peers())
				require.Empty(t, a.slots)
				for _, event := range a.seen() {
					require.NotContains(t, event, "disconnected")
				}
			})
		})
	}
}

func otherNetwork(cfg *Config) { cfg.ChainHash = *chaincfg.MainNetParams.GenesisHash }

func demanding(cfg *Config) {
	cfg.Features = func([33]byte) *lnwire.RawFeatureVector {
		fv := testFeatures()
		fv.Set(80)
		return fv
	}
}

func TestConnectToSelf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := startNode(t, newMemNet(), testKey(1), "a:1")
		_, err := a.Connect(t.Context(), a.key.PubKey(), "a:1")
		require.ErrorIs(t, err, ErrSelf)
	})
}

func TestConnectCallerGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, testKey(1), "a:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Connect(ctx, testKey(2).PubKey(), "b:1")
		require.ErrorIs(t, err, context.DeadlineExceeded, "before Run")

		a.run(t)
		n.hang["b:1"] = true
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = a.Connect(ctx, testKey(2).PubKey(), "b:1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Empty(t, a.slots, "the dial was cancelled")

		_, err = a.Connect(t.Context(), testKey(2).PubKey(), "b:1")
		require.ErrorIs(t, err, errTimeout, "a dial doesn't take for ever")
	})
}

func TestConcurrentConnectsDialOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		b := startNode(t, n, testKey(2), "b:1")
		begin := time.Now()
		conns := make(chan *Conn, 10)
		for range 10 {
			go func() {
				c, err := a.Connect(t.Context(), b.key.PubKey(), "b:1")
				if err != nil {
					t.Error(err)
				}
				conns <- c
			}()
		}
		first := <-conns
		for range 9 {
			require.Same(t, first, <-conns)
		}
		require.Len(t, n.dials("b:1", begin), 1)
	})
}

func TestNewChecksConfig(t *testing.T) {
	good := Config{
		NodeKey: testKey(1), ChainHash: *chaincfg.RegressionNetParams.GenesisHash,
		Features: func([33]byte) *lnwire.RawFeatureVector { return testFeatures() },
		Handler:  new(recorder),
	}
	_, err := New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*Config){
		"key":      func(c *Config) { c.NodeKey = nil },
		"chain":    func(c *Config) { c.ChainHash = [32]byte{} },
		"features": func(c *Config) { c.Features = nil },
		"handler":  func(c *Config) { c.Handler = nil },
		"limits":   func(c *Config) { c.Limits.Strangers = -1 },
		"write":    func(c *Config) { c.Limits.Write = -1 },
		"backoff":  func(c *Config) { c.Limits.BackoffMin = time.Hour },
	} {
		bad := good
		spoil(&bad)
		_, err := New(bad)
		require.Error(t, err, name)
	}
}

func TestListenFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		startNode(t, n, testKey(1), "a:1")
		b := newNode(t, n, testKey(2), "b:1", func(c *Config) { c.Listen = []string{"b:1", "a:1"} })
		require.ErrorContains(t, b.Run(t.Context()), "listen on a:1")
		_, err := n.dial(t.Context(), "tcp", "b:1")
		require.Error(t, err, "the listener that worked was closed")
		require.Empty(t, b.Addrs())
	})
}

func TestRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := startNode(t, newMemNet(), testKey(1), "a:1")
		require.Equal(t, []net.Addr{memAddr("a:1")}, a.Addrs())
		require.ErrorIs(t, a.Run(t.Context()), ErrRunning)
		a.stop()
		require.ErrorIs(t, a.Run(t.Context()), ErrRunning)
		_, err := a.Connect(t.Context(), testKey(2).PubKey(), "b:1")
		require.ErrorIs(t, err, ErrStopped)
	})
}
