package jit

import (
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Terms are what the client bought, and the rules as they stood at that time.
type Terms struct {
	// Client is the node id that the order belongs to.
	Client [33]byte

	// SCID is the jit_channel_scid that payers route to.
	SCID lnwire.ShortChannelID

	// PaymentSize is payment_size_msat; 0 is an invoice of variable amount.
	PaymentSize lnwire.MilliSatoshi

	// MinFee and PPM are min_fee_msat and proportional.
	MinFee lnwire.MilliSatoshi
	PPM    uint32

	// MinPayment and MaxPayment bound a payment of variable amount.
	MinPayment, MaxPayment lnwire.MilliSatoshi

	// ValidUntil ends the offer, AliasUntil (not before it; zero: the same) the
	// use of the scid as an alias once the fee is paid.
	ValidUntil, AliasUntil time.Time

	// CLTVExpiryDelta is lsp_cltv_expiry_delta, in blocks.
	CLTVExpiryDelta uint16

	// MaxClientToSelfDelay and MinLifetime are in blocks.
	MaxClientToSelfDelay, MinLifetime uint32

	// ClientTrustsLSP withholds the funding until the client has claimed.
	ClientTrustsLSP bool

	Rules Rules
}

// Rules are the node's own limits on an order.
type Rules struct {
	// Hold is how long parts are held, from the first of a payment.
	Hold time.Duration

	// OpenTimeout bounds one open attempt, until funding_signed.
	OpenTimeout time.Duration

	// MaxOpenAttempts bounds the attempts for one payment.
	MaxOpenAttempts int

	// MaxParts bounds the parts of one payment.
	MaxParts int

	// HTLCMin is the htlc_minimum_msat expected of the client.
	HTLCMin lnwire.MilliSatoshi

	// MinFinalExpiryDelta is how far above the best block the outgoing expiry must
	// be before we open and before we forward. LDK takes 44 and checks to the block.
	MinFinalExpiryDelta uint32

	// ExpiryMargin is how many blocks before its expiry a held part is failed.
	ExpiryMargin uint32

	// VariableCompatFee lowers the fee of a variable payment to what ldk-node's
	// check of it lets pass (ldk-node#1095). It never charges more than bLIP-52.
	VariableCompatFee bool

	// LostSkim is what happens to the fee when the client may have forgotten that
	// this channel takes less than the onion says, and the channel is funded.
	LostSkim LostSkim
}

// LostSkim is a policy for a fee that cannot be taken from a payment.
type LostSkim string

const (
	// Waive forwards in full, once, and books the fee as waived.
	Waive LostSkim = "waive"

	// Refuse fails the payment.
	Refuse LostSkim = "refuse"
)

// DefaultRules are those of a node that was not told otherwise.
func DefaultRules() Rules {
	return Rules{
		Hold:                90 * time.Second,
		OpenTimeout:         15 * time.Second,
		MaxOpenAttempts:     3,
		MaxParts:            30,
		HTLCMin:             1,
		MinFinalExpiryDelta: 44,
		ExpiryMargin:        24,
		VariableCompatFee:   true,
		LostSkim:            Waive,
	}
}
