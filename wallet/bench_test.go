package wallet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
)

// program is a chain backend that tests share, started at its first use.
type program struct {
	once   sync.Once
	node   regtest.Regtest
	source func(chain.Options) (chain.Source, error)
	dir    string
	err    error
}

// Each test has wallets and sources of its own.
var btcd, bitcoind program

func TestMain(m *testing.M) {
	code := m.Run()
	btcd.end()
	bitcoind.end()
	os.Exit(code)
}

func (p *program) end() {
	if p.node != nil {
		if err := p.node.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the backend:", err)
		}
	}
	_ = os.RemoveAll(p.dir)
}

func theBtcd(t testing.TB) *program {
	t.Helper()
	btcd.once.Do(func() {
		btcd.dir, _ = os.MkdirTemp("", "inlet-wallet-")
		node, err := regtest.StartBtcd(context.Background(), regtest.Btcd{Dir: btcd.dir})
		if btcd.err = err; err != nil {
			return
		}
		btcd.node, btcd.source = node, func(o chain.Options) (chain.Source, error) {
			return chain.NewBtcd(o, node.Config())
		}
	})
	need(t, btcd.err)

	return &btcd
}

func theBitcoind(t testing.TB) *program {
	t.Helper()
	bitcoind.once.Do(func() {
		bitcoind.dir, _ = os.MkdirTemp("", "inlet-wallet-")
		node, err := regtest.StartBitcoind(context.Background(),
			regtest.Bitcoind{Dir: bitcoind.dir})
		if bitcoind.err = err; err != nil {
			return
		}
		bitcoind.node, bitcoind.source = node, func(o chain.Options) (chain.Source, error) {
			return chain.NewBitcoind(o, node.Config())
		}
	})
	need(t, bitcoind.err)

	return &bitcoind
}

// need skips a test without its program, and fails it in CI.
func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, regtest.ErrNoProgram) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// bench is a wallet on a shared backend.
type bench struct {
	*Wallet

	t        testing.TB
	on       *program
	node     regtest.Regtest
	db       kvdb.Backend
	channels *channeldb.DB
	adjust   func(*Options)
}

// newBench makes a wallet on btcd, starts it and waits until it is synced.
func newBench(t testing.TB, change func(*Options)) *bench {
	t.Helper()
	on, db := theBtcd(t), testDB(t)
	_, err := Create(db, CreateOptions{Params: &chaincfg.RegressionNetParams, Insecure: true})
	require.NoError(t, err)

	return openBench(t, on, db, change)
}

func openBench(t testing.TB, on *program, db kvdb.Backend, change func(*Options)) *bench {
	t.Helper()
	channels, err := channeldb.CreateWithBackend(db)
	require.NoError(t, err)
	b := &bench{t: t, on: on, node: on.node, db: db, adjust: change, channels: channels}
	b.open()

	return b
}

// open starts a chain source and the wallet on it, as a process does.
func (b *bench) open() {
	b.t.Helper()
	source, err := b.on.source(chain.Options{Params: &chaincfg.RegressionNetParams})
	require.NoError(b.t, err)
	require.NoError(b.t, source.Start(context.Background()))
	b.t.Cleanup(func() { require.NoError(b.t, source.Stop()) })

	opts := Options{
		DB: b.db, Params: &chaincfg.RegressionNetParams, Insecure: true, Chain: source,
		Channels: b.channels.ChannelStateDB(), RecoveryWindow: 20,
	}
	if b.adjust != nil {
		b.adjust(&opts)
	}
	w, err := Open(opts)
	require.NoError(b.t, err)
	b.Wallet = w
	b.t.Cleanup(func() { require.NoError(b.t, w.Stop()) })
	require.NoError(b.t, w.Start(context.Background()))
	<-w.Ready()
	b.await("the first sync", w.Synced)
}

// reopen stops the wallet and opens it again on the same store.
func (b *bench) reopen() {
	b.t.Helper()
	require.NoError(b.t, b.Stop())
	b.open()
}

// await waits until a condition about the wallet is true. It looks after each change.
func (b *bench) await(what string, met func() bool) {
	b.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		changed := b.Changed()
		if met() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (b *bench) balance() Balance {
	b.t.Helper()
	balance, err := b.Balance()
	require.NoError(b.t, err)

	return balance
}

func (b *bench) fundable() btcutil.Amount {
	b.t.Helper()
	amount, err := b.Fundable()
	require.NoError(b.t, err)

	return amount
}

func (b *bench) awaitBalance(what string, met func(Balance) bool) Balance {
	b.t.Helper()
	var last Balance
	b.await(what, func() bool {
		last = b.balance()
		return met(last)
	})

	return last
}

// fund pays count coins of each to the wallet in a block and waits for them.
func (b *bench) fund(each btcutil.Amount, count int) []wire.OutPoint {
	b.t.Helper()
	addr, err := b.NewAddress()
	require.NoError(b.t, err)
	before := b.balance().Confirmed
	points, err := b.node.Fund(addr, each, count)
	require.NoError(b.t, err)
	b.awaitBalance("funds", func(now Balance) bool {
		return now.Confirmed == before+each*btcutil.Amount(count)
	})

	return points
}

// mine makes blocks and waits until the wallet has them.
func (b *bench) mine(n int) {
	b.t.Helper()
	_, err := b.node.Mine(n)
	require.NoError(b.t, err)
	height, err := b.node.Height()
	require.NoError(b.t, err)
	b.await("blocks", func() bool { return b.base.SyncedTo().Height >= int32(height) })
}

// inMempool waits for a transaction and returns it.
func (b *bench) inMempool(txid chainhash.Hash) *wire.MsgTx {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(b.t, b.node.WaitTx(ctx, txid))
	tx, err := b.node.Tx(txid)
	require.NoError(b.t, err)
	require.Zero(b.t, tx.Confirmations, "still in the mempool")

	return tx.Tx
}

// fee is what a transaction of the wallet pays; all its inputs must be known to the chain.
func (b *bench) fee(tx *wire.MsgTx) btcutil.Amount {
	b.t.Helper()
	var fee int64
	for _, in := range tx.TxIn {
		prev, err := b.node.Tx(in.PreviousOutPoint.Hash)
		require.NoError(b.t, err)
		fee += prev.Tx.TxOut[in.PreviousOutPoint.Index].Value
	}
	for _, out := range tx.TxOut {
		fee -= out.Value
	}

	return btcutil.Amount(fee)
}

// foreign is an address that is not the wallet's.
func foreign(t testing.TB) btcutil.Address {
	t.Helper()
	addr, err := btcutil.NewAddressWitnessPubKeyHash(randomBytes(20), &chaincfg.RegressionNetParams)
	require.NoError(t, err)

	return addr
}
