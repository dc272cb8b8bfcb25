package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// BackupFile is the name of the channel backup in the data directory.
const BackupFile = backup.FileName

// ReadBackup reads a backup for CreateOptions, and sees whether it is whole as far as that can be
// said without its key.
func ReadBackup(file string) ([]byte, error) {
	raw, err := backup.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := backup.CheckHeader(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return raw, nil
}

// ExportBackup copies the channel backup of a data directory. The node may run: the backup in its
// directory is whole at every moment, and holds every channel.
func ExportBackup(dir, file string) error {
	own := filepath.Join(dir, BackupFile)
	raw, err := ReadBackup(own)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no %s yet: the node writes it when it runs", own)
	}
	if err != nil {
		return err
	}
	return backup.WriteFile(file, raw)
}

// VerifyBackup reads a backup with the key of the wallet in o.Dir, whose node must not run. It makes
// no directory and no wallet. Errors: ErrNoWallet, store.ErrLocked, those of wallet.Open about the
// passphrase, and those of backup.Decode.
func VerifyBackup(file string, o CreateOptions) (*api.BackupReport, error) {
	raw, err := ReadBackup(file)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(o.Dir, store.DefaultFile)); err != nil {
		return nil, fmt.Errorf("%w\n(or give the words themselves, with --words-file)", ErrNoWallet)
	}
	db, err := store.Open(store.Options{Dir: o.Dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	keys, err := wallet.KeysOf(db, o.Params, o.Passphrase, o.Insecure)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return reportBackup(file, raw, keys.DeriveSecret(backup.Purpose))
}

// VerifyBackupByWords reads a backup with the 24 words of its wallet. Errors: wallet.ErrBadWords,
// and those of backup.Decode.
func VerifyBackupByWords(file string, words []string, params *chaincfg.Params) (
	*api.BackupReport, error) {

	raw, err := ReadBackup(file)
	if err != nil {
		return nil, err
	}
	keys, err := wallet.KeysOfWords(words, nil, params)
	if err != nil {
		return nil, err
	}
	return reportBackup(file, raw, keys.DeriveSecret(backup.Purpose))
}

func reportBackup(file string, raw []byte, key backup.Key) (*api.BackupReport, error) {
	c, err := backup.Decode(raw, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	report := &api.BackupReport{
		File: file, WrittenAt: api.Time{Time: c.WrittenAt}, Network: c.Network,
		NodeID: hex.EncodeToString(c.NodeID[:]), Orders: len(c.Orders),
		Channels: []api.BackupChannel{},
	}
	for _, ch := range c.Channels {
		report.Channels = append(report.Channels, api.BackupChannel{
			ChannelPoint: ch.Point.String(), CapacitySat: api.Sat(ch.Capacity),
			Peer:      hex.EncodeToString(ch.Peer.SerializeCompressed()),
			Addresses: append([]string{}, ch.Addresses...),
		})
	}
	return report, nil
}

// VerifyBackup implements api.Backups.
func (a admin) VerifyBackup(_ context.Context, r api.VerifyBackupRequest) (*api.BackupReport, error) {
	file := r.File
	if file == "" {
		file = filepath.Join(a.n.opts.Dir, BackupFile)
	}
	raw, err := ReadBackup(file)
	if err == nil {
		var report *api.BackupReport
		if report, err = reportBackup(file, raw, a.n.wallet.DeriveSecret(backup.Purpose)); err == nil {
			return report, nil
		}
	}
	// Whatever is wrong is wrong with the file, and its owner must read it.
	return nil, &api.Error{Code: api.FailedPrecondition, Message: err.Error()}
}
