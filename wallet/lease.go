package wallet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
)

// Lease is a held output. Leases are stored, and end by themselves at their time.
type Lease struct {
	Outpoint wire.OutPoint
	ID       wtxmgr.LockID
	Value    btcutil.Amount
	Until    time.Time
}

// Lease holds outputs of ours under id until the time, or prolongs their lease.
// Errors: ErrNotOurs, ErrLeased; then none is held.
func (w *Wallet) Lease(points []wire.OutPoint, id wtxmgr.LockID, until time.Time) error {
	return w.changeLeases("lease", func(l *leases) error {
		for _, point := range points {
			if err := l.mustBeUnspent(point); err != nil {
				return err
			}
			if err := l.lock(id, point, until); err != nil {
				return err
			}
		}

		return nil
	})
}

// RenewLeases prolongs the leases of the coins that tx spends, under the ids that they have; one
// whose lease has ended is leased anew under lnwallet's own id. That tx itself is stored and
// unconfirmed is no error: its coins must not come free when it is forgotten. Errors: ErrNotOurs when
// a block has spent one; then none is held. ErrNotOurs too when another unconfirmed transaction spends
// one: tx can't be broadcast then, but all are held, for that one may be forgotten.
func (w *Wallet) RenewLeases(tx *wire.MsgTx, until time.Time) error {
	var taken error
	err := w.changeLeases("renew leases", func(l *leases) error {
		taken = nil
		txid := tx.TxHash()
		own, err := l.store.TxDetails(l.ns, &txid)
		if err != nil {
			return err
		}
		for _, in := range tx.TxIn {
			point, id := in.PreviousOutPoint, chanfunding.LndInternalLockID
			if i := l.find(point); i >= 0 {
				id = l.locks[i].LockID
			}
			if err := l.lock(id, point, until); err != nil {
				return err
			}
			if own == nil && taken == nil {
				taken = l.mustBeUnspent(point)
			}
		}

		return nil
	})
	if err == nil && taken != nil {
		err = fmt.Errorf("wallet: renew leases: another transaction spends a coin: %w", taken)
	}

	return err
}

// Release frees outputs; one that is not leased, spent or unknown is no error.
func (w *Wallet) Release(points []wire.OutPoint) error {
	return w.changeLeases("release", func(l *leases) error {
		for _, point := range points {
			if i := l.find(point); i >= 0 {
				if err := l.unlock(l.locks[i]); err != nil {
					return err
				}
			}
		}

		return nil
	})
}

// ReleaseStale frees every lease that keep does not claim, and returns them. It is for the
// start, before the first opening: reservations die with the process, their leases do not.
func (w *Wallet) ReleaseStale(keep func(wire.OutPoint) bool) ([]wire.OutPoint, error) {
	var stale []wire.OutPoint
	err := w.changeLeases("release stale leases", func(l *leases) error {
		stale = nil
		for _, lock := range l.locks {
			if keep(lock.Outpoint) {
				continue
			}
			if err := l.unlock(lock); err != nil {
				return err
			}
			stale = append(stale, lock.Outpoint)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(stale) > 0 {
		w.log.Info("freed coins that a former run had leased", "coins", len(stale))
	}

	return stale, nil
}

// Leases lists the leases that have not ended.
func (w *Wallet) Leases() ([]Lease, error) {
	listed, err := w.base.ListLeasedOutputs()
	if err != nil {
		return nil, fmt.Errorf("wallet: list leases: %w", err)
	}

	all := make([]Lease, 0, len(listed))
	for _, l := range listed {
		all = append(all, Lease{
			Outpoint: l.Outpoint, ID: l.LockID, Value: btcutil.Amount(l.Value),
			Until: l.Expiration,
		})
	}
	slices.SortFunc(all, func(a, b Lease) int { return comparePoints(a.Outpoint, b.Outpoint) })

	return all, nil
}

// leases changes leases inside of one transaction.
type leases struct {
	store *wtxmgr.Store
	ns    kvdb.RwBucket
	locks []*wtxmgr.LockedOutput
}

// changeLeases runs change under the coin lock, in one transaction: all of it or nothing.
func (w *Wallet) changeLeases(what string, change func(*leases) error) error {
	err := w.lightning.WithCoinSelectLock(func() error { return w.updateLeases(change) })
	if err != nil {
		return fmt.Errorf("wallet: %s: %w", what, err)
	}
	w.news.change()

	return nil
}

// updateLeases is changeLeases for who holds the coin lock.
func (w *Wallet) updateLeases(change func(*leases) error) error {
	return kvdb.Update(w.opts.DB, func(tx kvdb.RwTx) error {
		l := &leases{store: w.base.TxStore, ns: tx.ReadWriteBucket([]byte(txmgrBucket))}
		if err := l.store.DeleteExpiredLockedOutputs(l.ns); err != nil {
			return err
		}
		var err error
		if l.locks, err = l.store.ListLockedOutputs(l.ns); err != nil {
			return err
		}

		return change(l)
	}, func() {})
}

func (l *leases) find(point wire.OutPoint) int {
	return slices.IndexFunc(l.locks, func(lock *wtxmgr.LockedOutput) bool {
		return lock.Outpoint == point
	})
}

func (l *leases) mustBeUnspent(point wire.OutPoint) error {
	details, err := l.store.TxDetails(l.ns, &point.Hash)
	if err != nil {
		return err
	}
	if details == nil || !unspentCredit(details, point.Index) {
		return fmt.Errorf("%v: %w", point, ErrNotOurs)
	}

	return nil
}

func (l *leases) lock(id wtxmgr.LockID, point wire.OutPoint, until time.Time) error {
	_, err := l.store.LockOutput(l.ns, id, point, time.Until(until))
	switch {
	case errors.Is(err, wtxmgr.ErrUnknownOutput):
		return fmt.Errorf("%v: %w", point, ErrNotOurs)

	case errors.Is(err, wtxmgr.ErrOutputAlreadyLocked):
		return fmt.Errorf("%v: %w", point, ErrLeased)
	}

	return err
}

func (l *leases) unlock(lock *wtxmgr.LockedOutput) error {
	err := l.store.UnlockOutput(l.ns, lock.LockID, lock.Outpoint)
	if errors.Is(err, wtxmgr.ErrUnknownOutput) {
		// A block has spent it; there is nothing left to hold.
		return nil
	}

	return err
}
