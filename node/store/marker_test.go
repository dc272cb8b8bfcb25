package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// life is a database that is opened, changed, copied and lost.
type life struct {
	t   *testing.T
	dir string
	db  *DB
}

func newLife(t *testing.T) *life {
	l := &life{t: t, dir: filepath.Join(t.TempDir(), "node")}
	l.open()
	return l
}

func (l *life) open() {
	l.t.Helper()
	var err error
	l.db, err = Open(Options{Dir: l.dir})
	require.NoError(l.t, err)
}

func (l *life) write() { require.NoError(l.t, l.db.Update(put("key"), noReset)) }

func (l *life) stop() { require.NoError(l.t, l.db.Close()) }

// crash ends the process as kill -9 does: nothing is written any more.
func (l *life) crash() { require.NoError(l.t, l.db.bolt.Close()) }

func (l *life) copy() []byte {
	raw, err := os.ReadFile(filepath.Join(l.dir, DefaultFile))
	require.NoError(l.t, err)
	return raw
}

func (l *life) put(raw []byte) {
	require.NoError(l.t, os.WriteFile(filepath.Join(l.dir, DefaultFile), raw, fileMode))
}

func (l *life) marker() string { return filepath.Join(l.dir, "inlet.marker") }

func (l *life) refused(want error) {
	l.t.Helper()
	before := l.copy()
	for range 2 { // a refusal changes nothing that would let the second try pass
		_, err := Open(Options{Dir: l.dir})
		require.ErrorIs(l.t, err, want)
	}
	require.Equal(l.t, before, l.copy(), "a refused file was changed")
}

func TestOldCopyAfterACleanStop(t *testing.T) {
	l := newLife(t)
	l.write()
	during := l.copy() // no write is under way
	l.write()
	l.stop()
	newest := l.copy()
	l.put(during)
	l.refused(ErrOldCopy)

	l.put(newest)
	l.open()
	l.stop()
	l.put(newest) // of the run before
	l.refused(ErrOldCopy)
}

func TestOldCopyAfterACrash(t *testing.T) {
	l := newLife(t)
	l.write()
	l.stop()
	before := l.copy()
	l.open()
	l.write()
	l.crash()
	newest := l.copy()
	l.put(before)
	l.refused(ErrOldCopy)
	l.put(newest)
	l.open() // what a crash left is no old copy
	require.False(t, l.db.Unmarked())
	l.stop()
}

// TestMarkerAtEveryCrash cuts Open off between its three writes: what is there then always fits.
func TestMarkerAtEveryCrash(t *testing.T) {
	l := newLife(t)
	l.write()
	l.stop()
	old := l.copy()
	path := filepath.Join(l.dir, DefaultFile)
	bolt, err := bbolt.Open(path, fileMode, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	require.NoError(t, err)
	require.ErrorIs(t, drawGeneration(bolt, path), berrors.ErrDatabaseReadOnly)
	require.NoError(t, bolt.Close())
	l.open() // the database had not been written
	l.crash()
	l.put(old)
	l.refused(ErrOldCopy)

	// The database had been written, the marker not a second time.
	l = newLife(t)
	l.stop()
	path = filepath.Join(l.dir, DefaultFile)
	bolt, err = openFile(l.dir, path)
	require.NoError(t, err)
	now, err := readGeneration(bolt)
	require.NoError(t, err)
	require.NoError(t, changeGeneration(bolt, path, now, "01"))
	require.NoError(t, bolt.Close())
	now.Next = "01"
	require.NoError(t, writeMarker(l.marker(), now))
	l.open()
	l.stop()
}

func TestMissingMarker(t *testing.T) {
	l := newLife(t)
	require.False(t, l.db.Unmarked(), "a new database never had one")
	l.write()
	l.stop()
	require.NoError(t, os.Remove(l.marker()))
	l.open()
	require.True(t, l.db.Unmarked())
	l.stop()
	l.open()
	require.False(t, l.db.Unmarked(), "it has one again")
	l.stop()
	info, err := os.Stat(l.marker())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(fileMode), info.Mode().Perm())
}

// TestNewDatabaseBesideAMarker: there is nothing in it that could be old.
func TestNewDatabaseBesideAMarker(t *testing.T) {
	l := newLife(t)
	l.stop()
	require.NoError(t, os.Remove(filepath.Join(l.dir, DefaultFile)))
	l.open()
	l.stop()
	l.open()
	l.stop()
}

func TestBadMarker(t *testing.T) {
	l := newLife(t)
	l.write()
	l.stop()
	for _, text := range []string{"", "{}", `{"v":2,"generation":"00"}`, "no JSON"} {
		require.NoError(t, os.WriteFile(l.marker(), []byte(text), fileMode))
		l.refused(ErrBadMarker)
	}
}

// TestMarkerOfABrokenDatabase: when a write has failed, memory is ahead of the disk, and the marker
// must not demand what is not there.
func TestMarkerOfABrokenDatabase(t *testing.T) {
	l := newLife(t)
	l.write()
	l.db.fail(os.ErrDeadlineExceeded)
	before, err := os.ReadFile(l.marker())
	require.NoError(t, err)
	l.stop()
	after, err := os.ReadFile(l.marker())
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	l.open()
	l.stop()
}
