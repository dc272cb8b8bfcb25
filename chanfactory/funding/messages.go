package funding

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Keys are the public keys that one side brings into a channel.
type Keys struct {
	Funding, Revocation, Payment, Delayed, Htlc *btcec.PublicKey
	// FirstPoint is first_per_commitment_point.
	FirstPoint *btcec.PublicKey
}

// openChannel composes open_channel. It always carries channel_type, and with it
// upfront_shutdown_script, empty.
//
// BOLT 2: "MUST include `upfront_shutdown_script`."
func openChannel(p Params, k Keys) *lnwire.OpenChannel {
	m := &lnwire.OpenChannel{
		ChainHash:            p.Chain,
		PendingChannelID:     p.PendingID,
		FundingAmount:        p.Capacity,
		PushAmount:           p.Push,
		DustLimit:            minDustLimit,
		MaxValueInFlight:     p.Demands.MaxInFlight,
		ChannelReserve:       p.Demands.Reserve,
		HtlcMinimum:          p.Demands.HtlcMinimum,
		FeePerKiloWeight:     uint32(p.CommitFeeRate),
		CsvDelay:             p.Demands.ToSelfDelay,
		MaxAcceptedHTLCs:     p.Demands.MaxHtlcs,
		FundingKey:           k.Funding,
		RevocationPoint:      k.Revocation,
		PaymentPoint:         k.Payment,
		DelayedPaymentPoint:  k.Delayed,
		HtlcPoint:            k.Htlc,
		FirstCommitmentPoint: k.FirstPoint,
		ChannelType:          p.Type.Wire(),
	}
	if !p.Private {
		m.ChannelFlags = lnwire.FFAnnounceChannel
	}
	return m
}

// acceptChannel composes accept_channel.
func acceptChannel(p Params, depth uint16, k Keys) *lnwire.AcceptChannel {
	return &lnwire.AcceptChannel{
		PendingChannelID:     p.PendingID,
		DustLimit:            minDustLimit,
		MaxValueInFlight:     p.Demands.MaxInFlight,
		ChannelReserve:       p.Demands.Reserve,
		HtlcMinimum:          p.Demands.HtlcMinimum,
		MinAcceptDepth:       uint32(depth),
		CsvDelay:             p.Demands.ToSelfDelay,
		MaxAcceptedHTLCs:     p.Demands.MaxHtlcs,
		FundingKey:           k.Funding,
		RevocationPoint:      k.Revocation,
		PaymentPoint:         k.Payment,
		DelayedPaymentPoint:  k.Delayed,
		HtlcPoint:            k.Htlc,
		FirstCommitmentPoint: k.FirstPoint,
		ChannelType:          p.Type.Wire(),
	}
}

// Delay scales to_self_delay with the capacity, from 144 blocks to 2016 at 2^24 satoshis: the
// more there is to lose, the more time we want to catch an old state.
func Delay(capacity btcutil.Amount) uint16 {
	const least, most = 144, 2016
	return uint16(min(max(least, int64(capacity)*most/int64(LargeChannel)), most))
}
