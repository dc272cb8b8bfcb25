package api

import "context"

// Invoices makes and shows our BOLT 11 invoices.
type Invoices interface {
	CreateInvoice(ctx context.Context, r InvoiceRequest) (*Invoice, error)

	Invoices(ctx context.Context, r ListRequest) (*InvoiceList, error)
}

// JIT buys a channel from an LSP: the client side of bLIP-52.
type JIT interface {
	// JITInvoice connects to the LSP, buys, and returns an invoice whose payment opens a channel.
	JITInvoice(ctx context.Context, r JITRequest) (*JITInvoice, error)
}

// ListRequest pages through a list, newest first. The zero value asks for the newest 100.
type ListRequest struct {
	// Limit is the most entries to return, at most MaxList; 0 means 100.
	Limit int `json:"limit,omitempty"`

	// Offset skips that many of the newest.
	Offset int `json:"offset,omitempty"`
}

// MaxList is the largest Limit of a ListRequest, so that one call can't read a whole history.
const MaxList = 1000

// InvoiceRequest is the request of /v1/invoices/create.
type InvoiceRequest struct {
	// AmountMsat is what is asked for; null lets the payer choose.
	AmountMsat  *Msat  `json:"amount_msat,omitempty"`
	Description string `json:"description,omitempty"`

	// ExpirySeconds is how long the invoice can be paid; 0 means one hour.
	ExpirySeconds uint32 `json:"expiry_seconds,omitempty"`
}

// Invoice is the answer of /v1/invoices/create.
type Invoice struct {
	Bolt11      string `json:"bolt11"`
	PaymentHash string `json:"payment_hash"`

	// AmountMsat is null when the payer chooses.
	AmountMsat *Msat `json:"amount_msat"`
	ExpiresAt  Time  `json:"expires_at"`
}

// InvoiceList is the answer of /v1/invoices.
type InvoiceList struct {
	Invoices []InvoiceEntry `json:"invoices"`
}

// InvoiceState says what became of an invoice.
type InvoiceState string

// The states of an invoice.
const (
	InvoiceOpen     InvoiceState = "open"
	InvoiceAccepted InvoiceState = "accepted" // parts are here, not all of them or not yet settled
	InvoiceSettled  InvoiceState = "settled"
	InvoiceCanceled InvoiceState = "canceled"
	InvoiceExpired  InvoiceState = "expired"
)

// InvoiceEntry is one invoice in a list.
type InvoiceEntry struct {
	Invoice
	State       InvoiceState `json:"state"`
	Description string       `json:"description"`

	// ReceivedMsat is what arrived, after the LSP's fee.
	ReceivedMsat Msat `json:"received_msat"`
	CreatedAt    Time `json:"created_at"`
	SettledAt    Time `json:"settled_at"`
}

// JITRequest is the request of /v1/jit/invoice.
type JITRequest struct {
	// LSP is PUBKEY@HOST:PORT.
	LSP string `json:"lsp"`

	// AmountMsat is the payment's size; null makes an invoice of variable amount.
	AmountMsat *Msat `json:"amount_msat,omitempty"`

	// MaxFeeMsat refuses an offer that costs more; null takes the cheapest whatever it costs. With
	// a variable amount it bounds the minimum fee of the offer.
	MaxFeeMsat  *Msat  `json:"max_fee_msat,omitempty"`
	Description string `json:"description,omitempty"`

	// Token is what the LSP gave out for a menu of its own; empty: none.
	Token string `json:"token,omitempty"`

	// ClientTrustsLSP takes an LSP that broadcasts the funding only after it has the preimage. Until
	// then it could keep the payment.
	ClientTrustsLSP bool `json:"client_trusts_lsp,omitempty"`
}

// JITInvoice is the answer of /v1/jit/invoice.
type JITInvoice struct {
	Invoice

	// OpeningFeeMsat is what the LSP keeps; null for a variable amount, where the payer's choice
	// decides.
	OpeningFeeMsat *Msat  `json:"opening_fee_msat"`
	JitChannelScid string `json:"jit_channel_scid"`
}

func (r ListRequest) validate() *Error {
	if r.Limit < 0 || r.Limit > MaxList || r.Offset < 0 {
		return invalid("limit is from 0 to 1000, offset not negative", "ask again for the next page")
	}
	return nil
}

func (r InvoiceRequest) validate() *Error {
	if r.AmountMsat != nil && *r.AmountMsat == 0 {
		return invalid("amount_msat is 0", "leave it out to let the payer choose the amount")
	}
	return nil
}

func (r JITRequest) validate() *Error {
	switch {
	case r.LSP == "":
		return missing("lsp", "PUBKEY@HOST:PORT of the LSP")
	case r.AmountMsat != nil && *r.AmountMsat == 0:
		return invalid("amount_msat is 0", "leave it out for an invoice of variable amount")
	}
	return nil
}
