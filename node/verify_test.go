package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/shachain"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// lost is a wallet with a backup of one channel, and nothing else left of its node.
type lost struct {
	words []string
	dir   string
	file  string
	raw   []byte
}

func newLost(t *testing.T, network string) *lost {
	t.Helper()
	l := &lost{dir: filepath.Join(t.TempDir(), "old"), file: filepath.Join(t.TempDir(), "copy")}
	var err error
	l.words, err = Create(CreateOptions{
		Dir: l.dir, Params: &chaincfg.RegressionNetParams, Passphrase: []byte("secret"),
	})
	require.NoError(t, err)
	keys, err := wallet.KeysOfWords(l.words, nil, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	key := func(n byte) *btcec.PublicKey {
		_, pub := btcec.PrivKeyFromBytes([]byte{n})
		return pub
	}
	l.raw, err = backup.Encode(backup.Contents{
		Network: network, Channels: []backup.Channel{{
			Point: wire.OutPoint{Index: 4}, Peer: key(1), Capacity: 50_000, BroadcastHeight: 100,
			Addresses:      []string{"192.0.2.1:9735"},
			Local:          backup.LocalKeys{MultiSig: keychain.KeyLocator{Index: 9}, CSVDelay: 144},
			Type:           channeldb.SingleFunderTweaklessBit | channeldb.AnchorOutputsBit | channeldb.FrozenBit,
			RevocationRoot: keychain.KeyLocator{Family: keychain.KeyFamilyRevocationRoot, Index: 7},
			ThawHeight:     500, Initiator: true, Private: true,
			Remote: backup.RemoteKeys{
				MultiSig: key(2), Revocation: key(3), Payment: key(4), Delayed: key(5), HTLCs: key(6),
			},
		}},
	}, keys.DeriveSecret(backup.Purpose))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.file, l.raw, 0o600))
	return l
}

func (l *lost) options(dir string) CreateOptions {
	return CreateOptions{
		Dir: dir, Params: &chaincfg.RegressionNetParams, Passphrase: []byte("secret"),
		Words: l.words, Backup: l.raw,
	}
}

func TestVerifyBackup(t *testing.T) {
	l := newLost(t, "regtest")
	report, err := VerifyBackup(l.file, l.options(l.dir))
	require.NoError(t, err)
	require.Len(t, report.Channels, 1)
	require.Equal(t, []string{"192.0.2.1:9735"}, report.Channels[0].Addresses)
	byWords, err := VerifyBackupByWords(l.file, l.words, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	require.Equal(t, report, byWords)

	none := filepath.Join(t.TempDir(), "none")
	_, err = VerifyBackup(l.file, l.options(none))
	require.ErrorIs(t, err, ErrNoWallet)
	require.NoDirExists(t, none, "a look must not make a directory")

	db, err := store.Open(store.Options{Dir: l.dir})
	require.NoError(t, err)
	_, err = VerifyBackup(l.file, l.options(l.dir))
	require.ErrorIs(t, err, store.ErrLocked)
	require.NoError(t, db.Close())

	other := newLost(t, "regtest")
	_, err = VerifyBackup(l.file, other.options(other.dir))
	require.ErrorIs(t, err, backup.ErrOtherKey)
}

func TestExportBackup(t *testing.T) {
	l := newLost(t, "regtest")
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, BackupFile), l.raw, 0o600))
	to := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, ExportBackup(l.dir, to))
	got, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, l.raw, got)
}

// TestRestoreRefused: nothing is made when a restore can't be whole.
func TestRestoreRefused(t *testing.T) {
	l, other := newLost(t, "regtest"), newLost(t, "testnet3")
	for name, tc := range map[string]struct {
		change func(o *CreateOptions)
		want   error
	}{
		"no words":          {func(o *CreateOptions) { o.Words = nil }, ErrBackupWords},
		"other words":       {func(o *CreateOptions) { o.Words = other.words }, backup.ErrOtherKey},
		"no backup":         {func(o *CreateOptions) { o.Backup = []byte("x") }, backup.ErrNotBackup},
		"other network":     {func(o *CreateOptions) { *o = other.options(o.Dir) }, ErrBackupNetwork},
		"there is a wallet": {func(o *CreateOptions) { o.Dir = l.dir }, wallet.ErrExists},
	} {
		t.Run(name, func(t *testing.T) {
			o := l.options(filepath.Join(t.TempDir(), "new"))
			tc.change(&o)
			_, err := Create(o)
			require.ErrorIs(t, err, tc.want)
			if o.Dir != l.dir {
				require.NoDirExists(t, o.Dir)
			}
		})
	}
}

// TestBackupIsNotOverwritten: a new wallet beside somebody's backup would write over it.
func TestBackupIsNotOverwritten(t *testing.T) {
	l := newLost(t, "regtest")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, BackupFile), l.raw, 0o600))
	o := l.options(dir)
	o.Backup = nil
	_, err := Create(o)
	require.ErrorIs(t, err, ErrBackupLeft)
	o.Backup = l.raw
	require.NoError(t, os.Chmod(dir, 0o700))
	_, err = Create(o)
	require.NoError(t, err)
}

// TestRestoreGoesOn: a restore that was cut off before the wallet was made can be repeated, and what
// it leaves is no node.
func TestRestoreGoesOn(t *testing.T) {
	l := newLost(t, "regtest")
	dir := filepath.Join(t.TempDir(), "new")
	o := l.options(dir)
	o.Passphrase = nil // the wallet refuses it, last of all
	_, err := Create(o)
	require.ErrorIs(t, err, wallet.ErrPassphraseRule)
	db, err := store.Open(store.Options{Dir: dir})
	require.NoError(t, err)
	exists, err := wallet.Exists(db)
	require.NoError(t, err)
	require.False(t, exists)
	require.NoError(t, db.Close())

	_, err = Create(l.options(dir))
	require.NoError(t, err)
}

// TestRestoredShell: what is restored is a channel that nothing can be changed in, and that can be
// backed up again as it was.
func TestRestoredShell(t *testing.T) {
	l := newLost(t, "regtest")
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Create(l.options(dir))
	require.NoError(t, err)
	db, err := store.Open(store.Options{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	channels, err := channeldb.CreateWithBackend(db)
	require.NoError(t, err)
	all, err := channels.ChannelStateDB().FetchAllChannels()
	require.NoError(t, err)
	require.Len(t, all, 1)
	ch := all[0]
	require.True(t, ch.HasChanStatus(channeldb.ChanStatusRestored))
	require.ErrorIs(t, ch.AppendRemoteCommitChain(nil), channeldb.ErrNoRestoredChannelMutation)
	_, err = ch.UpdateCommitment(nil, nil)
	require.ErrorIs(t, err, channeldb.ErrNoRestoredChannelMutation)
	sync, err := ch.ChanSyncMsg()
	require.NoError(t, err)
	require.Zero(t, sync.NextLocalCommitHeight, "no peer goes on with a channel at commitment 0")

	keys, err := wallet.KeysOfWords(l.words, nil, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	key := backup.Key(keys.DeriveSecret(backup.Purpose))
	want, err := backup.Decode(l.raw, key)
	require.NoError(t, err)
	again, err := backup.Of(ch)
	require.NoError(t, err)
	again.Addresses = []string{"192.0.2.1:9735"}
	raw, err := backup.Encode(backup.Contents{Network: "regtest", Channels: []backup.Channel{again}}, key)
	require.NoError(t, err)
	got, err := backup.Decode(raw, key)
	require.NoError(t, err)
	require.Equal(t, want, got)
	root, err := keys.ECDH(keychain.KeyDescriptor{KeyLocator: again.RevocationRoot},
		ch.LocalChanCfg.MultiSigKey.PubKey)
	require.NoError(t, err)
	secret, err := shachain.NewRevocationProducer(root).AtIndex(0)
	require.NoError(t, err)
	first, err := ch.RevocationProducer.AtIndex(0)
	require.NoError(t, err)
	require.Equal(t, secret, first)
}

// TestOldCopyIsRefused: a node that would start from an old database does not start, and says what to do.
func TestOldCopyIsRefused(t *testing.T) {
	l := newLost(t, "regtest")
	file := filepath.Join(l.dir, store.DefaultFile)
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	options := Options{
		Dir: l.dir, Params: &chaincfg.RegressionNetParams, Passphrase: []byte("secret"),
		Chain: ChainOptions{Btcd: &chain.BtcdConfig{}},
	}
	n, err := New(options)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	newest, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, old, 0o600))
	_, err = New(options)
	require.ErrorIs(t, err, store.ErrOldCopy)
	require.ErrorContains(t, err, "inlet create --restore --backup")
	require.NoError(t, os.WriteFile(file, newest, 0o600))
	n, err = New(options)
	require.NoError(t, err)
	require.NoError(t, n.Close())
}

// TestMissingMarkerIsTold where there is something to lose.
func TestMissingMarkerIsTold(t *testing.T) {
	l := newLost(t, "regtest")
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Create(l.options(dir))
	require.NoError(t, err)
	for _, tc := range []struct {
		dir  string
		told bool
	}{{l.dir, false}, {dir, true}} {
		require.NoError(t, os.Remove(filepath.Join(tc.dir, "inlet.marker")))
		db, err := store.Open(store.Options{Dir: tc.dir})
		require.NoError(t, err)
		var log bytes.Buffer
		n := &Node{store: db, log: slog.New(slog.NewTextHandler(&log, nil))}
		n.channels, err = channeldb.CreateWithBackend(db)
		require.NoError(t, err)
		require.NoError(t, n.warnUnmarked())
		require.Equal(t, tc.told, strings.Contains(log.String(), "level=WARN"), log.String())
		require.NoError(t, db.Close())
	}
}
