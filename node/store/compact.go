package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

const (
	// compacting is the end of the new file's name while it is written. A file with it is worth nothing.
	compacting = ".compact"

	// compactTx is how many bytes one transaction of a compaction copies.
	compactTx = 1 << 20
)

// Compact writes the database of a directory anew without its free pages, which bolt keeps for ever,
// and says how large it was and is. It needs room for the new file beside the old one; until that is
// whole and checked the old one stays. Errors: ErrLocked (a node runs), ErrForeign, ErrOldCopy,
// ErrDamaged, and os.ErrNotExist when there is no database.
func Compact(dir string) (before, after int64, err error) {
	path := filepath.Join(dir, DefaultFile)
	if before, after, err = compact(dir, path); err != nil {
		return 0, 0, fmt.Errorf("store: compact %s: %w", path, err)
	}
	return before, after, nil
}

func compact(dir, path string) (before, after int64, err error) {
	info, err := os.Stat(path) // openFile would make one
	if err != nil {
		return 0, 0, err
	}
	old, err := openFile(dir, path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if _, err := readSchema(old); err != nil {
		return 0, 0, err
	}
	if _, err := checkMarker(old, path); err != nil {
		return 0, 0, err
	}
	next := path + compacting
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, err
	}
	if err := rewrite(old, path, next); err != nil {
		return 0, 0, errors.Join(err, removeIfThere(next))
	}
	made, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), made.Size(), nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// rewrite copies old to the file next and puts that in the place of path. Both are locked to the end: a
// node that starts meanwhile is refused, whichever of them it finds.
func rewrite(old *bbolt.DB, path, next string) (err error) {
	made, err := bbolt.Open(next, fileMode, &bbolt.Options{
		Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true,
	})
	if err != nil {
		return openError(err)
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	if err := bbolt.Compact(made, old, compactTx); err != nil {
		return err
	}
	now, err := readGeneration(old)
	if err != nil {
		return err
	}
	generation := make([]byte, generationSize)
	_, _ = rand.Read(generation) // never fails: crypto/rand
	now.V, now.Next = 1, hex.EncodeToString(generation)
	err = made.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(generationKey, []byte(now.Next))
	})
	if err != nil {
		return err
	}
	if err := errors.Join(made.Sync(), checkPages(made)); err != nil {
		return err
	}
	// The marker allows both files until the new one has its place. Its transactions count from 1.
	if err := writeMarker(markerPath(path), now); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return settleMarker(made, path)
}

// checkPages reads all of a database: what has no copy any more must be whole.
func checkPages(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = fmt.Errorf("%w (%w)", ErrDamaged, err)
			}
		}
		return first
	})
}

// sizeWatch tells the operator when the file has become large. Bolt never gives pages back.
type sizeWatch struct {
	limit int64 // the size from which on it is told; 0: never. Used by the one writer only.
	path  string
	log   *slog.Logger
}

// see is told the size by the writer at each commit. What it says grows, so it is told few times.
func (w *sizeWatch) see(size int64) {
	if w.limit == 0 || size < w.limit {
		return
	}
	const mb = 1 << 20
	w.log.Warn("the database has grown large: stop the node and run inlet compact, which gives the "+
		"room of what was deleted back; if that does not help, more is kept than was expected",
		"file", w.path, "size_mb", size/mb, "warn_size_mb", w.limit/mb)
	w.limit = size + size/4
}
