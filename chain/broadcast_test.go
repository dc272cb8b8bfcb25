package chain_test

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

func TestBroadcast(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s := r.open(t)
		coins := fund(t, r, 12)
		t.Run("again and again", func(t *testing.T) {
			tx := coins[0].spend(t, 1000)
			require.NoError(t, s.Broadcast(tx, "first"))
			require.NoError(t, s.Broadcast(tx, "in the mempool"))
			_, err := r.Mine(1)
			require.NoError(t, err)
			require.NoError(t, s.Broadcast(tx, "in a block"))
			child := coins[0].next(tx).spend(t, 1000)
			require.NoError(t, s.Broadcast(child, "child"))
			_, err = r.Mine(1)
			require.NoError(t, err)
			require.NoError(t, s.Broadcast(tx, "in a block and spent"))
		})
		for name, c := range refusals(t, r, coins) {
			t.Run(name, func(t *testing.T) {
				err := s.Broadcast(c.tx, name)
				require.Error(t, err)
				t.Log(err)
				var rejected *chain.RejectedError
				require.ErrorAs(t, err, &rejected)
				require.Equal(t, c.tx.TxHash(), rejected.Txid)
				require.NotEmpty(t, rejected.Reason)
				for _, kind := range c.kinds {
					require.ErrorIs(t, err, kind)
				}
			})
		}
	})
}

type refusal struct {
	tx    *wire.MsgTx
	kinds []error
}

// refusals are transactions that no backend takes.
func refusals(t *testing.T, r rig, coins []coin) map[string]refusal {
	list := make(map[string]refusal)

	list["fee under the relay fee"] = refusal{coins[1].spend(t, 20), []error{chain.ErrFeeTooLow}}

	mined := coins[2].spend(t, 1000)
	_, err := r.Send(mined)
	require.NoError(t, err)
	_, err = r.Mine(1)
	require.NoError(t, err)
	list["double spend of a block"] = refusal{coins[2].spend(t, 2000),
		[]error{chain.ErrMissingInputs}}

	first := coins[3].spend(t, 5000)
	_, err = r.Send(first)
	require.NoError(t, err)
	list["replacement with too low a fee"] = refusal{coins[3].spend(t, 5001),
		[]error{chain.ErrFeeTooLow, chain.ErrDoubleSpend}}

	missing := coins[4]
	missing.op.Hash = chainhash.Hash{1}
	list["unknown input"] = refusal{missing.spend(t, 1000), []error{chain.ErrMissingInputs}}

	dust := coins[5].spend(t, 20_000)
	dust.AddTxOut(wire.NewTxOut(100, coins[5].script))
	coins[5].sign(t, dust)
	list["dust"] = refusal{dust, []error{chain.ErrNonStandard}}

	unsigned := coins[6].spend(t, 1000)
	unsigned.TxIn[0].Witness[0][10] ^= 1
	list["bad signature"] = refusal{unsigned, []error{chain.ErrInvalid}}

	early := coins[7].spend(t, 1000)
	early.LockTime = 1_000_000
	coins[7].sign(t, early)
	list["lock time"] = refusal{early, []error{chain.ErrNonFinal}}

	relative := coins[8].spend(t, 1000)
	relative.TxIn[0].Sequence = 100
	coins[8].sign(t, relative)
	list["relative lock"] = refusal{relative, []error{chain.ErrNonFinal}}

	script := coins[9].spend(t, 20_000)
	script.AddTxOut(wire.NewTxOut(10_000, []byte{0x51, 0x52, 0x53}))
	coins[9].sign(t, script)
	list["odd script"] = refusal{script, []error{chain.ErrNonStandard}}

	greedy := coins[10].spend(t, -1000)
	list["more out than in"] = refusal{greedy, []error{chain.ErrInvalid}}
	return list
}

func TestRejectedError(t *testing.T) {
	err := error(&chain.RejectedError{Kind: chain.ErrFeeTooLow, Reason: "min relay fee not met"})
	require.True(t, errors.Is(err, chain.ErrFeeTooLow))
	require.ErrorContains(t, err, "min relay fee not met")
	require.False(t, errors.Is(err, chain.ErrDoubleSpend))
}
