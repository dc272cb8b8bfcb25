package funding

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// minDustLimit is the least dust_limit_satoshis of BOLT 2, and ours.
	minDustLimit btcutil.Amount = 354
	// maxDustLimit is the most that we (and lnwallet) take: a large one turns many HTLCs into
	// fees when the peer closes by force.
	maxDustLimit = 3 * minDustLimit

	// maxHtlcs is BOLT 2's limit for max_accepted_htlcs, minHtlcs is lnwallet's.
	maxHtlcs = 483
	minHtlcs = 5

	// maxReservePart is the inverse of the largest part of a channel that a peer may ask us to
	// keep as reserve, as lnwallet has it.
	maxReservePart = 5

	// LargeChannel is the capacity from which option_support_large_channel is needed.
	LargeChannel btcutil.Amount = 1 << 24

	// MaxDepth is the most confirmations that we wait for.
	MaxDepth = 144
)

// Demands is what we ask of the peer: the terms for its commitment transaction and for the HTLCs
// that it offers us.
type Demands struct {
	// ToSelfDelay is to_self_delay, in blocks.
	ToSelfDelay uint16
	// Reserve is channel_reserve_satoshis.
	Reserve btcutil.Amount
	// HtlcMinimum is htlc_minimum_msat.
	HtlcMinimum lnwire.MilliSatoshi
	// MaxInFlight is max_htlc_value_in_flight_msat.
	MaxInFlight lnwire.MilliSatoshi
	// MaxHtlcs is max_accepted_htlcs.
	MaxHtlcs uint16
}

// Limits are our bounds on what peers propose.
type Limits struct {
	// MinCapacity and MaxCapacity bound funding_satoshis.
	MinCapacity, MaxCapacity btcutil.Amount
	// MaxToSelfDelay bounds the delay that the peer puts on us, in blocks.
	MaxToSelfDelay uint16
	// MaxCommitFeeRate bounds feerate_per_kw.
	MaxCommitFeeRate chainfee.SatPerKWeight
}

// bounds are the fields that open_channel and accept_channel share: what the peer asks of us.
type bounds struct {
	dustLimit, reserve       btcutil.Amount
	htlcMinimum, maxInFlight lnwire.MilliSatoshi
	maxHtlcs, delay          uint16
	shutdownScript           lnwire.DeliveryAddress
}

// check applies the rules that hold for both messages. Whatever passes here passes lnwallet's
// own checks as well, which come after signatures are under way.
func (b bounds) check(capacity btcutil.Amount, maxDelay uint16) error {
	switch {
	// BOLT 2: "`to_self_delay` is unreasonably large."
	case b.delay > maxDelay:
		return fmt.Errorf("to_self_delay %d is more than %d", b.delay, maxDelay)

	// BOLT 2: "`max_accepted_htlcs` is greater than 483."
	case b.maxHtlcs > maxHtlcs:
		return fmt.Errorf("max_accepted_htlcs %d is more than %d", b.maxHtlcs, maxHtlcs)

	// BOLT 2: "it considers `max_accepted_htlcs` too small."
	case b.maxHtlcs < minHtlcs:
		return fmt.Errorf("max_accepted_htlcs %d is less than %d", b.maxHtlcs, minHtlcs)

	// BOLT 2: "`dust_limit_satoshis` is smaller than `354 satoshis`"
	case b.dustLimit < minDustLimit:
		return fmt.Errorf("dust_limit_satoshis %d is less than %d",
			int64(b.dustLimit), int64(minDustLimit))

	// BOLT 2: "it considers `dust_limit_satoshis` too large"
	case b.dustLimit > maxDustLimit:
		return fmt.Errorf("dust_limit_satoshis %d is more than %d",
			int64(b.dustLimit), int64(maxDustLimit))

	// BOLT 2: "`dust_limit_satoshis` is greater than `channel_reserve_satoshis`."
	case b.dustLimit > b.reserve:
		return fmt.Errorf("channel_reserve_satoshis %d is less than dust_limit_satoshis %d",
			int64(b.reserve), int64(b.dustLimit))

	// BOLT 2: "it considers `channel_reserve_satoshis` too large."
	case b.reserve > capacity/maxReservePart:
		return fmt.Errorf("channel_reserve_satoshis %d is more than a fifth of %d",
			int64(b.reserve), int64(capacity))

	// BOLT 2: "it considers `max_htlc_value_in_flight_msat` too small."
	case b.maxInFlight/minHtlcs < b.htlcMinimum:
		return fmt.Errorf("max_htlc_value_in_flight_msat %d is less than %d times "+
			"htlc_minimum_msat %d", uint64(b.maxInFlight), minHtlcs, uint64(b.htlcMinimum))

	case !validScript(b.shutdownScript):
		return errors.New("upfront_shutdown_script is not a standard segwit script")
	}
	return nil
}

// validScript checks an upfront shutdown script; an empty one commits to nothing.
//
// BOLT 2: "`OP_0` `20` 20-bytes (version 0 pay to witness pubkey hash), OR"
func validScript(script []byte) bool {
	if len(script) == 0 {
		return true
	}
	version, program, err := txscript.ExtractWitnessProgramInfo(script)
	if err != nil {
		return false
	}
	return version > 0 || len(program) == 20 || len(program) == 32
}

// commitFee is the fee of the first commitment with the anchors, paid by the opener.
func commitFee(rate chainfee.SatPerKWeight, anchors bool) btcutil.Amount {
	if anchors {
		return rate.FeeForWeight(anchorCommitWeight) + anchorsSat
	}
	return rate.FeeForWeight(legacyCommitWeight)
}

// checkAmounts applies the rules for the opener's money, to a peer's proposal and to our own.
func checkAmounts(p Params, reserve btcutil.Amount) error {
	capacity := lnwire.NewMSatFromSatoshis(p.Capacity)
	// BOLT 2: "`push_msat` is greater than `funding_satoshis` * 1000."
	if p.Push > capacity {
		return fmt.Errorf("push_msat %d is more than the capacity %d sat",
			uint64(p.Push), int64(p.Capacity))
	}
	// BOLT 2: "the funder's amount for the initial commitment transaction is not sufficient for
	// full [fee payment](03-transactions.md#fee-payment)."
	fee := lnwire.NewMSatFromSatoshis(commitFee(p.CommitFeeRate, p.Type.Anchors))
	if p.Push+fee > capacity {
		return fmt.Errorf("the opener's %d msat do not pay the commitment fee of %d msat",
			uint64(capacity-p.Push), uint64(fee))
	}
	opener := (capacity - p.Push - fee).ToSatoshis()
	if opener <= 2*minDustLimit {
		return fmt.Errorf("the opener's %d sat are dust", int64(opener))
	}
	// BOLT 2: "both `to_local` and `to_remote` amounts for the initial commitment transaction are
	// less than or equal to `channel_reserve_satoshis`"
	if opener <= reserve && p.Push.ToSatoshis() <= reserve {
		return fmt.Errorf("both sides have less than channel_reserve_satoshis %d", int64(reserve))
	}
	return nil
}

// checkSize bounds the capacity by policy and by what both sides support.
func checkSize(capacity btcutil.Amount, l Limits, local, remote *lnwire.FeatureVector) error {
	switch {
	case capacity < l.MinCapacity:
		return fmt.Errorf("funding_satoshis %d is less than %d",
			int64(capacity), int64(l.MinCapacity))
	case capacity > l.MaxCapacity:
		return fmt.Errorf("funding_satoshis %d is more than %d",
			int64(capacity), int64(l.MaxCapacity))

	// BOLT 2: "`funding_satoshis` is greater than or equal to 2^24 and the receiver does not
	// support `option_support_large_channel`."
	case capacity >= LargeChannel && !Both(local, remote, lnwire.WumboChannelsOptional):
		return fmt.Errorf("funding_satoshis %d needs option_support_large_channel", int64(capacity))
	}
	return nil
}

// Proposal is what a peer's open_channel was checked against.
type Proposal struct {
	Chain         chainhash.Hash
	Local, Remote *lnwire.FeatureVector
	Limits        Limits
	Msg           *lnwire.OpenChannel
}

// Check applies BOLT 2's rules to a peer's open_channel and returns its parameters without our
// demands. The error's text is for the peer.
func (o Proposal) Check() (Params, error) {
	m := o.Msg
	// BOLT 2: "the `chain_hash` value is set to a hash of a chain that is unknown to the receiver."
	if m.ChainHash != o.Chain {
		return Params{}, errors.New("unknown chain_hash: this node is on another network")
	}
	// BOLT 2: "if the message doesn't include a `channel_type`:"
	// BOLT 2: "fail the channel."
	t, err := ParseChanType(m.ChannelType)
	if err != nil {
		return Params{}, err
	}
	private := m.ChannelFlags&lnwire.FFAnnounceChannel == 0
	if err := t.allowed(private, o.Local); err != nil {
		return Params{}, err
	}
	if err := checkSize(m.FundingAmount, o.Limits, o.Local, o.Remote); err != nil {
		return Params{}, err
	}
	// BOLT 2: "it considers `feerate_per_kw` too small for timely processing or unreasonably
	// large."
	rate := chainfee.SatPerKWeight(m.FeePerKiloWeight)
	if rate < chainfee.FeePerKwFloor || rate > o.Limits.MaxCommitFeeRate {
		return Params{}, fmt.Errorf("feerate_per_kw %d is not between %d and %d",
			m.FeePerKiloWeight, chainfee.FeePerKwFloor, o.Limits.MaxCommitFeeRate)
	}
	p := Params{
		PendingID: m.PendingChannelID, Type: t, Capacity: m.FundingAmount, Push: m.PushAmount,
		CommitFeeRate: rate, Private: private, Chain: o.Chain,
		MaxToSelfDelay: o.Limits.MaxToSelfDelay,
	}
	if err := openBounds(m).check(p.Capacity, p.MaxToSelfDelay); err != nil {
		return Params{}, err
	}
	return p, checkAmounts(p, m.ChannelReserve)
}

func openBounds(m *lnwire.OpenChannel) bounds {
	return bounds{
		dustLimit: m.DustLimit, reserve: m.ChannelReserve, htlcMinimum: m.HtlcMinimum,
		maxInFlight: m.MaxValueInFlight, maxHtlcs: m.MaxAcceptedHTLCs, delay: m.CsvDelay,
		shutdownScript: m.UpfrontShutdownScript,
	}
}

// CheckRequest applies the same rules to a channel that we want to open.
func CheckRequest(p Params, l Limits, local, remote *lnwire.FeatureVector) error {
	if err := checkSize(p.Capacity, l, local, remote); err != nil {
		return err
	}
	return checkAmounts(p, p.Demands.Reserve)
}

// CheckAccept applies BOLT 2's rules and the opening's own needs to accept_channel. It runs
// before anything is signed. The error's text is for the peer.
func CheckAccept(p Params, m *lnwire.AcceptChannel) error {
	// BOLT 2: "if `channel_type` does not match the `channel_type` from `open_channel`:"
	if !p.Type.equals(m.ChannelType) {
		return fmt.Errorf("channel_type is not the proposed %v", p.Type)
	}
	// BOLT 2: "if `minimum_depth` is unreasonably large:"
	if m.MinAcceptDepth > MaxDepth {
		return fmt.Errorf("minimum_depth %d is more than %d", m.MinAcceptDepth, MaxDepth)
	}
	if p.ZeroConf && m.MinAcceptDepth != 0 {
		return fmt.Errorf("minimum_depth %d, but the channel is to be used unconfirmed",
			m.MinAcceptDepth)
	}
	b := bounds{
		dustLimit: m.DustLimit, reserve: m.ChannelReserve, htlcMinimum: m.HtlcMinimum,
		maxInFlight: m.MaxValueInFlight, maxHtlcs: m.MaxAcceptedHTLCs, delay: m.CsvDelay,
		shutdownScript: m.UpfrontShutdownScript,
	}
	// BOLT 2: "if `channel_reserve_satoshis` is less than `dust_limit_satoshis` within the
	// `open_channel` message:"
	if m.ChannelReserve < minDustLimit {
		return fmt.Errorf("channel_reserve_satoshis %d is less than our dust_limit_satoshis %d",
			int64(m.ChannelReserve), int64(minDustLimit))
	}
	// BOLT 2: "if `channel_reserve_satoshis` from the `open_channel` message is less than
	// `dust_limit_satoshis`:"
	if p.Demands.Reserve < m.DustLimit {
		return fmt.Errorf("dust_limit_satoshis %d is more than our channel_reserve_satoshis %d",
			int64(m.DustLimit), int64(p.Demands.Reserve))
	}
	if err := b.check(p.Capacity, p.MaxToSelfDelay); err != nil {
		return err
	}
	if err := checkAmounts(p, m.ChannelReserve); err != nil {
		return err
	}
	return p.Room.fits(p, m)
}
