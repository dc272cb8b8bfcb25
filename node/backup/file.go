package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// temporary is the end of a file's name while it is written. A file with it is worth nothing.
const temporary = ".tmp"

// WriteFile puts a file in its place so that at every moment, a power cut included, either the old
// or the new one is there, whole. Nobody but its owner can read it.
func WriteFile(path string, raw []byte) error {
	if err := writeFile(path, raw); err != nil {
		return fmt.Errorf("backup: write %s: %w", path, err)
	}
	return nil
}

func writeFile(path string, raw []byte) error {
	next := path + temporary
	// One that a crash left may have other permissions than ours.
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	// The name is on disk only when the directory is.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ReadFile reads a file that is said to be a backup. It reads no more than a backup can have.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("backup: read %s: %w", path, err)
	}
	return raw, nil
}
