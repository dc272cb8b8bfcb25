package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// dumpOf writes all that is in a database as text, and checks bolt's pages. Pages that bolt has
// lost track of are let pass: plain bolt loses them as well when a bucket with nested ones is
// deleted, and with them goes only space.
func dumpOf(t testing.TB, db kvdb.Backend) string {
	t.Helper()
	var s strings.Builder
	require.NoError(t, db.View(func(tx kvdb.RTx) error {
		return tx.ForEachBucket(func(key []byte) error {
			if string(key) != string(metaBucket) {
				dumpBucket(&s, string(key), tx.ReadBucket(key))
			}
			return nil
		})
	}, noReset))
	if ours, ok := db.(*DB); ok {
		require.NoError(t, ours.bolt.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				if !strings.HasSuffix(err.Error(), "unreachable unfreed") {
					return err
				}
			}
			return nil
		}))
	}

	return s.String()
}

func dumpBucket(s *strings.Builder, path string, b kvdb.RBucket) {
	fmt.Fprintf(s, "%s sequence %d\n", path, b.Sequence())
	c := b.ReadCursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if nested := b.NestedReadBucket(k); nested != nil {
			dumpBucket(s, path+"/"+string(k), nested)
			continue
		}
		fmt.Fprintf(s, "%s/%s = %x\n", path, k, v)
	}
}

// randomClosure does some random things to random buckets, all drawn from its seed, and notes what
// it has seen. It fails at the end, or not.
func randomClosure(seed uint64, fail bool, seen *strings.Builder) func(kvdb.RwTx) error {
	return func(tx kvdb.RwTx) error {
		r := rand.New(rand.NewPCG(seed, seed))
		for range 1 + r.IntN(12) {
			fmt.Fprintln(seen, randomStep(tx, r))
		}
		if fail {
			return errors.New("failed")
		}
		return nil
	}
}

func randomStep(tx kvdb.RwTx, r *rand.Rand) string {
	name := func() []byte { return fmt.Appendf(nil, "n%d", r.IntN(4)) }
	if r.IntN(25) == 0 {
		return fmt.Sprint("delete top ", tx.DeleteTopLevelBucket(name()))
	}
	b, err := tx.CreateTopLevelBucket(name())
	for depth := r.IntN(3); depth > 0 && err == nil; depth-- {
		b, err = b.CreateBucketIfNotExists(name())
	}
	if err != nil {
		return err.Error()
	}
	switch r.IntN(8) {
	case 0:
		return fmt.Sprint("delete ", b.Delete(name()))
	case 1:
		return fmt.Sprint("delete bucket ", b.DeleteNestedBucket(name()))
	case 2:
		_, err := b.CreateBucket(name())
		return fmt.Sprint("create ", err)
	case 3:
		n, err := b.NextSequence()
		return fmt.Sprint("next ", n, err)
	case 4:
		return fmt.Sprint("set ", b.SetSequence(r.Uint64N(100)))
	case 5:
		c := b.ReadWriteCursor()
		k, v := c.Seek(name())
		if k == nil || v == nil {
			return fmt.Sprintf("seek %s %x", k, v)
		}
		return fmt.Sprintf("cursor %s %x %v", k, v, c.Delete())
	case 6: // many keys, so that pages split
		for i := range r.IntN(150) {
			_ = b.Put(fmt.Appendf(nil, "k%d", i), make([]byte, r.IntN(90)))
		}
		return "fill"
	default:
		key := name()
		before := b.Get(key)
		return fmt.Sprintf("put %x %v", before, b.Put(key, make([]byte, r.IntN(3))))
	}
}

// TestRandomGroups runs random closures in random groups, some failing, and compares what they have
// seen and what is left with a plain bolt database that ran only those that did not fail.
func TestRandomGroups(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 1))
		db := openTest(t, Options{})
		plain, err := kvdb.Create(kvdb.BoltBackendName,
			filepath.Join(t.TempDir(), "plain.db"), true, time.Second, false)
		require.NoError(t, err)
		defer plain.Close()

		for range 40 {
			var group []func(kvdb.RwTx) error
			var seen, want []*strings.Builder
			var wantErr []bool
			for range 1 + r.IntN(8) {
				step, fail := r.Uint64(), r.IntN(3) == 0
				got := new(strings.Builder)
				group = append(group, randomClosure(step, fail, got))
				seen, wantErr = append(seen, got), append(wantErr, fail)
				expect := new(strings.Builder)
				_ = plain.Update(randomClosure(step, fail, expect), noReset)
				want = append(want, expect)
			}
			for i, err := range inOneGroup(db, group...) {
				require.Equal(t, wantErr[i], err != nil)
				require.Equal(t, want[i].String(), seen[i].String(), "closure %d of its group", i)
			}
			require.Equal(t, dumpOf(t, plain), dumpOf(t, db))
		}
	})
}

func TestUndoOfADeletedTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
			b, err := tx.CreateTopLevelBucket([]byte("tree"))
			require.NoError(t, err)
			require.NoError(t, b.SetSequence(7))
			require.NoError(t, b.Put([]byte("k"), []byte("v")))
			nested, err := b.CreateBucket([]byte("nested"))
			require.NoError(t, err)
			for i := range 2000 {
				require.NoError(t, nested.Put(fmt.Appendf(nil, "%d", i), make([]byte, 40)))
			}
			return nested.SetSequence(9)
		}, noReset))
		before := dumpOf(t, db)
		errs := inOneGroup(db,
			func(tx kvdb.RwTx) error {
				b := tx.ReadWriteBucket([]byte("tree"))
				return b.Put([]byte("empty"), nil) // bolt shows it as nil until the commit
			},
			func(tx kvdb.RwTx) error {
				require.NoError(t, tx.DeleteTopLevelBucket([]byte("tree")))
				b, err := tx.CreateTopLevelBucket([]byte("tree"))
				require.NoError(t, err)
				require.NoError(t, b.Put([]byte("nested"), []byte("now a value")))
				return errors.New("failed")
			},
			func(tx kvdb.RwTx) error {
				return tx.ReadWriteBucket([]byte("tree")).Delete([]byte("empty"))
			})
		require.NoError(t, errs[0])
		require.Error(t, errs[1])
		require.NoError(t, errs[2])
		require.Equal(t, before, dumpOf(t, db))
	})
}

func TestCursorDeletesOnlyTheKeyThatItShowed(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		for _, key := range []string{"a", "b", "c"} {
			require.NoError(t, put(key)(tx))
		}
		c := tx.ReadWriteBucket(testBucket).ReadWriteCursor()
		require.ErrorIs(t, c.Delete(), errCursor)
		k, _ := c.First()
		require.Equal(t, "a", string(k))
		require.NoError(t, c.Delete())
		require.ErrorIs(t, c.Delete(), errCursor, "bolt would delete b")
		k, _ = c.Last()
		require.Equal(t, "c", string(k))
		k, _ = c.Prev()
		require.Equal(t, "b", string(k))
		return nil
	}, noReset))
	require.Equal(t, map[string]bool{"b": true, "c": true}, keys(t, db.Path()))
}
