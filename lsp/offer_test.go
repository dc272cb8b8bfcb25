package lsp

import (
	"strings"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

func TestOffer(t *testing.T) {
	checklist.Shows(t, "LSPS2-06", "minValidFor is 9 minutes")
	if err := DefaultOffer().Validate(); err != nil {
		t.Fatal(err)
	}
	o := DefaultOffer()
	o.Rules = jit.Rules{}
	if err := o.Validate(); err != nil || o.rules() != jit.DefaultRules() {
		t.Errorf("no rules: %v", err)
	}
	for word, change := range map[string]func(*Offer){
		"valid_for_seconds":       func(o *Offer) { o.ValidFor = 10*time.Minute - 1 },
		"30 days":                 func(o *Offer) { o.ValidFor = 31 * 24 * time.Hour },
		"alias":                   func(o *Offer) { o.AliasFor = -1 },
		"max_client_to_self":      func(o *Offer) { o.MaxClientToSelfDelay = 143 },
		"65535":                   func(o *Offer) { o.MaxClientToSelfDelay = 65536 },
		"lsp_cltv_expiry":         func(o *Offer) { o.CLTVExpiryDelta = 47 },
		"at most 2016":            func(o *Offer) { o.CLTVExpiryDelta = 2017 },
		"min_payment_size_msat":   func(o *Offer) { o.MinPaymentSize = 0 },
		"over max_payment":        func(o *Offer) { o.MinPaymentSize = o.MaxPaymentSize + 1 },
		"no less than":            func(o *Offer) { o.MinFee = o.MaxPaymentSize },
		"lower min_fee_msat":      func(o *Offer) { o.ProportionalPPM = 1_000_000 },
		"overflows":               func(o *Offer) { o.MaxPaymentSize = 1 << 63 },
		"hold_seconds":            func(o *Offer) { o.Rules.Hold = 0 },
		"at most 30m0s":           func(o *Offer) { o.Rules.Hold = time.Hour },
		"at least one attempt":    func(o *Offer) { o.Rules.MaxOpenAttempts = 0 },
		"of at least one second":  func(o *Offer) { o.Rules.OpenTimeout = 0 },
		"parts a payment":         func(o *Offer) { o.Rules.MaxParts = 484 },
		"least htlc_minimum_msat": func(o *Offer) { o.Rules.HTLCMin = 0 },
		"waive or refuse":         func(o *Offer) { o.Rules.LostSkim = "x" },
	} {
		o := DefaultOffer()
		change(&o)
		err := o.Validate()
		if err == nil || !strings.Contains(err.Error(), word) ||
			!strings.HasPrefix(err.Error(), "lsp.lsps2: ") {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestMinVariablePayment has the least payment whose proportional part covers the
// minimum fee, and not one msat less.
func TestMinVariablePayment(t *testing.T) {
	for _, v := range []struct {
		minFee lnwire.MilliSatoshi
		ppm    uint32
		maxi   lnwire.MilliSatoshi
		want   lnwire.MilliSatoshi
		ok     bool
	}{
		{2_000_000, 10_000, 4_000_000_000, 202_000_000, true},
		{0, 0, 4_000_000_000, 1000, true},
		{1, 0, 4_000_000_000, 0, false},
		{1, 1, 4_000_000_000, 1_000_001, true},
		{2_000_000, 10_000, 201_999_999, 0, false},
		{1 << 63, 1, 1<<64 - 1, 0, false},
		{7, 1<<32 - 1, 4_000_000_000, 1000, true},
		{3, 1_000_000, 1 << 62, 1000, true},
	} {
		o := DefaultOffer()
		o.MinFee, o.ProportionalPPM, o.MinPaymentSize, o.MaxPaymentSize = v.minFee, v.ppm, 1000, v.maxi
		got, ok := o.MinVariablePayment()
		if ok != v.ok || ok && got != v.want {
			t.Errorf("min_fee %d ppm %d: %d, %v, want %d, %v", v.minFee, v.ppm, got, ok, v.want, v.ok)
		}
		if !ok || v.ppm == 0 || got == 1000 {
			continue
		}
		at, _ := jit.CompatFee(got, v.ppm)
		under, _ := jit.CompatFee(got-1, v.ppm)
		if at < v.minFee || under >= v.minFee {
			t.Errorf("min_fee %d ppm %d: %d makes %d, one less %d", v.minFee, v.ppm, got, at, under)
		}
	}
	o := DefaultOffer()
	o.Rules.VariableCompatFee = false
	if got, ok := o.MinVariablePayment(); !ok || got != o.MinPaymentSize {
		t.Errorf("without the compatibility fee: %d, %v", got, ok)
	}
}
