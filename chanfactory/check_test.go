package chanfactory

import (
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
)

// The output that was agreed, and nothing else, funds a channel.
func TestFundingOutputIsChecked(t *testing.T) {
	script := []byte{0, 32, 1}
	w := confirmation{point: wire.OutPoint{Index: 1}, script: script}
	tx := func(outs ...*wire.TxOut) *wire.MsgTx { return &wire.MsgTx{TxOut: outs} }
	other := wire.NewTxOut(5000, []byte{1})
	require.NoError(t, w.check(tx(other, wire.NewTxOut(5000, script)), 5000))
	require.Error(t, w.check(tx(wire.NewTxOut(5000, script)), 5000), "no such output")
	require.Error(t, w.check(tx(other, wire.NewTxOut(4999, script)), 5000), "less")
	require.Error(t, w.check(tx(other, wire.NewTxOut(5000, []byte{0, 32, 2})), 5000), "not ours")
}
