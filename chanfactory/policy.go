package chanfactory

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// Policy holds the numbers that an operator may change; zero fields take the
// default named beside them.
type Policy struct {
	// ToSelfDelay is the delay in blocks that we demand of peers; zero scales
	// from 144 to 2016 with the capacity.
	ToSelfDelay uint16
	// MaxToSelfDelay is the longest delay that we take on us: 2016 blocks.
	MaxToSelfDelay uint16
	// HtlcMinimum is the smallest HTLC that we accept: 1 msat.
	HtlcMinimum lnwire.MilliSatoshi
	// MaxHtlcs is how many HTLCs we accept in flight: 483.
	MaxHtlcs uint16
	// MinDepth is how many confirmations we ask for: 3.
	MinDepth uint16
	// MinCapacity is the smallest channel that peers may open: 20,000 sat.
	MinCapacity btcutil.Amount
	// MaxCapacity is the largest channel in either direction: ten bitcoin. From 16,777,216 sat on
	// both sides must offer option_support_large_channel.
	MaxCapacity btcutil.Amount
	// MaxPendingPerPeer limits the channels that a peer has opened to us and
	// that are not confirmed (zero-conf ones: not ready): 1.
	MaxPendingPerPeer int
	// MaxPending limits the channels that all peers together have opened to us and that are not
	// confirmed (zero-conf ones: not ready): 100. A peer that the Acceptor expects always has its
	// place.
	MaxPending int
	// MaxOpens limits our own openings under way: 1000.
	MaxOpens int
	// CommitConfTarget is the confirmation target of commitment feerates: 6.
	CommitConfTarget uint32
	// MaxCommitFeeRate is the highest commitment feerate that we accept, and that we offer without
	// anchors: 25,000 sat/kw. With anchors we offer 2,500 at most, they can be bumped.
	MaxCommitFeeRate chainfee.SatPerKWeight
	// ZeroConfDepth is how many confirmations a zero-conf channel needs to be
	// called confirmed: 6.
	ZeroConfDepth uint16
	// ZeroConfTimeout is for a zero-conf opening of ours, up to the stored channel: 15 seconds.
	ZeroConfTimeout time.Duration
	// OpenTimeout is for any other opening, up to the stored channel: 10 minutes.
	OpenTimeout time.Duration
}

// defaults fills the zero fields in.
func (p Policy) defaults() Policy {
	setDefault(&p.MaxToSelfDelay, 2016)
	setDefault(&p.HtlcMinimum, 1)
	setDefault(&p.MaxHtlcs, 483)
	setDefault(&p.MinDepth, 3)
	setDefault(&p.MinCapacity, 20_000)
	setDefault(&p.MaxCapacity, 10*btcutil.SatoshiPerBitcoin)
	setDefault(&p.MaxPendingPerPeer, 1)
	setDefault(&p.MaxPending, 100)
	setDefault(&p.MaxOpens, 1000)
	setDefault(&p.CommitConfTarget, 6)
	setDefault(&p.MaxCommitFeeRate, 25_000)
	setDefault(&p.ZeroConfDepth, 6)
	setDefault(&p.ZeroConfTimeout, 15*time.Second)
	setDefault(&p.OpenTimeout, 10*time.Minute)
	return p
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check says what is wrong with the numbers.
func (p Policy) check() error {
	switch {
	// LDK refuses a channel with more.
	case p.ToSelfDelay > 2016:
		return fmt.Errorf("to_self_delay of %d blocks: peers accept 2016 at most", p.ToSelfDelay)
	case p.MaxHtlcs > 483:
		return fmt.Errorf("max_accepted_htlcs of %d: BOLT 2 allows 483 at most", p.MaxHtlcs)
	case p.MinDepth > funding.MaxDepth || p.ZeroConfDepth > funding.MaxDepth:
		return fmt.Errorf("more than %d confirmations", funding.MaxDepth)
	case p.MinCapacity > p.MaxCapacity:
		return fmt.Errorf("least capacity %v is above the most, %v", p.MinCapacity, p.MaxCapacity)
	}
	return nil
}

// demands is what we ask of a peer in a channel of the capacity.
func (p Policy) demands(capacity btcutil.Amount) funding.Demands {
	delay := p.ToSelfDelay
	if delay == 0 {
		delay = funding.Delay(capacity)
	}
	return funding.Demands{
		ToSelfDelay: delay, Reserve: Reserve{}.Of(capacity), HtlcMinimum: p.HtlcMinimum,
		MaxInFlight: lnwire.NewMSatFromSatoshis(capacity), MaxHtlcs: p.MaxHtlcs,
	}
}

func (p Policy) limits() funding.Limits {
	return funding.Limits{
		MinCapacity: p.MinCapacity, MaxCapacity: p.MaxCapacity,
		MaxToSelfDelay: p.MaxToSelfDelay, MaxCommitFeeRate: p.MaxCommitFeeRate,
	}
}
