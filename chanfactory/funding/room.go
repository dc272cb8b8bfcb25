package funding

import (
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// anchorsSat is what the opener pays for the two anchor outputs, in satoshis.
	anchorsSat btcutil.Amount = 660

	// Weights of BOLT 3: the commitment transaction without HTLCs, and one HTLC output.
	anchorCommitWeight = 1124
	legacyCommitWeight = 724
	htlcWeight         = 172

	// feeBuffer is how many times the present commitment fee an lnd link keeps back before it
	// adds an HTLC, so that the fee may rise while HTLCs are in flight. Run against LDK.
	feeBuffer = 2

	ppm = 1_000_000

	// maxNeed is more than any channel has; beyond it the arithmetic would overflow.
	maxNeed = btcutil.Amount(1) << 40
)

// Room is what must fit through a new channel at once, from the opener to the acceptor.
type Room struct {
	// Forward is the sum of the HTLCs; zero asks for no room.
	Forward lnwire.MilliSatoshi
	// Smallest is the smallest of them; zero means not known, then it is taken to be
	// Forward divided by Parts.
	Smallest lnwire.MilliSatoshi
	// Parts is how many HTLCs there are; zero means one.
	Parts int
}

func (r Room) parts() int { return max(r.Parts, 1) }

func (r Room) smallest() lnwire.MilliSatoshi {
	if r.Smallest != 0 {
		return r.Smallest
	}
	return r.Forward / lnwire.MilliSatoshi(r.parts())
}

// need is the part of the capacity that room takes besides the reserve, in satoshis.
func (r Room) need(rate chainfee.SatPerKWeight, anchors bool) btcutil.Amount {
	fixed, fee := r.Costs(rate, anchors)
	return ceilSat(r.Forward) + fixed + fee
}

// Costs are what the opener keeps back besides the HTLCs and the reserve, in satoshis: the
// anchors, and twice the fee of a commitment with one HTLC more.
func (r Room) Costs(rate chainfee.SatPerKWeight, anchors bool) (fixed, fee btcutil.Amount) {
	weight := int64(legacyCommitWeight)
	if anchors {
		weight, fixed = anchorCommitWeight, anchorsSat
	}
	weight += htlcWeight * int64(r.parts()+1)
	return fixed, btcutil.Amount(ceilDiv(feeBuffer*int64(Clamp(rate))*weight, 1000))
}

// ReserveRule says which channel_reserve_satoshis a peer will demand of the opener: the larger of
// Floor and PPM millionths of the capacity. The zero value is what LDK and lnd demand: 1000 sat,
// or one percent.
type ReserveRule struct {
	Floor btcutil.Amount
	PPM   uint32
}

func (r ReserveRule) orDefault() ReserveRule {
	if r == (ReserveRule{}) {
		return ReserveRule{Floor: 1000, PPM: 10_000}
	}
	return r
}

// Of is the reserve for a capacity.
func (r ReserveRule) Of(capacity btcutil.Amount) btcutil.Amount {
	r = r.orDefault()
	return max(r.Floor, capacity*btcutil.Amount(r.PPM)/ppm)
}

// Capacity is the smallest channel, in satoshis, through which room fits at the commitment's
// feerate, if the peer demands the reserve. It is what CheckAccept will ask for later.
func Capacity(room Room, rate chainfee.SatPerKWeight, anchors bool, r ReserveRule) btcutil.Amount {
	r = r.orDefault()
	need := room.need(Clamp(rate), anchors)
	if need > maxNeed || r.PPM >= ppm {
		return btcutil.MaxSatoshi // no channel will do
	}
	small := need + r.Floor
	if r.Of(small) == r.Floor {
		return small
	}
	// need + capacity*ppm/1e6 <= capacity
	capacity := btcutil.Amount(ceilDiv(int64(need)*ppm, int64(ppm-r.PPM)))
	for capacity > small && need+r.Of(capacity-1) <= capacity-1 {
		capacity-- // the reserve is rounded down
	}
	return max(capacity, small)
}

// fits says why room does not fit through a channel on the peer's terms.
func (r Room) fits(p Params, m *lnwire.AcceptChannel) error {
	if r.Forward == 0 {
		return nil
	}
	if r.Forward > m.MaxValueInFlight {
		return fmt.Errorf("max_htlc_value_in_flight_msat %d is less than the %d to forward",
			uint64(m.MaxValueInFlight), uint64(r.Forward))
	}
	if r.parts() > int(m.MaxAcceptedHTLCs) {
		return fmt.Errorf("max_accepted_htlcs %d is less than the %d parts to forward",
			m.MaxAcceptedHTLCs, r.parts())
	}
	if r.smallest() < m.HtlcMinimum {
		return fmt.Errorf("htlc_minimum_msat %d is more than the smallest part, %d",
			uint64(m.HtlcMinimum), uint64(r.smallest()))
	}
	ours := p.Capacity - ceilSat(p.Push)
	need := r.need(p.CommitFeeRate, p.Type.Anchors) + m.ChannelReserve
	if ours < need {
		return fmt.Errorf("channel_reserve_satoshis %d leaves too little: %d sat are ours, "+
			"%d are needed to forward %d msat in %d parts", int64(m.ChannelReserve),
			int64(ours), int64(need), uint64(r.Forward), r.parts())
	}
	return nil
}

// Clamp lifts a feerate to the least that peers accept.
func Clamp(rate chainfee.SatPerKWeight) chainfee.SatPerKWeight {
	return max(rate, chainfee.FeePerKwFloor)
}

// ceilDiv rounds up; a is not negative, b is positive.
func ceilDiv(a, b int64) int64 {
	if a%b != 0 {
		return a/b + 1
	}
	return a / b
}

// ceilSat rounds up to whole satoshis.
func ceilSat(amt lnwire.MilliSatoshi) btcutil.Amount {
	sat := amt.ToSatoshis()
	if lnwire.NewMSatFromSatoshis(sat) < amt {
		sat++
	}
	return sat
}
