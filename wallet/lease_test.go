package wallet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
	"github.com/stretchr/testify/require"
)

func TestLeases(t *testing.T) {
	b := newBench(t, nil)
	points := b.fund(50_000, 4)
	hour := time.Now().Add(time.Hour).Truncate(time.Second)
	mine, other := wtxmgr.LockID{1}, wtxmgr.LockID{2}

	require.NoError(t, b.Lease(points[:2], mine, hour))
	require.Equal(t, Balance{Confirmed: 200_000, Leased: 100_000, Spendable: 100_000}, b.balance())
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Len(t, leases, 2)
	for _, l := range leases {
		require.Contains(t, points[:2], l.Outpoint)
		require.Equal(t, mine, l.ID)
		require.Equal(t, btcutil.Amount(50_000), l.Value)
		require.WithinDuration(t, hour, l.Until, 2*time.Second)
	}
	utxos, err := b.Utxos()
	require.NoError(t, err)
	require.Len(t, utxos, 4, "leased ones are listed")

	// All or nothing: the third is free, the second is another's.
	require.ErrorIs(t, b.Lease(points[1:3], other, hour), ErrLeased)
	unknown := wire.OutPoint{Hash: chainhash.Hash{9}}
	require.ErrorIs(t, b.Lease([]wire.OutPoint{points[2], unknown}, other, hour), ErrNotOurs)
	require.Equal(t, btcutil.Amount(100_000), b.balance().Spendable)

	// Renewing keeps the id; an ended lease is taken anew.
	later := hour.Add(time.Hour)
	require.NoError(t, b.RenewLeases(spends(points[:3]...), later))
	ids := make(map[wire.OutPoint]wtxmgr.LockID)
	leases, err = b.Leases()
	require.NoError(t, err)
	for _, l := range leases {
		ids[l.Outpoint] = l.ID
		require.WithinDuration(t, later, l.Until, 2*time.Second)
	}
	require.Equal(t, map[wire.OutPoint]wtxmgr.LockID{
		points[0]: mine, points[1]: mine, points[2]: chanfunding.LndInternalLockID,
	}, ids)
	require.ErrorIs(t, b.RenewLeases(spends(unknown), later), ErrNotOurs)

	// Leases are on disk.
	b.reopen()
	require.Equal(t, btcutil.Amount(50_000), b.balance().Spendable)
	stale, err := b.ReleaseStale(func(p wire.OutPoint) bool { return p == points[1] })
	require.NoError(t, err)
	require.ElementsMatch(t, []wire.OutPoint{points[0], points[2]}, stale)
	require.Equal(t, btcutil.Amount(150_000), b.balance().Spendable)

	require.NoError(t, b.Release([]wire.OutPoint{points[1], points[3], unknown}))
	require.Equal(t, btcutil.Amount(200_000), b.balance().Spendable)
	stale, err = b.ReleaseStale(func(wire.OutPoint) bool { return false })
	require.NoError(t, err)
	require.Empty(t, stale)
}

// spends is a transaction that nobody has stored.
func spends(points ...wire.OutPoint) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	for _, p := range points {
		tx.AddTxIn(wire.NewTxIn(&p, nil, nil))
	}

	return tx
}

func TestLeaseEndsByItself(t *testing.T) {
	b := newBench(t, nil)
	points := b.fund(50_000, 1)
	require.NoError(t, b.Lease(points, wtxmgr.LockID{1}, time.Now().Add(-time.Second)))
	require.Equal(t, btcutil.Amount(50_000), b.balance().Spendable)
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases)
}

// A coin that was spent can be released and not leased; a lease on it, renewed while its
// transaction waits, holds it when the transaction is forgotten.
func TestLeaseOfASpentCoin(t *testing.T) {
	b := newBench(t, nil)
	points := b.fund(50_000, 1)
	txid, err := b.Send(context.Background(), SendRequest{
		Address: foreign(t).EncodeAddress(), All: true, FeeRate: 2,
	})
	require.NoError(t, err)
	hour := time.Now().Add(time.Hour)
	require.ErrorIs(t, b.Lease(points, wtxmgr.LockID{1}, hour), ErrNotOurs)
	details, err := b.details(txid)
	require.NoError(t, err)
	require.NoError(t, b.RenewLeases(&details.MsgTx, hour))
	require.ErrorIs(t, b.RenewLeases(spends(points...), hour), ErrNotOurs,
		"another transaction has the coin")
	require.Zero(t, b.balance().Leased, "what is spent is not counted")

	require.NoError(t, b.base.RemoveDescendants(&details.MsgTx))
	require.Equal(t, Balance{Confirmed: 50_000, Leased: 50_000}, b.balance())

	require.NoError(t, b.base.PublishTransaction(&details.MsgTx, ""))
	b.mine(1)
	require.Zero(t, b.balance().Confirmed)
	require.ErrorIs(t, b.RenewLeases(&details.MsgTx, hour), ErrNotOurs)
	require.NoError(t, b.Release(points))
}

func TestLeaseConcurrent(t *testing.T) {
	b := newBench(t, nil)
	points := b.fund(50_000, 1)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		won int
	)
	for i := range 8 {
		wg.Go(func() {
			err := b.Lease(points, wtxmgr.LockID{byte(i + 1)}, time.Now().Add(time.Hour))
			if err != nil && !errors.Is(err, ErrLeased) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, won)
}
