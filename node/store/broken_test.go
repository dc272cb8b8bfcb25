package store

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// latched asserts that the database takes no more writes, still reads, and can be opened again.
func latched(t *testing.T, db *DB, want map[string]bool) {
	t.Helper()
	select {
	case <-db.Failed():
	default:
		t.Fatal("Failed is not closed")
	}
	require.ErrorIs(t, db.Err(), ErrBroken)
	db.commit = (*bbolt.Tx).Commit // a disk that works again changes nothing: memory is ahead of it
	ran := false
	f := func(kvdb.RwTx) error { ran = true; return nil }
	require.ErrorIs(t, db.Update(f, noReset), ErrBroken)
	require.ErrorIs(t, db.Batch(f), ErrBroken)
	_, err := db.BeginReadWriteTx()
	require.ErrorIs(t, err, ErrBroken)
	require.False(t, ran)
	require.NoError(t, db.View(func(tx kvdb.RTx) error {
		require.NotNil(t, tx.ReadBucket(testBucket).Get([]byte("before")))
		return nil
	}, noReset))
	require.NoError(t, db.Close())
	require.Equal(t, want, keys(t, db.Path()))
}

func TestFailedCommitLatches(t *testing.T) {
	errDisk := errors.New("input/output error")
	for name, commit := range map[string]func(*bbolt.Tx) error{
		"error": func(*bbolt.Tx) error { return errDisk },
		"error after bolt has rolled back": func(tx *bbolt.Tx) error {
			return errors.Join(errDisk, tx.Rollback())
		},
		"panic": func(*bbolt.Tx) error { panic(errDisk) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openTest(t, Options{})
				require.NoError(t, db.Update(put("before"), noReset))
				require.NoError(t, db.Err())
				db.commit = commit
				for _, err := range inOneGroup(db, put("a"), put("b")) {
					require.ErrorIs(t, err, ErrBroken)
					require.ErrorContains(t, err, errDisk.Error())
				}
				latched(t, db, map[string]bool{"before": true})
			})
		})
	}
}

func TestFailedCommitOfAnOwnTransactionLatches(t *testing.T) {
	db := openTest(t, Options{})
	require.NoError(t, db.Update(put("before"), noReset))
	db.commit = func(*bbolt.Tx) error { return syscall.ENOSPC }
	tx, err := db.BeginReadWriteTx()
	require.NoError(t, err)
	require.NoError(t, put("a")(tx))
	err = tx.Commit()
	require.ErrorIs(t, err, ErrBroken)
	require.ErrorIs(t, err, syscall.ENOSPC)
	latched(t, db, map[string]bool{"before": true})
}

// Writers that stand in line when a commit fails are told, and their closures are not run.
func TestThoseInLineAreToldOfTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{MaxGroup: 1})
		require.NoError(t, db.Update(put("before"), noReset))
		db.commit = func(*bbolt.Tx) error { return syscall.EIO }
		ran := false
		errs := inOneGroup(db, put("a"), func(kvdb.RwTx) error { ran = true; return nil })
		require.ErrorIs(t, errs[0], ErrBroken)
		require.ErrorIs(t, errs[1], ErrBroken)
		require.False(t, ran)
		latched(t, db, map[string]bool{"before": true})
	})
}

// A panic inside bolt leaves its tree half changed: what others of the group have done can't be
// kept.
func TestPanicInsideBoltLatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		require.NoError(t, db.Update(put("before"), noReset))
		errs := inOneGroup(db, put("a"),
			func(tx kvdb.RwTx) error {
				defer func() { // go on as a panic would, without ending the test program
					_ = recover()
					runtime.Goexit()
				}()
				return tx.(*transaction).changes.make(func() error { panic("page 7") }, nil)
			},
			put("b"))
		require.ErrorIs(t, errs[0], ErrBroken)
		require.ErrorIs(t, errs[2], ErrBroken)
		latched(t, db, map[string]bool{"before": true})
	})
}

// An undo that fails, or panics, leaves a tree that nobody knows.
func TestFailedUndoLatches(t *testing.T) {
	for name, step := range map[string]undoStep{
		"error": func(*bbolt.Tx) error { return errors.New("no such bucket") },
		"panic": func(*bbolt.Tx) error { panic("page 7") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openTest(t, Options{})
				require.NoError(t, db.Update(put("before"), noReset))
				errs := inOneGroup(db, put("a"), func(tx kvdb.RwTx) error {
					_ = tx.(*transaction).changes.make(func() error { return nil }, step)
					return errors.New("mine")
				})
				require.ErrorIs(t, errs[0], ErrBroken)
				require.ErrorIs(t, errs[1], ErrBroken)
				latched(t, db, map[string]bool{"before": true})
			})
		})
	}
}

// TestFullDisk lets the kernel refuse to extend the file, in a process of its own.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	out, err := child(t, "full-disk", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "free some disk space")

	db := openTest(t, Options{Dir: dir})
	require.True(t, keys(t, db.Path())["before"])
	require.False(t, keys(t, db.Path())["big"])
}

func childFullDisk(dir string) error {
	db, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := db.Update(put("before"), noReset); err != nil {
		return err
	}
	// A write beyond the limit raises SIGXFSZ, and fails with EFBIG where that is ignored.
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 4 << 20, Max: 4 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	err = db.Update(func(tx kvdb.RwTx) error {
		b := tx.ReadWriteBucket(testBucket)
		return b.Put([]byte("big"), make([]byte, 8<<20))
	}, noReset)
	if !errors.Is(err, ErrBroken) {
		return errors.Join(errors.New("the write did not fail as it should"), err)
	}
	_, _ = os.Stdout.WriteString(err.Error() + "\n")
	<-db.Failed()

	return db.Close()
}
