package jit

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

type termsRecord struct {
	Client      string      `json:"client"`
	SCID        uint64      `json:"jit_channel_scid"`
	PaymentSize amount      `json:"payment_size_msat,omitempty"`
	MinFee      amount      `json:"min_fee_msat"`
	PPM         uint32      `json:"proportional"`
	MinPayment  amount      `json:"min_payment_size_msat"`
	MaxPayment  amount      `json:"max_payment_size_msat"`
	ValidUntil  time.Time   `json:"valid_until"`
	AliasUntil  time.Time   `json:"alias_until,omitzero"`
	CLTVDelta   uint16      `json:"lsp_cltv_expiry_delta"`
	MaxDelay    uint32      `json:"max_client_to_self_delay"`
	MinLifetime uint32      `json:"min_lifetime"`
	Trusts      bool        `json:"client_trusts_lsp,omitempty"`
	Rules       rulesRecord `json:"rules"`
}

type rulesRecord struct {
	Hold        int64    `json:"hold_ms"`
	OpenTimeout int64    `json:"open_timeout_ms"`
	Attempts    int      `json:"max_open_attempts"`
	MaxParts    int      `json:"max_parts"`
	HTLCMin     amount   `json:"htlc_minimum_msat"`
	MinFinal    uint32   `json:"min_final_expiry_delta"`
	Margin      uint32   `json:"expiry_margin"`
	Compat      bool     `json:"variable_compat_fee,omitempty"`
	LostSkim    LostSkim `json:"lost_skim"`
}

func recordTerms(t Terms) termsRecord {
	return termsRecord{
		Client:      hex.EncodeToString(t.Client[:]),
		SCID:        t.SCID.ToUint64(),
		PaymentSize: t.PaymentSize,
		MinFee:      t.MinFee,
		PPM:         t.PPM,
		MinPayment:  t.MinPayment,
		MaxPayment:  t.MaxPayment,
		ValidUntil:  t.ValidUntil,
		AliasUntil:  t.AliasUntil,
		CLTVDelta:   t.CLTVExpiryDelta,
		MaxDelay:    t.MaxClientToSelfDelay,
		MinLifetime: t.MinLifetime,
		Trusts:      t.ClientTrustsLSP,
		Rules: rulesRecord{
			Hold:        t.Rules.Hold.Milliseconds(),
			OpenTimeout: t.Rules.OpenTimeout.Milliseconds(),
			Attempts:    t.Rules.MaxOpenAttempts,
			MaxParts:    t.Rules.MaxParts,
			HTLCMin:     t.Rules.HTLCMin,
			MinFinal:    t.Rules.MinFinalExpiryDelta,
			Margin:      t.Rules.ExpiryMargin,
			Compat:      t.Rules.VariableCompatFee,
			LostSkim:    t.Rules.LostSkim,
		},
	}
}

func (r termsRecord) terms() (Terms, error) {
	t := Terms{
		SCID:                 lnwire.NewShortChanIDFromInt(r.SCID),
		PaymentSize:          r.PaymentSize,
		MinFee:               r.MinFee,
		PPM:                  r.PPM,
		MinPayment:           r.MinPayment,
		MaxPayment:           r.MaxPayment,
		ValidUntil:           r.ValidUntil,
		AliasUntil:           r.AliasUntil,
		CLTVExpiryDelta:      r.CLTVDelta,
		MaxClientToSelfDelay: r.MaxDelay,
		MinLifetime:          r.MinLifetime,
		ClientTrustsLSP:      r.Trusts,
		Rules: Rules{
			Hold:                time.Duration(r.Rules.Hold) * time.Millisecond,
			OpenTimeout:         time.Duration(r.Rules.OpenTimeout) * time.Millisecond,
			MaxOpenAttempts:     r.Rules.Attempts,
			MaxParts:            r.Rules.MaxParts,
			HTLCMin:             r.Rules.HTLCMin,
			MinFinalExpiryDelta: r.Rules.MinFinal,
			ExpiryMargin:        r.Rules.Margin,
			VariableCompatFee:   r.Rules.Compat,
			LostSkim:            r.Rules.LostSkim,
		},
	}
	client, err := hex.DecodeString(r.Client)
	if err != nil || len(client) != len(t.Client) {
		return Terms{}, fmt.Errorf("client %q is no node id", r.Client)
	}
	copy(t.Client[:], client)
	return t, nil
}
