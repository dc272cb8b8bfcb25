package chain_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReorganisation(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		c := fund(t, r, 1)[0]
		tx := c.spend(t, 1000)
		txid := tx.TxHash()
		height, err := r.Height()
		require.NoError(t, err)
		conf, err := s.Notifier().RegisterConfirmationsNtfn(&txid, c.script, 1, height)
		require.NoError(t, err)
		spend, err := s.Notifier().RegisterSpendNtfn(&c.op, c.script, height)
		require.NoError(t, err)

		_, err = r.Send(tx)
		require.NoError(t, err)
		left, err := r.Mine(1)
		require.NoError(t, err)
		require.Equal(t, left[0], *recv(t, conf.Confirmed, "confirmation").BlockHash)
		recv(t, spend.Spend, "spend")
		sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
		require.NoError(t, err)
		seen := recv(t, sub.Epochs, "the block that will be left")
		require.Equal(t, left[0], *seen.Hash)

		// a shorter chain is not yet another one
		require.NoError(t, r.InvalidateBlock(left[0]))
		branch, err := r.MineEmpty(2)
		require.NoError(t, err)
		recv(t, conf.NegativeConf, "the confirmation's end")
		recv(t, spend.Reorg, "the spend's end")
		for _, hash := range branch {
			require.Equal(t, hash, *recv(t, sub.Epochs, "the other branch").Hash)
		}
		late, err := s.Notifier().RegisterBlockEpochNtfn(seen)
		require.NoError(t, err)
		for _, hash := range branch {
			require.Equal(t, hash, *recv(t, late.Epochs, "from where the branches part").Hash)
		}

		require.NoError(t, s.Broadcast(tx, "again"))
		_, err = r.Mine(1)
		require.NoError(t, err)
		require.NotEqual(t, left[0], *recv(t, conf.Confirmed, "second confirmation").BlockHash)
		recv(t, spend.Spend, "second spend")
		best, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, best, s.Status().BlockHash)
	})
}
