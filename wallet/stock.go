package wallet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

const (
	// MaxReadyCoins bounds Stock.Ready: a transaction that makes them all fits into one that is
	// relayed, and more openings than that don't come within a block.
	MaxReadyCoins = 100

	// stockShare bounds what a coin may cost to make: one part in so many of its size. Above
	// that the fee rate is waited out.
	stockShare = 100

	// minMerge is from how many small coins on they are merged; maxMerge, how many at once.
	minMerge, maxMerge = 10, 100

	// stockTarget is in blocks: nobody waits for these transactions.
	stockTarget = 12

	labelStock = "inlet: coins"
)

// Stock says in which pieces the wallet's money is kept. An opening takes whole coins, and its
// change can't be used again before the next block: with all the money in one coin, one channel is
// sold a block.
type Stock struct {
	// Ready is how many coins of at least Size are kept, at most MaxReadyCoins; 0: none are made.
	Ready int

	// Size is the least that an opening usually needs, its fee included.
	Size btcutil.Amount

	// MergeBelow is the fee rate up to which coins under Size are merged into one; 0: never.
	MergeBelow chainfee.SatPerVByte
}

// Tidy makes at most one transaction of the wallet to itself, that brings the coins nearer to the
// stock: it splits a large coin when coins are missing, else it merges small ones while that is
// cheap. With busy, channels are sold that may be opened at any moment: the last coin that one of
// them could use is not touched. The reserve is left alone, and nothing is done that costs more than a
// hundredth of what it makes. It returns false when there was nothing to do. Errors: those of Send.
func (w *Wallet) Tidy(ctx context.Context, s Stock, busy bool) (chainhash.Hash, bool, error) {
	if !w.running() {
		return chainhash.Hash{}, false, ErrStopped
	}
	rate, err := w.feeRate(0, stockTarget)
	if err != nil {
		return chainhash.Hash{}, false, fmt.Errorf("wallet: tidy: %w", err)
	}
	d, err := w.lease(func(p *purse) (*draft, error) {
		plan := s.plan(p, rate, busy)
		if plan == nil {
			return nil, errTidy
		}
		return w.draftStock(p, plan)
	})
	if errors.Is(err, errTidy) {
		return chainhash.Hash{}, false, nil
	}
	var txid chainhash.Hash
	if err == nil {
		txid, err = w.finish(ctx, d, labelStock)
	}
	if err != nil {
		return txid, false, fmt.Errorf("wallet: tidy: %w", err)
	}
	return txid, true, nil
}

var errTidy = errors.New("the coins are as they should be")

func (w *Wallet) draftStock(p *purse, plan *rearrangement) (*draft, error) {
	var in, out btcutil.Amount
	for i := range plan.in {
		in += plan.in[i].value
	}
	d := &draft{in: plan.in}
	for _, value := range plan.out {
		out += value
		script, err := w.changeScript()
		if err != nil {
			return nil, err
		}
		d.out = append(d.out, wire.NewTxOut(int64(value), script))
	}
	return d, p.check(in, out)
}

// rearrangement is a transaction of the wallet to itself.
type rearrangement struct {
	in  []coin
	out []btcutil.Amount
}

// plan says what is to be done; nil: nothing.
func (s Stock) plan(p *purse, rate chainfee.SatPerKWeight, busy bool) *rearrangement {
	have, usable := 0, 0 // coins that are ready, or will be with the next block; the former alone
	var large, small []coin
	for i := range p.coins {
		c := p.coins[i]
		switch confirmed := c.confs > 0; {
		case c.value < s.Size && confirmed:
			small = append(small, c)
		case c.value < s.Size:
		case confirmed:
			large = append(large, c)
			usable, have = usable+1, have+1
		default:
			have++
		}
	}
	byValue := func(a, b coin) int {
		return cmp.Or(cmp.Compare(b.value, a.value), comparePoints(a.point, b.point))
	}
	slices.SortFunc(large, byValue)
	slices.SortFunc(small, byValue)
	if have < s.Ready && len(large) > 0 && (!busy || usable > 1) {
		if plan := s.split(large[0], s.Ready-have, rate); plan != nil {
			return plan
		}
	}
	if s.MergeBelow == 0 || rate > s.MergeBelow.FeePerKWeight() || busy && usable == 0 {
		return nil
	}
	return merge(small, rate)
}

// split makes as many more coins of Size as are missing, or as the coin has.
func (s Stock) split(c coin, missing int, rate chainfee.SatPerKWeight) *rearrangement {
	for outs := missing + 1; outs > 1; outs-- {
		fee := selfFee([]coin{c}, outs, rate)
		rest := c.value - fee - btcutil.Amount(outs-1)*s.Size
		if rest < s.Size {
			continue
		}
		if fee > btcutil.Amount(outs-1)*s.Size/stockShare {
			return nil
		}
		plan := &rearrangement{in: []coin{c}, out: []btcutil.Amount{rest}}
		for range outs - 1 {
			plan.out = append(plan.out, s.Size)
		}
		return plan
	}
	return nil
}

// merge makes one coin of small ones, of those that are worth it.
func merge(small []coin, rate chainfee.SatPerKWeight) *rearrangement {
	perKB := btcutil.Amount(rate.FeePerKVByte())
	small = slices.DeleteFunc(small, func(c coin) bool {
		return stockShare*inputFee(c.pkScript, perKB) > c.value
	})
	if len(small) < minMerge {
		return nil
	}
	small = small[:min(len(small), maxMerge)]
	out := -selfFee(small, 1, rate)
	for i := range small {
		out += small[i].value
	}
	if out < dustOf(input.P2TRSize) {
		return nil
	}
	return &rearrangement{in: small, out: []btcutil.Amount{out}}
}

// selfFee is the fee of a transaction from coins to so many outputs of ours.
func selfFee(in []coin, outs int, rate chainfee.SatPerKWeight) btcutil.Amount {
	var size input.TxWeightEstimator
	for i := range in {
		addInput(&size, in[i].pkScript)
	}
	for range outs {
		size.AddP2TROutput()
	}
	return rate.FeeForWeight(size.Weight())
}
