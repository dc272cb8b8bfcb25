package regtest

import (
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
)

func TestPeers(t *testing.T) {
	for _, c := range []struct {
		name         string
		fromBitcoind bool
	}{{"btcd connects", false}, {"bitcoind connects", true}} {
		t.Run(c.name, func(t *testing.T) { testPeers(t, c.fromBitcoind) })
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
	require.NoError(t, bitcoind.WaitSynced(ctx, btcd))

	for _, pair := range [][2]Regtest{{btcd, bitcoind}, {bitcoind, btcd}} {
		_, err := pair[0].Mine(1)
		require.NoError(t, err)
		require.NoError(t, pair[1].WaitSynced(ctx, pair[0]))
	}

	// 253 sat/kw is the lowest fee rate that a lightning node uses
	key, script := segwitKey(t)
	tx, err := btcd.FundMany([]Payment{{keyAddress(t, key), 1e6}, {keyAddress(t, key), 1e6}})
	require.NoError(t, err)
	require.NoError(t, bitcoind.WaitSynced(ctx, btcd))
	for i, pair := range [][2]Regtest{{btcd, bitcoind}, {bitcoind, btcd}} {
		op := wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}
		spend := spendSegwit(t, key, script, op, 1e6, 253)
		_, err := pair[0].Send(spend)
		require.NoError(t, err)
		require.NoError(t, pair[1].WaitTx(ctx, spend.TxHash()))
	}
	_, err = bitcoind.Mine(1)
	require.NoError(t, err)
	require.NoError(t, btcd.WaitSynced(ctx, bitcoind))
	list, err := btcd.Mempool()
	require.NoError(t, err)
	require.Empty(t, list, "the other's block has both transactions")
}

func segwitKey(t *testing.T) (*btcec.PrivateKey, []byte) {
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	script, err := txscript.PayToAddrScript(keyAddress(t, key))
	require.NoError(t, err)
	return key, script
}

func keyAddress(t *testing.T, key *btcec.PrivateKey) btcutil.Address {
	addr, err := btcutil.NewAddressWitnessPubKeyHash(
		btcutil.Hash160(key.PubKey().SerializeCompressed()), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return addr
}

// spendSegwit pays one output to a script of its own kind at a fee rate in sat/kw.
func spendSegwit(t *testing.T, key *btcec.PrivateKey, script []byte, op wire.OutPoint,
	amount int64, feeRate int64) *wire.MsgTx {

	const weight = 440
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&op, nil, nil))
	tx.AddTxOut(wire.NewTxOut(amount-feeRate*weight/1000, script))
	prev := txscript.NewCannedPrevOutputFetcher(script, amount)
	witness, err := txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, prev), 0, amount,
		script, txscript.SigHashAll, key, true)
	require.NoError(t, err)
	tx.TxIn[0].Witness = witness
	return tx
}
