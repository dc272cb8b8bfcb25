package pay

import "errors"

// Errors of Pay before anything was sent: nothing has left, nothing is stored.
var (
	// ErrBadInvoice: the text is no BOLT 11 invoice, or one with a broken or missing field.
	ErrBadInvoice = errors.New("not a valid BOLT 11 invoice: " +
		"check that it was copied in full, or ask for a new one")

	// ErrForeignNetwork: the invoice is for another network than the node's.
	ErrForeignNetwork = errors.New("the invoice is for another network")

	// ErrExpired: the invoice is past its expiry.
	ErrExpired = errors.New("the invoice has expired: ask the recipient for a new one")

	// ErrOwnInvoice: the invoice pays to this very node.
	ErrOwnInvoice = errors.New("the invoice is this node's own: it can only be paid by another node")

	// ErrUnsupported: the invoice needs something that this node does not do.
	ErrUnsupported = errors.New("the invoice needs a feature that this node does not have: " +
		"ask the recipient for a plain BOLT 11 invoice")

	// ErrAmountMissing: the invoice names no amount and neither does the request.
	ErrAmountMissing = errors.New("the invoice names no amount: say how much to pay")

	// ErrUnderpaid: the requested amount is below the invoice's.
	ErrUnderpaid = errors.New("the amount is less than the invoice asks for: " +
		"pay at least the invoice's amount")

	// ErrOverpaid: the requested amount is more than twice the invoice's.
	ErrOverpaid = errors.New("the amount is more than twice what the invoice asks for: " +
		"pay at most twice the invoice's amount")

	// ErrAmountTooLarge: the amount exceeds all the bitcoin there can be.
	ErrAmountTooLarge = errors.New("the amount is larger than all bitcoin: check its unit")

	// ErrInFlight: a payment of the same hash has HTLCs out.
	ErrInFlight = errors.New("a payment of this invoice is in flight: wait for its outcome")

	// ErrAlreadyPaid: the invoice was paid by this node before.
	ErrAlreadyPaid = errors.New("the invoice is already paid: ask for a new one to pay again")

	// ErrBusy: as many payments as this node allows are in flight.
	ErrBusy = errors.New("too many payments are in flight: wait until some have ended")

	// ErrStopped: the node is stopping or is not running yet.
	ErrStopped = errors.New("the node is not running: try again when it is up")
)

// Errors of look-ups and of new invoices.
var (
	// ErrUnknownPayment: no payment of this hash is stored.
	ErrUnknownPayment = errors.New("no payment with this hash is known")

	// ErrUnknownInvoice: no invoice of this hash is stored.
	ErrUnknownInvoice = errors.New("no invoice with this hash is known")

	// ErrBadRequest: a field of an invoice request cannot be used. The text names it.
	ErrBadRequest = errors.New("the invoice cannot be made")

	// ErrNotOpen: the invoice is settled or canceled, so it cannot be canceled.
	ErrNotOpen = errors.New("the invoice is not open any more")
)
