package lsp

import (
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

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
