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
	dirty    *bool    // set by the first change; shared by the group; nil when reading
	handlers []func() // of OnCommit
	end      func() error
}

func (t *transaction) touch() {
	if t.dirty != nil {
		*t.dirty = true
	}
}

// ReadBucket returns a top level bucket, or nil.
func (t *transaction) ReadBucket(key []byte) kvdb.RBucket {
	if b := t.bolt.Bucket(key); b != nil {
		return &bucket{b, t}
	}

	return nil
}

// ReadWriteBucket returns a top level bucket, or nil.
func (t *transaction) ReadWriteBucket(key []byte) kvdb.RwBucket {
	if b := t.bolt.Bucket(key); b != nil {
		return &bucket{b, t}
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
	if t.bolt.Writable() {
		// Most calls find the bucket there, and are then no change.
		if b := t.bolt.Bucket(key); b != nil {
			return &bucket{b, t}, nil
		}
	}
	t.touch()
	b, err := t.bolt.CreateBucketIfNotExists(key)
	if err != nil {
		return nil, walletError(err)
	}

	return &bucket{b, t}, nil
}

// DeleteTopLevelBucket deletes a bucket with all that is in it.
func (t *transaction) DeleteTopLevelBucket(key []byte) error {
	t.touch()

	return walletError(t.bolt.DeleteBucket(key))
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

// Commit is refused: here it is either a closure's, or read-only.
func (t *transaction) Commit() error {
	if t.end == nil {
		return errShared
	}

	return walletdb.ErrTxNotWritable
}

// ownTx is a transaction of BeginReadWriteTx.
type ownTx struct {
	transaction
	db *DB
}

// Commit makes the transaction durable and runs its handlers.
func (t *ownTx) Commit() error {
	if t.bolt.DB() == nil {
		return walletdb.ErrTxClosed
	}
	if err := t.db.save(t.bolt, *t.dirty, 1); err != nil {
		return err
	}
	for _, handler := range t.handlers {
		handler()
	}

	return nil
}

// bucket is a bolt bucket that knows through which transaction it was reached.
type bucket struct {
	bolt *bbolt.Bucket
	tx   *transaction
}

func (b *bucket) nested(key []byte) *bucket {
	if n := b.bolt.Bucket(key); n != nil {
		return &bucket{n, b.tx}
	}

	return nil
}

// NestedReadBucket returns a bucket inside this one, or nil.
func (b *bucket) NestedReadBucket(key []byte) kvdb.RBucket {
	// The interface must be nil too, not a nil pointer in an interface.
	if n := b.nested(key); n != nil {
		return n
	}

	return nil
}

// NestedReadWriteBucket returns a bucket inside this one, or nil.
func (b *bucket) NestedReadWriteBucket(key []byte) kvdb.RwBucket {
	if n := b.nested(key); n != nil {
		return n
	}

	return nil
}

// CreateBucket makes a bucket that must not be there yet.
func (b *bucket) CreateBucket(key []byte) (kvdb.RwBucket, error) {
	b.tx.touch()
	n, err := b.bolt.CreateBucket(key)
	if err != nil {
		return nil, walletError(err)
	}

	return &bucket{n, b.tx}, nil
}

// CreateBucketIfNotExists returns the bucket and makes it first if it is missing.
func (b *bucket) CreateBucketIfNotExists(key []byte) (kvdb.RwBucket, error) {
	if b.bolt.Writable() {
		if n := b.nested(key); n != nil {
			return n, nil
		}
	}
	b.tx.touch()
	n, err := b.bolt.CreateBucketIfNotExists(key)
	if err != nil {
		return nil, walletError(err)
	}

	return &bucket{n, b.tx}, nil
}

// DeleteNestedBucket deletes a bucket with all that is in it.
func (b *bucket) DeleteNestedBucket(key []byte) error {
	b.tx.touch()

	return walletError(b.bolt.DeleteBucket(key))
}

// ForEach calls f with each key and value; the value of a nested bucket is nil.
func (b *bucket) ForEach(f func(k, v []byte) error) error {
	return walletError(b.bolt.ForEach(f))
}

// Get returns the value of a key, or nil. It is valid until the transaction ends.
func (b *bucket) Get(key []byte) []byte { return b.bolt.Get(key) }

// Put stores a value. Bolt keeps the slice until the commit, which here comes later than a closure
// expects, after those of others: the value is copied so that nobody can change it under us.
func (b *bucket) Put(key, value []byte) error {
	b.tx.touch()

	return walletError(b.bolt.Put(key, slices.Clone(value)))
}

// Delete removes a key; one that is missing is no error.
func (b *bucket) Delete(key []byte) error {
	b.tx.touch()

	return walletError(b.bolt.Delete(key))
}

// Tx returns the transaction, with the closure's own OnCommit.
func (b *bucket) Tx() kvdb.RwTx { return b.tx }

// Sequence returns the bucket's counter.
func (b *bucket) Sequence() uint64 { return b.bolt.Sequence() }

// NextSequence counts one up and returns the counter.
func (b *bucket) NextSequence() (uint64, error) {
	b.tx.touch()
	n, err := b.bolt.NextSequence()

	return n, walletError(err)
}

// SetSequence sets the counter.
func (b *bucket) SetSequence(n uint64) error {
	b.tx.touch()

	return walletError(b.bolt.SetSequence(n))
}

// ReadCursor returns a cursor over the bucket.
func (b *bucket) ReadCursor() kvdb.RCursor { return &cursor{b.bolt.Cursor(), b.tx} }

// ReadWriteCursor returns a cursor over the bucket that can delete.
func (b *bucket) ReadWriteCursor() kvdb.RwCursor { return &cursor{b.bolt.Cursor(), b.tx} }

// cursor is a bolt cursor that reports its deletions.
type cursor struct {
	*bbolt.Cursor
	tx *transaction
}

// Delete removes the pair that the cursor is at.
func (c *cursor) Delete() error {
	c.tx.touch()

	return walletError(c.Cursor.Delete())
}
