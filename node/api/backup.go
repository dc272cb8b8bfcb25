package api

import (
	"context"
	"path/filepath"
)

// Backups reads channel backups.
type Backups interface {
	// VerifyBackup reads a file of the node's machine, and opens it with the wallet's key.
	VerifyBackup(ctx context.Context, r VerifyBackupRequest) (*BackupReport, error)
}

// VerifyBackupRequest is the request of /v1/backup/verify.
type VerifyBackupRequest struct {
	// File is a whole path, on the node's machine. Empty is the node's own backup.
	File string `json:"file,omitempty"`
}

func (r VerifyBackupRequest) validate() *Error {
	if r.File != "" && !filepath.IsAbs(r.File) {
		return invalid("file is not a whole path", "begin it with /")
	}
	return nil
}

// BackupReport is what a backup holds that could be read to its end.
type BackupReport struct {
	File      string `json:"file"`
	WrittenAt Time   `json:"written_at"`
	Network   string `json:"network"`

	// NodeID is the node whose channels these are.
	NodeID string `json:"node_id"`

	Channels []BackupChannel `json:"channels"`

	// Orders counts the JIT orders in the books.
	Orders int `json:"orders"`
}

// BackupChannel is one channel of a backup.
type BackupChannel struct {
	ChannelPoint string `json:"channel_point"`
	Peer         string `json:"peer"`

	// Addresses are where the peer is looked for. Without one it has to come by itself.
	Addresses []string `json:"addresses"`

	CapacitySat Sat `json:"capacity_sat"`
}
