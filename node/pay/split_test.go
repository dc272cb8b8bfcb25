package pay

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

type splitCase struct {
	name     string
	amount   lnwire.MilliSatoshi
	budget   lnwire.MilliSatoshi
	parts    int
	noMPP    bool
	channels []Channel
	notes    notes
}

func (c splitCase) task() task {
	b := testBill(c.amount)
	return task{amount: c.amount, budget: c.budget, parts: c.parts, mpp: !c.noMPP,
		ways: findWays(b, c.channels, node('U')), notes: c.notes}
}

func TestSplit(t *testing.T) {
	const sat = 1000
	bounded := channel(1, 'D', 100_000*sat)
	bounded.MaxHTLC = 30_000 * sat
	coarse := channel(2, 'D', 50_000*sat)
	coarse.MinHTLC = 20_000 * sat
	cases := []splitCase{
		{name: "one channel with the recipient", amount: 50_000 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat)}},
		{name: "all of a channel", amount: 60_000 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat)}},
		{name: "one msat more", amount: 60_000*sat + 1, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat)}},
		{name: "the cheaper way is taken", amount: 10_000 * sat, budget: 100 * sat, parts: 10,
			channels: []Channel{channel(2, 'Q', 60_000*sat), channel(1, 'P', 60_000*sat)}},
		{name: "the cheapest way is too dear", amount: 10_000 * sat, budget: 40 * sat, parts: 10,
			channels: []Channel{channel(2, 'Q', 60_000*sat)}},
		{name: "two channels", amount: 100_000 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat), channel(2, 'D', 50_000*sat)}},
		{name: "two channels, no MPP", amount: 100_000 * sat, parts: 10, noMPP: true,
			channels: []Channel{channel(1, 'D', 60_000*sat), channel(2, 'D', 50_000*sat)}},
		{name: "three channels, two parts allowed", amount: 100_000 * sat, parts: 2,
			channels: []Channel{channel(1, 'D', 40_000*sat), channel(2, 'D', 40_000*sat),
				channel(3, 'D', 40_000*sat)}},
		{name: "several parts over one channel", amount: 80_000 * sat, parts: 10,
			channels: []Channel{bounded}},
		{name: "the rest would be below a minimum", amount: 100_000*sat + 500, parts: 10,
			channels: []Channel{channel(1, 'D', 100_000*sat), channel(2, 'D', 90_000*sat)}},
		{name: "the rest would be below a large minimum", amount: 70_000 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat), coarse}},
		{name: "fees within the budget only by the dearer number of parts",
			amount: 100_000 * sat, budget: 12 * sat, parts: 10,
			channels: []Channel{channel(1, 'Q', 60_000*sat), channel(2, 'P', 60_000*sat),
				channel(3, 'D', 50_000*sat)}},
		{name: "a barred channel", amount: 50_000 * sat, budget: 500 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat), channel(2, 'P', 60_000*sat)},
			notes:    notes{{scid: scid(1), barred: true}}},
		{name: "everything barred", amount: 50_000 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat)},
			notes:    notes{{scid: scid(1), barred: true}}},
		{name: "a channel that failed before comes last", amount: 50_000 * sat,
			budget: 500 * sat, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat), channel(2, 'P', 60_000*sat)},
			notes:    notes{{scid: scid(1), fails: 1}}},
		{name: "smaller parts after a failure", amount: 50_000 * sat, budget: 500 * sat, parts: 10,
			channels: []Channel{channel(2, 'Q', 60_000*sat)},
			notes:    notes{{scid: scid(1002), fails: 1, limit: 25_000 * sat}}},
		{name: "a policy learned on the way", amount: 50_000 * sat, budget: 5000 * sat, parts: 10,
			channels: []Channel{channel(2, 'Q', 60_000*sat)},
			notes:    notes{{scid: scid(1002), policy: &policy{base: 1, ppm: 20_000}}}},
		{name: "too small for the channel", amount: 999, parts: 10,
			channels: []Channel{channel(1, 'D', 60_000*sat)}},
		{name: "no way", amount: 1000, parts: 10, channels: []Channel{channel(1, 'X', 60_000*sat)}},
		{name: "no channel", amount: 1000, parts: 10},
	}
	var out strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&out, "%s: %d msat, fee at most %d\n", c.name, c.amount, c.budget)
		legs, problem := split(c.task())
		checkLegs(t, c.task(), legs, problem)
		for _, l := range legs {
			fmt.Fprintf(&out, "  channel %d, %d edges: %d msat, fee %d\n",
				l.way.channel.Scid.ToUint64(), len(l.way.edges), l.amount, l.fee)
		}
		if problem != "" {
			fmt.Fprintf(&out, "  %s\n", problem)
		}
	}
	golden(t, "split.golden", out.String())
}

// checkLegs checks what split promises.
func checkLegs(t *testing.T, k task, legs []leg, problem string) {
	t.Helper()
	if problem != "" {
		require.Empty(t, legs)
		return
	}
	var amount, fee lnwire.MilliSatoshi
	used := make(map[lnwire.ShortChannelID]lnwire.MilliSatoshi)
	for _, l := range legs {
		c := l.way.channel
		total, ok := l.way.total(l.amount)
		require.True(t, ok)
		require.Equal(t, total-l.amount, l.fee)
		require.GreaterOrEqual(t, total, c.MinHTLC)
		require.True(t, c.MaxHTLC == 0 || total <= c.MaxHTLC)
		require.LessOrEqual(t, l.amount, k.notes.limit(l.way))
		require.False(t, k.notes.barred(l.way))
		used[c.Scid] += total
		require.LessOrEqual(t, used[c.Scid], c.Bandwidth)
		amount += l.amount
		fee += l.fee
	}
	require.Equal(t, k.amount, amount, "the parts add up to the amount")
	require.LessOrEqual(t, fee, k.budget)
	require.LessOrEqual(t, len(legs), k.parts)
	if !k.mpp {
		require.LessOrEqual(t, len(legs), 1)
	}
}

func TestSplitRandom(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	split1, none := 0, 0
	for range 10_000 {
		c := randomCase(rng)
		legs, problem := split(c.task())
		checkLegs(t, c.task(), legs, problem)
		switch {
		case problem != "":
			none++
		case len(legs) > 1:
			split1++
		}
	}
	require.Greater(t, split1, 500, "the generator must make splits")
	require.Greater(t, none, 500, "the generator must make failures")
}

func randomCase(rng *rand.Rand) splitCase {
	c := splitCase{
		amount: lnwire.MilliSatoshi(1 + rng.Intn(200_000_000)),
		budget: lnwire.MilliSatoshi(rng.Intn(2_000_000)),
		parts:  rng.Intn(8),
		noMPP:  rng.Intn(5) == 0,
	}
	for n := range rng.Intn(6) {
		ch := channel(uint64(n+1), "DPQMX"[rng.Intn(5)],
			lnwire.MilliSatoshi(rng.Intn(120_000_000)))
		if rng.Intn(3) == 0 {
			ch.MaxHTLC = lnwire.MilliSatoshi(1 + rng.Intn(60_000_000))
		}
		ch.MinHTLC = lnwire.MilliSatoshi(rng.Intn(2000) * rng.Intn(2000))
		c.channels = append(c.channels, ch)
	}
	for _, n := range []uint64{1, 2, 1001, 1002, 1004} {
		switch rng.Intn(10) {
		case 0:
			c.notes = c.notes.with(scid(n), func(x *note) { x.barred = true })
		case 1:
			c.notes = c.notes.with(scid(n), func(x *note) {
				x.fails, x.limit = 1, lnwire.MilliSatoshi(1+rng.Intn(50_000_000))
			})
		case 2:
			c.notes = c.notes.with(scid(n), func(x *note) {
				x.policy = &policy{base: lnwire.MilliSatoshi(rng.Intn(5000)),
					ppm: uint32(rng.Intn(10_000)), min: lnwire.MilliSatoshi(rng.Intn(5_000_000))}
			})
		}
	}
	return c
}
