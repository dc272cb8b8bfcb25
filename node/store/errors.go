package store

import (
	"errors"

	"github.com/btcsuite/btcwallet/walletdb"
	berrors "go.etcd.io/bbolt/errors"
)

// Errors of Open. Each text says what to do; test with errors.Is.
var (
	// ErrLocked means that another process has the file open.
	ErrLocked = errors.New("another inlet is running on this directory: " +
		"stop it first, or give this one a data_dir of its own")

	// ErrNewer means that the file was written by a newer version of inlet.
	ErrNewer = errors.New("the database belongs to a newer inlet")

	// ErrForeign means that the file is a database, but not one of inlet's.
	ErrForeign = errors.New("the file is no inlet database: " +
		"give inlet a data_dir of its own")

	// ErrDamaged means that the file can't be read as a database.
	ErrDamaged = errors.New("the database file is damaged or no database at all: " +
		"check the disk and the path; never start a node from an old copy of this file")

	// ErrOldCopy means that the file is older than its marker says: a copy from an earlier time.
	ErrOldCopy = errors.New("the database is an old copy: it is older than the inlet.marker beside " +
		"it. Its channels are in states that were revoked; to go on with it could cost all that is in " +
		"them. Put the newest inlet.db back. If that is lost, restore in an empty directory from the " +
		"24 words and channels.backup: inlet create --restore --backup FILE")

	// ErrBadMarker means that the marker can't be read.
	ErrBadMarker = errors.New("the marker beside the database is damaged: if this inlet.db is surely " +
		"the newest there ever was, remove the marker; if not, restore from the words and the backup")

	// ErrExposed means that other users of the machine can reach into the directory.
	ErrExposed = errors.New("the data directory is open to other users of this machine")
)

// Errors of writes.
var (
	// ErrBroken means that a commit failed on disk, now or earlier: what this process has in memory
	// may be ahead of what is saved. The process has to stop and start again from the disk.
	ErrBroken = errors.New("the database could not be written: " +
		"free some disk space or replace the disk, then start inlet again")

	// errShared is returned to a closure that tries to end the transaction that it shares.
	errShared = errors.New("store: a closure of Update must not commit or roll back " +
		"its transaction: return nil or an error")
)

// walletError gives an error of bbolt the name that users of walletdb.DB test for.
func walletError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return walletdb.ErrDbNotOpen
	case errors.Is(err, berrors.ErrTxNotWritable):
		return walletdb.ErrTxNotWritable
	case errors.Is(err, berrors.ErrTxClosed):
		return walletdb.ErrTxClosed
	case errors.Is(err, berrors.ErrBucketNotFound):
		return walletdb.ErrBucketNotFound
	case errors.Is(err, berrors.ErrBucketExists):
		return walletdb.ErrBucketExists
	case errors.Is(err, berrors.ErrBucketNameRequired):
		return walletdb.ErrBucketNameRequired
	case errors.Is(err, berrors.ErrKeyRequired):
		return walletdb.ErrKeyRequired
	case errors.Is(err, berrors.ErrKeyTooLarge):
		return walletdb.ErrKeyTooLarge
	case errors.Is(err, berrors.ErrValueTooLarge):
		return walletdb.ErrValueTooLarge
	case errors.Is(err, berrors.ErrIncompatibleValue):
		return walletdb.ErrIncompatibleValue
	}

	return err
}
