package chain

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnwallet/chainfee"

	"github.com/inletlsp/inlet/chain/rpc"
)

const (
	// Targets out of this range, in blocks, are no different to the programs from the nearest
	// one in it.
	minConfTarget = 2
	maxConfTarget = 1008

	// feeMaxAge is how long an estimate is used while the backend gives no newer one.
	feeMaxAge = time.Hour

	// feeRefreshAge is how old estimates become while no block comes, before the backend is asked
	// again. An hour without one happens every day or so, and says nothing against the backend.
	feeRefreshAge = feeMaxAge / 2
)

// errNoEstimate means that the backend answers, but has seen too few blocks to estimate.
var errNoEstimate = errors.New("chain: the backend has no fee estimate")

// feeSource is how one kind of backend is asked for fee rates.
type feeSource interface {
	// estimate is errNoEstimate when the backend has none.
	estimate(ctx context.Context, node rpc.Node, confTarget uint32) (chainfee.SatPerKWeight, error)

	// minimum is the lowest fee rate that the backend's mempool takes.
	minimum(ctx context.Context, node rpc.Node) (chainfee.SatPerKWeight, error)
}

// feeEstimator implements chainfee.Estimator. Only the first question for a target reaches the
// backend; later answers come from memory, which each new block brings up to date, or time if none
// comes: nobody who opens a channel waits for a slow backend then.
type feeEstimator struct {
	source   feeSource
	conn     *connection
	fallback chainfee.SatPerKWeight
	limit    chainfee.SatPerKWeight
	now      func() time.Time
	log      *slog.Logger

	mu       sync.Mutex
	known    map[uint32]estimate    // guarded by mu; by target, at most maxConfTarget
	least    chainfee.SatPerKWeight // guarded by mu
	fellBack bool                   // guarded by mu; the latest answer was the fallback
	fresh    time.Time              // guarded by mu; when all of it was up to date
}

// estimate is what the backend has said for one target.
type estimate struct {
	rate chainfee.SatPerKWeight // 0: it had none
	at   time.Time
}

var _ chainfee.Estimator = (*feeEstimator)(nil)

// Start implements chainfee.Estimator.
func (f *feeEstimator) Start() error { return nil }

// Stop implements chainfee.Estimator.
func (f *feeEstimator) Stop() error { return nil }

// RelayFeePerKW implements chainfee.Estimator.
func (f *feeEstimator) RelayFeePerKW() chainfee.SatPerKWeight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.least, chainfee.FeePerKwFloor)
}

// EstimateFeePerKW implements chainfee.Estimator. It never fails.
func (f *feeEstimator) EstimateFeePerKW(confTarget uint32) (chainfee.SatPerKWeight, error) {
	target := min(max(confTarget, minConfTarget), maxConfTarget)
	f.mu.Lock()
	_, known := f.known[target]
	f.mu.Unlock()
	if !known {
		err := f.conn.do(func(ctx context.Context, node *link) error {
			return f.ask(ctx, node.Node, target)
		})
		if err != nil {
			f.log.Warn("estimate fee rate", "conf_target", target, "err", err)
		}
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.known[target]
	f.fellBack = e.rate == 0 || f.now().Sub(e.at) > feeMaxAge
	rate := e.rate
	if f.fellBack {
		rate = f.fallback
	}
	return min(max(rate, f.least, chainfee.FeePerKwFloor), f.limit), nil
}

// ask stores the backend's answer for one target.
func (f *feeEstimator) ask(ctx context.Context, node rpc.Node, target uint32) error {
	rate, err := f.source.estimate(ctx, node, target)
	if err != nil && !errors.Is(err, errNoEstimate) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[target] = estimate{rate, f.now()}
	return nil
}

// refresh asks again for every target that was asked for, and for the minimum.
func (f *feeEstimator) refresh(ctx context.Context, node rpc.Node) error {
	least, err := f.source.minimum(ctx, node)
	if isRefusal(err) {
		f.log.Warn("ask for the least fee rate", "err", err)
	} else if err != nil {
		return err
	}
	at := f.now()
	f.mu.Lock()
	f.least = least
	targets := make([]uint32, 0, len(f.known))
	for target := range f.known {
		targets = append(targets, target)
	}
	f.mu.Unlock()
	for _, target := range targets {
		if err := f.ask(ctx, node, target); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fresh = at
	return nil
}

// stale is how long from now a refresh is due, if no block comes before.
func (f *feeEstimator) stale() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fresh.Add(feeRefreshAge).Sub(f.now())
}

// usesFallback tells whether the latest answer was the fallback.
func (f *feeEstimator) usesFallback() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fellBack
}

// perKW converts a fee rate for a thousand virtual bytes.
func perKW(amount rpc.Amount) chainfee.SatPerKWeight {
	return chainfee.SatPerKVByte(amount).FeePerKWeight()
}
