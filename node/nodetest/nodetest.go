// Package nodetest makes whole nodes on a private chain, for tests of ours and of
// programs that embed a node.
package nodetest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/node"
)

// timeout bounds every wait of a test: a machine that is busy with other tests
// needs seconds where milliseconds do.
const timeout = 90 * time.Second

// Net is a private chain and the nodes on it.
type Net struct {
	testing.TB
	Chain regtest.Regtest
	opts  node.ChainOptions
}

// New starts a btcd for the test and mines until there are coins to give. It ends
// with the test.
func New(t testing.TB) *Net {
	t.Helper()
	bin, err := regtest.FindBtcd()
	if err != nil {
		missing(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	btcd, err := regtest.StartBtcd(ctx, regtest.Btcd{Binary: bin, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = btcd.Stop() })
	cfg := btcd.Config()
	return &Net{TB: t, Chain: btcd, opts: node.ChainOptions{Btcd: &cfg}}
}

// missing ends a test that needs a program: a failure where all are promised, a
// visible skip on a developer's machine.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// Node is a node of the net, running.
type Node struct {
	*node.Node
	net   *Net
	opts  node.Options
	words []string
	end   context.CancelFunc
	done  chan error
}

// Node makes a wallet and a node and runs it. change may be nil.
func (n *Net) Node(name string, change func(*node.Options)) *Node {
	n.Helper()
	opts := node.Options{
		Dir: filepath.Join(n.TempDir(), name), Params: &chaincfg.RegressionNetParams, Alias: name,
		Listen: []string{"127.0.0.1:0"}, InsecureNoPassphrase: true, Chain: n.opts,
		Log: n.log(name),
	}
	if change != nil {
		change(&opts)
	}
	words, err := node.Create(node.CreateOptions{
		Dir: opts.Dir, Params: opts.Params, Insecure: true,
	})
	if err != nil {
		n.Fatal(err)
	}
	m := &Node{net: n, opts: opts, words: words}
	m.Start()
	n.Cleanup(m.Stop)
	return m
}

// log writes a node's log to the test's output when INLET_TEST_LOG names a level.
func (n *Net) log(name string) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(os.Getenv("INLET_TEST_LOG"))) != nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).
		With("node", name)
}

// Start runs the node on its directory and waits until it is ready.
func (m *Node) Start() {
	m.net.Helper()
	var err error
	if m.Node, err = node.New(m.opts); err != nil {
		m.net.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	m.end, m.done = end, make(chan error, 1)
	go func() { m.done <- m.Run(ctx) }()
	select {
	case <-m.Ready():
	case err := <-m.done:
		m.net.Fatalf("node %s ended: %v", m.opts.Alias, err)
	case <-time.After(timeout):
		m.net.Fatalf("node %s is not ready", m.opts.Alias)
	}
}

// Stop ends the node and waits for it. Calling it again does nothing.
func (m *Node) Stop() {
	m.net.Helper()
	if m.end == nil {
		return
	}
	m.end()
	m.end = nil
	select {
	case err := <-m.done:
		if err != nil {
			m.net.Errorf("node %s: %v", m.opts.Alias, err)
		}
	case <-time.After(timeout):
		m.net.Fatalf("node %s does not stop", m.opts.Alias)
	}
}

// Words are the 24 words of the node's wallet.
func (m *Node) Words() []string { return m.words }

// Burn stops the node and deletes its directory with everything in it.
func (m *Node) Burn() {
	m.net.Helper()
	m.Stop()
	if err := os.RemoveAll(m.opts.Dir); err != nil {
		m.net.Fatal(err)
	}
}

// Restore makes the node anew from its words, and from a backup unless that is nil, and starts it.
func (m *Node) Restore(backup []byte) {
	m.net.Helper()
	if _, err := node.Create(node.CreateOptions{
		Dir: m.opts.Dir, Params: m.opts.Params, Insecure: true, Words: m.words, Backup: backup,
	}); err != nil {
		m.net.Fatal(err)
	}
	m.Start()
}

// Ended waits until Run has returned without being asked to, and returns its error. Start
// may follow.
func (m *Node) Ended() error {
	m.net.Helper()
	select {
	case err := <-m.done:
		m.end()
		m.end = nil
		return err
	case <-time.After(timeout):
		m.net.Fatalf("node %s does not end", m.opts.Alias)
		return nil
	}
}

// URI is PUBKEY@HOST:PORT of the node.
func (m *Node) URI() string { return m.URIs()[0] }

// Key is the node's public key.
func (m *Node) Key() *btcec.PublicKey {
	m.net.Helper()
	key, err := node.ParseNodeID(m.NodeID())
	if err != nil {
		m.net.Fatal(err)
	}
	return key
}

// Addr is where the node listens.
func (m *Node) Addr() string {
	_, addr, _ := strings.Cut(m.URI(), "@")
	return addr
}

// Fund gives the node's wallet count coins of each sat, confirmed.
func (m *Node) Fund(each btcutil.Amount, count int) {
	m.net.Helper()
	text, err := m.Address()
	if err != nil {
		m.net.Fatal(err)
	}
	addr, err := btcutil.DecodeAddress(text, m.opts.Params)
	if err != nil {
		m.net.Fatal(err)
	}
	if _, err := m.net.Chain.Fund(addr, each, count); err != nil {
		m.net.Fatal(err)
	}
	ctx, cancel := m.net.Context()
	defer cancel()
	if err := m.AwaitBalance(ctx, each*btcutil.Amount(count)); err != nil {
		m.net.Fatal(err)
	}
}

// Context bounds one wait of the test.
func (n *Net) Context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(n.TB.Context(), timeout)
}

// Mine mines blocks.
func (n *Net) Mine(blocks int) {
	n.Helper()
	if _, err := n.Chain.Mine(blocks); err != nil {
		n.Fatal(err)
	}
}

// OpenConfirmed opens a channel of the given size from one node to another and
// mines until it is usable.
func OpenConfirmed(from, to *Node, size btcutil.Amount) {
	net := from.net
	net.Helper()
	ctx, cancel := net.Context()
	defer cancel()
	_, err := from.OpenChannel(ctx, node.OpenRequest{Peer: to.Key(), Addr: to.Addr(), Capacity: size})
	if err != nil {
		net.Fatal(err)
	}
	net.Mine(6)
	for _, n := range []*Node{from, to} {
		for ev, err := range n.Events(ctx) {
			if err != nil {
				net.Fatalf("channel to %s: %v", to.opts.Alias, err)
			}
			if ev.Kind == node.ChannelOpened {
				break
			}
		}
	}
}
