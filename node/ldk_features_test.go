package node_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// TestLDKFeatures: which bits of our init LDK can't do without. For the others the
// sale goes on, as long as our own side can.
func TestLDKFeatures(t *testing.T) {
	m := newLDKMarket(t, nil)
	var ours *lnwire.RawFeatureVector
	m.bad.do(t, func(bad *culprit) {
		bad.features = func(v *lnwire.RawFeatureVector) { ours = v.Clone() }
	})
	m.flap(m.payer, m.seller) // so that there is an init to look at
	t.Run("with all", func(t *testing.T) {
		if m.leaves(t, ours) {
			t.Error("LDK leaves")
		}
	})
	for _, bit := range []lnwire.FeatureBit{0, 8, 12, 14, 44} {
		t.Run(fmt.Sprintf("without %d and %d", bit, bit+1), func(t *testing.T) {
			if !m.leaves(t, without(ours.Clone(), bit)) {
				t.Error("LDK stays")
			}
		})
	}
	for _, bit := range []lnwire.FeatureBit{16, 18, 22, 26, 50, 728} {
		t.Run(fmt.Sprintf("without %d and %d", bit, bit+1), func(t *testing.T) {
			client := m.client(t, fmt.Sprintf("features %d", bit))
			m.bad.do(t, func(bad *culprit) {
				bad.features = func(v *lnwire.RawFeatureVector) { without(v, bit) }
			})
			wantPaid(t, m.attempt(t, client.JIT(50_000_000), 0), client, 48_000_000)
		})
	}
	// LDK would go on, but we give no channel that is used unconfirmed without a name.
	t.Run("without 46 and 47", func(t *testing.T) {
		client := m.client(t, "features 46")
		m.bad.do(t, func(bad *culprit) {
			bad.features = func(v *lnwire.RawFeatureVector) { without(v, 46) }
		})
		m.wantRefused(client.JIT(50_000_000), 0, "temporary_channel_failure")
		if n := len(client.Channels()); n != 0 {
			t.Errorf("the client has %d channels", n)
		}
	})
}

// without removes both bits of a feature.
func without(v *lnwire.RawFeatureVector, even lnwire.FeatureBit) *lnwire.RawFeatureVector {
	v.Unset(even)
	v.Unset(even + 1)
	return v
}

// leaves is a peer that knows only how to greet, and reports whether LDK goes away at
// once. Our own node would go first: LDK's init demands what is missing in ours.
func (m *ldkMarket) leaves(t *testing.T, features *lnwire.RawFeatureVector) bool {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	must(t, err)
	l, err := brontide.NewListener(&keychain.PrivKeyECDH{PrivKey: key}, "127.0.0.1:0",
		func(*btcec.PublicKey) (bool, error) { return true, nil })
	must(t, err)
	defer func() { must(t, l.Close()) }()
	c := m.bitcoind.Config()
	client := ldk.Start(t, ldk.Settings{
		Dir: filepath.Join(t.TempDir(), "client"), RPCHost: c.RPCHost, RPCUser: c.RPCUser,
		RPCPassword: c.RPCPassword, Anchors: ldk.Trusted, LSPAddr: l.Addr().String(),
		LSP: fmt.Sprintf("%x", key.PubKey().SerializeCompressed()),
	})
	bought := make(chan struct{})
	go func() {
		defer close(bought)
		_, _ = client.TryJIT(50_000_000) // nobody answers
	}()
	defer func() { client.Kill(); <-bought }()
	accepted, err := l.Accept()
	must(t, err)
	conn := accepted.(*brontide.Conn)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(waitLink)))
	var init bytes.Buffer
	_, err = lnwire.WriteMessage(&init,
		lnwire.NewInitMessage(lnwire.NewRawFeatureVector(), features), 0)
	must(t, err)
	must(t, conn.WriteMessage(init.Bytes()))
	_, err = conn.Flush()
	must(t, err)
	for {
		raw, err := conn.ReadNextMessage()
		if err != nil {
			return true
		}
		msg, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
		if custom, ok := msg.(*lnwire.Custom); err == nil && ok && custom.Type == lsp.MessageType {
			return false // it is asking for the menu
		}
	}
}
