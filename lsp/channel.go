package lsp

import (
	"fmt"
	"sort"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// SatPerKWeight is a fee rate in satoshis per 1000 units of weight.
type SatPerKWeight uint64

// FundingWeight is what a funding transaction weighs, as the price of a channel counts
// it: one P2WPKH input, the channel and P2TR change.
const FundingWeight = 659

// maxFeeRate is more than any transaction pays; beyond it products would overflow.
const maxFeeRate SatPerKWeight = 10_000_000

// FundingFee is what a funding transaction costs at the rate.
func FundingFee(rate SatPerKWeight) btcutil.Amount { return ceilSat(chainCost(rate)) }

// chainCost is weight times rate: satoshis per 1000 weight are millisatoshis per weight.
func chainCost(rate SatPerKWeight) lnwire.MilliSatoshi {
	return FundingWeight * lnwire.MilliSatoshi(min(rate, maxFeeRate))
}

// ChainFee ties min_fee_msat to what a channel costs on chain.
type ChainFee struct {
	// Follow raises the minimum fee of each item to the cost of its channel when that is
	// more. What was promised before keeps its price.
	Follow bool

	// MarginPPM is by how much the cost is multiplied, in millionths: 1,000,000 is the
	// bare cost. Zero is DefaultChainFeeMargin.
	MarginPPM uint32
}

// DefaultChainFeeMargin is one and a half times the cost: the fee rate may rise until
// the payment comes, and the channel is closed one day.
const DefaultChainFeeMargin = 1_500_000

const maxChainFeeMargin = 100_000_000

func (c ChainFee) margin() uint32 {
	if c.MarginPPM == 0 {
		return DefaultChainFeeMargin
	}
	return c.MarginPPM
}

// minFee is the least minimum fee at the rate, in whole satoshis; 0 when the fee does
// not follow the chain.
func (c ChainFee) minFee(rate SatPerKWeight) lnwire.MilliSatoshi {
	if !c.Follow {
		return 0
	}
	const million = 1_000_000
	cost := uint64(chainCost(rate)) * uint64(c.margin())
	return lnwire.NewMSatFromSatoshis(ceilSat(lnwire.MilliSatoshi((cost + million - 1) / million)))
}

func (c ChainFee) check() error {
	if c.MarginPPM > maxChainFeeMargin {
		return fmt.Errorf("chain_fee_margin_ppm is %d: at most %d, a hundred times the cost",
			c.MarginPPM, maxChainFeeMargin)
	}
	return nil
}

// ChannelPolicy is how large channels are.
type ChannelPolicy struct {
	// OverprovisionPPM is how much larger than needed a channel is, in millionths of the
	// payment that it is opened for, so that the client can receive again.
	OverprovisionPPM uint32

	// Min and Max bound the capacity; zero is 20,000 and 16,777,215 sat. Max is a bound
	// on what is sold: an order that was sold gets the channel that it needs, even if the
	// fee rate has risen so much since that it is larger.
	Min, Max btcutil.Amount

	// OverbookPPM is by how much the channels of all orders that are not yet paid may
	// exceed the coins that are there, in millionths of the coins. Most such orders of
	// wallets are never paid.
	OverbookPPM uint32
}

const (
	// minChannelSize is the smallest channel that other nodes accept by default.
	minChannelSize btcutil.Amount = 20_000

	// maxChannelSize is the largest channel without option_support_large_channel, which
	// LDK clients don't offer: BOLT 2 has it under 2^24 sat.
	maxChannelSize btcutil.Amount = 1<<24 - 1
)

func (p ChannelPolicy) orDefault() ChannelPolicy {
	if p.Min == 0 {
		p.Min = minChannelSize
	}
	if p.Max == 0 {
		p.Max = maxChannelSize
	}
	return p
}

// Validate says what is wrong with the policy, by the names of the configuration.
func (p ChannelPolicy) Validate() error {
	p = p.orDefault()
	switch {
	case p.Min < minChannelSize:
		return fmt.Errorf("lsp.lsps2: min_channel_size_sat is %d: other nodes accept no channel "+
			"under %d", int64(p.Min), int64(minChannelSize))
	case p.Max > maxChannelSize:
		return fmt.Errorf("lsp.lsps2: max_channel_size_sat is %d: LDK clients accept no channel "+
			"over %d", int64(p.Max), int64(maxChannelSize))
	case p.Min > p.Max:
		return fmt.Errorf("lsp.lsps2: min_channel_size_sat is %d, over max_channel_size_sat %d: "+
			"lower it or raise the other", int64(p.Min), int64(p.Max))
	}
	return nil
}

// ChannelUse is what a channel must carry at once.
type ChannelUse struct {
	Forward lnwire.MilliSatoshi // to the client, all parts together
	Parts   int
	FeeRate SatPerKWeight // of its commitment
}

// ChannelNeeds is what stays ours in a channel while it carries a payment.
type ChannelNeeds struct {
	Reserve   btcutil.Amount // channel_reserve_satoshis that clients demand
	Anchors   btcutil.Amount
	CommitFee btcutil.Amount // with room for the rate to rise
}

// Channel is the size of a channel, part by part: Capacity is the sum of the others.
type Channel struct {
	Forward btcutil.Amount // the payment less the opening fee, rounded up
	ChannelNeeds

	// Spare is room for later payments, by overprovision_ppm or min_channel_size_sat.
	Spare btcutil.Amount

	Capacity btcutil.Amount
}

// needed is the least capacity that will do.
func (c Channel) needed() btcutil.Amount { return c.Capacity - c.Spare }

// Size is the channel for a payment. It may be larger than Max: see Fits.
func (p ChannelPolicy) Size(forward lnwire.MilliSatoshi, needs ChannelNeeds) Channel {
	p = p.orDefault()
	c := Channel{Forward: ceilSat(forward), ChannelNeeds: needs}
	needed := c.Forward + needs.Reserve + needs.Anchors + needs.CommitFee
	extra := btcutil.Amount(uint64(min(c.Forward, p.Max)) * uint64(p.OverprovisionPPM) / 1_000_000)
	// The cap takes from the room for later payments only.
	c.Capacity = max(min(needed+extra, p.Max), needed, p.Min)
	c.Spare = c.Capacity - needed
	return c
}

// Fits says whether the channel is one that is sold.
func (p ChannelPolicy) Fits(c Channel) bool { return c.needed() <= p.orDefault().Max }

// market is what the price and the size of a channel depend on at one moment.
type market struct {
	rate     SatPerKWeight
	channels ChannelPolicy
	needs    func(ChannelUse) ChannelNeeds
}

// channel is the channel for what is forwarded in so many parts.
func (m market) channel(forward lnwire.MilliSatoshi, parts int) Channel {
	// More than there are bitcoin: the sums below must not overflow.
	forward = min(forward, lnwire.NewMSatFromSatoshis(btcutil.MaxSatoshi))
	needs := m.needs(ChannelUse{Forward: forward, Parts: parts, FeeRate: m.rate})
	return m.channels.Size(forward, needs)
}

// carries says whether a channel that is sold carries the payment less its fee, in
// whatever number of parts the payer sends it.
func (m market) carries(forward lnwire.MilliSatoshi, maxParts int) bool {
	return m.channels.Fits(m.channel(forward, maxParts))
}

// clamp lowers the item's largest payment to what the largest channel carries; false
// when the item is good for no payment.
func (m market) clamp(p *OpeningFeeParams, maxParts int) bool {
	good := func(size lnwire.MilliSatoshi) bool {
		fee, ok := jit.OpeningFee(size, p.MinFee, p.Proportional)
		return ok && (fee >= size || m.carries(size-fee, maxParts))
	}
	if !good(p.MaxPaymentSize) {
		// More is forwarded of a larger payment, so there is one from which on none fits.
		span := p.MaxPaymentSize - p.MinPaymentSize
		steps := sort.Search(int(min(span, 1<<62)), func(i int) bool {
			return !good(p.MinPaymentSize + lnwire.MilliSatoshi(i))
		})
		if steps == 0 {
			return false
		}
		p.MaxPaymentSize = p.MinPaymentSize + lnwire.MilliSatoshi(steps) - 1
	}
	fee, ok := jit.OpeningFee(p.MaxPaymentSize, p.MinFee, p.Proportional)
	return ok && fee < p.MaxPaymentSize
}

// ceilSat rounds up to whole satoshis.
func ceilSat(a lnwire.MilliSatoshi) btcutil.Amount {
	sat := a.ToSatoshis()
	if lnwire.NewMSatFromSatoshis(sat) < a {
		sat++
	}
	return sat
}
