package lsp

import (
	"errors"
	"fmt"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Bought is what the client has after buy, and its record of it.
type Bought struct {
	LSP             [33]byte
	SCID            lnwire.ShortChannelID
	Params          OpeningFeeParams
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	OpeningFee      lnwire.MilliSatoshi // agreed; 0 when variable
	CLTVExpiryDelta uint16
	ClientTrustsLSP bool

	// The node fills these in.
	PaymentHash lntypes.Hash // of the invoice
	CreatedAt   time.Time
	Settled     bool // the payment was claimed
}

// grace is how long after valid_until an open still belongs to the purchase: a
// payment that was complete before may be held that long.
const grace = 2 * time.Minute

// Live says that the LSP may open the channel of this purchase: a zero-conf channel
// of this LSP is to be accepted, again when the LSP itself gave up an earlier one.
func (b Bought) Live(now time.Time) bool {
	return !b.Settled && now.Before(b.Params.ValidUntil.Add(grace))
}

// Skim is one incoming HTLC of the purchase's payment.
type Skim struct {
	Amount   lnwire.MilliSatoshi // of the HTLC
	Onion    lnwire.MilliSatoshi // what its onion says, amt_to_forward
	ExtraFee lnwire.MilliSatoshi // 0: no record
}

// Reasons to fail an HTLC of a purchase.
var (
	ErrWrongAmount = errors.New("lsp: the HTLC is not what its onion says less extra_fee")
	ErrSkimTooHigh = errors.New("lsp: the LSP took more than the agreed opening fee")
	ErrNotOnePart  = errors.New("lsp: a payment of variable amount came in parts")
)

// Check says whether one more HTLC may be taken, after those that are held already
// for the same payment. An extra_fee outside a purchase is never to be taken.
func (b Bought) Check(held []Skim, next Skim) error {
	// bLIP-52: amount_msat is what the onion says less extra_fee, on each part.
	if next.Amount < next.Onion || next.ExtraFee != 0 {
		if next.Amount > next.Onion || next.Onion-next.Amount != next.ExtraFee {
			return ErrWrongAmount
		}
	}
	limit, ok := b.OpeningFee, true
	if b.PaymentSize == 0 {
		if len(held) > 0 {
			return ErrNotOnePart
		}
		limit, ok = jit.OpeningFee(next.Onion, b.Params.MinFee, b.Params.Proportional)
	}
	if !ok {
		return ErrSkimTooHigh
	}
	// bLIP-52: the sum over all parts is at most opening_fee.
	for _, s := range append([]Skim{next}, held...) {
		if s.ExtraFee > limit {
			return ErrSkimTooHigh
		}
		limit -= s.ExtraFee
	}
	return nil
}

// InvoiceTerms is what the invoice for a purchase must say.
type InvoiceTerms struct {
	Amount         lnwire.MilliSatoshi // 0: no amount, and basic_mpp off
	Expiry         time.Duration       // in whole seconds
	FinalCLTVDelta uint32              // blocks, min_final_cltv_expiry_delta

	// The one route hint, of one hop with fees of zero.
	HopNode      [33]byte
	HopSCID      lnwire.ShortChannelID
	HopCLTVDelta uint16
}

// ErrOfferEnded is for an invoice that nobody could pay any more.
var ErrOfferEnded = errors.New("lsp: the purchase has run out: buy again")

// Invoice gives the terms of the invoice. It expires after want, or sooner, with the
// offer. finalDelta is the node's usual one, and what it enforces.
//
// bLIP-52: timestamp and expiry are at most valid_until; min_final_cltv_expiry_delta
// is 2 blocks over what the client enforces, for the time the open takes; exactly one
// route hint of one hop; basic_mpp only with an amount.
func (b Bought) Invoice(now time.Time, want time.Duration, finalDelta uint32) (
	InvoiceTerms, error) {

	expiry := min(want, b.Params.ValidUntil.Sub(now)).Truncate(time.Second)
	if expiry <= 0 {
		return InvoiceTerms{}, fmt.Errorf("%w (it was good until %s)", ErrOfferEnded,
			formatTime(b.Params.ValidUntil))
	}
	return InvoiceTerms{
		Amount:         b.PaymentSize,
		Expiry:         expiry,
		FinalCLTVDelta: finalDelta + 2,
		HopNode:        b.LSP,
		HopSCID:        b.SCID,
		HopCLTVDelta:   b.CLTVExpiryDelta,
	}, nil
}
