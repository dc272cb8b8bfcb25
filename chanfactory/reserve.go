package chanfactory

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// reserver is lnwallet as far as openings need it.
type reserver interface {
	reserve(*lnwallet.InitFundingReserveMsg) (reservation, error)
}

// reservation is *lnwallet.ChannelReservation as far as openings need it.
type reservation interface {
	AddAlias(lnwire.ShortChannelID)
	SetNumConfsRequired(uint16)
	CommitConstraints(*channeldb.ChannelStateBounds, *channeldb.CommitmentParams,
		uint16, bool) error
	OurContribution() *lnwallet.ChannelContribution
	ProcessContribution(*lnwallet.ChannelContribution) error
	ProcessSingleContribution(*lnwallet.ChannelContribution) error
	FundingOutpoint() *wire.OutPoint
	FinalFundingTx() *wire.MsgTx
	OurSignatures() ([]*input.Script, input.Signature)
	CompleteReservation([]*input.Script, input.Signature) (*channeldb.OpenChannel, error)
	CompleteReservationSingle(*wire.OutPoint, input.Signature,
		fn.Option[lnwallet.AuxFundingDesc]) (*channeldb.OpenChannel, error)
	Cancel() error
}

// lnReserver is the real one.
type lnReserver struct{ wallet *lnwallet.LightningWallet }

func (r lnReserver) reserve(m *lnwallet.InitFundingReserveMsg) (reservation, error) {
	res, err := r.wallet.InitChannelReservation(m)
	if err != nil && m.LocalFundingAmt == 0 {
		// lnwallet keeps the intent of a reservation that it refused, as long as the process
		// lives: a peer could fill the memory with them. It may not have got that far, which is an
		// error. An intent of ours must not be cancelled twice: its coins may have been taken by
		// another opening since.
		_ = r.wallet.CancelFundingIntent(m.PendingChanID)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// request is what lnwallet is asked for, in either role.
//
// lnwallet keeps coins by the pending id, for all peers together. Peers choose theirs and know those
// that we told them, so it gets one that nobody knows: else a peer that repeats another's id takes
// that one's coins along, and frees them when it gives up.
func (o *opening) request() *lnwallet.InitFundingReserveMsg {
	p, peer := o.machine.Params, o.peer
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails
	m := &lnwallet.InitFundingReserveMsg{
		ChainHash: &p.Chain, PendingChanID: id,
		NodeID: peer.IdentityKey(), NodeAddr: peer.Address(),
		CommitFeePerKw: p.CommitFeeRate, PushMSat: p.Push, MinConfs: 1,
		CommitType: lnwallet.CommitmentTypeTweakless,
		ZeroConf:   p.ZeroConf, OptionScidAlias: p.Type.ScidAlias,
		ScidAliasFeature: funding.Both(peer.LocalFeatures(), peer.RemoteFeatures(),
			lnwire.ScidAliasOptional),
	}
	if p.Type.Anchors {
		m.CommitType = lnwallet.CommitmentTypeAnchorsZeroFeeHtlcTx
	}
	if !p.Private {
		m.Flags = lnwire.FFAnnounceChannel
	}
	if o.ours() {
		m.LocalFundingAmt, m.FundingFeePerKw = p.Capacity, o.ask.FeeRate
		m.MinConfs = o.ask.MinConfs
		m.ChanFunder = o.w.f.cfg.Coins.Funder()
	} else {
		m.RemoteFundingAmt, m.FundingFeePerKw = p.Capacity, chainfee.FeePerKwFloor
	}
	return m
}

// errNoTx says that the assembler does not show its transaction, which must be stored before
// the peer learns its id.
var errNoTx = errors.New("the coins' assembler made no funding transaction")

// reserve picks coins and keys.
func (o *opening) reserve() funding.Event {
	res, err := o.w.f.wallet.reserve(o.request())
	if err != nil {
		return ourFailure(fmt.Errorf("reserve coins and keys: %w", err))
	}
	o.res = res
	us := res.OurContribution()
	return funding.Reserved{Keys: funding.Keys{
		Funding: us.MultiSigKey.PubKey, Revocation: us.RevocationBasePoint.PubKey,
		Payment: us.PaymentBasePoint.PubKey, Delayed: us.DelayBasePoint.PubKey,
		Htlc: us.HtlcBasePoint.PubKey, FirstPoint: us.FirstCommitmentPoint,
	}}
}

// takeAlias names a channel that is used before it has a place in the chain. It registers the
// alias too, while the peer thinks: later the payment would wait for that write.
func (o *opening) takeAlias() funding.Event {
	aliases := o.w.f.cfg.Aliases
	alias, err := aliases.RequestAlias()
	if err == nil {
		err = aliases.AddLocalAlias(alias, alias, true, false)
	}
	if err != nil {
		return ourFailure(fmt.Errorf("take an alias: %w", err))
	}
	o.alias = alias
	o.res.AddAlias(alias)
	return nil
}

// dropAlias takes the alias back.
func (o *opening) dropAlias() {
	if o.alias == (lnwire.ShortChannelID{}) {
		return
	}
	// There never was a link, so the switch can't be told, which may count as an error.
	_ = o.w.f.cfg.Aliases.DeleteLocalAlias(o.alias, o.alias)
	o.alias = lnwire.ShortChannelID{}
}

// sign hands accept_channel's terms to lnwallet, which builds and signs the funding transaction
// and the acceptor's first commitment.
func (o *opening) sign(c funding.Sign) funding.Event {
	m, p := c.Accept, o.machine.Params
	o.res.SetNumConfsRequired(c.Depth)
	err := o.res.CommitConstraints(&channeldb.ChannelStateBounds{
		ChanReserve: m.ChannelReserve, MaxPendingAmount: m.MaxValueInFlight,
		MinHTLC: m.HtlcMinimum, MaxAcceptedHtlcs: m.MaxAcceptedHTLCs,
	}, &channeldb.CommitmentParams{DustLimit: m.DustLimit, CsvDelay: m.CsvDelay},
		p.MaxToSelfDelay, false)
	if err != nil {
		return ourFailure(fmt.Errorf("take the peer's terms: %w", err))
	}
	err = o.res.ProcessContribution(&lnwallet.ChannelContribution{
		FirstCommitmentPoint: m.FirstCommitmentPoint,
		UpfrontShutdown:      m.UpfrontShutdownScript,
		ChannelConfig: theirConfig(p, m.DustLimit, funding.Keys{
			Funding: m.FundingKey, Revocation: m.RevocationPoint, Payment: m.PaymentPoint,
			Delayed: m.DelayedPaymentPoint, Htlc: m.HtlcPoint,
		}),
	})
	if err == nil && o.res.FinalFundingTx() == nil {
		err = errNoTx
	}
	if err != nil {
		return ourFailure(fmt.Errorf("make the funding transaction: %w", err))
	}
	o.tx = o.res.FinalFundingTx().Copy()
	_, ours := o.res.OurSignatures()
	sig, err := lnwire.NewSigFromSignature(ours)
	if err != nil {
		return ourFailure(fmt.Errorf("encode the signature: %w", err))
	}
	return funding.Signed{Point: *o.res.FundingOutpoint(), Sig: sig}
}

// takeTerms hands open_channel's terms to lnwallet.
func (o *opening) takeTerms(c funding.TakeTerms) funding.Event {
	m, p := c.Open, o.machine.Params
	o.res.SetNumConfsRequired(c.Depth)
	err := o.res.CommitConstraints(&channeldb.ChannelStateBounds{
		ChanReserve: m.ChannelReserve, MaxPendingAmount: m.MaxValueInFlight,
		MinHTLC: m.HtlcMinimum, MaxAcceptedHtlcs: m.MaxAcceptedHTLCs,
	}, &channeldb.CommitmentParams{DustLimit: m.DustLimit, CsvDelay: m.CsvDelay},
		p.MaxToSelfDelay, true)
	if err == nil {
		err = o.res.ProcessSingleContribution(&lnwallet.ChannelContribution{
			FundingAmount:        m.FundingAmount,
			FirstCommitmentPoint: m.FirstCommitmentPoint,
			UpfrontShutdown:      m.UpfrontShutdownScript,
			ChannelConfig: theirConfig(p, m.DustLimit, funding.Keys{
				Funding: m.FundingKey, Revocation: m.RevocationPoint, Payment: m.PaymentPoint,
				Delayed: m.DelayedPaymentPoint, Htlc: m.HtlcPoint,
			}),
		})
	}
	if err != nil {
		return ourFailure(fmt.Errorf("take the opener's terms: %w", err))
	}
	return nil
}

// theirConfig is the peer's side of the channel: its keys and dust limit, and our demands.
func theirConfig(p funding.Params, dust btcutil.Amount, k funding.Keys) *channeldb.ChannelConfig {
	key := func(k *btcec.PublicKey) keychain.KeyDescriptor { return keychain.KeyDescriptor{PubKey: k} }
	return &channeldb.ChannelConfig{
		ChannelStateBounds: channeldb.ChannelStateBounds{
			MaxPendingAmount: p.Demands.MaxInFlight, ChanReserve: p.Demands.Reserve,
			MinHTLC: p.Demands.HtlcMinimum, MaxAcceptedHtlcs: p.Demands.MaxHtlcs,
		},
		CommitmentParams: channeldb.CommitmentParams{
			DustLimit: dust, CsvDelay: p.Demands.ToSelfDelay,
		},
		MultiSigKey: key(k.Funding), RevocationBasePoint: key(k.Revocation),
		PaymentBasePoint: key(k.Payment), DelayBasePoint: key(k.Delayed),
		HtlcBasePoint: key(k.Htlc),
	}
}

// storeChannel checks the peer's signature and writes the channel.
func (o *opening) storeChannel(c funding.StoreChannel) funding.Event {
	sig, err := c.Sig.ToSignature()
	if err != nil {
		return funding.CommandFailed{Fault: PeerTerms, Reason: "the signature is malformed"}
	}
	switch {
	case o.ours():
		o.stored, err = o.res.CompleteReservation(nil, sig)
	case o.w.f.journal.findPoint(c.Point) != nil:
		// An output that we are about to fund ourselves. If the peer's channel took its place in
		// the store, we would fund an output that this channel can't spend.
		return funding.CommandFailed{Fault: PeerTerms, Reason: "the funding outpoint is not yours"}
	default:
		o.stored, err = o.res.CompleteReservationSingle(
			&c.Point, sig, fn.None[lnwallet.AuxFundingDesc]())
	}
	if err != nil {
		return o.notStored(c, err)
	}
	res := o.res
	o.res = nil // complete: there is nothing left to cancel
	if o.ours() {
		return funding.ChannelStored{}
	}
	_, ours := res.OurSignatures()
	wireSig, err := lnwire.NewSigFromSignature(ours)
	if err != nil {
		return ourFailure(fmt.Errorf("encode the signature: %w", err))
	}
	return funding.ChannelStored{Sig: wireSig}
}

// notStored finds out what a failed completion left behind. lnwallet forgets an opener's
// reservation once the signature was found good, but before the channel is written: what fails
// after that leaves the coins leased with nobody to release them.
func (o *opening) notStored(c funding.StoreChannel, cause error) funding.Event {
	o.log().Warn("cannot complete reservation", "chan", c.Point.String(), "err", cause)
	res := o.res
	o.res = nil
	if o.ours() {
		ch, err := o.w.f.cfg.Channels.FetchChannel(c.Point)
		if err == nil && ch.IsInitiator && ch.LocalChanCfg.MultiSigKey.PubKey.IsEqual(
			res.OurContribution().MultiSigKey.PubKey) {

			o.stored = ch // written after all: it can't be taken back
			return funding.ChannelStored{}
		}
	}
	if err := res.Cancel(); err == nil {
		return funding.CommandFailed{Fault: PeerTerms, Reason: "the signature is wrong"}
	}
	o.releaseCoins()
	return ourFailure(fmt.Errorf("store the channel: %w", cause))
}

// cancelReservation gives back what the reservation holds. It must not release the coins once
// more: an opening of another peer may have taken them since.
func (o *opening) cancelReservation() {
	o.dropAlias()
	if o.res == nil {
		return
	}
	if err := o.res.Cancel(); err != nil {
		o.log().Warn("cannot cancel reservation", "err", err)
	}
	o.res = nil
}

// releaseCoins frees coins that no reservation stands for any more.
func (o *opening) releaseCoins() {
	if o.tx == nil {
		return
	}
	if err := o.w.f.cfg.Coins.Release(inputsOf(o.tx)); err != nil {
		o.log().Error("cannot release coins; they are free in ten minutes", "err", err)
	}
}

func ourFailure(err error) funding.Event {
	return funding.CommandFailed{Fault: Ours, Reason: err.Error()}
}
