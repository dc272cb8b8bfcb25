package chain_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/btcsuite/btcwallet/wallet"
	_ "github.com/btcsuite/btcwallet/walletdb/bdb"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

// purse is a btcwallet on a Source.
type purse struct {
	*wallet.Wallet
}

// openPurse makes a wallet, or restores the one of a seed when recovery is over 0.
func openPurse(t *testing.T, s chain.Source, seed byte, recovery uint32) purse {
	loader := wallet.NewLoader(params, t.TempDir(), true, time.Minute, recovery,
		wallet.WithWalletSyncRetryInterval(50*time.Millisecond))
	w, err := loader.CreateNewWallet([]byte("public"), []byte("private"),
		bytes.Repeat([]byte{seed}, 32), time.Unix(0, 0))
	require.NoError(t, err)
	require.NoError(t, w.Unlock([]byte("private"), nil))
	p := purse{w}
	require.NoError(t, s.WalletSource().Start(testContext(t)))
	w.SynchronizeRPC(s.WalletSource())
	t.Cleanup(func() { require.NoError(t, loader.UnloadWallet()) })
	p.want(t, "synced", func() bool { return w.ChainSynced() })
	return p
}

// want waits until something holds.
func (p purse) want(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(limit)
	for !holds() {
		select {
		case <-ticker.C:
		case <-timeout:
			require.FailNow(t, "the wallet does not get there", what)
		}
	}
}

func (p purse) balance(t *testing.T, confs int32) btcutil.Amount {
	b, err := p.CalculateBalance(confs)
	require.NoError(t, err)
	return b
}

func (p purse) wantBalance(t *testing.T, confs int32, amount btcutil.Amount, what string) {
	t.Helper()
	p.want(t, what, func() bool { return p.balance(t, confs) == amount })
}

func (p purse) address(t *testing.T) btcutil.Address {
	addr, err := p.NewAddress(0, waddrmgr.KeyScopeBIP0084)
	require.NoError(t, err)
	return addr
}

func TestWallet(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		p := openPurse(t, s, 1, 0)

		_, err := r.Fund(p.address(t), 1e6, 2)
		require.NoError(t, err)
		p.wantBalance(t, 1, 2e6, "two payments")

		// not yet in a block
		c := fund(t, r, 1)[0]
		pay := c.spend(t, 1000)
		script, err := txscript.PayToAddrScript(p.address(t))
		require.NoError(t, err)
		pay.TxOut[0].PkScript = script
		c.sign(t, pay)
		_, err = r.Send(pay)
		require.NoError(t, err)
		p.wantBalance(t, 0, 2e6+999_000, "a payment in the mempool")
		require.EqualValues(t, 2e6, p.balance(t, 1))

		// its own payment
		_, _, other := newAddress(t)
		sent, err := p.SendOutputs([]*wire.TxOut{wire.NewTxOut(500_000, other)},
			&waddrmgr.KeyScopeBIP0084, 0, 1, 2000, wallet.CoinSelectionLargest, "")
		require.NoError(t, err)
		_, err = r.Mine(1)
		require.NoError(t, err)
		left := 2e6 + 999_000 - 500_000 - fee(t, r, sent)
		p.wantBalance(t, 1, left, "all confirmed")

		// restored from its seed
		again := openPurse(t, r.open(t), 1, 20)
		again.wantBalance(t, 1, left, "restored")
	})
}

func fee(t *testing.T, r rig, tx *wire.MsgTx) btcutil.Amount {
	var in, out int64
	for _, i := range tx.TxIn {
		prev, err := r.Tx(i.PreviousOutPoint.Hash)
		require.NoError(t, err)
		in += prev.Tx.TxOut[i.PreviousOutPoint.Index].Value
	}
	for _, o := range tx.TxOut {
		out += o.Value
	}
	return btcutil.Amount(in - out)
}

func TestWalletOutage(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		p := openPurse(t, s, 1, 0)
		_, err := r.Fund(p.address(t), 1e6, 1)
		require.NoError(t, err)
		p.wantBalance(t, 1, 1e6, "a payment")

		require.NoError(t, r.Kill())
		unreachable(t, s)
		_, err = s.WalletSource().TestMempoolAccept([]*wire.MsgTx{wire.NewMsgTx(2)}, 0)
		require.ErrorIs(t, err, btcwchain.ErrUnimplemented, "lnd's sweeper gives up at any other error")
		addr := p.address(t) // works without the backend
		require.NoError(t, r.Restart(testContext(t)))
		_, err = r.Fund(addr, 2e6, 1)
		require.NoError(t, err)
		p.wantBalance(t, 1, 3e6, "a payment to an address that was made during the outage")
		height, err := r.Height()
		require.NoError(t, err)
		p.want(t, "at the best block", func() bool {
			return p.Manager.SyncedTo().Height == int32(height)
		})
	})
}

func TestWalletReorganisation(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		p := openPurse(t, s, 1, 0)
		_, err := r.Fund(p.address(t), 1e6, 1)
		require.NoError(t, err)
		p.wantBalance(t, 1, 1e6, "a payment")
		best, err := r.BestBlock()
		require.NoError(t, err)
		require.NoError(t, r.InvalidateBlock(best))
		branch, err := r.MineEmpty(2)
		require.NoError(t, err)
		p.wantBalance(t, 1, 0, "the payment's block was left")
		p.want(t, "on the other branch", func() bool {
			return p.Manager.SyncedTo().Hash == branch[1]
		})
		require.EqualValues(t, 1e6, p.balance(t, 0), "the payment is known still")
		_, err = r.Mine(1)
		require.NoError(t, err)
		p.wantBalance(t, 1, 1e6, "confirmed again")
	})
}

func TestMain(m *testing.M) {
	waddrmgr.DefaultScryptOptions = waddrmgr.FastScryptOptions
	os.Exit(m.Run())
}
