package lsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// maxPromise bounds a promise.
//
// bLIP-52: `promise` is at most 512 bytes.
const maxPromise = 512

// OpeningFeeParams is one item of the menu, bLIP-52 `opening_fee_params`.
type OpeningFeeParams struct {
	MinFee               lnwire.MilliSatoshi // min_fee_msat
	Proportional         uint32              // ppm of the payment size
	ValidUntil           time.Time           // in whole milliseconds, UTC
	MinLifetime          uint32              // blocks
	MaxClientToSelfDelay uint32              // blocks
	MinPaymentSize       lnwire.MilliSatoshi // inclusive
	MaxPaymentSize       lnwire.MilliSatoshi // inclusive
	Promise              string
}

// paramsJSON has the members in the order of bLIP-52.
type paramsJSON struct {
	MinFee      string `json:"min_fee_msat"`
	PPM         uint32 `json:"proportional"`
	ValidUntil  string `json:"valid_until"`
	MinLifetime uint32 `json:"min_lifetime"`
	MaxDelay    uint32 `json:"max_client_to_self_delay"`
	MinPayment  string `json:"min_payment_size_msat"`
	MaxPayment  string `json:"max_payment_size_msat"`
	Promise     string `json:"promise"`
}

// MarshalJSON writes the object of bLIP-52.
func (p OpeningFeeParams) MarshalJSON() ([]byte, error) {
	return appendJSON(nil, paramsJSON{
		MinFee:      formatAmount(p.MinFee),
		PPM:         p.Proportional,
		ValidUntil:  formatTime(p.ValidUntil),
		MinLifetime: p.MinLifetime,
		MaxDelay:    p.MaxClientToSelfDelay,
		MinPayment:  formatAmount(p.MinPaymentSize),
		MaxPayment:  formatAmount(p.MaxPaymentSize),
		Promise:     p.Promise,
	})
}

// ErrUnknownField is for opening_fee_params with a member that bLIP-52 does not know.
var ErrUnknownField = errors.New("unknown field in opening_fee_params")

// UnmarshalJSON reads the object of bLIP-52 to the letter.
func (p *OpeningFeeParams) UnmarshalJSON(raw []byte) error {
	o, err := parseObject(raw)
	if err != nil {
		return err
	}
	*p, err = parseParams(o)
	return err
}

// parseParams reads an item.
//
// bLIP-52: all fields are required; clients "MUST fail and abort the flow if a
// `opening_fee_params` object has unrecognized fields".
func parseParams(o object) (p OpeningFeeParams, _ error) {
	seen := 0
	for _, f := range []struct {
		name string
		read func(json.RawMessage) error
	}{
		{"min_fee_msat", amountInto(&p.MinFee)},
		{"proportional", numberInto(&p.Proportional)},
		{"valid_until", into(&p.ValidUntil, parseTime)},
		{"min_lifetime", numberInto(&p.MinLifetime)},
		{"max_client_to_self_delay", numberInto(&p.MaxClientToSelfDelay)},
		{"min_payment_size_msat", amountInto(&p.MinPaymentSize)},
		{"max_payment_size_msat", amountInto(&p.MaxPaymentSize)},
		{"promise", into(&p.Promise, parsePromise)},
	} {
		raw, ok := o[f.name]
		if !ok {
			return p, fmt.Errorf("lsp: opening_fee_params without %s", f.name)
		}
		if err := f.read(raw); err != nil {
			return p, fmt.Errorf("lsp: opening_fee_params: %s: %w", f.name, err)
		}
		seen++
	}
	if len(o) > seen {
		return p, fmt.Errorf("lsp: %w", ErrUnknownField)
	}
	return p, nil
}

func parsePromise(raw json.RawMessage) (string, error) {
	s, err := parseString(raw)
	if err == nil && len(s) > maxPromise {
		err = errors.New("longer than 512 bytes")
	}
	return s, err
}

func into[T any](dst *T, parse func(json.RawMessage) (T, error)) func(json.RawMessage) error {
	return func(raw json.RawMessage) (err error) {
		*dst, err = parse(raw)
		return err
	}
}

func amountInto(dst *lnwire.MilliSatoshi) func(json.RawMessage) error {
	return into(dst, parseAmount)
}

func numberInto(dst *uint32) func(json.RawMessage) error { return into(dst, parseUint32) }
