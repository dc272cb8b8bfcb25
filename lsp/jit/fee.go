package jit

import (
	"math/bits"

	"github.com/lightningnetwork/lnd/lnwire"
)

// million is the divisor of proportional. The prose of bLIP-52 divides by ten
// million in one place; its routines, and every implementation, by one million.
const million = 1_000_000

// OpeningFee is opening_fee_msat for a payment of this size: the proportional part
// rounded up, at least minFee. It is not ok when a 64-bit step overflows.
func OpeningFee(size, minFee lnwire.MilliSatoshi, ppm uint32) (_ lnwire.MilliSatoshi, ok bool) {
	hi, product := bits.Mul64(uint64(size), uint64(ppm))
	sum, carry := bits.Add64(product, million-1, 0)
	if hi != 0 || carry != 0 {
		// bLIP-52: "Arithmetic overflow MUST cause the computation to fail and abort this flow"
		return 0, false
	}
	return max(minFee, lnwire.MilliSatoshi(sum/million)), true
}

// CompatFee is the most that ldk-node lets be taken from a variable payment of this
// amount: it works out its limit from what it received and forgets min_fee
// (ldk-node#1095). It is not ok when the product overflows.
func CompatFee(amount lnwire.MilliSatoshi, ppm uint32) (_ lnwire.MilliSatoshi, ok bool) {
	hi, product := bits.Mul64(uint64(amount), uint64(ppm))
	if hi != 0 {
		return 0, false
	}
	return lnwire.MilliSatoshi(product / (million + uint64(ppm))), true
}

// fee is what these terms take from a payment of this size.
func (t *Terms) fee(size lnwire.MilliSatoshi) (_ lnwire.MilliSatoshi, ok bool) {
	fee, ok := OpeningFee(size, t.MinFee, t.PPM)
	if !ok || t.PaymentSize != 0 || !t.Rules.VariableCompatFee {
		return fee, ok
	}
	compat, ok := CompatFee(size, t.PPM)
	return min(fee, compat), ok
}

// skim takes fee from the parts in order of arrival and leaves each at least
// htlcMin. The parts can bear it: fits saw to that.
func skim(parts []Part, fee, htlcMin lnwire.MilliSatoshi) []lnwire.MilliSatoshi {
	taken := make([]lnwire.MilliSatoshi, len(parts))
	for i, p := range parts {
		taken[i] = min(fee, p.Amount-htlcMin)
		fee -= taken[i]
	}
	return taken
}

// fits says why a fee cannot be taken from these parts, "" when it can.
//
// bLIP-52: "The LSP MUST ensure that each forwarded part forwards at least
// `htlc_minimum_msat` millisatoshis."
func fits(parts []Part, fee, htlcMin lnwire.MilliSatoshi) string {
	var room lnwire.MilliSatoshi
	for _, p := range parts {
		if p.Amount < htlcMin {
			return "a part is under the client's htlc_minimum_msat"
		}
		room = plus(room, p.Amount-htlcMin)
	}
	if fee > room {
		return "the fee leaves less than htlc_minimum_msat on each part"
	}
	return ""
}

// plus adds and stops at the largest amount, so that no sum wraps around.
func plus(a, b lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 {
		return ^lnwire.MilliSatoshi(0)
	}
	return lnwire.MilliSatoshi(sum)
}
