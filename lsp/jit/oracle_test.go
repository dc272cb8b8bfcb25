package jit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

// triple is one input of the opening fee. The oracle takes proportional as a u64;
// ours, and the wire, know 32 bits.
type triple struct {
	size, minFee uint64
	ppm          uint32
}

// answer is what the oracle says of a triple; ok is false for an overflow.
type answer struct {
	fee uint64
	ok  bool
}

// onlyTheAddition reports the one known edge: size * proportional fits 64 bits and
// the 999,999 that is added for the rounding doesn't.
func (in triple) onlyTheAddition() bool {
	hi, product := bits.Mul64(in.size, uint64(in.ppm))
	_, carry := bits.Add64(product, million-1, 0)
	return hi == 0 && carry != 0
}

// rounded is what an implementation has at the edge that rounds up without the
// addition.
func (in triple) rounded() uint64 {
	_, product := bits.Mul64(in.size, uint64(in.ppm))
	return max(in.minFee, product/million+min(1, product%million))
}

// compare compares our fee with the oracle's.
func (in triple) compare(want answer) error {
	fee, ok := OpeningFee(lnwire.MilliSatoshi(in.size), lnwire.MilliSatoshi(in.minFee), in.ppm)
	if in.onlyTheAddition() && ok {
		return fmt.Errorf("%+v: we have %d, by bLIP-52 the addition overflows", in, uint64(fee))
	}
	if ok != want.ok || uint64(fee) != want.fee {
		return fmt.Errorf("%+v: we have %d, %v, LDK %d, %v", in, uint64(fee), ok, want.fee, want.ok)
	}
	return nil
}

// TestOracleBoundaries compares with LDK's answers where a step of the computation
// turns. `make oracle` asks LDK again. Each case of the edge is a test of its own.
//
// bLIP-52: "Arithmetic overflow MUST cause the computation to fail and abort this
// flow", and its routines add before they divide. So does the LDK that we ask, 0.1.2.
// Later ones divide and round up (div_ceil), so at the edge they have a fee where by
// the bLIP there is none. We follow the bLIP: a client that does the same would not
// accept the fee. An oracle of a later version fails here, case by case.
func TestOracleBoundaries(t *testing.T) {
	edges := 0
	for in, want := range boundaries(t) {
		if !in.onlyTheAddition() {
			if err := in.compare(want); err != nil {
				t.Error(err)
			}
			continue
		}
		edges++
		name := fmt.Sprintf("edge size=%d min_fee=%d ppm=%d: no fee, not the %d of div_ceil",
			in.size, in.minFee, in.ppm, in.rounded())
		t.Run(name, func(t *testing.T) {
			if err := in.compare(want); err != nil {
				t.Error(err)
			}
		})
	}
	if edges < 100 {
		t.Errorf("%d cases are at the edge, want at least 100", edges)
	}
}

// boundaries reads lines of [size, min_fee, ppm, fee].
func boundaries(t *testing.T) func(func(triple, answer) bool) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "opening_fee.boundary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][4]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&lines); err != nil {
		t.Fatal(err)
	}
	if len(lines) < 2000 {
		t.Fatalf("%d lines", len(lines))
	}
	return func(yield func(triple, answer) bool) {
		for _, l := range lines {
			ppm := amountOf(t, l[2])
			in, want := triple{amountOf(t, l[0]), amountOf(t, l[1]), uint32(ppm)}, answer{}
			if ppm > 1<<32-1 {
				t.Fatalf("%v: proportional is not of 32 bits", l)
			}
			if l[3] != nil {
				want = answer{amountOf(t, l[3]), true}
			}
			if !yield(in, want) {
				return
			}
		}
	}
}

func amountOf(t *testing.T, v any) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(fmt.Sprint(v), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOracleRandom compares with LDK's answers to 100,000 random triples.
func TestOracleRandom(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "opening_fee.random.bin"))
	if err != nil {
		t.Fatal(err)
	}
	const seed, count = 52, 100_000
	r := splitMix(seed)
	var edges, overflows, least int
	for i := range count {
		in := r.triple()
		var want answer
		if want, raw, err = nextAnswer(raw, in); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if err := in.compare(want); err != nil {
			t.Fatalf("seed %d, triple %d: %v", seed, i, err)
		}
		switch {
		case in.onlyTheAddition():
			edges++
		case !want.ok:
			overflows++
		case want.fee == in.minFee:
			least++
		}
	}
	t.Logf("%d at the edge, %d other overflows, %d times min_fee", edges, overflows, least)
	if len(raw) != 0 || edges < 100 || overflows < 1000 || least < 1000 || count-overflows-least < 1000 {
		t.Errorf("%d bytes are left; %d, %d, %d: too few of a kind", len(raw), edges, overflows, least)
	}
}

// nextAnswer reads one answer of itest/oracle/opening_fee.mjs, which says how they
// are written.
func nextAnswer(raw []byte, in triple) (_ answer, rest []byte, _ error) {
	if len(raw) == 0 {
		return answer{}, nil, fmt.Errorf("there is none")
	}
	switch kind, rest := raw[0], raw[1:]; kind {
	case 0:
		return answer{}, rest, nil
	case 1:
		return answer{in.minFee, true}, rest, nil
	case 2:
		fee, n := binary.Uvarint(rest)
		if n <= 0 {
			return answer{}, nil, fmt.Errorf("no number")
		}
		return answer{fee, true}, rest[n:], nil
	default:
		return answer{}, nil, fmt.Errorf("kind %d", kind)
	}
}

// splitMix is SplitMix64, which opening_fee.mjs has too.
type splitMix uint64

func (r *splitMix) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// any is a number of up to so many bits, each length as likely as another.
func (r *splitMix) any(width uint64) uint64 {
	n := r.next() >> (64 - width)
	return n >> (r.next() % width)
}

// triple draws one input. One in four is near the overflow, one in four has a
// min_fee near the proportional part.
func (r *splitMix) triple() triple {
	kind := r.next() & 3
	size, minFee, ppm := r.any(64), r.any(64), r.any(32)
	near := r.next() % 2_000_000
	switch {
	case kind == 0 && ppm > 0:
		size = (^uint64(0)-near)/ppm + 1
	case kind == 1:
		minFee = size*ppm/million + near%4 - 1
	}
	return triple{size, minFee, uint32(ppm)}
}
