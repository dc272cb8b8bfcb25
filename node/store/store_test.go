package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/btcsuite/btcwallet/walletdb"
	"github.com/btcsuite/btcwallet/walletdb/walletdbtest"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

var testBucket = []byte("test")

// openTest opens a database in a directory of its own and closes it with the test.
func openTest(t testing.TB, o Options) *DB {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "node")
	}
	db, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	return db
}

// put returns a closure that stores key = key.
func put(key string) func(kvdb.RwTx) error {
	return func(tx kvdb.RwTx) error {
		b, err := tx.CreateTopLevelBucket(testBucket)
		if err != nil {
			return err
		}

		return b.Put([]byte(key), []byte(key))
	}
}

func noReset() {}

// keys returns the keys of the test bucket as they are on disk: it opens a copy of the file, as
// after a crash at this moment.
func keys(t testing.TB, path string) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	image := filepath.Join(t.TempDir(), "image.db")
	require.NoError(t, os.WriteFile(image, raw, fileMode))
	bolt, err := bbolt.Open(image, fileMode, nil)
	require.NoError(t, err)
	defer bolt.Close()

	found := map[string]bool{}
	require.NoError(t, bolt.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		b := tx.Bucket(testBucket)
		if b == nil {
			return nil
		}

		return b.ForEach(func(k, _ []byte) error {
			found[string(k)] = true
			return nil
		})
	}))

	return found
}

// inOneGroup runs the closures in one group, in their order, and returns their verdicts. It needs a
// synctest bubble: only there is it certain that all stand in line.
func inOneGroup(db *DB, closures ...func(kvdb.RwTx) error) []error {
	var (
		wg      sync.WaitGroup
		errs    = make([]error, len(closures))
		release = make(chan struct{})
	)
	wg.Go(func() { // holds up the writer with a group of its own
		_ = db.Update(func(kvdb.RwTx) error { <-release; return nil }, noReset)
	})
	synctest.Wait()
	for i, f := range closures {
		wg.Go(func() {
			errs[i] = errors.New("no verdict: gone")
			errs[i] = db.Update(f, noReset)
		})
		synctest.Wait()
	}
	close(release)
	wg.Wait()

	return errs
}

func TestUpdateReturnsWhenDurable(t *testing.T) {
	db := openTest(t, Options{})
	const writers = 64
	var wg sync.WaitGroup
	missing := make(chan string, writers)
	for i := range writers {
		wg.Go(func() {
			key := fmt.Sprint("key", i)
			write := func() error { return db.Update(put(key), noReset) }
			if i%2 == 0 {
				write = func() error { return db.Batch(put(key)) }
			}
			if err := write(); err != nil || !keys(t, db.Path())[key] {
				missing <- fmt.Sprint(key, " ", err)
			}
		})
	}
	wg.Wait()
	close(missing)
	for key := range missing {
		t.Errorf("%s is not on disk although its Update has returned", key)
	}
	s := db.Stats()
	require.EqualValues(t, writers, s.Writes)
	require.LessOrEqual(t, s.Commits, s.Writes)
}

func TestUpdateDoesNotReturnBeforeTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		atCommit, goOn := make(chan struct{}), make(chan struct{})
		db.commit = func(tx *bbolt.Tx) error {
			close(atCommit)
			<-goOn
			return tx.Commit()
		}
		returned := false
		var wg sync.WaitGroup
		wg.Go(func() {
			require.NoError(t, db.Update(put("a"), noReset))
			returned = true
		})
		<-atCommit
		synctest.Wait()
		require.False(t, returned, "Update returned before its commit had")
		close(goOn)
		wg.Wait()
	})
}

func TestFailingClosureFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		errMine := errors.New("mine")
		runs := map[string]int{}
		named := func(key string, fail error) func(kvdb.RwTx) error {
			return func(tx kvdb.RwTx) error {
				runs[key]++
				if err := put(key)(tx); err != nil {
					return err
				}
				return fail
			}
		}
		before := db.Stats()
		errs := inOneGroup(db,
			named("a", errMine), // fails before anybody has changed anything
			named("b", nil), named("c", errMine),
			named("d", nil), named("e", walletdb.ErrDryRunRollBack), named("f", nil))

		require.Equal(t, []error{errMine, nil, errMine, nil, walletdb.ErrDryRunRollBack, nil}, errs)
		require.Equal(t, map[string]bool{"b": true, "d": true, "f": true}, keys(t, db.Path()))
		require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}, runs,
			"no closure runs twice")
		require.Equal(t, Stats{Writes: before.Writes + 3, Commits: before.Commits + 1}, db.Stats())
	})
}

// A closure's error may rest on what a neighbour has written and not yet saved: nobody may act on
// it before that is on disk.
func TestErrorWaitsForTheNeighboursItHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		require.NoError(t, db.Update(put("first"), noReset))
		db.commit = func(*bbolt.Tx) error { return errors.New("disk full") }
		errSeen := errors.New("already paid")
		errs := inOneGroup(db, put("a"), func(tx kvdb.RwTx) error {
			if tx.ReadBucket(testBucket).Get([]byte("a")) != nil {
				return errSeen
			}
			return nil
		})
		require.ErrorIs(t, errs[0], ErrBroken)
		require.ErrorIs(t, errs[1], ErrBroken)
		require.NotErrorIs(t, errs[1], errSeen)
	})
}

func TestPanicAndGoexitReachOnlyTheirCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		errs := inOneGroup(db, put("a"),
			func(tx kvdb.RwTx) error {
				_ = put("goexit")(tx)
				runtime.Goexit() // as t.FailNow does
				return nil
			},
			put("b"))
		require.NoError(t, errs[0])
		require.ErrorContains(t, errs[1], "gone")
		require.NoError(t, errs[2])

		// The first in line leads the group: those behind it get what they wait for.
		errs = inOneGroup(db, func(tx kvdb.RwTx) error {
			_ = put("leader")(tx)
			runtime.Goexit()
			return nil
		}, put("d"), put("e"))
		require.ErrorContains(t, errs[0], "gone")
		require.NoError(t, errors.Join(errs[1:]...))

		var caught any
		func() {
			defer func() { caught = recover() }()
			_ = db.Update(func(tx kvdb.RwTx) error {
				_ = put("panic")(tx)
				panic("mine")
			}, noReset)
		}()
		require.Equal(t, "mine", caught)

		require.NoError(t, db.Update(put("c"), noReset), "others can lead")
		require.Equal(t, map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true},
			keys(t, db.Path()))
	})
}

func TestResetRunsBeforeTheClosure(t *testing.T) {
	db := openTest(t, Options{})
	var order []string
	require.NoError(t, db.Update(
		func(kvdb.RwTx) error { order = append(order, "run"); return nil },
		func() { order = append(order, "reset") }))
	require.NoError(t, db.View(
		func(kvdb.RTx) error { order = append(order, "view"); return nil },
		func() { order = append(order, "reset") }))
	require.Equal(t, []string{"reset", "run", "reset", "view"}, order)
}

// btcwallet takes a lock in OnCommit that its callers hold while they write.
func TestOnCommitRunsInTheCallerAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		require.NoError(t, db.Update(put("first"), noReset))
		var mu sync.Mutex
		saved := false
		errs := inOneGroup(db,
			func(tx kvdb.RwTx) error {
				b := tx.ReadWriteBucket(testBucket)
				b.Tx().OnCommit(func() {
					mu.Lock()
					defer mu.Unlock()
					saved = keys(t, db.Path())["a"]
				})
				return b.Put([]byte("a"), nil)
			},
			func(tx kvdb.RwTx) error {
				mu.Lock() // held until this caller's Update returns, see below
				tx.OnCommit(mu.Unlock)
				return put("b")(tx)
			},
			func(tx kvdb.RwTx) error {
				tx.OnCommit(func() { t.Error("handler of a failed closure was run") })
				return errors.New("failed")
			})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.True(t, saved, "the handler runs when the data is on disk")
	})
}

func TestGroupAndQueueLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		const waiting = queueLimit + 10
		var wg sync.WaitGroup
		release := make(chan struct{})
		wg.Go(func() { _ = db.Update(func(kvdb.RwTx) error { <-release; return nil }, noReset) })
		synctest.Wait()
		returned := 0
		var mu sync.Mutex
		for i := range waiting {
			wg.Go(func() {
				require.NoError(t, db.Update(put(fmt.Sprint(i)), noReset))
				mu.Lock()
				defer mu.Unlock()
				returned++
			})
		}
		synctest.Wait()
		require.Len(t, db.queue, queueLimit, "the line is full and the rest wait before it")
		require.Zero(t, returned)

		close(release)
		wg.Wait()
		s := db.Stats()
		require.EqualValues(t, waiting, s.Writes)
		require.Greater(t, int(s.Commits), waiting/DefaultMaxGroup, "a group has a limit")
		require.LessOrEqual(t, int(s.Commits), waiting/DefaultMaxGroup+2, "groups are filled")
		require.Len(t, keys(t, db.Path()), waiting)
	})
}

func TestMaxGroupOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{MaxGroup: 1})
		inOneGroup(db, put("a"), put("b"), put("c"))
		require.Equal(t, Stats{Writes: 3, Commits: 3}, db.Stats())
	})
}

func TestReadingCostsNoCommit(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(put("a"), noReset))
	before := db.Stats()
	ran := false
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		tx.OnCommit(func() { ran = true })
		_, err := tx.CreateTopLevelBucket(testBucket)
		return err
	}, noReset))
	require.ErrorIs(t, db.Update(func(tx kvdb.RwTx) error {
		_ = put("dry")(tx)
		return walletdb.ErrDryRunRollBack
	}, noReset), walletdb.ErrDryRunRollBack)
	require.Equal(t, before, db.Stats())
	require.True(t, ran)
}

// Each way to change the file must count as a change, or its commit would be left out.
func TestEveryChangeIsCommitted(t *testing.T) {
	type change = func(tx kvdb.RwTx, b kvdb.RwBucket) error
	for name, f := range map[string]change{
		"CreateTopLevelBucket": func(tx kvdb.RwTx, _ kvdb.RwBucket) error {
			_, err := tx.CreateTopLevelBucket([]byte("new"))
			return err
		},
		"DeleteTopLevelBucket": func(tx kvdb.RwTx, _ kvdb.RwBucket) error {
			return tx.DeleteTopLevelBucket([]byte("gone"))
		},
		"Put":    func(_ kvdb.RwTx, b kvdb.RwBucket) error { return b.Put([]byte("k"), []byte("v")) },
		"Delete": func(_ kvdb.RwTx, b kvdb.RwBucket) error { return b.Delete([]byte("a")) },
		"CreateBucket": func(_ kvdb.RwTx, b kvdb.RwBucket) error {
			_, err := b.CreateBucket([]byte("new"))
			return err
		},
		"CreateBucketIfNotExists": func(_ kvdb.RwTx, b kvdb.RwBucket) error {
			_, err := b.CreateBucketIfNotExists([]byte("new"))
			return err
		},
		"DeleteNestedBucket": func(_ kvdb.RwTx, b kvdb.RwBucket) error {
			return b.DeleteNestedBucket([]byte("nested"))
		},
		"NextSequence": func(_ kvdb.RwTx, b kvdb.RwBucket) error {
			_, err := b.NextSequence()
			return err
		},
		"SetSequence": func(_ kvdb.RwTx, b kvdb.RwBucket) error { return b.SetSequence(9) },
		"cursor Delete": func(_ kvdb.RwTx, b kvdb.RwBucket) error {
			c := b.ReadWriteCursor()
			c.First()
			return c.Delete()
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, Options{})
			require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
				if _, err := tx.CreateTopLevelBucket([]byte("gone")); err != nil {
					return err
				}
				if err := put("a")(tx); err != nil {
					return err
				}
				_, err := tx.ReadWriteBucket(testBucket).CreateBucket([]byte("nested"))
				return err
			}, noReset))
			before, dump := db.Stats(), dumpOf(t, db)
			require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
				return f(tx, tx.ReadWriteBucket(testBucket))
			}, noReset))
			require.Equal(t, before.Commits+1, db.Stats().Commits)
			require.NotEqual(t, dump, dumpOf(t, db))
		})
	}
}

func TestOwnTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		tx, err := db.BeginReadWriteTx()
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, db.Update(put("b"), noReset)) })
		require.NoError(t, put("a")(tx))
		ran := false
		tx.OnCommit(func() { ran = true })
		require.NoError(t, tx.Commit())
		wg.Wait()
		require.True(t, ran)
		require.ErrorIs(t, tx.Commit(), walletdb.ErrTxClosed)
		require.ErrorIs(t, tx.Rollback(), walletdb.ErrTxClosed)

		tx, err = db.BeginReadWriteTx()
		require.NoError(t, err)
		require.NoError(t, put("c")(tx))
		require.NoError(t, tx.Rollback())
		require.Equal(t, map[string]bool{"a": true, "b": true}, keys(t, db.Path()))
		require.Equal(t, Stats{Writes: 2, Commits: 2}, db.Stats())
	})
}

func TestClosureCannotEndTheSharedTransaction(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		require.ErrorIs(t, tx.Commit(), errShared)
		require.ErrorIs(t, tx.Rollback(), errShared)
		return put("a")(tx)
	}, noReset))
	require.True(t, keys(t, db.Path())["a"])
}

func TestViewInsideUpdate(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(put("a"), noReset))
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		require.NoError(t, put("b")(tx))
		return db.View(func(tx kvdb.RTx) error {
			b := tx.ReadBucket(testBucket)
			require.NotNil(t, b.Get([]byte("a")))
			require.Nil(t, b.Get([]byte("b")), "not committed yet")
			require.Nil(t, b.NestedReadBucket([]byte("none")))
			require.ErrorIs(t, b.(kvdb.RwBucket).Put([]byte("x"), nil), walletdb.ErrTxNotWritable)
			return nil
		}, noReset)
	}, noReset))
}

// A goroutine that writes while it reads would deadlock if the file's memory map had to move.
func TestUpdateInsideViewOfAGrowingFile(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.View(func(kvdb.RTx) error {
		return db.Update(func(tx kvdb.RwTx) error {
			b, err := tx.CreateTopLevelBucket(testBucket)
			if err != nil {
				return err
			}
			return b.Put([]byte("big"), bytes.Repeat([]byte{1}, 8<<20))
		}, noReset)
	}, noReset))
}

// The caller may use its buffer again as soon as Put has returned.
func TestPutCopiesTheValue(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
		b, err := tx.CreateTopLevelBucket(testBucket)
		require.NoError(t, err)
		value := []byte("right")
		require.NoError(t, b.Put([]byte("k"), value))
		copy(value, "wrong")
		return nil
	}, noReset))
	require.NoError(t, db.View(func(tx kvdb.RTx) error {
		require.Equal(t, "right", string(tx.ReadBucket(testBucket).Get([]byte("k"))))
		return nil
	}, noReset))
}

func TestCloseWaitsForWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		release := make(chan struct{})
		var wg sync.WaitGroup
		closed := false
		wg.Go(func() {
			require.NoError(t, db.Update(func(tx kvdb.RwTx) error {
				<-release
				return put("a")(tx)
			}, noReset))
		})
		synctest.Wait()
		wg.Go(func() { require.NoError(t, db.Update(put("b"), noReset)) })
		synctest.Wait()
		wg.Go(func() { require.NoError(t, db.Close()); closed = true })
		synctest.Wait()
		require.False(t, closed)
		close(release)
		wg.Wait()
		require.True(t, closed)
		require.Equal(t, map[string]bool{"a": true, "b": true}, keys(t, db.Path()))

		require.ErrorIs(t, db.Update(put("c"), noReset), walletdb.ErrDbNotOpen)
		require.ErrorIs(t, db.View(func(kvdb.RTx) error { return nil }, noReset), walletdb.ErrDbNotOpen)
		_, err := db.BeginReadWriteTx()
		require.ErrorIs(t, err, walletdb.ErrDbNotOpen)
		require.NoError(t, db.Close(), "closing again does nothing")
	})
}

func TestCopyIsADatabase(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(put("a"), noReset))
	var image bytes.Buffer
	require.NoError(t, db.Copy(&image))
	path := filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, os.WriteFile(path, image.Bytes(), fileMode))
	require.True(t, keys(t, path)["a"])
	require.Contains(t, db.PrintStats(), "writes 1, commits 1")
}

// The suite with which btcwallet tests its own drivers.
func TestWalletdbSuite(t *testing.T) {
	driver := t.TempDir() // a name that no other run of this test has taken
	openDriver := func(args ...any) (walletdb.DB, error) {
		db, err := Open(Options{Dir: args[0].(string)})
		if err != nil {
			return nil, err
		}
		// The suite wants to be alone in the file.
		return db, db.Update(func(tx kvdb.RwTx) error {
			return tx.DeleteTopLevelBucket(metaBucket)
		}, noReset)
	}
	require.NoError(t, walletdb.RegisterDriver(
		walletdb.Driver{DbType: driver, Create: openDriver, Open: openDriver}))
	walletdbtest.TestInterface(t, driver, filepath.Join(t.TempDir(), "node"))
}
