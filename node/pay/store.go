package pay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
)

const (
	// maxRecords is the number of payments that are kept. Beyond it each new payment lets the
	// oldest go, unless they are in flight or must be remembered; see forgettable.
	maxRecords = 100_000

	// pruneStep is how many of the oldest payments a new one looks at.
	pruneStep = 8
)

var (
	paymentsBucket = []byte("inlet-payments")
	recordsBucket  = []byte("records") // index -> record
	hashesBucket   = []byte("hashes")  // payment hash -> index of the latest payment
	openBucket     = []byte("open")    // index of each payment that is not over
)

// store keeps payments. Its transactions may be run more than once, as group commit does.
type store struct {
	db  kvdb.Backend
	max uint64
}

func openStore(db kvdb.Backend) (*store, error) {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		top, err := tx.CreateTopLevelBucket(paymentsBucket)
		if err != nil {
			return err
		}
		for _, name := range [][]byte{recordsBucket, hashesBucket, openBucket} {
			if _, err := top.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return nil, fmt.Errorf("pay: make buckets: %w", err)
	}
	return &store{db: db, max: maxRecords}, nil
}

// add stores a new payment and gives it its index. It takes the place of an earlier one of the same
// hash, which must have failed: else the error is ErrInFlight or ErrAlreadyPaid, with the earlier.
func (s *store) add(t transfer, now time.Time) (added, earlier transfer, err error) {
	err = kvdb.Update(s.db, func(tx kvdb.RwTx) error {
		added, earlier = t, transfer{}
		top := tx.ReadWriteBucket(paymentsBucket)
		old, err := latest(top, t.bill.hash)
		switch {
		case errors.Is(err, ErrUnknownPayment):
		case err != nil:
			return err
		default:
			earlier = old
			if err := old.blocks(); err != nil {
				return err
			}
		}
		index, err := top.NextSequence()
		if err != nil {
			return err
		}
		added.index = index
		hash := t.bill.hash
		err = top.NestedReadWriteBucket(hashesBucket).Put(hash[:], indexKey(index))
		if err != nil {
			return err
		}
		if err := s.trim(top, index, now); err != nil {
			return err
		}
		return write(top, added)
	}, func() {})
	return added, earlier, wrapStore("store payment", err)
}

// blocks says why no further payment of the same hash may be made.
func (t transfer) blocks() error {
	switch t.state.(type) {
	case paid:
		return ErrAlreadyPaid
	case failed:
		return nil
	default:
		return ErrInFlight
	}
}

// put stores a payment as it stands.
func (s *store) put(t transfer) error {
	err := kvdb.Update(s.db, func(tx kvdb.RwTx) error {
		return write(tx.ReadWriteBucket(paymentsBucket), t)
	}, func() {})
	return wrapStore("store payment", err)
}

func write(top kvdb.RwBucket, t transfer) error {
	raw, err := t.encode()
	if err != nil {
		return err
	}
	key := indexKey(t.index)
	open := top.NestedReadWriteBucket(openBucket)
	if t.over() {
		err = open.Delete(key)
	} else {
		err = open.Put(key, []byte{1})
	}
	if err != nil {
		return err
	}
	return top.NestedReadWriteBucket(recordsBucket).Put(key, raw)
}

// byHash gives the latest payment of a hash, or ErrUnknownPayment.
func (s *store) byHash(hash lntypes.Hash) (t transfer, err error) {
	err = kvdb.View(s.db, func(tx kvdb.RTx) (err error) {
		t, err = latest(tx.ReadBucket(paymentsBucket), hash)
		return err
	}, func() { t = transfer{} })
	return t, wrapStore("read payment", err)
}

func latest(top kvdb.RBucket, hash lntypes.Hash) (transfer, error) {
	key := top.NestedReadBucket(hashesBucket).Get(hash[:])
	if key == nil {
		return transfer{}, ErrUnknownPayment
	}
	raw := top.NestedReadBucket(recordsBucket).Get(key)
	return decodeTransfer(binary.BigEndian.Uint64(key), raw)
}

// open gives all payments that are not over, in the order of their making.
func (s *store) open() (list []transfer, err error) {
	err = kvdb.View(s.db, func(tx kvdb.RTx) error {
		top := tx.ReadBucket(paymentsBucket)
		records := top.NestedReadBucket(recordsBucket)
		return top.NestedReadBucket(openBucket).ForEach(func(key, _ []byte) error {
			t, err := decodeTransfer(binary.BigEndian.Uint64(key), records.Get(key))
			list = append(list, t)
			return err
		})
	}, func() { list = nil })
	return list, wrapStore("read payments in flight", err)
}

// list gives payments with an index below before (0: all), newest first, at most limit.
func (s *store) list(before uint64, limit int) (list []transfer, err error) {
	err = kvdb.View(s.db, func(tx kvdb.RTx) error {
		cursor := tx.ReadBucket(paymentsBucket).NestedReadBucket(recordsBucket).ReadCursor()
		key, raw := cursor.Last()
		if before != 0 {
			if key, raw = cursor.Seek(indexKey(before)); key == nil {
				key, raw = cursor.Last()
			}
		}
		for ; key != nil && len(list) < limit; key, raw = cursor.Prev() {
			index := binary.BigEndian.Uint64(key)
			if before != 0 && index >= before {
				continue
			}
			t, err := decodeTransfer(index, raw)
			if err != nil {
				return err
			}
			list = append(list, t)
		}
		return nil
	}, func() { list = nil })
	return list, wrapStore("list payments", err)
}

// forgettable says whether a payment may be deleted. One that succeeded is kept until its invoice
// has expired: until then only the record keeps it from being paid twice.
func (t transfer) forgettable(now time.Time) bool {
	if _, ok := t.state.(paid); ok && now.Before(t.bill.expires) {
		return false
	}
	return t.over()
}

// trim deletes some of the oldest payments when there are too many.
func (s *store) trim(top kvdb.RwBucket, newest uint64, now time.Time) error {
	var gone []transfer
	cursor := top.NestedReadWriteBucket(recordsBucket).ReadCursor()
	key, raw := cursor.First()
	for n := 0; key != nil && n < pruneStep; n++ {
		index := binary.BigEndian.Uint64(key)
		if newest-index < s.max {
			break
		}
		t, err := decodeTransfer(index, raw)
		if err != nil {
			return err
		}
		if t.forgettable(now) {
			gone = append(gone, t)
		}
		key, raw = cursor.Next()
	}
	return remove(top, gone)
}

// prune deletes all payments that may be deleted and ended before a time.
func (s *store) prune(before, now time.Time) (deleted int, err error) {
	err = kvdb.Update(s.db, func(tx kvdb.RwTx) error {
		var gone []transfer
		top := tx.ReadWriteBucket(paymentsBucket)
		err := top.NestedReadWriteBucket(recordsBucket).ForEach(func(key, raw []byte) error {
			t, err := decodeTransfer(binary.BigEndian.Uint64(key), raw)
			if err == nil && t.forgettable(now) && t.ended.Before(before) {
				gone = append(gone, t)
			}
			return err
		})
		if err != nil {
			return err
		}
		deleted = len(gone)
		return remove(top, gone)
	}, func() { deleted = 0 })
	return deleted, wrapStore("prune payments", err)
}

// remove deletes payments, and their hashes unless a later payment of the same hash has them.
func remove(top kvdb.RwBucket, gone []transfer) error {
	records := top.NestedReadWriteBucket(recordsBucket)
	hashes := top.NestedReadWriteBucket(hashesBucket)
	for _, t := range gone {
		if err := records.Delete(indexKey(t.index)); err != nil {
			return err
		}
		hash := t.bill.hash
		key := hashes.Get(hash[:])
		if key == nil || binary.BigEndian.Uint64(key) != t.index {
			continue
		}
		if err := hashes.Delete(hash[:]); err != nil {
			return err
		}
	}
	return nil
}

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// wrapStore adds what was attempted to an error of the database, but not to those of this package.
func wrapStore(what string, err error) error {
	for _, ours := range []error{ErrInFlight, ErrAlreadyPaid, ErrUnknownPayment} {
		if err == nil || errors.Is(err, ours) {
			return err
		}
	}
	return fmt.Errorf("pay: %s: %w", what, err)
}
