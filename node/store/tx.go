package store

import (
	"slices"

	"github.com/btcsuite/btcwallet/walletdb"
	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

var _ kvdb.RwTx = (*transaction)(nil)

// transaction is one closure's face of a bolt transaction, which the closures of a group share.
type transaction struct {
	bolt     *bbolt.Tx
	changes  *changes
	handlers []func()     // of OnCommit
	end      func() error // Rollback; nil for a closure of Update
}

// open returns a bucket of c, which is at p, or nil.
func (t *transaction) open(c container, p *place, key []byte) *bucket {
	b := c.Bucket(key)
	if b == nil {
		return nil
	}

	return t.wrap(b, p, key)
}

func (t *transaction) wrap(b *bbolt.Bucket, p *place, key []byte) *bucket {
	if !t.changes.keep && t.changes.tops == nil {
		return &bucket{bolt: b, tx: t}
	}

	return &bucket{bolt: b, tx: t, at: &place{parent: p, name: slices.Clone(key)}}
}

// create makes a bucket in c, which is at p.
func (t *transaction) create(c container, p *place, key []byte) (kvdb.RwBucket, error) {
	var (
		made *bbolt.Bucket
		back undoStep
	)
	if t.changes.keep {
		back = p.backCreate(key)
	}
	t.changes.touched(p, key)
	err := t.changes.make(func() (err error) {
		made, err = c.CreateBucket(key)
		return err
	}, back)
	if err != nil {
		return nil, err
	}

	return t.wrap(made, p, key), nil
}

// ensure returns a bucket of c, which is at p, and makes it first if it is missing. Most calls find
// it, and that is no change.
func (t *transaction) ensure(c container, p *place, key []byte) (kvdb.RwBucket, error) {
	if !t.bolt.Writable() {
		return nil, walletdb.ErrTxNotWritable
	}
	if b := t.open(c, p, key); b != nil {
		return b, nil
	}

	return t.create(c, p, key)
}

// remove deletes a bucket of c, which is at p.
func (t *transaction) remove(c container, p *place, key []byte) error {
	var back undoStep
	if t.changes.keep {
		back = p.backDelete(c, key)
	}

	t.changes.touched(p, key)

	return t.changes.make(func() error { return c.DeleteBucket(key) }, back)
}

// ReadBucket returns a top level bucket, or nil.
func (t *transaction) ReadBucket(key []byte) kvdb.RBucket {
	// The interface must be nil too, not a nil pointer in an interface.
	if b := t.open(t.bolt, nil, key); b != nil {
		return b
	}

	return nil
}

// ReadWriteBucket returns a top level bucket, or nil.
func (t *transaction) ReadWriteBucket(key []byte) kvdb.RwBucket {
	if b := t.open(t.bolt, nil, key); b != nil {
		return b
	}

	return nil
}

// ForEachBucket calls f with the key of each top level bucket.
func (t *transaction) ForEachBucket(f func(key []byte) error) error {
	return walletError(t.bolt.ForEach(func(key []byte, _ *bbolt.Bucket) error {
		return f(key)
	}))
}

// CreateTopLevelBucket returns the bucket and makes it first if it is missing.
func (t *transaction) CreateTopLevelBucket(key []byte) (kvdb.RwBucket, error) {
	return t.ensure(t.bolt, nil, key)
}

// DeleteTopLevelBucket deletes a bucket with all that is in it.
func (t *transaction) DeleteTopLevelBucket(key []byte) error {
	return t.remove(t.bolt, nil, key)
}

// OnCommit registers a handler that runs after the commit, in the goroutine of the caller.
func (t *transaction) OnCommit(f func()) { t.handlers = append(t.handlers, f) }

// Rollback ends a transaction that the caller has begun; one that a closure shares is refused.
func (t *transaction) Rollback() error {
	if t.end == nil {
		return errShared
	}

	return walletError(t.end())
}

// Commit is refused: the transaction is either shared or for reading.
func (t *transaction) Commit() error {
	if t.end == nil {
		return errShared
	}

	return walletdb.ErrTxNotWritable
}

// ownTx is a transaction of BeginReadWriteTx.
type ownTx struct {
	transaction
	db     *DB
	caller string // only for tests
}

// Commit makes the transaction durable and runs its handlers.
func (t *ownTx) Commit() error {
	if t.bolt.DB() == nil {
		return walletdb.ErrTxClosed
	}
	var writes []Write
	if t.changes.dirty {
		writes = append(writes, t.changes.write(t.caller))
	}
	if err := t.db.save(t.bolt, writes); err != nil {
		return err
	}
	for _, handler := range t.handlers {
		handler()
	}

	return nil
}
