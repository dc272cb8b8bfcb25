package wallet

import (
	"fmt"

	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

// defaultConfTarget is in blocks.
const defaultConfTarget = 6

// feeRate gives the rate to pay in sat/kw: the asked one in sat/vB, or an estimate for the
// target. An asked rate above the cap is refused, an estimate is held to it.
func (w *Wallet) feeRate(asked chainfee.SatPerVByte,
	target uint32) (chainfee.SatPerKWeight, error) {

	most := w.opts.MaxFeeRate
	if asked > most {
		return 0, fmt.Errorf("%w: %d sat/vB is more than max_fee_rate_sat_per_vb = %d", ErrFeeRate,
			uint64(asked), uint64(most))
	}
	if asked > 0 {
		// 1 sat/vB rounds down to 250 sat/kw, and a signature that comes out a byte shorter than
		// estimated must not make the transaction too cheap to be relayed.
		return max(asked.FeePerKWeight(), chainfee.FeePerKwFloor), nil
	}

	if target == 0 {
		target = defaultConfTarget
	}
	rate, err := w.opts.Chain.Fees().EstimateFeePerKW(target)
	if err != nil {
		return 0, fmt.Errorf("estimate the fee rate: %w", err)
	}

	return max(chainfee.FeePerKwFloor, min(rate, most.FeePerKWeight())), nil
}
