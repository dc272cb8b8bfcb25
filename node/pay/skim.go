package pay

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/lightningnetwork/lnd/tlv"
)

// ExtraFeeType is the type of the extra_fee record in update_add_htlc (bLIP-25).
const ExtraFeeType = 65537

// Skim judges HTLCs from which a peer has withheld a fee.
type Skim interface {
	// Judge says whether the HTLC was bought: its hash belongs to an order of ours, it came over
	// that order's channel, and the extra_fee in its records stays within what was agreed. The
	// credit is what counts as paid beside the exit amount. It is not asked again about an HTLC
	// that the registry has on record; it may be asked again about one that the node did not get
	// to record before it stopped. Held are the other HTLCs of the payment that are held or
	// settled: what was withheld from one that failed is gone with it. It must answer the same
	// for the same circuit key beside the same others, must not block and must not call back.
	Judge(hash lntypes.Hash, key invoices.CircuitKey, exit lnwire.MilliSatoshi,
		records lnwire.CustomRecords, held []invoices.CircuitKey) (credit lnwire.MilliSatoshi, ok bool)

	// ExtraFee reads the record of type ExtraFeeType; ok is false if there is none or if it is
	// not exactly 8 bytes.
	ExtraFee(records lnwire.CustomRecords) (fee lnwire.MilliSatoshi, ok bool)
}

// Shaper tells links and contractcourt which HTLCs may carry less than their onion says. The two
// must get the same one, or an HTLC that was accepted off chain is refused on chain. The zero value
// lets none through.
type Shaper struct {
	skim Skim
}

var (
	_ htlcswitch.AuxTrafficShaper     = Shaper{}
	_ contractcourt.CustomHtlcChecker = Shaper{}
)

// NewShaper makes the shaper that goes with a registry of the same Skim.
func NewShaper(skim Skim) Shaper { return Shaper{skim: skim} }

// IsCustomHTLC lets an HTLC with a well-formed extra_fee past the link's amount check. That is no
// verdict yet: the registry's interceptor asks Judge, and refuses what was not bought.
func (s Shaper) IsCustomHTLC(records lnwire.CustomRecords) bool {
	if s.skim == nil {
		return false
	}
	_, ok := s.skim.ExtraFee(records)
	return ok
}

// ShouldHandleTraffic leaves all bandwidth to the links.
func (Shaper) ShouldHandleTraffic(lnwire.ShortChannelID, fn.Option[tlv.Blob],
	fn.Option[tlv.Blob]) (bool, error) {

	return false, nil
}

// PaymentBandwidth gives the link's own bandwidth.
func (Shaper) PaymentBandwidth(_, _, _ fn.Option[tlv.Blob], link, _ lnwire.MilliSatoshi,
	_ lnwallet.AuxHtlcView, _ route.Vertex) (lnwire.MilliSatoshi, error) {

	return link, nil
}

// ProduceHtlcExtraData changes nothing.
func (Shaper) ProduceHtlcExtraData(amount lnwire.MilliSatoshi, records lnwire.CustomRecords,
	_ route.Vertex) (lnwire.MilliSatoshi, lnwire.CustomRecords, error) {

	return amount, records, nil
}

// intercept is the registry's HtlcModifyCallback. It never returns an error: the link would take
// that for a fault of its own and fail the channel.
func (r *Registry) intercept(req invoices.HtlcModifyRequest) (*invoices.HtlcModifyResponse, error) {
	asIs := &invoices.HtlcModifyResponse{}
	if _, skimmed := req.WireCustomRecords[ExtraFeeType]; !skimmed || r.skim == nil {
		return asIs, nil
	}
	// A replay after a reconnect or restart is answered from the registry's record. Judging it
	// again could refuse what was accepted, when its order has ended since.
	if _, known := req.Invoice.Htlcs[req.ExitHtlcCircuitKey]; known {
		return asIs, nil
	}
	hash := hashOf(&req.Invoice)
	credit, ok := r.skim.Judge(
		hash, req.ExitHtlcCircuitKey, req.ExitHtlcAmt, req.WireCustomRecords, held(&req.Invoice),
	)
	if !ok || credit > math.MaxUint64-req.ExitHtlcAmt {
		r.log.Warn("refused an HTLC with a fee that was not agreed", slog.String(
			"hash", hash.String()), slog.Uint64("chan", req.ExitHtlcCircuitKey.ChanID.ToUint64()))
		return &invoices.HtlcModifyResponse{CancelSet: true}, nil
	}
	return &invoices.HtlcModifyResponse{AmountPaid: req.ExitHtlcAmt + credit}, nil
}

// Held are the HTLCs of an invoice that are held or settled.
// Errors: invoices.ErrInvoiceNotFound, ErrNoInvoicesCreated.
func (r *Registry) Held(hash lntypes.Hash) ([]invoices.CircuitKey, error) {
	inv, err := r.LookupInvoice(context.Background(), hash)
	if err != nil {
		return nil, fmt.Errorf("pay: look up invoice: %w", err)
	}
	return held(&inv), nil
}

func held(inv *invoices.Invoice) (keys []invoices.CircuitKey) {
	for key, htlc := range inv.Htlcs {
		if htlc.State != invoices.HtlcStateCanceled {
			keys = append(keys, key)
		}
	}
	return keys
}

// hashOf is the payment hash of an invoice of this package, whose preimage is always known.
func hashOf(inv *invoices.Invoice) lntypes.Hash {
	if inv.Terms.PaymentPreimage == nil {
		return lntypes.ZeroHash
	}
	return inv.Terms.PaymentPreimage.Hash()
}
