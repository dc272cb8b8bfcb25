package store

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// The closures of a group share one bolt transaction, and bolt can only roll back the whole of it.
// So a closure that runs after others have changed something records how to take back each of its
// own changes; when it fails, they are taken back in reverse order and the others don't notice.
//
// To roll back and run the others again would be simpler, and wrong: not every closure in the code
// that we build on can run twice. channeldb's clearChanStatus computes its result from the result
// of its first run; btcwallet's address manager counts up in memory inside the closure and skips
// the write the second time.

// changes is what one closure does to the shared transaction. It belongs to whoever has the turn.
type changes struct {
	keep   bool // record how to undo
	dirty  bool // something was changed
	inside bool // bolt is changing its tree; after a panic: the tree is half changed
	undo   []undoStep
	tops   map[string]struct{} // the buckets that were changed; nil unless a test watches
}

func (db *DB) newChanges(keep bool) *changes {
	c := &changes{keep: keep}
	if db.watch != nil {
		c.tops = map[string]struct{}{}
	}

	return c
}

// undoStep takes one change back.
type undoStep func(*bbolt.Tx) error

// make runs one change and remembers how to take it back.
func (c *changes) make(op func() error, back undoStep) error {
	c.inside = true
	err := op()
	c.inside = false
	if err != nil {
		return walletError(err)
	}
	c.dirty = true
	if back != nil {
		c.undo = append(c.undo, back)
	}

	return nil
}

// takeBack undoes all changes.
func (c *changes) takeBack(tx *bbolt.Tx) error {
	for _, step := range slices.Backward(c.undo) {
		if err := step(tx); err != nil {
			return fmt.Errorf("undo a failed closure: %w", err)
		}
	}

	return nil
}

// container is what a bolt transaction and a bolt bucket have in common.
type container interface {
	Bucket(key []byte) *bbolt.Bucket
	CreateBucket(key []byte) (*bbolt.Bucket, error)
	CreateBucketIfNotExists(key []byte) (*bbolt.Bucket, error)
	DeleteBucket(key []byte) error
}

// place names a bucket by its path; nil is the root. A bolt bucket itself would not do for an undo
// step: it goes stale when the bucket is deleted and made again by the steps before.
type place struct {
	parent *place
	name   []byte
}

func (p *place) in(tx *bbolt.Tx) container {
	if p == nil {
		return tx
	}

	return p.bucket(tx)
}

func (p *place) bucket(tx *bbolt.Tx) *bbolt.Bucket {
	return p.parent.in(tx).Bucket(p.name)
}

// backValue restores what b has under key now, be it a value or nothing.
func (p *place) backValue(b *bbolt.Bucket, key []byte) undoStep {
	key = slices.Clone(key)
	// Get can't tell a missing key from an empty value that was stored in this transaction.
	found, value := b.Cursor().Seek(key)
	if found == nil || !bytes.Equal(found, key) {
		return func(tx *bbolt.Tx) error { return p.bucket(tx).Delete(key) }
	}
	value = slices.Clone(value)

	return func(tx *bbolt.Tx) error { return p.bucket(tx).Put(key, value) }
}

// backSequence restores the counter that b has now.
func (p *place) backSequence(b *bbolt.Bucket) undoStep {
	n := b.Sequence()

	return func(tx *bbolt.Tx) error { return p.bucket(tx).SetSequence(n) }
}

// backCreate deletes a bucket that is about to be made.
func (p *place) backCreate(key []byte) undoStep {
	key = slices.Clone(key)

	return func(tx *bbolt.Tx) error { return p.in(tx).DeleteBucket(key) }
}

// backDelete makes a bucket again that is about to be deleted, with all that is in it.
func (p *place) backDelete(c container, key []byte) undoStep {
	b := c.Bucket(key)
	if b == nil {
		return nil // the deletion will fail
	}
	key = slices.Clone(key)
	saved := snapshotOf(b)

	return func(tx *bbolt.Tx) error { return saved.restore(p.in(tx), key) }
}

// snapshot is a copy of a bucket.
type snapshot struct {
	sequence uint64
	pairs    []pair
}

// pair is a key with either a value or a bucket.
type pair struct {
	key, value []byte
	bucket     *snapshot
}

func snapshotOf(b *bbolt.Bucket) *snapshot {
	s := &snapshot{sequence: b.Sequence()}
	cursor := b.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		p := pair{key: slices.Clone(k), value: slices.Clone(v)}
		if v == nil {
			// A bucket, or an empty value that was stored in this transaction.
			if nested := b.Bucket(k); nested != nil {
				p.bucket = snapshotOf(nested)
			}
		}
		s.pairs = append(s.pairs, p)
	}

	return s
}

func (s *snapshot) restore(c container, key []byte) error {
	b, err := c.CreateBucket(key)
	if err != nil {
		return err
	}
	if err := b.SetSequence(s.sequence); err != nil {
		return err
	}
	for _, p := range s.pairs {
		if p.bucket != nil {
			err = p.bucket.restore(b, p.key)
		} else {
			err = b.Put(p.key, p.value)
		}
		if err != nil {
			return err
		}
	}

	return nil
}
