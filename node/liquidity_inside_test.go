package node

import (
	"testing"

	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
)

// TestFundingWeight: the price of a channel counts what its funding transaction weighs.
func TestFundingWeight(t *testing.T) {
	var size input.TxWeightEstimator
	size.AddP2WKHInput().AddP2WSHOutput().AddP2TROutput()
	if got := size.Weight(); got != lsp.FundingWeight {
		t.Errorf("it weighs %d, counted are %d", got, lsp.FundingWeight)
	}
}

// LSPS2-81: the channel that is sold is the one that the channel factory will ask for, for any
// number of parts, with and without anchors; the parts of its size add up.
func TestChannelNeeds(t *testing.T) {
	for _, forward := range []lnwire.MilliSatoshi{1, 999, 1000, 50_000_001, 4_000_000_000, 16_000_000_000} {
		for _, parts := range []int{1, 2, 10, 30, 483} {
			for _, rate := range []chainfee.SatPerKWeight{0, 253, 1000, 2500} {
				for _, anchors := range []bool{true, false} {
					room := chanfactory.Room{Forward: forward, Parts: parts}
					c := lsp.ChannelPolicy{}.Size(forward, needsOf(room, rate, anchors))
					want := chanfactory.Capacity(room, rate, anchors, chanfactory.Reserve{})
					if c.Capacity-c.Spare != want || c.Reserve < 1000 {
						t.Errorf("%d msat in %d parts at %d: %+v, want %d", forward, parts, rate, c, want)
					}
				}
			}
		}
	}
	// A commitment with anchors has a cap on its fee rate, however high the rate is.
	use := lsp.ChannelUse{Forward: 1_000_000, Parts: 1, FeeRate: 100_000}
	if got, want := channelNeeds(use).CommitFee, needsOf(chanfactory.Room{Forward: 1_000_000, Parts: 1},
		chanfactory.MaxAnchorFeeRate, true).CommitFee; got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
