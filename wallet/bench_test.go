package wallet

import (
	"context"
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

// The tests with a chain share one btcd; each has wallets and sources of its own.
var theBtcd struct {
	once sync.Once
	node *regtest.Btcd
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if theBtcd.node != nil {
		if err := theBtcd.node.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop btcd:", err)
		}
		_ = os.RemoveAll(theBtcd.dir)
	}
	os.Exit(code)
}

func startBtcd(t testing.TB) *regtest.Btcd {
	t.Helper()
	theBtcd.once.Do(func() {
		if theBtcd.dir, theBtcd.err = os.MkdirTemp("", "inlet-wallet-"); theBtcd.err != nil {
			return
		}
		theBtcd.node, theBtcd.err = regtest.StartBtcd(context.Background(),
			regtest.Btcd{Dir: theBtcd.dir})
	})
	require.NoError(t, theBtcd.err)

	return theBtcd.node
}

// bench is a wallet on the shared btcd.
type bench struct {
	*Wallet

	t        testing.TB
	btcd     *regtest.Btcd
	db       kvdb.Backend
	channels *channeldb.DB
	adjust   func(*Options)
}

// newBench makes a wallet, starts it and waits until it is synced.
func newBench(t testing.TB, change func(*Options)) *bench {
	t.Helper()
	db := testDB(t)
	_, err := Create(db, CreateOptions{Params: &chaincfg.RegressionNetParams, Insecure: true})
	require.NoError(t, err)

	return openBench(t, db, change)
}

func openBench(t testing.TB, db kvdb.Backend, change func(*Options)) *bench {
	t.Helper()
	channels, err := channeldb.CreateWithBackend(db)
	require.NoError(t, err)
	b := &bench{t: t, btcd: startBtcd(t), db: db, adjust: change, channels: channels}
	b.open()

	return b
}

// open starts a chain source and the wallet on it, as a process does.
func (b *bench) open() {
	b.t.Helper()
	source, err := chain.NewBtcd(chain.Options{Params: &chaincfg.RegressionNetParams},
		b.btcd.Config())
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
	points, err := b.btcd.Fund(addr, each, count)
	require.NoError(b.t, err)
	b.awaitBalance("funds", func(now Balance) bool {
		return now.Confirmed == before+each*btcutil.Amount(count)
	})

	return points
}

// mine makes blocks and waits until the wallet has them.
func (b *bench) mine(n int) {
	b.t.Helper()
	_, err := b.btcd.Mine(n)
	require.NoError(b.t, err)
	height, err := b.btcd.Height()
	require.NoError(b.t, err)
	b.await("blocks", func() bool { return b.base.SyncedTo().Height >= int32(height) })
}

// inMempool waits for a transaction and returns it.
func (b *bench) inMempool(txid chainhash.Hash) *wire.MsgTx {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(b.t, b.btcd.WaitTx(ctx, txid))
	tx, err := b.btcd.Tx(txid)
	require.NoError(b.t, err)
	require.Zero(b.t, tx.Confirmations, "still in the mempool")

	return tx.Tx
}

// fee is what a transaction of the wallet pays; all its inputs must be known to the chain.
func (b *bench) fee(tx *wire.MsgTx) btcutil.Amount {
	b.t.Helper()
	var fee int64
	for _, in := range tx.TxIn {
		prev, err := b.btcd.Tx(in.PreviousOutPoint.Hash)
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
