package court

import (
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

type noWallet struct{ lnwallet.WalletController }

// custom says that every HTLC is special.
type custom struct{}

func (custom) IsCustomHTLC(lnwire.CustomRecords) bool { return true }

// TestArbitratorConfig: lnd's own distances in blocks, and the checker that the links
// have too. Without it the resolver takes an HTLC with an extra_fee for one that pays
// too little, and what was accepted off chain is lost on chain.
func TestArbitratorConfig(t *testing.T) {
	c := &Court{parts: Parts{
		Params: &chaincfg.RegressionNetParams, Channels: &channeldb.DB{},
		Wallet: &lnwallet.LightningWallet{WalletController: noWallet{}}, CustomHTLCs: custom{},
	}}
	cfg := c.arbConfig(contractcourt.DefaultBudgetConfig())
	if cfg.IncomingBroadcastDelta != 16 || cfg.OutgoingBroadcastDelta != 0 {
		t.Errorf("channels are closed %d blocks before an incoming and %d before an outgoing "+
			"HTLC expires, lnd's values are 16 and 0",
			cfg.IncomingBroadcastDelta, cfg.OutgoingBroadcastDelta)
	}
	if cfg.PaymentsExpirationGracePeriod != noForce {
		t.Errorf("lnd closes a withheld channel by force after %v", cfg.PaymentsExpirationGracePeriod)
	}
	known := false
	cfg.CustomHtlcChecker.WhenSome(func(checker contractcourt.CustomHtlcChecker) {
		known = checker.IsCustomHTLC(nil)
	})
	if !known {
		t.Error("the resolvers don't know of HTLCs with an extra_fee")
	}
}

// TestWithheldHTLCs: the incoming HTLCs whose channel lnd must not close by force.
func TestWithheldHTLCs(t *testing.T) {
	mine := models.CircuitKey{HtlcID: 1}
	c := &Court{}
	if c.withheld(mine) {
		t.Error("withheld, although nobody withholds")
	}
	c.parts.Withholds = func(in models.CircuitKey) bool { return in == mine }
	if !c.withheld(mine) || c.withheld(models.CircuitKey{HtlcID: 2}) {
		t.Error("not that HTLC and no other is withheld")
	}
}
