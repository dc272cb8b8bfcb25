package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	others   = 0o077 // permission bits that nobody but the owner may have
)

// openFile opens and locks the bolt file, and makes it first where it is missing.
func openFile(dir, path string) (*bbolt.DB, error) {
	if dir == "" {
		return nil, errors.New("no data directory given: set data_dir")
	}
	if err := prepareDir(dir, path); err != nil {
		return nil, err
	}
	bolt, err := bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout: lockWait,
		// The list of free pages is rebuilt at start, which is cheaper than to write it with
		// every commit.
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapBytes,
	})
	if err != nil {
		return nil, openError(err)
	}
	bolt.AllocSize = growBytes
	if err := secureFile(dir, path); err != nil {
		return nil, errors.Join(err, bolt.Close())
	}

	return bolt, nil
}

func openError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}

	return err
}

// prepareDir makes the directory, or makes sure that it is closed to others. A directory that is
// open to others is closed when it is plainly ours, that is empty or with our file in it; else it
// may be somebody's home or /tmp, and only its owner can say.
func prepareDir(dir, path string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return makeDir(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory: set data_dir to one", dir)
	}
	if info.Mode().Perm()&others == 0 {
		return nil
	}
	ours, err := plainlyOurs(dir, path)
	if err != nil {
		return err
	}
	if !ours {
		return fmt.Errorf("%w (mode %04o): if nobody else needs it run chmod 700 %s, "+
			"or give inlet a data_dir of its own", ErrExposed, info.Mode().Perm(), dir)
	}

	return os.Chmod(dir, dirMode)
}

func plainlyOurs(dir, path string) (bool, error) {
	if _, err := os.Stat(path); err == nil {
		return true, nil
	}
	entries, err := os.ReadDir(dir)

	return len(entries) == 0, err
}

// makeDir makes the directory and those above it, and makes the new name survive a power cut.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}

	return syncDir(filepath.Dir(dir))
}

// secureFile closes the file to others and makes its name durable: without the directory's fsync a
// power cut could take away a file whose data had been synced, and with it the first channel.
func secureFile(dir, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&others != 0 {
		if err := os.Chmod(path, fileMode); err != nil {
			return err
		}
	}

	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}

	return errors.Join(d.Sync(), d.Close())
}
