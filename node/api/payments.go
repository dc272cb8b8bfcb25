package api

import "context"

// Payments pays invoices and shows what was paid.
type Payments interface {
	// Pay returns when the payment has come to its end, or when r.TimeoutSeconds are over or ctx
	// ends: then no new part is sent, but parts under way are tracked to their end, and the
	// response has status pending. A payment that failed is a response, not an error; an invoice
	// that can't be paid at all (expired, other network, paid already) is an error.
	Pay(ctx context.Context, r PayRequest) (*Payment, error)

	Payments(ctx context.Context, r ListRequest) (*PaymentList, error)
}

// PaymentStatus says what became of a payment.
type PaymentStatus string

// The states of a payment.
const (
	PaymentPending PaymentStatus = "pending"
	PaymentSettled PaymentStatus = "settled"
	PaymentFailed  PaymentStatus = "failed"
)

// PayRequest is the request of /v1/pay.
type PayRequest struct {
	Bolt11 string `json:"bolt11"`

	// AmountMsat is needed for an invoice without an amount, and refused when it differs from
	// the invoice's.
	AmountMsat *Msat `json:"amount_msat,omitempty"`

	// MaxFeeMsat bounds the routing fee; null takes the node's default.
	MaxFeeMsat *Msat `json:"max_fee_msat,omitempty"`

	// TimeoutSeconds is how long new attempts may be made; 0 means DefaultPaySeconds.
	TimeoutSeconds uint32 `json:"timeout_seconds,omitempty"`
}

// The time that a payment is tried for, in seconds: when nothing is asked for, and at most.
const (
	DefaultPaySeconds = 60
	MaxPaySeconds     = 3600
)

// Payment is the answer of /v1/pay.
type Payment struct {
	PaymentHash string        `json:"payment_hash"`
	Status      PaymentStatus `json:"status"`

	// Preimage proves the payment; empty unless Status is settled.
	Preimage string `json:"preimage"`

	// AmountMsat is what the payee gets, FeeMsat what was paid on top.
	AmountMsat Msat `json:"amount_msat"`
	FeeMsat    Msat `json:"fee_msat"`

	// Parts counts the HTLCs that the payment used.
	Parts int `json:"parts"`

	// Failure says why Status is failed, as the BOLT 4 name of the last failure or a sentence of
	// ours; else empty.
	Failure string `json:"failure"`
}

// PaymentList is the answer of /v1/payments.
type PaymentList struct {
	Payments []PaymentEntry `json:"payments"`
}

// PaymentEntry is one payment in a list.
type PaymentEntry struct {
	Payment
	Payee     string `json:"payee"`
	CreatedAt Time   `json:"created_at"`
}

func (r PayRequest) validate() *Error {
	switch {
	case r.Bolt11 == "":
		return missing("bolt11", "the invoice to pay")
	case r.AmountMsat != nil && *r.AmountMsat == 0:
		return invalid("amount_msat is 0", "leave it out when the invoice has an amount")
	case r.TimeoutSeconds > MaxPaySeconds:
		return invalid("timeout_seconds is more than 3600", "an attempt can't wait longer")
	}
	return nil
}
