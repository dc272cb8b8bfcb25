package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// ldkMarket is a market whose clients are real LDK nodes. Its LSP can be made to
// break its word.
type ldkMarket struct {
	*market
	bitcoind *regtest.Bitcoind // which LDK follows the chain of
	dir      string
	bad      *culprit
	payerBad *culprit
}

// culprit is what the LSP does wrong at the moment; nil members are no wrong.
type culprit struct {
	mu       sync.Mutex
	forward  func(*forwarded)
	open     func(*chanfactory.OpenRequest)
	wire     func(sent bool, m lnwire.Message)
	features func(*lnwire.RawFeatureVector)
}

// forwarded is an HTLC on its way to the client.
type forwarded struct {
	amount  lnwire.MilliSatoshi
	records lnwire.CustomRecords
}

func newLDKMarket(t testing.TB, change func(*node.Options)) *ldkMarket {
	t.Helper()
	ldk.Program(t)
	binary, err := regtest.FindBitcoind()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	m := &ldkMarket{dir: t.TempDir(), bad: &culprit{}, payerBad: &culprit{}}
	m.market = newMarket(t, marketPlan{
		coins: 30, channels: []btcutil.Amount{3_000_000, 3_000_000},
		seller: func(o *node.Options) {
			if change != nil {
				change(o)
			}
			o.SetMischief(node.Mischief{
				Switch: m.bad.held, Open: m.bad.opening, Wire: m.bad.message, Features: m.bad.offer,
			})
		},
		payer: func(o *node.Options) { o.SetMischief(node.Mischief{Wire: m.payerBad.message}) },
	})
	ctx, cancel := m.Context()
	defer cancel()
	m.bitcoind, err = regtest.StartBitcoind(ctx, regtest.Bitcoind{
		Binary: binary, Dir: filepath.Join(m.dir, "bitcoind"), Blocks: regtest.NoBlocks,
	})
	must(t, err)
	t.Cleanup(func() { _ = m.bitcoind.Stop() })
	must(t, m.bitcoind.ConnectTo(ctx, m.Chain))
	must(t, m.bitcoind.WaitSynced(ctx, m.Chain))
	return m
}

// client starts an LDK node that trusts the LSP's anchors.
func (m *ldkMarket) client(t testing.TB, name string) *ldk.Client {
	t.Helper()
	c := m.bitcoind.Config()
	return ldk.Start(t, ldk.Settings{
		Dir: filepath.Join(m.dir, name), LSP: m.seller.NodeID(), LSPAddr: m.seller.Addr(),
		RPCHost: c.RPCHost, RPCUser: c.RPCUser, RPCPassword: c.RPCPassword,
		Anchors: ldk.Trusted,
	})
}

// mine mines and waits until the client has the blocks.
func (m *ldkMarket) mine(blocks int, client *ldk.Client) {
	m.t.Helper()
	m.Mine(blocks)
	height, err := m.Chain.Height()
	must(m.t, err)
	m.soon(waitLink, func(context.Context) bool { return client.Height() >= height })
	m.reach(height, m.seller, m.payer)
}

// attempt pays and returns how it ended, after one attempt and maybe more.
func (m *ldkMarket) attempt(t testing.TB, bolt11 string, amount lnwire.MilliSatoshi) pay.Payment {
	t.Helper()
	out := <-m.paying(m.payer, pay.PayRequest{
		Invoice: bolt11, Amount: amount, Timeout: 20 * time.Second,
	})
	must(t, out.err)
	return out.payment
}

// wantCode wants the client itself to have refused a payment, in BOLT 4's words.
func wantCode(t testing.TB, p pay.Payment, code string) {
	t.Helper()
	if p.Status != pay.Failed || len(p.Parts) == 0 {
		t.Fatalf("the payment is %s in %d parts, want it refused", p.Status, len(p.Parts))
	}
	f := p.Parts[len(p.Parts)-1].Failure
	if f == nil || f.Code != code || f.Source != "the recipient" {
		t.Errorf("the last part's failure is %+v, want %s of the recipient", f, code)
	}
}

func wantPaid(t testing.TB, p pay.Payment, client *ldk.Client, want uint64) {
	t.Helper()
	if p.Status != pay.Succeeded {
		t.Fatalf("the payment is %s: %+v", p.Status, p.Failure)
	}
	if got := client.Received(); got != want {
		t.Errorf("the client received %d msat, want %d", got, want)
	}
}

// rewrite changes an invoice of the client and signs it with the client's key, so
// that a payer does what the client never asked for.
func rewrite(t testing.TB, client *ldk.Client, bolt11 string, change func(*zpay32.Invoice)) string {
	t.Helper()
	params := &chaincfg.RegressionNetParams
	inv, err := zpay32.Decode(bolt11, params)
	must(t, err)
	change(inv)
	// LDK's node key: the seed's master key is the seed of the key manager, whose
	// first hardened child it is.
	seed, err := os.ReadFile(filepath.Join(client.Dir, "keys_seed"))
	must(t, err)
	outer, err := hdkeychain.NewMaster(seed, params)
	must(t, err)
	key, err := outer.ECPrivKey()
	must(t, err)
	inner, err := hdkeychain.NewMaster(key.Serialize(), params)
	must(t, err)
	child, err := inner.Derive(hdkeychain.HardenedKeyStart)
	must(t, err)
	key, err = child.ECPrivKey()
	must(t, err)
	if id := hex.EncodeToString(key.PubKey().SerializeCompressed()); id != client.ID {
		t.Fatalf("the derived key is %s, the client's is %s", id, client.ID)
	}
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		hash := sha256.Sum256(msg)
		return ecdsa.SignCompact(key, hash[:], true), nil
	}})
	must(t, err)
	return text
}

// do makes the LSP break its word until the test ends.
func (c *culprit) do(t testing.TB, change func(*culprit)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forward, c.open, c.wire, c.features = nil, nil, nil, nil
	})
}

func (c *culprit) held(s orders.Switch) orders.Switch { return badSwitch{s, c} }

func (c *culprit) opening(r *chanfactory.OpenRequest) {
	c.mu.Lock()
	f := c.open
	c.mu.Unlock()
	if f != nil {
		f(r)
	}
}

func (c *culprit) message(sent bool, m lnwire.Message) {
	c.mu.Lock()
	f := c.wire
	c.mu.Unlock()
	if f != nil {
		f(sent, m)
	}
}

func (c *culprit) offer(v *lnwire.RawFeatureVector) {
	c.mu.Lock()
	f := c.features
	c.mu.Unlock()
	if f != nil {
		f(v)
	}
}

type badSwitch struct {
	orders.Switch
	by *culprit
}

// ResumeWith implements orders.Switch.
func (s badSwitch) ResumeWith(key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	s.by.mu.Lock()
	f := s.by.forward
	s.by.mu.Unlock()
	h := &forwarded{amount, records}
	if f != nil {
		f(h)
	}
	return s.Switch.ResumeWith(key, h.amount, h.records)
}
