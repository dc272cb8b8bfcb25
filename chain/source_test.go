package chain_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
)

var params = &chaincfg.RegressionNetParams

// limit is how long a test waits for what must come at once.
const limit = time.Minute

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// rig is a chain backend and how to make a Source of it.
type rig struct {
	regtest.Regtest
	source func(chain.Options) (chain.Source, error)
}

// rigs are the backends that every behaviour is tested on.
var rigs = []struct {
	name  string
	start func(*testing.T) rig
}{
	{"btcd", startBtcd},
	{"bitcoind with ZMQ", func(t *testing.T) rig { return startBitcoind(t, true) }},
	{"bitcoind without ZMQ", func(t *testing.T) rig { return startBitcoind(t, false) }},
}

func onAll(t *testing.T, test func(*testing.T, rig)) {
	for _, r := range rigs {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			test(t, r.start(t))
		})
	}
}

// need skips a test without its program, and fails it in CI.
func need(t *testing.T, err error) {
	if errors.Is(err, regtest.ErrNoProgram) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

func startBtcd(t *testing.T) rig {
	b, err := regtest.StartBtcd(testContext(t), regtest.Btcd{Dir: t.TempDir()})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return rig{b, func(o chain.Options) (chain.Source, error) {
		return chain.NewBtcd(o, b.Config())
	}}
}

func startBitcoind(t *testing.T, zmq bool) rig {
	b, err := regtest.StartBitcoind(testContext(t), regtest.Bitcoind{Dir: t.TempDir()})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return rig{b, func(o chain.Options) (chain.Source, error) {
		cfg := b.Config()
		if !zmq {
			cfg.ZMQBlock, cfg.ZMQTx = "", ""
		}
		return chain.NewBitcoind(o, cfg)
	}}
}

func options() chain.Options {
	o := chain.Options{
		Params:        params,
		PollInterval:  10 * time.Millisecond,
		RetryInterval: 20 * time.Millisecond,
	}
	if os.Getenv("CHAIN_TEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr,
			&slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return o
}

// open starts a Source that the test's end stops.
func (r rig) open(t *testing.T) chain.Source {
	s, err := r.source(options())
	require.NoError(t, err)
	require.NoError(t, s.Start(testContext(t)))
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// recv takes what a channel must have soon.
func recv[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		require.True(t, ok, "%s: the channel is closed", what)
		return v
	case <-time.After(limit):
		require.FailNow(t, "nothing came", what)
		panic("not reached")
	}
}

// coin is an output of ours on the chain.
type coin struct {
	key    *btcec.PrivateKey
	script []byte
	op     wire.OutPoint
	amount int64
}

func newAddress(t *testing.T) (*btcec.PrivateKey, btcutil.Address, []byte) {
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	addr, err := btcutil.NewAddressWitnessPubKeyHash(
		btcutil.Hash160(key.PubKey().SerializeCompressed()), params)
	require.NoError(t, err)
	script, err := txscript.PayToAddrScript(addr)
	require.NoError(t, err)
	return key, addr, script
}

func fund(t *testing.T, r regtest.Regtest, count int) []coin {
	key, addr, script := newAddress(t)
	ops, err := r.Fund(addr, 1e6, count)
	require.NoError(t, err)
	var coins []coin
	for _, op := range ops {
		coins = append(coins, coin{key, script, op, 1e6})
	}
	return coins
}

// spend pays a coin to its own script, leaving fee to the miner.
func (c coin) spend(t *testing.T, fee int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&c.op, nil, nil))
	tx.TxIn[0].Sequence = wire.MaxTxInSequenceNum - 2
	tx.AddTxOut(wire.NewTxOut(c.amount-fee, c.script))
	c.sign(t, tx)
	return tx
}

func (c coin) sign(t *testing.T, tx *wire.MsgTx) {
	prev := txscript.NewCannedPrevOutputFetcher(c.script, c.amount)
	witness, err := txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, prev), 0,
		c.amount, c.script, txscript.SigHashAll, c.key, true)
	require.NoError(t, err)
	tx.TxIn[0].Witness = witness
}

// next is the coin that spend has made.
func (c coin) next(tx *wire.MsgTx) coin {
	c.op = wire.OutPoint{Hash: tx.TxHash()}
	c.amount = tx.TxOut[0].Value
	return c
}
