package wallet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/stretchr/testify/require"
)

// purseOf has coins of these values; those under zero are unconfirmed.
func purseOf(values ...btcutil.Amount) *purse {
	p := &purse{}
	script := append([]byte{0x51, 0x20}, make([]byte, 32)...)
	for i, v := range values {
		c := coin{
			point: wire.OutPoint{Hash: chainhash.Hash{byte(i), byte(i >> 8)}}, value: v, confs: 3,
			trusted: true, pkScript: script,
		}
		if v < 0 {
			c.value, c.confs, c.ancestors = -v, 0, 1
		}
		p.coins, p.total = append(p.coins, c), p.total+c.value
	}
	return p
}

func TestStockPlan(t *testing.T) {
	many := func(n int, v btcutil.Amount, more ...btcutil.Amount) []btcutil.Amount {
		for range n {
			more = append(more, v)
		}
		return more
	}
	stock := Stock{Ready: 4, Size: 100_000, MergeBelow: 3}
	for _, c := range []struct {
		name  string
		coins []btcutil.Amount
		rate  chainfee.SatPerKWeight
		busy  bool
		want  string
	}{
		{"nothing", nil, 250, false, "nothing"},
		{"one large coin", many(1, 1_000_000), 250, false, "1 in, 4 out"},
		{"one that gives two", many(1, 250_000), 250, false, "1 in, 2 out"},
		{"one that gives none", many(1, 200_000), 250, false, "nothing"},
		{"enough", many(4, 100_000), 250, false, "nothing"},
		{"enough with the next block", many(3, -100_000, 1_000_000), 250, false, "nothing"},
		{"two missing", many(1, -100_000, 1_000_000), 250, false, "1 in, 3 out"},
		{"too dear", many(1, 1_000_000), 20_000, false, "nothing"},
		{"the only coin while an opening may want it", many(1, 1_000_000), 250, true, "nothing"},
		{"another is left for openings", many(1, 100_000, 1_000_000), 250, true, "1 in, 3 out"},
		{"few small ones", many(9, 50_000), 250, false, "nothing"},
		{"small ones", many(12, 50_000), 250, false, "12 in, 1 out"},
		{"very many", many(300, 50_000), 250, false, "100 in, 1 out"},
		{"small ones, and missing ones", many(12, 50_000, 1_000_000), 250, false, "1 in, 4 out"},
		{"small ones at a high rate", many(12, 50_000), 1000, false, "nothing"},
		{"small ones an opening may want", many(12, 50_000), 250, true, "nothing"},
		{"not worth their fee", many(12, 3_000), 250, false, "nothing"},
		{"unconfirmed small ones", many(12, -50_000), 250, false, "nothing"},
	} {
		got := "nothing"
		if plan := stock.plan(purseOf(c.coins...), c.rate, c.busy); plan != nil {
			got = fmt.Sprintf("%d in, %d out", len(plan.in), len(plan.out))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if plan := (Stock{}).plan(purseOf(many(50, 1_000_000)...), 250, false); plan != nil {
		t.Errorf("no stock is kept, and yet: %v", plan)
	}
	all := Stock{Ready: MaxReadyCoins, Size: 100_000}.plan(purseOf(1_000_000_000), 250, false)
	if all == nil || len(all.out) != MaxReadyCoins {
		t.Errorf("the most coins are made by %+v", all)
	}
}

// TestStockSettles: whatever the coins are, a few blocks bring them in order, no satoshi is lost
// but in fees, and then nothing is done any more: it must not burn money in circles.
func TestStockSettles(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := Stock{Ready: r.IntN(8), Size: btcutil.Amount(20_000 + r.IntN(200_000)), MergeBelow: 5}
		var values []btcutil.Amount
		for range r.IntN(40) {
			values = append(values, btcutil.Amount(1+r.IntN(1_000_000)>>r.IntN(12)))
		}
		rate := chainfee.SatPerKWeight(250 + r.IntN(2000))
		steps := 0
		for ; steps < 60; steps++ {
			p := purseOf(values...)
			plan := s.plan(p, rate, r.IntN(3) == 0)
			if plan == nil {
				if plan = s.plan(p, rate, false); plan == nil {
					break
				}
			}
			fee := -total(plan.out)
			used := map[wire.OutPoint]bool{}
			for _, c := range plan.in {
				fee += c.value
				used[c.point] = true
			}
			if len(used) != len(plan.in) || fee != selfFee(plan.in, len(plan.out), rate) ||
				fee*stockShare > 2*total(plan.out) {
				t.Fatalf("seed %d: fee %v of %v for %v", seed, fee, total(plan.out), plan)
			}
			values = append([]btcutil.Amount(nil), plan.out...) // and a block
			for _, c := range p.coins {
				if !used[c.point] {
					values = append(values, c.value)
				}
			}
		}
		if steps == 60 {
			t.Errorf("seed %d: never done", seed)
		}
	}
}

func total(values []btcutil.Amount) (sum btcutil.Amount) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// TestTidy keeps coins ready on a chain: a block later as many openings as there are coins find
// one each, and what they leave is merged when that is cheap.
func TestTidy(t *testing.T) {
	reserve := btcutil.Amount(0)
	b := newBench(t, func(o *Options) {
		o.AnchorReserve = func(int) btcutil.Amount { return reserve }
	})
	b.fund(1_000_000, 1)
	stock := Stock{Ready: 4, Size: 100_000, MergeBelow: 50}
	tidy := func(want bool) {
		t.Helper()
		_, did, err := b.Tidy(context.Background(), stock, false)
		require.NoError(t, err)
		require.Equal(t, want, did)
		if did {
			b.mine(1)
		}
	}
	count := func() (ready, small int) {
		utxos, err := b.Utxos()
		require.NoError(t, err)
		for _, u := range utxos {
			if u.Value >= stock.Size {
				ready++
			} else {
				small++
			}
		}
		return ready, small
	}
	reserve = 1_000_000
	_, _, err := b.Tidy(context.Background(), stock, false)
	require.ErrorIs(t, err, ErrInsufficientFunds, "the fee would come out of the reserve")
	reserve = 0
	tidy(true)
	tidy(false)
	ready, small := count()
	require.Equal(t, []int{4, 0}, []int{ready, small})
	for range 4 {
		res, err := b.reserveChannel(80_000, 1)
		require.NoError(t, err)
		defer func() { require.NoError(t, res.Cancel()) }()
	}
	b.fund(30_000, minMerge)
	before := b.balance()
	tidy(true)
	_, small = count()
	require.Zero(t, small)
	require.Less(t, before.Confirmed-b.balance().Confirmed, btcutil.Amount(30_000))
}

// TestOpeningTakesWhatFits leaves the large coins to others.
func TestOpeningTakesWhatFits(t *testing.T) {
	b := newBench(t, nil)
	b.fund(500_000, 1)
	b.fund(100_000, 1)
	b.fund(200_000, 1)
	for i, leased := range []btcutil.Amount{100_000, 300_000, 800_000} {
		res, err := b.reserveChannel(80_000, 1)
		require.NoError(t, err, i)
		require.Equal(t, leased, b.balance().Leased, i)
		defer func() { require.NoError(t, res.Cancel()) }()
	}
}
