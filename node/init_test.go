package node

import (
	"errors"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/wallet"
)

// TestInitOffers: without one of bits 0, 8, 12, 14 and 44 an LDK client leaves without a
// word, and without 22, 46 and 50 it gets no channel that is usable at once.
func TestInitOffers(t *testing.T) {
	checklist.Shows(t, "LSPS0-17", "bit 729 is always offered")
	n := &Node{opts: Options{LSP: &LSPOptions{}}}
	offered := lnwire.NewFeatureVector(n.features([33]byte{}), lnwire.Features)
	for _, bit := range []lnwire.FeatureBit{0, 8, 12, 14, 44, 22, 46, 50, lsp.FeatureBit} {
		if !offered.HasFeature(bit) && !offered.HasFeature(bit^1) {
			t.Errorf("our init does not offer bit %d, nor %d", bit, bit^1)
		}
	}
	for _, bit := range []lnwire.FeatureBit{0, 8, 12, 14} {
		if !offered.IsSet(bit) {
			t.Errorf("our init does not require bit %d, which all our channels use", bit)
		}
	}
	n.opts.LSP = nil
	if lnwire.NewFeatureVector(n.features([33]byte{}), nil).IsSet(lsp.FeatureBit) {
		t.Error("a node that sells nothing offers LSPS")
	}
}

// TestAnchorReserve: private channels count, which lnd leaves out.
func TestAnchorReserve(t *testing.T) {
	n := &Node{}
	for channels, want := range map[int64]int64{0: 0, 1: 10_000, 9: 90_000, 10: 100_000, 500: 100_000} {
		n.anchorChannels.Store(channels)
		if got := int64(n.anchorReserve(0)); got != want {
			t.Errorf("%d sat are kept for %d channels, want %d", got, channels, want)
		}
		want = min(want+10_000, 100_000)
		if got := int64(n.anchorReserve(1)); got != want {
			t.Errorf("%d sat are kept for one more than %d channels, want %d", got, channels, want)
		}
	}
}

// TestFeeRateOfACall: what is asked for by mistake is not paid.
func TestFeeRateOfACall(t *testing.T) {
	n := &Node{opts: Options{Onchain: OnchainOptions{MaxFeeRate: 250}}}
	if rate, err := n.feeRate(250, 6); err != nil || rate != 62_500 {
		t.Errorf("250 sat/vB: %v, %v", rate, err)
	}
	if rate, err := n.feeRate(251, 6); !errors.Is(err, wallet.ErrFeeRate) {
		t.Errorf("251 sat/vB: %v, %v", rate, err)
	}
}

// TestDeltaOfThePolicy: a channel that wants more blocks than the hint of a JIT invoice
// names would fail every payment that names it.
func TestDeltaOfThePolicy(t *testing.T) {
	o := Options{
		Dir: "unused", Chain: ChainOptions{Btcd: &chain.BtcdConfig{}},
		Channels: ChannelOptions{CLTVExpiryDelta: 145},
		LSP:      &LSPOptions{Offer: lsp.Offer{CLTVExpiryDelta: 144}},
	}
	if err := o.complete(); err == nil {
		t.Error("a delta above lsp_cltv_expiry_delta was accepted")
	}
	o.Channels.CLTVExpiryDelta = 144
	if err := o.complete(); err != nil {
		t.Error(err)
	}
}
