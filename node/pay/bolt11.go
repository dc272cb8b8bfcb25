package pay

import (
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/lightningnetwork/lnd/zpay32"
)

const (
	// maxHintPaths and maxHintHops bound what is used of an invoice's route hints.
	maxHintPaths = 20
	maxHintHops  = 8
)

// bill is what a payment needs to know of an invoice.
type bill struct {
	bolt11   string
	hash     lntypes.Hash
	dest     route.Vertex
	amount   lnwire.MilliSatoshi // 0: any
	secret   [32]byte
	metadata []byte
	delta    uint32 // final CLTV delta in blocks, without our padding
	mpp      bool
	hints    [][]edge
	expires  time.Time
}

// knownFeatures are the feature bits that an invoice may require of us.
var knownFeatures = map[lnwire.FeatureBit]string{
	lnwire.TLVOnionPayloadRequired: "var_onion_optin",
	lnwire.TLVOnionPayloadOptional: "var_onion_optin",
	lnwire.PaymentAddrRequired:     "payment_secret",
	lnwire.PaymentAddrOptional:     "payment_secret",
	lnwire.MPPRequired:             "basic_mpp",
	lnwire.MPPOptional:             "basic_mpp",
	lnwire.PaymentMetadataRequired: "option_payment_metadata",
	lnwire.PaymentMetadataOptional: "option_payment_metadata",
}

// networkPrefixes are the beginnings of invoices by network, a longer one before its own beginning.
var networkPrefixes = []struct{ prefix, network string }{
	{"lnbcrt", "regtest"}, {"lnbc", "mainnet"}, {"lntbs", "signet"}, {"lntb", "testnet"},
	{"lnsb", "simnet"},
}

// readBill reads an invoice and refuses what a node of this network cannot pay. Whether it has
// expired or is our own is for the caller to look at.
func readBill(text string, params *chaincfg.Params) (bill, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	text = strings.TrimPrefix(text, "lightning:")
	if err := checkNetwork(text, params); err != nil {
		return bill{}, err
	}
	inv, err := zpay32.Decode(text, params, zpay32.WithKnownFeatureBits(knownFeatures))
	if err != nil {
		return bill{}, fmt.Errorf("%w (%w)", ErrBadInvoice, err)
	}
	// zpay32 reads the bits with lnd's names for them, so they are judged again by ours.
	features := lnwire.NewFeatureVector(inv.Features.RawFeatureVector, knownFeatures)
	if unknown := features.UnknownRequiredFeatures(); len(unknown) > 0 {
		return bill{}, fmt.Errorf("%w (feature bits %v)", ErrUnsupported, unknown)
	}
	if len(inv.BlindedPaymentPaths) > 0 {
		return bill{}, fmt.Errorf("%w (blinded paths)", ErrUnsupported)
	}
	// BOLT 11 makes both mandatory: without the secret a recipient cannot tell us from a prober.
	if inv.PaymentHash == nil || inv.PaymentAddr.IsNone() {
		return bill{}, fmt.Errorf("%w (no payment secret)", ErrBadInvoice)
	}
	b := bill{
		bolt11:   text,
		hash:     *inv.PaymentHash,
		dest:     route.NewVertex(inv.Destination),
		secret:   inv.PaymentAddr.UnwrapOr([32]byte{}),
		metadata: inv.Metadata,
		mpp:      features.HasFeature(lnwire.MPPOptional),
		hints:    readHints(inv.RouteHints, route.NewVertex(inv.Destination)),
		expires:  inv.Timestamp.Add(inv.Expiry()),
	}
	if inv.MilliSat != nil {
		b.amount = *inv.MilliSat
	}
	final := inv.MinFinalCLTVExpiry()
	if final > maxTimeLock {
		return bill{}, fmt.Errorf("%w (a final CLTV delta of %d blocks, at most %d are given)",
			ErrUnsupported, final, maxTimeLock)
	}
	b.delta = uint32(final)
	return b, nil
}

// checkNetwork names the network of an invoice that is not for ours.
func checkNetwork(text string, params *chaincfg.Params) error {
	want := "ln" + params.Bech32HRPSegwit
	if params.Name == chaincfg.SigNetParams.Name {
		want = "lntbs"
	}
	for _, n := range networkPrefixes {
		if !strings.HasPrefix(text, n.prefix) {
			continue
		}
		if n.prefix != want {
			return fmt.Errorf("%w: it is for %s and this node is on %s",
				ErrForeignNetwork, n.network, params.Name)
		}
		return nil
	}
	return ErrBadInvoice
}

// readHints turns route hints into paths that end at the destination.
func readHints(hints [][]zpay32.HopHint, dest route.Vertex) [][]edge {
	var paths [][]edge
	for _, hint := range hints {
		if len(hint) == 0 || len(hint) > maxHintHops {
			continue
		}
		if len(paths) == maxHintPaths {
			break
		}
		path := make([]edge, len(hint))
		for n, hop := range hint {
			path[n] = edge{
				from: route.NewVertex(hop.NodeID),
				to:   dest,
				scid: lnwire.NewShortChanIDFromInt(hop.ChannelID),
				policy: policy{
					base:  lnwire.MilliSatoshi(hop.FeeBaseMSat),
					ppm:   hop.FeeProportionalMillionths,
					delta: uint32(hop.CLTVExpiryDelta),
				},
			}
			if n > 0 {
				path[n-1].to = path[n].from
			}
		}
		paths = append(paths, path)
	}
	return paths
}
