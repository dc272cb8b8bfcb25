package backup

import (
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/shachain"
	"github.com/stretchr/testify/require"
)

// ring is a wallet whose keys differ in family and index.
type ring struct{}

func (ring) private(l keychain.KeyLocator) *btcec.PrivateKey {
	sum := sha256.Sum256([]byte{byte(l.Family), byte(l.Index)})
	key, _ := btcec.PrivKeyFromBytes(sum[:])
	return key
}

func (r ring) DeriveKey(l keychain.KeyLocator) (keychain.KeyDescriptor, error) {
	return keychain.KeyDescriptor{KeyLocator: l, PubKey: r.private(l).PubKey()}, nil
}

func (r ring) ECDH(d keychain.KeyDescriptor, with *btcec.PublicKey) ([32]byte, error) {
	return sha256.Sum256(btcec.GenerateSharedSecret(r.private(d.KeyLocator), with)), nil
}

// ours is a channel as channeldb has it while the node lives, the peer's part with other keys than ours.
func ours(t *testing.T) *channeldb.OpenChannel {
	t.Helper()
	s := sample().Channels[1]
	local, err := s.Local.config(ring{})
	require.NoError(t, err)
	ch := &channeldb.OpenChannel{
		ChanType: channeldb.SingleFunderTweaklessBit | channeldb.AnchorOutputsBit |
			channeldb.ZeroHtlcTxFeeBit,
		FundingOutpoint: wire.OutPoint{Hash: [32]byte{9}, Index: 1}, Capacity: 250_000,
		ShortChannelID: lnwire.ShortChannelID{BlockHeight: 700, TxIndex: 2, TxPosition: 1},
		IsInitiator:    true, IdentityPub: pub(1), LocalChanCfg: local,
		RevocationKeyLocator: s.RevocationRoot, ThawHeight: 800_000,
	}
	ch.RemoteChanCfg.CsvDelay = 2016
	ch.RemoteChanCfg.MultiSigKey.PubKey = pub(2)
	ch.RemoteChanCfg.RevocationBasePoint.PubKey = pub(3)
	ch.RemoteChanCfg.PaymentBasePoint.PubKey = pub(4)
	ch.RemoteChanCfg.DelayBasePoint.PubKey = pub(5)
	ch.RemoteChanCfg.HtlcBasePoint.PubKey = pub(6)
	ch.SetBroadcastHeight(690)
	return ch
}

// TestShell: a channel that went through a backup has all of what its outputs are found and spent by.
// Each of these values is needed for that, and none can be had from elsewhere.
func TestShell(t *testing.T) {
	was := ours(t)
	of, err := Of(was)
	require.NoError(t, err)
	raw, err := Encode(Contents{Channels: []Channel{of}}, key(1))
	require.NoError(t, err)
	c, err := Decode(raw, key(1))
	require.NoError(t, err)
	chain := chainhash.Hash{5}
	got, err := c.Channels[0].Shell(ring{}, chain)
	require.NoError(t, err)

	require.Equal(t, was.LocalChanCfg, got.LocalChanCfg)
	require.Equal(t, was.RemoteChanCfg, got.RemoteChanCfg)
	require.Equal(t, was.FundingOutpoint, got.FundingOutpoint)
	require.Equal(t, was.ShortChannelID, got.ShortChannelID)
	require.Equal(t, was.BroadcastHeight(), got.BroadcastHeight())
	require.Equal(t, was.ChanType, got.ChanType)
	require.Equal(t, was.Capacity, got.Capacity)
	require.Equal(t, was.IsInitiator, got.IsInitiator)
	require.Equal(t, was.IdentityPub, got.IdentityPub)
	require.Equal(t, was.ThawHeight, got.ThawHeight)
	require.Equal(t, was.RevocationKeyLocator, got.RevocationKeyLocator)
	require.Equal(t, chain, got.ChainHash)
	require.Equal(t, lnwire.FundingFlag(0), got.ChannelFlags)

	root := sha256.Sum256(btcec.GenerateSharedSecret(
		ring{}.private(was.RevocationKeyLocator), was.LocalChanCfg.MultiSigKey.PubKey))
	want, err := shachain.NewRevocationProducer(root).AtIndex(7)
	require.NoError(t, err)
	secret, err := got.RevocationProducer.AtIndex(7)
	require.NoError(t, err)
	require.Equal(t, want, secret, "the peer is told secrets of another channel")
}

// TestShellIsPublic: whether a channel is announced stays.
func TestShellIsPublic(t *testing.T) {
	ch := ours(t)
	ch.ChannelFlags = lnwire.FFAnnounceChannel
	of, err := Of(ch)
	require.NoError(t, err)
	require.False(t, of.Private)
	got, err := of.Shell(ring{}, chainhash.Hash{})
	require.NoError(t, err)
	require.Equal(t, lnwire.FFAnnounceChannel, got.ChannelFlags)
}

// TestTypeIsOfScripts: a restored channel has nothing left of its life in its type, whoever wrote the
// file. As a zero-conf channel it would be looked for by an alias that nobody knows any more.
func TestTypeIsOfScripts(t *testing.T) {
	const life = channeldb.ZeroConfBit | channeldb.ScidAliasChanBit | channeldb.ScidAliasFeatureBit
	ch := ours(t)
	want := ch.ChanType
	ch.ChanType |= life
	of, err := Of(ch)
	require.NoError(t, err)
	require.Equal(t, want, of.Type)
	of.Type |= life
	got, err := of.Shell(ring{}, chainhash.Hash{})
	require.NoError(t, err)
	require.Equal(t, want, got.ChanType)
}

// TestAliasIsNoPlace: before a channel is confirmed it has no place in the chain. A search for its
// spend that begins at an alias' block would never find it.
func TestAliasIsNoPlace(t *testing.T) {
	for name, change := range map[string]func(ch *channeldb.OpenChannel){
		"pending":   func(ch *channeldb.OpenChannel) { ch.IsPending = true },
		"zero-conf": func(ch *channeldb.OpenChannel) { ch.ChanType |= channeldb.ZeroConfBit },
	} {
		ch := ours(t)
		change(ch)
		of, err := Of(ch)
		require.NoError(t, err)
		require.Zero(t, of.Scid.ToUint64(), name)
	}
}

// TestOldRevocationRoot: a root that no key of the wallet gives can't be restored, and that is told.
func TestOldRevocationRoot(t *testing.T) {
	ch := ours(t)
	ch.RevocationKeyLocator = keychain.KeyLocator{}
	_, err := Of(ch)
	require.Error(t, err)
}
