package wallet

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

// flaky is a chain whose broadcast does what a test says.
type flaky struct {
	chain.Source

	mu     sync.Mutex
	answer error // guarded by mu; nil: broadcast
	tried  int   // guarded by mu
}

func (f *flaky) Broadcast(tx *wire.MsgTx, label string) error {
	f.mu.Lock()
	f.tried++
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		return answer
	}

	return f.Source.Broadcast(tx, label)
}

func (f *flaky) set(answer error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// newFlakyBench is a bench with a chain that can fail.
func newFlakyBench(t testing.TB, change func(*Options)) (*bench, *flaky) {
	t.Helper()
	f := &flaky{}
	b := newBench(t, func(o *Options) {
		f.Source, o.Chain = o.Chain.(chain.Source), f
		if change != nil {
			change(o)
		}
	})

	return b, f
}

// A payment made while the chain is away is stored, is not paid twice, and goes out with the
// next block.
func TestSendWithoutTheChain(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	b.fund(100_000, 1)
	to := foreign(t)
	broken.set(fmt.Errorf("dial: %w", chain.ErrUnreachable))

	txid, err := b.Send(context.Background(), SendRequest{
		Address: to.EncodeAddress(), Amount: 40_000, FeeRate: 2,
	})
	require.ErrorIs(t, err, chain.ErrUnreachable)
	require.ErrorContains(t, err, txid.String())
	require.NotZero(t, txid)
	require.Zero(t, b.balance().Confirmed, "its coin is spent")

	broken.set(nil)
	b.mine(1)
	tx := b.inMempool(txid)
	require.Equal(t, btcutil.Amount(40_000), pays(tx, to))
	b.mine(1)
	require.Zero(t, b.balance().Unconfirmed)
}

func TestSendThatIsRefusedIsForgotten(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	b.fund(100_000, 1)
	broken.set(&chain.RejectedError{Kind: chain.ErrFeeTooLow, Reason: "mempool min fee not met"})

	txid, err := b.Send(context.Background(), SendRequest{
		Address: foreign(t).EncodeAddress(), Amount: 40_000, FeeRate: 2,
	})
	require.ErrorIs(t, err, chain.ErrFeeTooLow)
	require.ErrorIs(t, err, lnwallet.ErrMempoolFee)
	require.ErrorContains(t, err, "mempool min fee not met")
	require.Zero(t, txid)
	require.Equal(t, Balance{Confirmed: 100_000, Spendable: 100_000}, b.balance())
}

// A stored transaction that the chain refuses for a while is not forgotten; one whose coin is
// gone is.
func TestRepeat(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	b.fund(100_000, 1)
	txid, err := b.Send(context.Background(), SendRequest{
		Address: foreign(t).EncodeAddress(), Amount: 40_000, FeeRate: 2,
	})
	require.NoError(t, err)
	stored := func() bool {
		details, err := b.details(txid)
		require.NoError(t, err)

		return details != nil
	}

	for _, kind := range []error{chain.ErrFeeTooLow, chain.ErrMissingInputs, chain.ErrNonFinal} {
		broken.set(&chain.RejectedError{Txid: txid, Kind: kind})
		b.repeat()
		require.True(t, stored(), kind)
	}
	broken.set(chain.ErrUnreachable)
	b.repeat()
	require.True(t, stored())

	broken.set(&chain.RejectedError{Txid: txid, Kind: chain.ErrDoubleSpend})
	b.repeat()
	require.False(t, stored())
	require.Equal(t, btcutil.Amount(100_000), b.balance().Spendable)
}

// What is not the wallet's is broadcast and not stored.
func TestPublishForeign(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{1}}})
	script, err := txscript.PayToAddrScript(foreign(t))
	require.NoError(t, err)
	tx.AddTxOut(wire.NewTxOut(5_000, script))

	broken.set(&chain.RejectedError{Kind: chain.ErrMissingInputs, Reason: "x"})
	require.ErrorIs(t, b.Publish(tx, "commitment"), lnwallet.ErrDoubleSpend)
	broken.set(chain.ErrUnreachable)
	require.ErrorIs(t, b.Lightning().PublishTransaction(tx, ""), chain.ErrUnreachable)
	details, err := b.details(tx.TxHash())
	require.NoError(t, err)
	require.Nil(t, details)
	require.Equal(t, 2, broken.tried)
}
