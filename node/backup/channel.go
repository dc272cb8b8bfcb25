package backup

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/shachain"
)

// scripts are the bits of a channel's type that say what its transactions look like. The others
// are about its life: in a restored channel they would have no meaning, or a wrong one.
const scripts = channeldb.DualFunderBit | channeldb.SingleFunderTweaklessBit |
	channeldb.NoFundingTxBit | channeldb.AnchorOutputsBit | channeldb.FrozenBit |
	channeldb.ZeroHtlcTxFeeBit | channeldb.LeaseExpirationBit |
	channeldb.SimpleTaprootFeatureBit | channeldb.TapscriptRootBit | channeldb.TaprootFinalBit

// Of is what is backed up of a channel. The addresses and the funding transaction are the caller's
// to add.
func Of(ch *channeldb.OpenChannel) (Channel, error) {
	if ch.RevocationKeyLocator.Family != keychain.KeyFamilyRevocationRoot {
		return Channel{}, fmt.Errorf("backup: channel %v has its revocation root from no key "+
			"of the wallet", ch.FundingOutpoint)
	}
	l, r := ch.LocalChanCfg, ch.RemoteChanCfg
	return Channel{
		Point: ch.FundingOutpoint, Scid: confirmed(ch), BroadcastHeight: ch.BroadcastHeight(),
		Peer: ch.IdentityPub, Capacity: ch.Capacity, Type: ch.ChanType & scripts,
		Initiator: ch.IsInitiator,
		Private:   ch.ChannelFlags&lnwire.FFAnnounceChannel == 0,
		Local: LocalKeys{
			CSVDelay: l.CsvDelay, MultiSig: l.MultiSigKey.KeyLocator,
			Revocation: l.RevocationBasePoint.KeyLocator, Payment: l.PaymentBasePoint.KeyLocator,
			Delayed: l.DelayBasePoint.KeyLocator, HTLCs: l.HtlcBasePoint.KeyLocator,
		},
		Remote: RemoteKeys{
			CSVDelay: r.CsvDelay, MultiSig: r.MultiSigKey.PubKey,
			Revocation: r.RevocationBasePoint.PubKey, Payment: r.PaymentBasePoint.PubKey,
			Delayed: r.DelayBasePoint.PubKey, HTLCs: r.HtlcBasePoint.PubKey,
		},
		RevocationRoot: ch.RevocationKeyLocator, ThawHeight: ch.ThawHeight,
	}, nil
}

// confirmed is the channel's place in the chain, or zero. An alias is none.
func confirmed(ch *channeldb.OpenChannel) lnwire.ShortChannelID {
	switch {
	case ch.IsPending || ch.IsZeroConf() && !ch.ZeroConfConfirmed():
		return lnwire.ShortChannelID{}
	case ch.IsZeroConf():
		return ch.ZeroConfRealScid()
	}
	return ch.ShortChannelID
}

// Keys derive what a channel needs of the wallet.
type Keys interface {
	DeriveKey(keychain.KeyLocator) (keychain.KeyDescriptor, error)
	keychain.ECDHRing
}

// Shell makes of a channel what channeldb can restore: a channel that nothing can be signed for, and
// whose outputs are found when the peer closes it.
func (ch Channel) Shell(keys Keys, chain chainhash.Hash) (*channeldb.OpenChannel, error) {
	local, err := ch.Local.config(keys)
	if err != nil {
		return nil, fmt.Errorf("backup: keys of channel %v: %w", ch.Point, err)
	}
	// As lnwallet made it: from the wallet's key and our key of the funding output.
	root, err := keys.ECDH(
		keychain.KeyDescriptor{KeyLocator: ch.RevocationRoot}, local.MultiSigKey.PubKey)
	if err != nil {
		return nil, fmt.Errorf("backup: revocation root of channel %v: %w", ch.Point, err)
	}
	flags := lnwire.FFAnnounceChannel
	if ch.Private {
		flags = 0
	}
	shell := &channeldb.OpenChannel{
		ChanType: ch.Type & scripts, ChainHash: chain, IsInitiator: ch.Initiator,
		Capacity: ch.Capacity, FundingOutpoint: ch.Point, ShortChannelID: ch.Scid,
		IdentityPub: ch.Peer, ChannelFlags: flags,
		LocalChanCfg: local, RemoteChanCfg: ch.Remote.config(),
		// Not known, and not used: with a static remote key our output needs no point of the
		// peer's. It must be some key to be stored.
		RemoteCurrentRevocation: ch.Peer,
		RevocationStore:         shachain.NewRevocationStore(),
		RevocationProducer:      shachain.NewRevocationProducer(root),
		RevocationKeyLocator:    ch.RevocationRoot,
		ThawHeight:              ch.ThawHeight,
	}
	shell.SetBroadcastHeight(ch.BroadcastHeight)
	return shell, nil
}

func (l LocalKeys) config(keys Keys) (channeldb.ChannelConfig, error) {
	var c channeldb.ChannelConfig
	c.CsvDelay = l.CSVDelay
	for _, k := range []struct {
		from keychain.KeyLocator
		to   *keychain.KeyDescriptor
	}{
		{l.MultiSig, &c.MultiSigKey}, {l.Revocation, &c.RevocationBasePoint},
		{l.Payment, &c.PaymentBasePoint}, {l.Delayed, &c.DelayBasePoint},
		{l.HTLCs, &c.HtlcBasePoint},
	} {
		desc, err := keys.DeriveKey(k.from)
		if err != nil {
			return c, err
		}
		*k.to = desc
	}
	return c, nil
}

func (r RemoteKeys) config() channeldb.ChannelConfig {
	var c channeldb.ChannelConfig
	c.CsvDelay = r.CSVDelay
	c.MultiSigKey.PubKey, c.RevocationBasePoint.PubKey = r.MultiSig, r.Revocation
	c.PaymentBasePoint.PubKey, c.DelayBasePoint.PubKey = r.Payment, r.Delayed
	c.HtlcBasePoint.PubKey = r.HTLCs
	return c
}
