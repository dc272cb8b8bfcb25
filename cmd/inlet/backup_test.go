package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
)

// TestBackupVerifyAsksTheDaemon, and what it says of the file is the answer.
func TestBackupVerifyAsksTheDaemon(t *testing.T) {
	c := newCLI(t)
	require.Equal(t, exitOK, c.run(t, "backup", "verify"), c.stderr.String())
	require.Equal(t, []any{api.VerifyBackupRequest{File: filepath.Join(c.dir, node.BackupFile)}},
		c.node.Requests())
	require.Empty(t, c.verified.file)

	c.node.Before = func(context.Context, any) error {
		return &api.Error{Code: api.FailedPrecondition, Message: "the backup is not whole"}
	}
	require.Equal(t, exitError, c.run(t, "backup", "verify", "some.file"))
	require.Contains(t, c.stderr.String(), "not whole")
	require.Empty(t, c.verified.file, "the wallet was asked, too")
}

// TestBackupVerifyWithoutDaemon opens the file with the wallet in the directory.
func TestBackupVerifyWithoutDaemon(t *testing.T) {
	c := newCLI(t)
	c.app.env = []string{"INLET_DATA_DIR=" + c.dir, "INLET_PASSPHRASE=secret",
		"INLET_ADMIN_LISTEN=127.0.0.1:1"}
	require.Equal(t, exitOK, c.run(t, "backup", "verify", "some.file"), c.stderr.String())
	require.Nil(t, c.verified.words)
	require.True(t, filepath.IsAbs(c.verified.file), c.verified.file)
	passphrase, err := c.verified.passphrase()
	require.NoError(t, err)
	require.Equal(t, "secret", string(passphrase))

	c.verifyFails = errors.New("the backup belongs to another wallet")
	require.Equal(t, exitError, c.run(t, "backup", "verify"))
	require.Contains(t, c.stderr.String(), "another wallet")
}

// TestBackupVerifyByWords asks nobody else.
func TestBackupVerifyByWords(t *testing.T) {
	c := newCLI(t)
	path := filepath.Join(t.TempDir(), "words")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(words24, " ")), 0o600))
	require.Equal(t, exitOK, c.run(t, "backup", "verify", "--words-file", path), c.stderr.String())
	require.Equal(t, words24, c.verified.words)
	require.Empty(t, c.node.Requests())
}

func TestBackupExport(t *testing.T) {
	c := newCLI(t)
	to := filepath.Join(t.TempDir(), "copy")
	require.Equal(t, exitError, c.run(t, "backup", "export", to))
	require.Contains(t, c.stderr.String(), "the node writes it when it runs")

	own := filepath.Join(c.dir, node.BackupFile)
	require.NoError(t, os.WriteFile(own, []byte("no backup"), 0o600))
	require.Equal(t, exitError, c.run(t, "backup", "export", to))
	require.NoFileExists(t, to, "what can't be a backup is not copied as one")
}

// TestCreateRestoresABackup hands the file on, and refuses what can't be one before anything is made.
func TestCreateRestoresABackup(t *testing.T) {
	c := newCLI(t)
	created, _, _ := withNodes(c)
	c.app.env = []string{"INLET_PASSPHRASE=secret"}
	dir := t.TempDir()
	words, file := filepath.Join(dir, "words"), filepath.Join(dir, "backup")
	require.NoError(t, os.WriteFile(words, []byte(strings.Join(words24, " ")), 0o600))
	require.NoError(t, os.WriteFile(file, []byte("no backup"), 0o600))
	line := []string{"create", "--restore", "--words-file", words, "--backup", file}
	require.Equal(t, exitError, c.run(t, line...))
	require.Contains(t, c.stderr.String(), "no channel backup")
	require.Nil(t, created.words)
}

// TestDrill goes the way that the README shows, from the first start to a new machine.
func TestDrill(t *testing.T) {
	d := newDaemon(t)
	dir := strings.TrimPrefix(d.env[1], "INLET_DATA_DIR=")
	require.Equal(t, exitOK, d.run(t, "create", "--json"), d.stderr.String())
	var created createAnswer
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &created))
	words, file := filepath.Join(t.TempDir(), "words"), filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.WriteFile(words, []byte(strings.Join(created.Words, " ")), 0o600))

	ended := d.start(t)
	require.Equal(t, exitOK, d.run(t, "info", "--json"))
	var before, after api.Info
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &before))
	require.Eventually(t, func() bool { return d.run(t, "backup", "export", file) == exitOK },
		time.Minute, 10*time.Millisecond)
	for _, line := range [][]string{
		{"backup", "verify"}, {"backup", "verify", file},
		{"backup", "verify", file, "--words-file", words},
	} {
		require.Equal(t, exitOK, d.run(t, line...), d.stderr.String())
		require.Contains(t, d.stdout.String(), before.NodeID)
	}
	require.Equal(t, exitError, d.run(t, "backup", "verify", words))
	require.Contains(t, d.stderr.String(), "no channel backup")
	require.Equal(t, exitError, d.run(t, "compact"))
	require.Contains(t, d.stderr.String(), "another inlet is running")
	require.Equal(t, exitOK, d.run(t, "stop"), d.stderr.String())
	require.Equal(t, exitOK, <-ended)
	require.Equal(t, exitOK, d.run(t, "compact"), d.stderr.String())
	require.Contains(t, d.stdout.String(), " bytes and has ")
	require.Equal(t, exitOK, d.run(t, "backup", "verify", file), "by the wallet: "+d.stderr.String())

	require.NoError(t, os.RemoveAll(dir))
	require.Equal(t, exitOK, d.run(t, "create", "--restore", "--words-file", words, "--backup", file),
		d.stderr.String())
	require.Contains(t, d.stdout.String(), "peers are asked to close")
	ended = d.start(t)
	require.Equal(t, exitOK, d.run(t, "info", "--json"))
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &after))
	require.Equal(t, before.NodeID, after.NodeID)
	require.Equal(t, exitOK, d.run(t, "stop"), d.stderr.String())
	require.Equal(t, exitOK, <-ended)
}
