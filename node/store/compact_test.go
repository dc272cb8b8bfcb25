package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// fill writes and deletes a lot, and leaves a little, nested and with a sequence.
func (l *life) fill() {
	l.t.Helper()
	value := make([]byte, 1<<16)
	_, _ = rand.Read(value)
	require.NoError(l.t, l.db.Update(func(tx kvdb.RwTx) error {
		b, err := tx.CreateTopLevelBucket(testBucket)
		if err != nil {
			return err
		}
		for i := range 100 {
			if err := b.Put(fmt.Appendf(nil, "large-%d", i), value); err != nil {
				return err
			}
		}
		inner, err := b.CreateBucketIfNotExists([]byte("inner"))
		if err != nil {
			return err
		}
		return inner.SetSequence(42)
	}, noReset))
	require.NoError(l.t, l.db.Update(func(tx kvdb.RwTx) error {
		for i := range 100 {
			if err := tx.ReadWriteBucket(testBucket).Delete(fmt.Appendf(nil, "large-%d", i)); err != nil {
				return err
			}
		}
		return nil
	}, noReset))
	l.write()
}

func TestCompact(t *testing.T) {
	l := newLife(t)
	l.fill()
	_, _, err := Compact(l.dir)
	require.ErrorIs(t, err, ErrLocked, "a node runs")
	l.stop()
	old := l.copy()
	// What a compaction left that was cut off is no hindrance.
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, DefaultFile+compacting), []byte("half"), 0o644))

	before, after, err := Compact(l.dir)
	require.NoError(t, err)
	require.Equal(t, int64(len(old)), before)
	require.Less(t, after, before/4)
	info, err := os.Stat(filepath.Join(l.dir, DefaultFile))
	require.NoError(t, err)
	require.Equal(t, after, info.Size())
	require.Equal(t, os.FileMode(fileMode), info.Mode().Perm())
	require.NoFileExists(t, filepath.Join(l.dir, DefaultFile+compacting))

	small := l.copy()
	l.put(old)
	l.refused(ErrOldCopy)
	l.put(small)
	l.open()
	require.False(t, l.db.Unmarked())
	require.NoError(t, l.db.View(func(tx kvdb.RTx) error {
		b := tx.ReadBucket(testBucket)
		require.Equal(t, []byte("key"), b.Get([]byte("key")))
		require.Equal(t, uint64(42), b.NestedReadBucket([]byte("inner")).(*bucket).Sequence())
		return nil
	}, noReset))
	l.write()
	l.stop()
	l.put(small) // the run after it has made it old
	l.refused(ErrOldCopy)
}

// TestCompactCutOff: the new file has its place, and the marker was not written a second time.
func TestCompactCutOff(t *testing.T) {
	l := newLife(t)
	l.fill()
	l.stop()
	marked, err := os.ReadFile(l.marker())
	require.NoError(t, err)
	_, _, err = Compact(l.dir)
	require.NoError(t, err)
	done, _, err := readMarker(l.marker())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.marker(), marked, fileMode))
	pending, _, err := readMarker(l.marker())
	require.NoError(t, err)
	pending.Next = done.Generation
	require.NoError(t, writeMarker(l.marker(), pending))
	l.open()
	l.stop()
}

func TestCompactRefuses(t *testing.T) {
	_, _, err := Compact(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)

	l := newLife(t)
	l.stop()
	old := l.copy()
	l.open()
	l.stop()
	l.put(old)
	_, _, err = Compact(l.dir)
	require.ErrorIs(t, err, ErrOldCopy)

	l.put(bytes.Repeat([]byte("no database"), 4096))
	_, _, err = Compact(l.dir)
	require.ErrorIs(t, err, ErrDamaged)
	require.NoFileExists(t, filepath.Join(l.dir, DefaultFile+compacting))
}

func TestSizeIsTold(t *testing.T) {
	var log bytes.Buffer
	l := &life{t: t, dir: filepath.Join(t.TempDir(), "node")}
	var err error
	l.db, err = Open(Options{
		Dir: l.dir, WarnSize: 2 << 20, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	l.write()
	require.Empty(t, log.String())
	l.fill() // about 6 MB
	for range 100 {
		l.write()
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	require.Contains(t, log.String(), "inlet compact")
	l.stop()
}
