package jit

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// TestOpeningFeeVectors has the fee of every implementation, at the edges of 64 bits.
func TestOpeningFeeVectors(t *testing.T) {
	checklist.Shows(t, "LSPS2-16", "the overflow of the sum is not noticed")
	for _, v := range []struct {
		size, minFee lnwire.MilliSatoshi
		ppm          uint32
		fee          lnwire.MilliSatoshi
		ok           bool
	}{
		{42_000, 546_000, 1200, 546_000, true},
		{1_000_000, 0, 1, 1, true},
		{1, 0, 1, 1, true},
		{1_000_000, 100, 21, 100, true},
		{10_000_000, 1000, 10_000, 100_000, true},
		{500_000_000, 2_000_000, 4000, 2_000_000, true},
		{500_000_001, 2_000_000, 4000, 2_000_001, true},
		{1_000_000_000, 2_000_000, 4000, 4_000_000, true},
		{0, 7, 0, 7, true},
		{18446744073708551616, 0, 1, 18446744073709, true},
		{18446744073708551617, 0, 1, 0, false}, // the addition overflows
		{18446744073709551615, 0, 1, 0, false},
		{4294967296, 0, 4294967295, 18446744069415, true},
		{8589934592, 0, 4294967295, 0, false}, // the product overflows
	} {
		fee, ok := OpeningFee(v.size, v.minFee, v.ppm)
		if fee != v.fee || ok != v.ok {
			t.Errorf("OpeningFee(%d, %d, %d) = %d, %v, want %d, %v", uint64(v.size),
				uint64(v.minFee), v.ppm, uint64(fee), ok, uint64(v.fee), v.ok)
		}
	}
}

// TestOpeningFeeAgainstBig compares with arithmetic that cannot overflow.
func TestOpeningFeeAgainstBig(t *testing.T) {
	checklist.Shows(t, "LSPS2-16", "the fee is rounded down")
	const seed = 52
	r := rand.New(rand.NewPCG(seed, 0))
	limit := new(big.Int).Lsh(big.NewInt(1), 64)
	for range 100_000 {
		size := r.Uint64() >> r.IntN(64)
		ppm := r.Uint32() >> r.IntN(32)
		minFee := r.Uint64() >> r.IntN(64)

		product := new(big.Int).Mul(new(big.Int).SetUint64(size), big.NewInt(int64(ppm)))
		sum := new(big.Int).Add(product, big.NewInt(999_999))
		fee, ok := OpeningFee(lnwire.MilliSatoshi(size), lnwire.MilliSatoshi(minFee), ppm)
		if ok != (sum.Cmp(limit) < 0) {
			t.Fatalf("seed %d: OpeningFee(%d, %d, %d) ok = %v", seed, size, minFee, ppm, ok)
		}
		want := max(minFee, sum.Div(sum, big.NewInt(1_000_000)).Uint64())
		if ok && uint64(fee) != want {
			t.Fatalf("seed %d: OpeningFee(%d, %d, %d) = %d, want %d", seed, size, minFee, ppm, fee, want)
		}

		compat, ok := CompatFee(lnwire.MilliSatoshi(size), ppm)
		if ok != (product.Cmp(limit) < 0) {
			t.Fatalf("seed %d: CompatFee(%d, %d) ok = %v", seed, size, ppm, ok)
		}
		want = product.Div(product, big.NewInt(1_000_000+int64(ppm))).Uint64()
		if ok && uint64(compat) != want {
			t.Fatalf("seed %d: CompatFee(%d, %d) = %d, want %d", seed, size, ppm, compat, want)
		}
	}
}

// TestCompatFee has the numbers of runs against ldk-node, and its rule: what was
// taken is at most the proportional part, rounded up, of what was received.
func TestCompatFee(t *testing.T) {
	terms := Terms{MinFee: 2_000_000, PPM: 10_000, Rules: Rules{VariableCompatFee: true}}
	for _, v := range []struct{ size, fee lnwire.MilliSatoshi }{
		{50_000_000, 495_049},
		{10_000, 99},
		{100, 0},
	} {
		if fee, ok := terms.fee(v.size); fee != v.fee || !ok {
			t.Errorf("compat fee of %d = %d, %v, want %d", v.size, fee, ok, v.fee)
		}
	}
	if fee, _ := (&Terms{PaymentSize: 50_000_000, MinFee: 2_000_000, PPM: 10_000,
		Rules: terms.Rules}).fee(50_000_000); fee != 2_000_000 {
		t.Errorf("a fixed amount pays %d: the compat fee is for variable ones", fee)
	}

	r := rand.New(rand.NewPCG(1095, 0))
	for range 100_000 {
		size := lnwire.MilliSatoshi(r.Uint64N(1e12))
		terms.PPM = r.Uint32N(1e6)
		fee, ok := terms.fee(size)
		limit, _ := OpeningFee(size-fee, 0, terms.PPM)
		spec, _ := OpeningFee(size, terms.MinFee, terms.PPM)
		if !ok || fee > limit || fee > spec {
			t.Fatalf("size %d ppm %d: fee %d, ldk-node takes %d, bLIP-52 %d",
				size, terms.PPM, fee, limit, spec)
		}
	}
}

func TestSkim(t *testing.T) {
	checklist.Shows(t, "LSPS2-94", "skim takes from the last part only")
	r := rand.New(rand.NewPCG(7, 0))
	for i := range 20_000 {
		parts := make([]Part, 1+r.IntN(10))
		htlcMin := lnwire.MilliSatoshi(1 + r.IntN(2000))
		var room lnwire.MilliSatoshi
		for j := range parts {
			parts[j].Amount = htlcMin + lnwire.MilliSatoshi(r.IntN(5000)*r.IntN(2))
			room += parts[j].Amount - htlcMin
		}
		fee := lnwire.MilliSatoshi(r.Int64N(int64(room) + 1))
		if why := fits(parts, fee, htlcMin); why != "" {
			t.Fatalf("%d: %d does not fit: %s", i, fee, why)
		}
		if fits(parts, room+1, htlcMin) == "" {
			t.Fatalf("%d: more than there is fits", i)
		}
		var taken lnwire.MilliSatoshi
		greedy := true // each part is taken from to the floor before the next is
		for j, extra := range skim(parts, fee, htlcMin) {
			if parts[j].Amount-extra < htlcMin {
				t.Fatalf("%d: part %d left with %d", i, j, parts[j].Amount-extra)
			}
			if extra > 0 && !greedy {
				t.Fatalf("%d: part %d taken from before an earlier one was used up", i, j)
			}
			greedy = parts[j].Amount-extra == htlcMin
			taken += extra
		}
		if taken != fee {
			t.Fatalf("%d: took %d of %d", i, taken, fee)
		}
	}
}
