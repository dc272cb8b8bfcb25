package chain_test

import (
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/stretchr/testify/require"
)

func TestBlocks(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		height, err := r.Height()
		require.NoError(t, err)
		require.Equal(t, height, s.Status().Height)
		require.True(t, s.Status().Synced)

		sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
		require.NoError(t, err)
		first := recv(t, sub.Epochs, "the present block")
		require.EqualValues(t, height, first.Height)

		hashes, err := r.Mine(3)
		require.NoError(t, err)
		for i, hash := range hashes {
			epoch := recv(t, sub.Epochs, "a new block")
			require.Equal(t, hash, *epoch.Hash)
			require.Equal(t, int32(height)+int32(i)+1, epoch.Height)
			require.Equal(t, hash, epoch.BlockHeader.BlockHash())
		}
		best, at, err := s.Blocks().GetBestBlock()
		require.NoError(t, err)
		require.Equal(t, hashes[2], *best)
		require.EqualValues(t, height+3, at)

		late, err := s.Notifier().RegisterBlockEpochNtfn(first)
		require.NoError(t, err)
		for _, hash := range hashes {
			require.Equal(t, hash, *recv(t, late.Epochs, "a missed block").Hash)
		}
		sub.Cancel()
		_, open := <-sub.Epochs
		require.False(t, open, "a cancelled subscription is closed")
	})
}

func TestConfirmationAndSpend(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		c := fund(t, r, 1)[0]
		tx := c.spend(t, 1000)
		txid := tx.TxHash()
		height := s.Status().Height

		conf, err := s.Notifier().RegisterConfirmationsNtfn(&txid, c.script, 2, height)
		require.NoError(t, err)
		spend, err := s.Notifier().RegisterSpendNtfn(&c.op, c.script, height)
		require.NoError(t, err)
		mempool, err := s.Mempool().SubscribeMempoolSpent(c.op)
		require.NoError(t, err)

		require.NoError(t, s.Broadcast(tx, "test"))
		require.Equal(t, txid, *recv(t, mempool.Spend, "spend in the mempool").SpenderTxHash)
		found := s.Mempool().LookupInputMempoolSpend(c.op)
		require.True(t, found.IsSome())

		_, err = r.Mine(1)
		require.NoError(t, err)
		require.Equal(t, txid, *recv(t, spend.Spend, "spend").SpenderTxHash)
		_, err = r.Mine(1)
		require.NoError(t, err)
		got := recv(t, conf.Confirmed, "confirmation")
		require.Equal(t, txid, got.Tx.TxHash())

		testPast(t, r, c, tx)
	})
}

// testPast asks for what has happened before.
func testPast(t *testing.T, r rig, c coin, tx *wire.MsgTx) {
	s := r.open(t)
	txid := tx.TxHash()
	for _, hint := range []uint32{1, s.Status().Height - 1} {
		conf, err := s.Notifier().RegisterConfirmationsNtfn(&txid, c.script, 1, hint)
		require.NoError(t, err)
		got := recv(t, conf.Confirmed, "past confirmation")
		require.Equal(t, s.Status().Height-1, got.BlockHeight)
		require.EqualValues(t, 1, got.TxIndex)

		spend, err := s.Notifier().RegisterSpendNtfn(&c.op, c.script, hint)
		require.NoError(t, err)
		require.Equal(t, txid, *recv(t, spend.Spend, "past spend").SpenderTxHash)
	}
	// by script alone, for which no index helps
	conf, err := s.Notifier().RegisterConfirmationsNtfn(nil, c.script, 1, s.Status().Height-1)
	require.NoError(t, err)
	require.Equal(t, txid, recv(t, conf.Confirmed, "confirmation by script").Tx.TxHash())
	spend, err := s.Notifier().RegisterSpendNtfn(&chainntnfs.ZeroOutPoint, c.script,
		s.Status().Height-1)
	require.NoError(t, err)
	require.Equal(t, txid, *recv(t, spend.Spend, "spend by script").SpenderTxHash)
}
