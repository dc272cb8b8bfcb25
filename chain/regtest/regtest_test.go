package regtest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"
)

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// need skips a test without its program, and fails it in CI.
func need(t *testing.T, err error) {
	if errors.Is(err, ErrNoProgram) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

func startBtcd(t *testing.T, blocks int) *Btcd {
	b, err := StartBtcd(testContext(t), Btcd{Dir: t.TempDir(), Blocks: blocks})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return b
}

func startBitcoind(t *testing.T, blocks int) *Bitcoind {
	b, err := StartBitcoind(testContext(t), Bitcoind{Dir: t.TempDir(), Blocks: blocks})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return b
}

// someAddress is a pay-to-witness-pubkey-hash address whose key nobody has.
func someAddress(t *testing.T, b byte) btcutil.Address {
	hash := make([]byte, 20)
	hash[0] = b
	addr, err := btcutil.NewAddressWitnessPubKeyHash(hash, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return addr
}

func TestBtcd(t *testing.T) {
	testRegtest(t, startBtcd(t, 0), DefaultBtcdBlocks)
}

func TestBitcoind(t *testing.T) {
	testRegtest(t, startBitcoind(t, 0), DefaultBitcoindBlocks)
}

func testRegtest(t *testing.T, r Regtest, start uint32) {
	height, err := r.Height()
	require.NoError(t, err)
	require.Equal(t, start, height, "starts with mature coins")

	t.Run("fund", func(t *testing.T) {
		ops, err := r.Fund(someAddress(t, 1), 1e8, 30)
		require.NoError(t, err)
		require.Len(t, ops, 30)
		tx, err := r.Tx(ops[29].Hash)
		require.NoError(t, err)
		require.EqualValues(t, 1, tx.Confirmations)
		require.EqualValues(t, 1e8, tx.Tx.TxOut[ops[29].Index].Value)
		best, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, best, tx.BlockHash)
	})
	t.Run("fund many, again and again from change", func(t *testing.T) {
		for i := range 5 {
			tx, err := r.FundMany([]Payment{
				{someAddress(t, 2), 10e8}, {someAddress(t, 3), btcutil.Amount(5e7 + i)},
			})
			require.NoError(t, err)
			require.EqualValues(t, 10e8, tx.TxOut[0].Value)
			require.EqualValues(t, 5e7+i, tx.TxOut[1].Value)
		}
	})
	t.Run("mine to an address", func(t *testing.T) {
		before, err := r.Height()
		require.NoError(t, err)
		_, err = r.MineTo(2, someAddress(t, 4))
		require.NoError(t, err)
		after, err := r.Height()
		require.NoError(t, err)
		require.Equal(t, before+2, after)
	})
	t.Run("reorganisation", func(t *testing.T) {
		before, err := r.Mine(1)
		require.NoError(t, err)
		require.NoError(t, r.InvalidateBlock(before[0]))
		after, err := r.MineTo(2, someAddress(t, 5))
		require.NoError(t, err)
		require.NotContains(t, after, before[0])
		_, err = r.Fund(someAddress(t, 6), 1e6, 1)
		require.NoError(t, err, "the miner's coins follow the chain")
	})
	t.Run("unknown transaction", func(t *testing.T) {
		_, err := r.Tx(chainhash.Hash{1})
		require.ErrorIs(t, err, ErrNoTx)
	})
	t.Run("stop and restart", func(t *testing.T) {
		before, err := r.BestBlock()
		require.NoError(t, err)
		require.NoError(t, r.Stop())
		require.NoError(t, r.Stop(), "stopping twice is harmless")
		_, err = r.Height()
		require.Error(t, err)
		require.NoError(t, r.Restart(testContext(t)))
		after, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, before, after)
		_, err = r.Fund(someAddress(t, 7), 1e6, 1)
		require.NoError(t, err)
	})
	t.Run("kill and restart", func(t *testing.T) {
		before, err := r.BestBlock()
		require.NoError(t, err)
		require.NoError(t, r.Kill())
		require.NoError(t, r.Restart(testContext(t)))
		after, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, before, after)
		_, err = r.Fund(someAddress(t, 8), 1e6, 1)
		require.NoError(t, err)
	})
}

func TestPeers(t *testing.T) {
	for _, c := range []struct {
		name        string
		fromBitcoin bool
	}{{"btcd connects", false}, {"bitcoind connects", true}} {
		t.Run(c.name, func(t *testing.T) { testPeers(t, c.fromBitcoin) })
	}
}

func testPeers(t *testing.T, fromBitcoind bool) {
	ctx := testContext(t)
	btcd, bitcoind := startBtcd(t, 0), startBitcoind(t, NoBlocks)
	if fromBitcoind {
		require.NoError(t, bitcoind.ConnectTo(ctx, btcd))
	} else {
		require.NoError(t, btcd.ConnectTo(ctx, bitcoind))
	}
	t0 := time.Now()
	require.NoError(t, bitcoind.WaitSynced(ctx, btcd))
	t.Log("synced after", time.Since(t0))

	for _, pair := range [][2]Regtest{{btcd, bitcoind}, {bitcoind, btcd}} {
		t0 := time.Now()
		_, err := pair[0].Mine(1)
		require.NoError(t, err)
		require.NoError(t, pair[1].WaitSynced(ctx, pair[0]))
		t.Log("block after", time.Since(t0))
	}
}
