package wallet

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

func (b *bench) send(r SendRequest) chainhash.Hash {
	b.t.Helper()
	txid, err := b.Send(context.Background(), r)
	require.NoError(b.t, err)

	return txid
}

// gone checks that a transaction has left mempool and wallet.
func (b *bench) gone(txid chainhash.Hash) {
	b.t.Helper()
	pool, err := b.node.Mempool()
	require.NoError(b.t, err)
	require.NotContains(b.t, pool, txid)
	details, err := b.details(txid)
	require.NoError(b.t, err)
	require.Nil(b.t, details)
}

func TestBumpReplacesAPayment(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	to := foreign(t)
	first := b.send(SendRequest{Address: to.EncodeAddress(), Amount: 40_000, FeeRate: 2, Label: "x"})

	second, err := b.Bump(context.Background(), first, 20)
	require.NoError(t, err)
	tx := b.inMempool(second)
	require.Equal(t, btcutil.Amount(40_000), pays(tx, to), "the payment is the same")
	require.Len(t, tx.TxIn, 1)
	b.wantRate(tx, 20)
	b.gone(first)
	require.Equal(t, 60_000-b.fee(tx), b.balance().Unconfirmed)
	require.Equal(t, b.balance().Unconfirmed, b.balance().Spendable)

	// A replacement can be replaced.
	third, err := b.Bump(context.Background(), second, 21)
	require.NoError(t, err)
	b.wantRate(b.inMempool(third), 21)
	b.gone(second)

	_, err = b.Bump(context.Background(), third, 21)
	require.ErrorIs(t, err, ErrCannotBump)
	require.ErrorContains(t, err, "pays 21 sat/vB already")
	_, err = b.Bump(context.Background(), first, 30)
	require.ErrorIs(t, err, ErrUnknownTx)
	_, err = b.Bump(context.Background(), third, 0)
	require.ErrorIs(t, err, ErrFeeRate)
	_, err = b.Bump(context.Background(), third, defaultMaxFeeRate+1)
	require.ErrorIs(t, err, ErrFeeRate)

	b.mine(1)
	_, err = b.Bump(context.Background(), third, 50)
	require.ErrorIs(t, err, ErrCannotBump)
	require.ErrorContains(t, err, "confirmed in block")
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases)
}

func TestBumpAddsCoinsWhenTheChangeIsShort(t *testing.T) {
	b := newBench(t, nil)
	b.fund(50_000, 2)
	to := foreign(t)
	first := b.send(SendRequest{Address: to.EncodeAddress(), Amount: 49_700, FeeRate: 2})
	require.Len(t, b.inMempool(first).TxIn, 1, "without change")

	second, err := b.Bump(context.Background(), first, 30)
	require.NoError(t, err)
	tx := b.inMempool(second)
	require.Len(t, tx.TxIn, 2)
	require.Equal(t, btcutil.Amount(49_700), pays(tx, to))
	b.wantRate(tx, 30)
	b.gone(first)

	_, err = b.Bump(context.Background(), second, 400)
	require.ErrorIs(t, err, ErrInsufficientFunds)
}

func TestBumpTakesTheFeeOfASendAllFromIt(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.AnchorReserve = func(int) btcutil.Amount { return 10_000 }
	})
	b.fund(50_000, 2)
	to := foreign(t)
	first := b.send(SendRequest{Address: to.EncodeAddress(), All: true, FeeRate: 2})
	second, err := b.Bump(context.Background(), first, 25)
	require.NoError(t, err)
	tx := b.inMempool(second)
	b.wantRate(tx, 25)
	require.Equal(t, 90_000-b.fee(tx), pays(tx, to), "the reserve stays whole")
	b.gone(first)

	_, err = b.Bump(context.Background(), second, 900)
	require.ErrorIs(t, err, ErrCannotBump)
	require.ErrorContains(t, err, "dust limit")
}

// What stands on a payment would be lost with it, a channel's funding too: then its own outputs
// pay, and when those are spent the one that spends them has to be bumped.
func TestBumpReplacesNothingThatIsBuiltUpon(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	to := foreign(t).EncodeAddress()
	first := b.send(SendRequest{Address: to, Amount: 20_000, FeeRate: 2})
	second := b.send(SendRequest{Address: to, Amount: 20_000, FeeRate: 2})

	_, err := b.Bump(context.Background(), first, 20)
	require.ErrorIs(t, err, ErrCannotBump)
	require.ErrorContains(t, err, "bump the transaction that spends them")

	// A leased change may be the input of a withheld funding.
	change := b.changeOf(second)
	require.NoError(t, b.Lease([]wire.OutPoint{change}, wtxmgr.LockID{1}, time.Now().Add(time.Hour)))
	_, err = b.Bump(context.Background(), second, 20)
	require.ErrorIs(t, err, ErrCannotBump)
	require.NoError(t, b.Release([]wire.OutPoint{change}))
	_, err = b.Bump(context.Background(), second, 20)
	require.NoError(t, err)
}

func (b *bench) changeOf(txid chainhash.Hash) wire.OutPoint {
	b.t.Helper()
	details, err := b.details(txid)
	require.NoError(b.t, err)
	require.Len(b.t, details.Credits, 1)

	return wire.OutPoint{Hash: txid, Index: details.Credits[0].Index}
}

// What Send did not make is never replaced; its change pays for both.
func TestBumpSpendsTheChange(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	d, err := b.lease(func(p *purse) (*draft, error) {
		return b.draftSend(p, []byte{0, 32, 31: 0, 33: 0}, 30_000, 500)
	})
	require.NoError(t, err)
	parent, err := b.finish(context.Background(), d, "funding of a channel")
	require.NoError(t, err)
	parentTx := b.inMempool(parent)

	child, err := b.Bump(context.Background(), parent, 15)
	require.NoError(t, err)
	tx := b.inMempool(child)
	require.Len(t, tx.TxIn, 1)
	require.Equal(t, b.changeOf(parent), tx.TxIn[0].PreviousOutPoint)
	weight := blockchain.GetTransactionWeight(btcutil.NewTx(tx)) +
		blockchain.GetTransactionWeight(btcutil.NewTx(parentTx))
	both := int64(b.fee(tx) + b.fee(parentTx))
	require.InDelta(t, 15, float64(both)*4/float64(weight), 0.2, "both together pay the rate")
	b.inMempool(parent)

	b.mine(1)
	require.Equal(t, 70_000-btcutil.Amount(both), b.balance().Confirmed)
}

// The reserve is there for this.
func TestBumpMayUseTheReserve(t *testing.T) {
	reserve := btcutil.Amount(0)
	b := newBench(t, func(o *Options) { o.AnchorReserve = func(int) btcutil.Amount { return reserve } })
	b.fund(30_000, 2)
	addr, err := b.NewAddress()
	require.NoError(t, err)
	payer := newBench(t, nil)
	payer.fund(100_000, 1)
	parent := payer.send(SendRequest{Address: addr.EncodeAddress(), Amount: 1_000, FeeRate: 1})
	b.awaitBalance("the payment", func(now Balance) bool { return now.Unconfirmed == 1_000 })

	// Its thousand satoshis are not enough for the fee: a coin of the reserve joins.
	reserve = 60_000
	require.Zero(t, b.balance().Spendable)
	child, err := b.Bump(context.Background(), parent, 30)
	require.NoError(t, err)
	require.Len(t, b.inMempool(child).TxIn, 2)
	b.mine(1)
}

func TestBumpThatIsRefusedChangesNothing(t *testing.T) {
	b, broken := newFlakyBench(t, nil)
	b.fund(100_000, 1)
	first := b.send(SendRequest{Address: foreign(t).EncodeAddress(), Amount: 40_000, FeeRate: 2})
	before := b.balance()

	broken.set(&chain.RejectedError{Kind: chain.ErrFeeTooLow, Reason: "insufficient fee"})
	_, err := b.Bump(context.Background(), first, 20)
	require.ErrorIs(t, err, chain.ErrFeeTooLow)
	broken.set(nil)
	require.Equal(t, before, b.balance())
	b.inMempool(first)
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases)

	second, err := b.Bump(context.Background(), first, 20)
	require.NoError(t, err)
	b.gone(first)
	b.inMempool(second)
}
