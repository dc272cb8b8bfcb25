package chain

import (
	"testing"
	"testing/synctest"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/stretchr/testify/require"
)

func fakeAddress(t *testing.T, b byte) btcutil.Address {
	addr, err := btcutil.NewAddressWitnessPubKeyHash(append([]byte{b}, make([]byte, 19)...),
		&chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return addr
}

func TestWatchListLimit(t *testing.T) {
	w := newWatchList()
	w.limit = 3
	require.NoError(t, w.addAddresses([]btcutil.Address{fakeAddress(t, 1)}))
	require.NoError(t, w.addCoins([]wire.OutPoint{{Index: 1}, {Index: 2}}))
	require.ErrorContains(t, w.addAddresses([]btcutil.Address{fakeAddress(t, 2)}), "over 3")
	require.ErrorContains(t, w.addCoins([]wire.OutPoint{{Index: 3}}), "over 3")

	// coins that were spent long ago make room
	tx := fakeTx(wire.OutPoint{Index: 1})
	require.True(t, w.matches(tx, 100))
	w.settle(100 + chainntnfs.ReorgSafetyLimit - 1)
	require.True(t, w.matches(tx, 100), "a reorganisation may undo the spend")
	w.settle(100 + chainntnfs.ReorgSafetyLimit)
	require.False(t, w.matches(tx, 100))
	require.NoError(t, w.addCoins([]wire.OutPoint{{Index: 3}}))
}

func TestWatchListFollowsPayments(t *testing.T) {
	w := newWatchList()
	addr := fakeAddress(t, 1)
	require.NoError(t, w.addAddresses([]btcutil.Address{addr}))
	pay := wire.NewMsgTx(2)
	pay.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}}, nil, nil))
	pay.AddTxOut(wire.NewTxOut(1, append([]byte{0, 20}, addr.ScriptAddress()...)))
	spend := fakeTx(wire.OutPoint{Hash: pay.TxHash()})
	require.False(t, w.wants(spend))
	require.True(t, w.wants(pay))
	require.False(t, w.wants(spend), "to ask changes nothing")
	require.True(t, w.matches(pay, noHeight))
	require.True(t, w.wants(spend), "what was paid to the wallet is its coin")
}

func TestHintLimit(t *testing.T) {
	m := newMemoryHints()
	for i := range uint32(maxHints + 10) {
		req := chainntnfs.ConfRequest{TxID: chainhash.Hash{byte(i), byte(i >> 8)}}
		require.NoError(t, m.CommitConfirmHint(i, req))
		height, err := m.QueryConfirmHint(req)
		require.NoError(t, err)
		require.Equal(t, i, height)
		require.LessOrEqual(t, len(m.confs), maxHints)
	}
	req := chainntnfs.SpendRequest{}
	_, err := m.QuerySpendHint(req)
	require.ErrorIs(t, err, chainntnfs.ErrSpendHintNotFound)
	require.NoError(t, m.CommitSpendHint(7, req))
	require.NoError(t, m.PurgeSpendHint(req))
	_, err = m.QuerySpendHint(req)
	require.ErrorIs(t, err, chainntnfs.ErrSpendHintNotFound)
	conf := chainntnfs.ConfRequest{TxID: chainhash.Hash{1}}
	require.NoError(t, m.PurgeConfirmHint(conf))
	_, err = m.QueryConfirmHint(conf)
	require.ErrorIs(t, err, chainntnfs.ErrConfirmHintNotFound)
}

func TestNewsLimit(t *testing.T) {
	l := newLink(func(tx *wire.MsgTx) bool { return tx.LockTime == 0 })
	unwanted := wire.NewMsgTx(2)
	unwanted.LockTime = 1
	for range maxNews {
		l.hear(unwanted)
	}
	require.Empty(t, l.news)
	for range maxNews + 10 {
		l.hear(wire.NewMsgTx(2))
	}
	require.Len(t, l.news, maxNews)
}

// TestWalletDoesNotRead leaves everything unread that the wallet is told.
func TestWalletDoesNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		synctest.Wait() // the view is moved by hand below, and the backend must not object
		w := s.wallet
		require.NoError(t, w.Start(t.Context()))
		require.NoError(t, w.NotifyBlocks())
		addr := fakeAddress(t, 1)
		require.NoError(t, w.NotifyReceived([]btcutil.Address{addr}))
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}}, nil, nil))
		tx.AddTxOut(wire.NewTxOut(1, append([]byte{0, 20}, addr.ScriptAddress()...)))
		for range maxNews + 10 {
			w.hear(tx)
		}
		require.Len(t, w.txs, maxNews)
		genesis := chaincfg.RegressionNetParams.GenesisHash
		for range maxRescans {
			require.NoError(t, w.Rescan(genesis, nil, nil))
		}
		require.ErrorContains(t, w.Rescan(genesis, nil, nil), "rescans")

		// it is told to start over when it has missed too much
		for i := range int32(maxSteps + 1) {
			s.follower.view.advance(block{10 + i, chainhash.Hash{byte(i)},
				&wire.BlockHeader{}})
			s.follower.view.announce()
		}
		require.Equal(t, btcwchain.ClientConnected{}, <-w.out)
		for range maxRescans {
			require.IsType(t, &btcwchain.RescanFinished{}, <-w.out)
		}
		require.Equal(t, btcwchain.ClientConnected{}, <-w.out)
		require.IsType(t, btcwchain.RelevantTx{}, <-w.out)
		synctest.Wait()
		w.Stop()
		w.WaitForShutdown()
	})
}

func TestMempoolSubscriptions(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		op := wire.OutPoint{Hash: chainhash.Hash{1}}
		first, err := s.mempool.SubscribeMempoolSpent(op)
		require.NoError(t, err)
		second, err := s.mempool.SubscribeMempoolSpent(op)
		require.NoError(t, err)
		tx := fakeTx(op)
		require.True(t, s.watched.wants(tx))
		s.mempool.tell(tx)
		s.mempool.tell(tx)
		require.Equal(t, tx.TxHash(), *(<-first.Spend).SpenderTxHash)
		synctest.Wait()
		require.Empty(t, first.Spend, "told once")

		s.mempool.CancelMempoolSpendEvent(first)
		require.True(t, s.watched.wants(tx), "the other still waits")
		require.Len(t, second.Spend, 1)
		s.mempool.connected(&wire.MsgBlock{Transactions: []*wire.MsgTx{tx}})
		require.False(t, s.watched.wants(tx), "a block ends it")
		require.Empty(t, s.mempool.inputs)
		require.Empty(t, s.mempool.events)
		s.mempool.CancelMempoolSpendEvent(second)
	})
}
