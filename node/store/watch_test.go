package store

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// nest writes into a bucket inside of another one.
func nest(tx kvdb.RwTx) error {
	b, err := tx.CreateTopLevelBucket([]byte("outer"))
	if err != nil {
		return err
	}
	if b, err = b.CreateBucketIfNotExists([]byte("inner")); err != nil {
		return err
	}

	return b.Put([]byte("k"), nil)
}

// TestWatch: each commit is named by its caller and its buckets, whichever way it is made.
func TestWatch(t *testing.T) {
	var seen []string
	db := openTest(t, Options{Watch: func(done bool, writes []Write) error {
		require.Len(t, writes, 1)
		if done {
			seen = append(seen, writes[0].String())
		}
		return nil
	}})
	require.NoError(t, db.Update(put("a"), noReset))
	require.NoError(t, kvdb.Update(db, nest, noReset))
	tx, err := db.BeginReadWriteTx()
	require.NoError(t, err)
	require.NoError(t, nest(tx))
	require.NoError(t, tx.DeleteTopLevelBucket([]byte("test")))
	require.NoError(t, tx.Commit())
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		_, err := tx.ReadWriteBucket([]byte("outer")).NextSequence()
		return err
	}, noReset))
	require.NoError(t, db.Update(func(kvdb.RwTx) error { return nil }, noReset)) // no write
	// The test itself is in a package that is left out: its caller is Go's.
	require.Equal(t, []string{
		"testing.tRunner test", "testing.tRunner outer",
		"testing.tRunner outer test", "testing.tRunner outer",
	}, seen)
}

// TestWatchNamesGroup: a commit of several closures names each that has written.
func TestWatchNamesGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		db := openTest(t, Options{Watch: func(done bool, writes []Write) error {
			if !done {
				sizes = append(sizes, len(writes))
			}
			return nil
		}})
		for i, err := range inOneGroup(db, put("a"), func(tx kvdb.RwTx) error {
			return errors.Join(put("dropped")(tx), errors.New("mine"))
		}, put("b")) {
			require.Equal(t, i == 1, err != nil)
		}
		require.Equal(t, []int{2}, sizes)
		require.Equal(t, map[string]bool{"a": true, "b": true}, keys(t, db.Path()))
	})
}

// TestWatchFails: an error of the watch latches the database, before the commit without and after
// it with what was to be written.
func TestWatchFails(t *testing.T) {
	for _, after := range []bool{false, true} {
		armed := false
		db := openTest(t, Options{Watch: func(done bool, _ []Write) error {
			if armed && done == after {
				return errors.New("input/output error")
			}
			return nil
		}})
		require.NoError(t, db.Update(put("before"), noReset))
		armed = true
		require.ErrorIs(t, db.Update(put("a"), noReset), ErrBroken)
		want := map[string]bool{"before": true}
		if after {
			want["a"] = true
		}
		latched(t, db, want)
	}
}
