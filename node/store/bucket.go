package store

import (
	"errors"
	"slices"

	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

var _ kvdb.RwBucket = (*bucket)(nil)

// bucket is a bolt bucket that knows through which transaction it was reached.
type bucket struct {
	bolt *bbolt.Bucket
	tx   *transaction
	at   *place // nil unless changes are recorded
}

// NestedReadBucket returns a bucket inside this one, or nil.
func (b *bucket) NestedReadBucket(key []byte) kvdb.RBucket {
	if n := b.tx.open(b.bolt, b.at, key); n != nil {
		return n
	}

	return nil
}

// NestedReadWriteBucket returns a bucket inside this one, or nil.
func (b *bucket) NestedReadWriteBucket(key []byte) kvdb.RwBucket {
	if n := b.tx.open(b.bolt, b.at, key); n != nil {
		return n
	}

	return nil
}

// CreateBucket makes a bucket that must not be there yet.
func (b *bucket) CreateBucket(key []byte) (kvdb.RwBucket, error) {
	return b.tx.create(b.bolt, b.at, key)
}

// CreateBucketIfNotExists returns the bucket and makes it first if it is missing.
func (b *bucket) CreateBucketIfNotExists(key []byte) (kvdb.RwBucket, error) {
	return b.tx.ensure(b.bolt, b.at, key)
}

// DeleteNestedBucket deletes a bucket with all that is in it.
func (b *bucket) DeleteNestedBucket(key []byte) error {
	return b.tx.remove(b.bolt, b.at, key)
}

// ForEach calls f with each key and value; the value of a nested bucket is nil.
func (b *bucket) ForEach(f func(k, v []byte) error) error {
	return walletError(b.bolt.ForEach(f))
}

// Get returns the value of a key, or nil. It is valid until the transaction ends.
func (b *bucket) Get(key []byte) []byte { return b.bolt.Get(key) }

// touch notes that the bucket is changed, where a test watches.
func (b *bucket) touch() { b.tx.changes.touched(b.at, nil) }

// backValue is how to restore what is stored under key now.
func (b *bucket) backValue(key []byte) undoStep {
	if !b.tx.changes.keep {
		return nil
	}

	return b.at.backValue(b.bolt, key)
}

// Put stores a value. Bolt keeps the slice until the commit, which comes later than a closure
// expects, after those of others: the value is copied so that nobody can change it before.
func (b *bucket) Put(key, value []byte) error {
	b.touch()

	return b.tx.changes.make(func() error {
		return b.bolt.Put(key, slices.Clone(value))
	}, b.backValue(key))
}

// Delete removes a key; one that is missing is no error.
func (b *bucket) Delete(key []byte) error {
	b.touch()

	return b.tx.changes.make(func() error { return b.bolt.Delete(key) }, b.backValue(key))
}

// Tx returns the transaction, with the closure's own OnCommit.
func (b *bucket) Tx() kvdb.RwTx { return b.tx }

// Sequence returns the bucket's counter.
func (b *bucket) Sequence() uint64 { return b.bolt.Sequence() }

func (b *bucket) backSequence() undoStep {
	if !b.tx.changes.keep {
		return nil
	}

	return b.at.backSequence(b.bolt)
}

// NextSequence counts one up and returns the counter.
func (b *bucket) NextSequence() (n uint64, err error) {
	b.touch()
	err = b.tx.changes.make(func() (err error) {
		n, err = b.bolt.NextSequence()
		return err
	}, b.backSequence())

	return n, err
}

// SetSequence sets the counter.
func (b *bucket) SetSequence(n uint64) error {
	b.touch()

	return b.tx.changes.make(func() error { return b.bolt.SetSequence(n) }, b.backSequence())
}

// ReadCursor returns a cursor over the bucket.
func (b *bucket) ReadCursor() kvdb.RCursor { return &cursor{bolt: b.bolt.Cursor(), bucket: b} }

// ReadWriteCursor returns a cursor over the bucket that can delete.
func (b *bucket) ReadWriteCursor() kvdb.RwCursor {
	return &cursor{bolt: b.bolt.Cursor(), bucket: b}
}

// errCursor is returned where bolt would silently delete the pair behind the deleted one.
var errCursor = errors.New("store: move the cursor to a key before deleting through it")

// cursor is a bolt cursor that knows the key it is at, so that a deletion can be undone.
type cursor struct {
	bolt   *bbolt.Cursor
	bucket *bucket
	key    []byte // nil: at no key
}

func (c *cursor) moved(key, value []byte) ([]byte, []byte) {
	c.key = key

	return key, value
}

// First moves to the first pair and returns it.
func (c *cursor) First() (key, value []byte) { return c.moved(c.bolt.First()) }

// Last moves to the last pair and returns it.
func (c *cursor) Last() (key, value []byte) { return c.moved(c.bolt.Last()) }

// Next moves to the next pair and returns it.
func (c *cursor) Next() (key, value []byte) { return c.moved(c.bolt.Next()) }

// Prev moves to the pair before and returns it.
func (c *cursor) Prev() (key, value []byte) { return c.moved(c.bolt.Prev()) }

// Seek moves to the key, or the first one behind it, and returns the pair.
func (c *cursor) Seek(key []byte) (found, value []byte) { return c.moved(c.bolt.Seek(key)) }

// Delete removes the pair that the cursor is at.
func (c *cursor) Delete() error {
	if c.key == nil {
		return errCursor
	}
	c.bucket.touch()
	back := c.bucket.backValue(c.key)
	c.key = nil

	return c.bucket.tx.changes.make(c.bolt.Delete, back)
}
