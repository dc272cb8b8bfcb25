package backup

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/stretchr/testify/require"
)

// kept is a Keeper that runs in virtual time, with a file that is only counted.
type kept struct {
	*Keeper
	contents Contents
	writes   int
	takes    time.Duration
	fails    error
	log      bytes.Buffer
	stop     context.CancelFunc
	ended    chan error
}

func keep(t *testing.T) *kept {
	t.Helper()
	k := &kept{contents: sample(), ended: make(chan error, 1)}
	k.Keeper = NewKeeper(KeeperConfig{
		Path: filepath.Join(t.TempDir(), FileName), Key: key(1), Clock: clock.NewDefaultClock(),
		Gather: func() (Contents, error) { return k.contents, nil },
		Log:    slog.New(slog.NewTextHandler(&k.log, nil)),
	})
	k.write = func(path string, raw []byte) error {
		<-time.After(k.takes)
		k.writes++
		if k.fails != nil {
			return k.fails
		}
		return WriteFile(path, raw)
	}
	ctx, stop := context.WithCancel(t.Context())
	k.stop = stop
	go func() { k.ended <- k.Run(ctx) }()
	synctest.Wait()
	return k
}

// change makes a difference and says so.
func (k *kept) change() {
	k.contents.Orders = append(k.contents.Orders, Order{ID: "more", Record: []byte("1")})
	k.Changed()
	synctest.Wait()
}

func (k *kept) read(t *testing.T) Contents {
	t.Helper()
	raw, err := ReadFile(k.cfg.Path)
	require.NoError(t, err)
	c, err := Decode(raw, k.cfg.Key)
	require.NoError(t, err)
	return c
}

func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

func TestKeeperWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		require.Len(t, k.read(t).Orders, 1, "at the start")
		require.Equal(t, time.Now().UTC(), k.read(t).WrittenAt)
		info, err := os.Stat(k.cfg.Path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

		pass(time.Hour)
		k.change()
		require.Len(t, k.read(t).Orders, 2, "a change after a quiet time is not made to wait")
		for range 100 {
			k.change()
		}
		require.Equal(t, 2, k.writes, "changes that come together wait for each other")
		pass(minInterval)
		require.Len(t, k.read(t).Orders, 102)
		require.Equal(t, 3, k.writes)

		pass(time.Hour)
		k.Changed()
		synctest.Wait()
		require.Equal(t, 3, k.writes, "nothing has changed")
		require.NoError(t, os.Remove(k.cfg.Path))
		pass(time.Hour)
		k.Changed()
		synctest.Wait()
		require.Len(t, k.read(t).Orders, 102, "somebody has removed the file")

		k.change()
		k.stop()
		require.NoError(t, <-k.ended)
		require.Len(t, k.read(t).Orders, 103, "what had changed at the end")
	})
}

// TestKeeperIsIdleMost: the longer a write takes, the fewer there are.
func TestKeeperIsIdleMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.takes = 3 * time.Second
		pass(time.Hour)
		begin := time.Now()
		for time.Since(begin) < 10*time.Minute {
			k.change()
			pass(time.Second)
		}
		require.LessOrEqual(t, k.writes, 1+10*60/(3*maxShare)+1)
		require.Greater(t, k.writes, 5)
		k.stop()
		require.NoError(t, <-k.ended)
	})
}

func TestKeeperTellsAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		pass(time.Hour)
		k.fails = errors.New("no space left on device")
		k.change()
		require.Contains(t, k.log.String(), "level=ERROR")
		require.Contains(t, k.log.String(), "no space left on device")
		require.Len(t, k.read(t).Orders, 1, "the old one stays")

		k.fails = nil
		pass(time.Hour)
		k.Changed() // the same contents as before: they are on no disk yet
		synctest.Wait()
		require.Len(t, k.read(t).Orders, 2)
		k.stop()
		require.NoError(t, <-k.ended)
	})
}

// TestWriteFile: what a crash left is no hindrance, and nothing is left behind.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	require.NoError(t, os.WriteFile(path+temporary, []byte("half"), 0o644))
	require.NoError(t, WriteFile(path, []byte("one")))
	require.NoError(t, WriteFile(path, []byte("two")))
	raw, err := ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(raw))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	require.Error(t, WriteFile(filepath.Join(dir, "none", FileName), []byte("x")))
	_, err = ReadFile(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
