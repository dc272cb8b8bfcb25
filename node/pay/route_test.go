package pay

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

func TestPolicyFee(t *testing.T) {
	for _, c := range []struct {
		p         policy
		amt, want lnwire.MilliSatoshi
	}{
		{policy{}, 1_000_000, 0},
		{policy{base: 1000}, 0, 1000},
		{policy{base: 1000, ppm: 100}, 1_000_000, 1100},
		{policy{ppm: 1}, 999_999, 0},
		{policy{ppm: 1}, 1_000_000, 1},
		{policy{ppm: 1_000_000}, maxMoney, maxMoney},
		{policy{ppm: 1<<32 - 1}, maxMoney, maxMoney + 1},
	} {
		require.Equal(t, c.want, c.p.fee(c.amt), "%+v of %d", c.p, c.amt)
	}
}

// largest is the inverse of amount plus fee.
func TestPolicyLargest(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 20_000 {
		p := policy{base: lnwire.MilliSatoshi(rng.Intn(3000)), ppm: uint32(rng.Intn(2_000_000))}
		if rng.Intn(10) == 0 {
			p.ppm = rng.Uint32()
		}
		in := lnwire.MilliSatoshi(rng.Int63n(int64(maxMoney)) >> rng.Intn(60))
		got := p.largest(in)
		if got > 0 {
			require.LessOrEqual(t, got+p.fee(got), in, "%+v of %d", p, in)
		}
		require.Greater(t, got+1+p.fee(got+1), in, "%+v of %d", p, in)
	}
	require.Equal(t, maxMoney, policy{}.largest(1<<64-1), "more money than there is")
}

func TestFindWays(t *testing.T) {
	describe := func(b bill, channels ...Channel) string {
		var out []string
		for _, w := range findWays(b, channels, node('U')) {
			line := fmt.Sprintf("%d:%s", w.channel.Scid.ToUint64(), letter(w.channel.Peer))
			for _, e := range w.edges {
				line += fmt.Sprintf(" %d:%s", e.scid.ToUint64(), letter(e.to))
			}
			out = append(out, line)
		}
		return strings.Join(out, ", ")
	}
	b := testBill(1)
	require.Empty(t, describe(b, channel(1, 'X', 1)), "a peer that no hint names")
	require.Equal(t, "1:D", describe(b, channel(1, 'D', 1)), "the recipient is our peer")
	require.Equal(t, "1:P 1001:D, 1:P 1003:M 1004:D", describe(b, channel(1, 'P', 1)))
	require.Equal(t, "1:M 1004:D, 2:Q 1002:D",
		describe(b, channel(1, 'M', 1), channel(2, 'Q', 1)), "a hint is entered at its last peer")

	b.hints = b.hints[2:]
	b.hints[0][1].policy.delta = maxTimeLock
	require.Empty(t, describe(b, channel(1, 'P', 1)), "time lock too long")

	b = testBill(1)
	b.hints[2][1].from = node('U')
	b.hints[2][0].to = node('U')
	require.Equal(t, "1:P 1001:D", describe(b, channel(1, 'P', 1)), "a hint that leads through us")
}

func TestWaysAreBounded(t *testing.T) {
	b := testBill(1)
	for len(b.hints) < maxHintPaths {
		b.hints = append(b.hints, b.hints[0])
	}
	var channels []Channel
	for n := range uint64(100) {
		channels = append(channels, channel(n, 'P', 1))
	}
	require.Len(t, findWays(b, channels, node('U')), maxWays)
}

// Fees and time locks add up from the recipient to us; our own channel is free.
func TestHops(t *testing.T) {
	var out strings.Builder
	b := testBill(0)
	channels := []Channel{channel(1, 'D', 0), channel(2, 'P', 0), channel(3, 'Q', 0)}
	for _, w := range findWays(b, channels, node('U')) {
		for _, amount := range []lnwire.MilliSatoshi{1, 1_000_000, 123_456_789} {
			fmt.Fprintf(&out, "to D %d msat at height 800000\n", amount)
			for _, h := range w.hops(amount, 800_000, b.delta, b.dest) {
				fmt.Fprintf(&out, "  over %d to %s: %d msat until %d\n",
					h.scid.ToUint64(), letter(h.node), h.amount, h.expiry)
			}
			total, ok := w.total(amount)
			require.True(t, ok)
			require.Equal(t, total, w.hops(amount, 800_000, b.delta, b.dest)[0].amount)
		}
	}
	golden(t, "hops.golden", out.String())
}
