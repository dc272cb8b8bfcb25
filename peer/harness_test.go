package peer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// testKey is a node key; with a greater n it isn't a greater node id.
func testKey(n byte) *keychain.PrivKeyECDH {
	priv, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{n}, 32))
	return &keychain.PrivKeyECDH{PrivKey: priv}
}

// keysInOrder gives two node keys, that of the smaller node id first.
func keysInOrder() (low, high *keychain.PrivKeyECDH) {
	low, high = testKey(1), testKey(2)
	a, b := key(low.PubKey()), key(high.PubKey())
	if bytes.Compare(a[:], b[:]) > 0 {
		low, high = high, low
	}
	return low, high
}

func testFeatures() *lnwire.RawFeatureVector {
	return lnwire.NewRawFeatureVector(
		lnwire.DataLossProtectRequired, lnwire.TLVOnionPayloadRequired,
		lnwire.StaticRemoteKeyRequired, lnwire.PaymentAddrRequired,
		lnwire.AnchorsZeroFeeHtlcTxOptional, lnwire.ExplicitChannelTypeOptional,
	)
}

// recorder is a Handler that writes down what it is told.
type recorder struct {
	mu     sync.Mutex
	events []string
	msgs   []lnwire.Message
	ends   []error
	onConn func(*Conn) error
	onMsg  func(*Conn, lnwire.Message)
	onEnd  func(*Conn)
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) Connected(c *Conn) error {
	r.note("connected %d", c.ID())
	if r.onConn != nil {
		return r.onConn(c)
	}
	return nil
}

func (r *recorder) Message(c *Conn, msg lnwire.Message) {
	r.note("message %d", msg.MsgType())
	r.mu.Lock()
	r.msgs = append(r.msgs, msg)
	r.mu.Unlock()
	if r.onMsg != nil {
		r.onMsg(c, msg)
	}
}

func (r *recorder) Disconnected(c *Conn, err error) {
	if r.onEnd != nil {
		r.onEnd(c)
	}
	r.note("disconnected %d", c.ID())
	r.mu.Lock()
	r.ends = append(r.ends, err)
	r.mu.Unlock()
}

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *recorder) messages() []lnwire.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.msgs)
}

// lastEnd is the reason of the last Disconnected.
func (r *recorder) lastEnd() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ends) == 0 {
		return nil
	}
	return r.ends[len(r.ends)-1]
}

// testNode is a running Manager.
type testNode struct {
	*Manager
	*recorder
	key  *keychain.PrivKeyECDH
	stop func()
	logs *safeBuffer
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newNode makes a node that listens on addr; it doesn't run yet.
func newNode(
	t *testing.T, n *memNet, key *keychain.PrivKeyECDH, addr string, change ...func(*Config),
) *testNode {
	t.Helper()
	node := &testNode{recorder: new(recorder), key: key, logs: new(safeBuffer)}
	cfg := Config{
		NodeKey: key, ChainHash: *chaincfg.RegressionNetParams.GenesisHash,
		Features: func([33]byte) *lnwire.RawFeatureVector { return testFeatures() },
		Listen:   []string{addr}, Handler: node.recorder,
		Dial: n.dial, Bind: n.bind, Jitter: func() float64 { return 0 },
		Log: slog.New(slog.NewTextHandler(node.logs,
			&slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	node.Manager, err = New(cfg)
	require.NoError(t, err)
	return node
}

// run runs it until the test ends or stop is called.
func (n *testNode) run(t *testing.T) *testNode {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(n.stop)
	<-n.Started()
	return n
}

func startNode(
	t *testing.T, n *memNet, key *keychain.PrivKeyECDH, addr string, change ...func(*Config),
) *testNode {
	t.Helper()
	return newNode(t, n, key, addr, change...).run(t)
}

func (n *testNode) id() [33]byte { return key(n.key.PubKey()) }

// script is the other end of a connection, by hand: BOLT 8 done, nothing sent.
type script struct {
	t    *testing.T
	wire *secure
	mu   sync.Mutex  // of sending
	got  chan []byte // what the node sent; closed when it hung up
}

// dialScript dials a node as the node of that key.
func dialScript(
	t *testing.T, n *memNet, to *testNode, addr string, as *keychain.PrivKeyECDH,
) *script {
	t.Helper()
	socket, err := n.dial(context.Background(), "tcp", addr)
	require.NoError(t, err)
	wire, err := initiate(socket, as, to.key.PubKey())
	require.NoError(t, err)
	return newScript(t, wire)
}

func newScript(t *testing.T, wire *secure) *script {
	s := &script{t: t, wire: wire, got: make(chan []byte, 100_000)}
	go func() {
		defer close(s.got)
		for {
			raw, err := wire.read(24*time.Hour, time.Hour)
			if err != nil {
				return
			}
			s.got <- bytes.Clone(raw)
		}
	}()
	t.Cleanup(func() { wire.Close() })
	return s
}

// send sends raw bytes as one message; false if the node has hung up.
func (s *script) send(raw []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire.write(raw) != nil {
		return false
	}
	return s.wire.flush() == nil
}

func (s *script) say(msg lnwire.Message) bool {
	raw, err := encode(msg)
	require.NoError(s.t, err)
	return s.send(raw)
}

// next is the next message from the node; nil when it hung up.
func (s *script) next() lnwire.Message {
	s.t.Helper()
	raw, ok := <-s.got
	if !ok {
		return nil
	}
	msg, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
	require.NoError(s.t, err)
	return msg
}

// greet exchanges init.
func (s *script) greet() *script {
	s.t.Helper()
	require.IsType(s.t, &lnwire.Init{}, s.next())
	init, err := newInit(testFeatures(), *chaincfg.RegressionNetParams.GenesisHash)
	require.NoError(s.t, err)
	require.True(s.t, s.say(init))
	return s
}

// connectScript is a script after init, when the node has been told.
func connectScript(
	t *testing.T, n *memNet, to *testNode, addr string, as *keychain.PrivKeyECDH,
) (*script, *Conn) {
	t.Helper()
	s := dialScript(t, n, to, addr, as).greet()
	synctest.Wait()
	c, ok := to.Get(key(as.PubKey()))
	require.True(t, ok, "the node knows the connection")
	return s, c
}

// wantGone checks that the node has hung up, after warnings at most.
func (s *script) wantGone() {
	s.t.Helper()
	for raw := range s.got {
		kind, _ := messageType(raw)
		switch kind {
		case lnwire.MsgWarning, lnwire.MsgPing, lnwire.MsgPong, lnwire.MsgInit:
		default:
			s.t.Fatalf("message %d before the end", kind)
		}
	}
}

// wantWarning checks that the node said this before it hung up.
func (s *script) wantWarning(text string) {
	s.t.Helper()
	var said []string
	for raw := range s.got {
		msg, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
		require.NoError(s.t, err)
		if warning, ok := msg.(*lnwire.Warning); ok {
			said = append(said, string(warning.Data))
		}
	}
	require.Len(s.t, said, 1)
	require.Contains(s.t, said[0], text)
}

func custom(t *testing.T, kind lnwire.MessageType, data string) *lnwire.Custom {
	t.Helper()
	msg, err := lnwire.NewCustom(kind, []byte(data))
	require.NoError(t, err)
	return msg
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass lets virtual time pass, and then all that follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
