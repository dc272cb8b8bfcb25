package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// CreateOptions say what wallet to make.
type CreateOptions struct {
	// Dir is the data directory; it is made if it isn't there.
	Dir string
	// Params is the network; nil is mainnet.
	Params *chaincfg.Params
	// Passphrase protects the wallet on disk.
	Passphrase []byte
	// Insecure makes a wallet without a passphrase, for regtest.
	Insecure bool
	// Words restore a wallet; nil draws a new one.
	Words []string
	// Birthday is the earliest time at which a restored wallet may have got coins;
	// zero: the one that the words carry.
	Birthday time.Time
	// Backup is the content of a channel backup to restore, which needs Words; nil: none. The
	// node then asks the peers of its channels to close them, and sweeps what is ours.
	Backup []byte
}

// Compact writes the database of a data directory anew, without the room of what was deleted, and
// says how many bytes it had and has. The node must not run. Errors: store.ErrLocked,
// store.ErrOldCopy, ErrNoWallet when there is no database.
func Compact(dir string) (before, after int64, err error) {
	before, after, err = store.Compact(dir)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w (%w)", ErrNoWallet, err)
	}
	return before, after, err
}

// Create makes a wallet in a data directory and returns its 24 words. They are
// the only copy: nothing shows them again. Errors: wallet.ErrExists,
// wallet.ErrBadWords, store.ErrLocked, ErrBackupLeft, and with a backup those of
// backup.Decode, ErrBackupWords and ErrBackupNetwork. After an error nothing has
// a wallet; the same call may be made again.
func Create(o CreateOptions) (words []string, err error) {
	if o.Dir == "" {
		return nil, errors.New("node: CreateOptions.Dir is empty: name the data directory")
	}
	if o.Params == nil {
		o.Params = &chaincfg.MainNetParams
	}
	var keys *wallet.Keys
	var saved backup.Contents
	if o.Backup != nil {
		if keys, saved, err = openBackup(o); err != nil {
			return nil, err
		}
	} else if err := noBackupLeft(o.Dir); err != nil {
		return nil, err
	}
	db, err := store.Open(store.Options{Dir: o.Dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if keys != nil {
		if exists, err := wallet.Exists(db); exists || err != nil {
			return nil, errors.Join(err, wallet.ErrExists)
		}
		if err := restore(db, keys, saved, *o.Params.GenesisHash); err != nil {
			return nil, err
		}
	}
	return wallet.Create(db, wallet.CreateOptions{
		Params: o.Params, Passphrase: o.Passphrase, Insecure: o.Insecure,
		Words: o.Words, Birthday: o.Birthday,
	})
}
