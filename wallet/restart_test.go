package wallet

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

func TestRestart(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	b.fund(100_000, 2)
	to := foreign(t)
	confirmed := b.send(SendRequest{Address: to.EncodeAddress(), Amount: 30_000, FeeRate: 2})
	b.mine(1)
	broken.set(chain.ErrUnreachable)
	waiting, err := b.Send(context.Background(), SendRequest{
		Address: to.EncodeAddress(), Amount: 40_000, FeeRate: 2,
	})
	require.ErrorIs(t, err, chain.ErrUnreachable)
	before, id := b.balance(), b.NodeKey().PubKey()
	purpose := b.DeriveSecret("a purpose")
	addr, err := b.NewAddress()
	require.NoError(t, err)
	next, err := b.KeyRing().DeriveNextKey(keychain.KeyFamilyMultiSig)
	require.NoError(t, err)

	require.NoError(t, b.Stop())
	broken.set(nil)
	// What happens while the wallet is down is seen afterwards.
	_, err = b.node.Fund(addr, 7_000, 1)
	require.NoError(t, err)
	b.open()

	require.True(t, id.IsEqual(b.NodeKey().PubKey()))
	require.Equal(t, purpose, b.DeriveSecret("a purpose"))
	require.NotEqual(t, purpose, b.DeriveSecret("another purpose"))
	again, err := b.KeyRing().DeriveNextKey(keychain.KeyFamilyMultiSig)
	require.NoError(t, err)
	require.Greater(t, again.Index, next.Index)

	// The stored payment goes out by itself once the wallet is synced.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, b.node.WaitTx(ctx, waiting))
	require.Equal(t, before.Confirmed+7_000, b.balance().Confirmed)
	details, err := b.details(confirmed)
	require.NoError(t, err)
	require.Positive(t, details.Block.Height)
	b.mine(1)
	require.Zero(t, b.balance().Unconfirmed)
}

// The words bring back what was received and what came back as change, in both kinds of address.
func TestRestoreFromWords(t *testing.T) {
	t.Run("btcd", func(t *testing.T) { restore(t, theBtcd(t)) })
	t.Run("bitcoind", func(t *testing.T) { restore(t, theBitcoind(t)) })
}

func restore(t *testing.T, on *program) {
	params := &chaincfg.RegressionNetParams
	db := testDB(t)
	words, err := Create(db, CreateOptions{Params: params, Insecure: true})
	require.NoError(t, err)
	b := openBench(t, on, db, nil)
	for range 5 {
		_, err := b.NewAddress() // a gap that the search has to cross
		require.NoError(t, err)
	}
	b.fund(100_000, 2)
	old, err := b.NewAddressOf(WitnessPubKey)
	require.NoError(t, err)
	_, err = b.node.Fund(old, 44_000, 1)
	require.NoError(t, err)
	b.awaitBalance("the coin", func(now Balance) bool { return now.Confirmed == 244_000 })
	b.send(SendRequest{Address: foreign(t).EncodeAddress(), Amount: 150_000, FeeRate: 2})
	b.mine(1)
	want, id := b.balance(), b.NodeKey().PubKey()
	unused, err := b.NewAddress()
	require.NoError(t, err)
	first, err := b.KeyRing().DeriveNextKey(keychain.KeyFamilyRevocationRoot)
	require.NoError(t, err)
	require.NoError(t, b.Stop())

	fresh := testDB(t)
	_, err = Create(fresh, CreateOptions{
		Params: params, Passphrase: []byte("new"), Words: []string{strings.Join(words, " ")},
		Birthday: params.GenesisBlock.Header.Timestamp,
	})
	require.NoError(t, err)
	r := openBench(t, on, fresh, func(o *Options) {
		o.Insecure, o.Passphrase = false, []byte("new")
	})
	require.Equal(t, want, r.balance())
	require.True(t, id.IsEqual(r.NodeKey().PubKey()))
	pending, err := restorePending(fresh)
	require.NoError(t, err)
	require.False(t, pending)

	// It can spend, and continues with addresses and keys of its own.
	addr, err := r.NewAddress()
	require.NoError(t, err)
	require.Equal(t, unused, addr, "the one behind the last that was paid")
	next, err := r.KeyRing().DeriveNextKey(keychain.KeyFamilyRevocationRoot)
	require.NoError(t, err)
	require.False(t, first.PubKey.IsEqual(next.PubKey))
	r.send(SendRequest{Address: foreign(t).EncodeAddress(), All: true, FeeRate: 2})
	r.mine(1)
	require.Zero(t, r.balance().Confirmed)

	// The search is not repeated.
	require.NoError(t, r.Stop())
	r.open()
	require.Zero(t, r.balance().Confirmed)
}

func TestOpenRefuses(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.Stop())
	opts := func(change func(*Options)) Options {
		o := Options{
			DB: b.db, Params: &chaincfg.RegressionNetParams, Insecure: true,
			Chain: &fakeChain{view: &fakeView{}},
		}
		change(&o)

		return o
	}
	for want, o := range map[error]Options{
		ErrMissing:        opts(func(o *Options) { o.DB = testDB(t) }),
		ErrNotEncrypted:   opts(func(o *Options) { o.Insecure, o.Passphrase = false, []byte("x") }),
		ErrPassphraseRule: opts(func(o *Options) { o.Passphrase = []byte("x") }),
		ErrWrongNetwork:   opts(func(o *Options) { o.Params = &chaincfg.MainNetParams }),
	} {
		_, err := Open(o)
		require.ErrorIs(t, err, want)
	}
}

func TestOpenWithoutStart(t *testing.T) {
	db, params := testDB(t), &chaincfg.RegressionNetParams
	_, err := Create(db, CreateOptions{Params: params, Passphrase: []byte("x")})
	require.NoError(t, err)
	w, err := Open(Options{
		DB: db, Params: params, Passphrase: []byte("x"),
		Chain: &fakeChain{view: &fakeView{notes: make(chan any)}},
	})
	require.NoError(t, err)

	balance, err := w.Balance()
	require.NoError(t, err)
	require.Equal(t, Balance{}, balance)
	_, err = w.KeyRing().DeriveNextKey(0)
	require.NoError(t, err)
	_, err = w.NewAddress()
	require.ErrorIs(t, err, ErrStopped)
	_, err = w.Send(context.Background(), SendRequest{})
	require.ErrorIs(t, err, ErrStopped)

	require.NoError(t, w.Stop())
	require.NoError(t, w.Stop())
	require.ErrorIs(t, w.Start(context.Background()), ErrStopped)
}

func TestStartThatFails(t *testing.T) {
	db, params := testDB(t), &chaincfg.RegressionNetParams
	_, err := Open(Options{DB: db, Params: params, Insecure: true})
	require.ErrorContains(t, err, "must be given")
	_, err = Create(db, CreateOptions{Params: params, Insecure: true})
	require.NoError(t, err)
	view := &fakeView{startErr: chain.ErrUnreachable}
	w, err := Open(Options{DB: db, Params: params, Insecure: true, Chain: &fakeChain{view: view}})
	require.NoError(t, err)

	require.ErrorIs(t, w.Start(context.Background()), chain.ErrUnreachable)
	require.ErrorIs(t, w.Start(context.Background()), ErrStopped)
	_, err = w.NewAddress()
	require.ErrorIs(t, err, ErrStopped)
	require.NoError(t, w.Stop())
}

// After Stop nothing of the wallet runs any more.
func TestStopLeavesNoGoroutine(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	b.send(SendRequest{Address: foreign(t).EncodeAddress(), Amount: 20_000})
	require.NoError(t, b.Stop())

	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, one := range strings.Split(string(stacks), "\n\n") {
		// btcwallet starts this one without waiting for it; it ends by itself.
		if strings.Contains(one, "resendUnminedTxs") || strings.Contains(one, "testing.tRunner") {
			continue
		}
		require.NotContains(t, one, "btcwallet/wallet.(*Wallet)")
		require.NotContains(t, one, "lnwallet.(*LightningWallet)")
		require.NotContains(t, one, "inlet/wallet.")
	}
	b.open()
	b.mine(1)
}

// Blocks that leave the chain take their coins with them.
func TestReorganisation(t *testing.T) {
	b := newBench(t, nil)
	addr, err := b.NewAddress()
	require.NoError(t, err)
	hashes, err := b.node.MineTo(1, addr)
	require.NoError(t, err)
	got := b.awaitBalance("the subsidy", func(now Balance) bool { return now.Confirmed > 0 })
	require.Zero(t, got.Spendable, "a subsidy must mature")

	require.NoError(t, b.node.InvalidateBlock(hashes[0]))
	_, err = b.node.Mine(2)
	require.NoError(t, err)
	b.awaitBalance("the other branch", func(now Balance) bool { return now.Confirmed == 0 })
	b.mine(1)
}

func TestSubsidyMatures(t *testing.T) {
	b := newBench(t, nil)
	addr, err := b.NewAddress()
	require.NoError(t, err)
	_, err = b.node.MineTo(1, addr)
	require.NoError(t, err)
	got := b.awaitBalance("the subsidy", func(now Balance) bool { return now.Confirmed > 0 })
	b.mine(int(b.opts.Params.CoinbaseMaturity) - 2)
	require.Zero(t, b.balance().Spendable)
	b.mine(1)
	require.Equal(t, got.Confirmed, b.balance().Spendable)
	utxos, err := b.Utxos()
	require.NoError(t, err)
	require.True(t, b.AllowUtxo(lnwallet.Utxo{OutPoint: utxos[0].Outpoint}))
	txid := b.send(SendRequest{Address: foreign(t).EncodeAddress(), Amount: btcutil.SatoshiPerBitcoin})
	b.inMempool(txid)
	b.mine(1)
}
