package lsp

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Offer is what everybody can buy, as the operator sets it: the terms of the first item
// of the menu, and those that hold for all.
type Offer struct {
	MinFee               lnwire.MilliSatoshi
	ProportionalPPM      uint32
	ValidFor             time.Duration // how long an item can be bought and paid
	AliasFor             time.Duration // a paid order's scid works for this much longer
	MinLifetime          uint32        // blocks
	MaxClientToSelfDelay uint32        // blocks
	MinPaymentSize       lnwire.MilliSatoshi
	MaxPaymentSize       lnwire.MilliSatoshi
	CLTVExpiryDelta      uint16 // blocks
	ClientTrustsLSP      bool
	Rules                jit.Rules // zero: jit.DefaultRules

	// More are further items. The menu is put in the order of bLIP-52, so it does not
	// matter where an item stands.
	More []MenuItem

	// ChainFee raises the minimum fee of every item, those of tokens too.
	ChainFee ChainFee
}

// DefaultOffer is the menu of a node that was not told otherwise.
func DefaultOffer() Offer {
	return Offer{
		MinFee:               2_000_000,
		ProportionalPPM:      10_000,
		ValidFor:             time.Hour,
		MinLifetime:          4320,
		MaxClientToSelfDelay: 2016,
		MinPaymentSize:       10_000_000,
		MaxPaymentSize:       4_000_000_000,
		CLTVExpiryDelta:      144,
		Rules:                jit.DefaultRules(),
	}
}

// Bounds of an offer.
const (
	// bLIP-52: valid_until "SHOULD" be at least 10 minutes ahead.
	minValidFor = 10 * time.Minute
	maxValidFor = 30 * 24 * time.Hour

	// minSelfDelay is what LDK sets: a lower limit would end every open.
	minSelfDelay = 144

	// minCLTVDelta leaves room for the blocks in which a held part is failed.
	minCLTVDelta = 48

	maxHold  = 30 * time.Minute
	maxParts = 483 // BOLT 2: max_accepted_htlcs
)

// Validate says what is wrong with the offer, by the names of the configuration. It is
// CheckMenu without tokens, for channels of any size.
func (o Offer) Validate() error { return CheckMenu(o, nil, ChannelPolicy{}) }

func (o Offer) validate() error {
	switch {
	case o.AliasFor < 0:
		return errors.New("the time an alias goes on is negative")

	case o.CLTVExpiryDelta < minCLTVDelta || o.CLTVExpiryDelta > 2016:
		return fmt.Errorf("lsp_cltv_expiry_delta_blocks is %d: at least %d, at most 2016, which "+
			"is as much as payers take", o.CLTVExpiryDelta, minCLTVDelta)
	}
	if err := o.ChainFee.check(); err != nil {
		return err
	}
	return checkRules(o.rules())
}

func checkRules(r jit.Rules) error {
	switch {
	case r.Hold < time.Second || r.Hold > maxHold:
		return fmt.Errorf("hold_seconds is %v: at least 1 second, at most %v; bLIP-52 asks for 90",
			r.Hold, maxHold)
	case r.OpenTimeout < time.Second || r.MaxOpenAttempts < 1:
		return errors.New("an open needs at least one attempt of at least one second")
	case r.MaxParts < 1 || r.MaxParts > maxParts:
		return fmt.Errorf("at most %d parts a payment: %d is not from 1 to %d",
			r.MaxParts, r.MaxParts, maxParts)
	case r.HTLCMin == 0:
		return errors.New("the least htlc_minimum_msat is 1")
	case r.LostSkim != jit.Waive && r.LostSkim != jit.Refuse:
		return fmt.Errorf("the policy for a fee that cannot be taken is %q: waive or refuse", r.LostSkim)
	}
	return nil
}

func (o Offer) rules() jit.Rules {
	if o.Rules == (jit.Rules{}) {
		return jit.DefaultRules()
	}
	return o.Rules
}

// MinVariablePayment is the smallest payment of variable amount that we serve: with
// the compatibility fee the proportional part alone must cover the minimum fee. It is
// not ok when no payment of the offer does.
func (o Offer) MinVariablePayment() (_ lnwire.MilliSatoshi, ok bool) {
	return minVariable(o.Item().params(time.Time{}), o.rules())
}

func minVariable(p OpeningFeeParams, r jit.Rules) (_ lnwire.MilliSatoshi, ok bool) {
	if !r.VariableCompatFee || p.MinFee == 0 {
		return p.MinPaymentSize, true
	}
	if p.Proportional == 0 {
		return 0, false
	}
	// The least A with floor(A * ppm / (1000000 + ppm)) >= min_fee.
	hi, lo := bits.Mul64(uint64(p.MinFee), 1_000_000+uint64(p.Proportional))
	lo, carry := bits.Add64(lo, uint64(p.Proportional)-1, 0)
	if hi+carry >= uint64(p.Proportional) {
		return 0, false
	}
	least, _ := bits.Div64(hi+carry, lo, uint64(p.Proportional))
	size := max(p.MinPaymentSize, lnwire.MilliSatoshi(least))
	return size, size <= p.MaxPaymentSize
}
