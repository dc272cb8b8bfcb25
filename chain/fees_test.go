package chain

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/rpc"
)

func TestFees(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		wantRate := func(target uint32, want chainfee.SatPerKWeight, fallback bool) {
			t.Helper()
			got, err := s.Fees().EstimateFeePerKW(target)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, fallback, s.Status().FeeFallback)
		}
		block := func(change func()) {
			f.set(change)
			f.mine()
			synctest.Wait()
		}
		wantRate(6, DefaultFeeFallback, true)
		require.Equal(t, chainfee.FeePerKwFloor, s.Fees().RelayFeePerKW())

		f.set(func() { f.rates[6] = 5000 })
		wantRate(6, DefaultFeeFallback, true) // from memory
		block(func() {})
		wantRate(6, 5000, false)
		asked := f.asked
		wantRate(6, 5000, false)
		require.Equal(t, asked, f.asked, "the backend is not asked again")

		block(func() { f.rates[6] = 10 })
		wantRate(6, chainfee.FeePerKwFloor, false)
		block(func() { f.least = 700 })
		wantRate(6, 700, false)
		require.EqualValues(t, 700, s.Fees().RelayFeePerKW())
		block(func() { f.rates[6] = 10_000_000 })
		wantRate(6, DefaultFeeCap, false)

		block(func() { f.rates[minConfTarget], f.rates[maxConfTarget] = 9000, 900 })
		wantRate(0, 9000, false)
		wantRate(1_000_000, 900, false)

		// an old estimate is used for a while
		f.set(func() { f.down = &rpc.Error{Code: rpc.CodeInWarmup, Message: "Loading"} })
		f.current.fail(rpc.ErrClosed)
		synctest.Wait()
		wantRate(0, 9000, false)
		time.Sleep(feeMaxAge + time.Second)
		wantRate(0, DefaultFeeFallback, true)
		require.LessOrEqual(t, len(s.fees.known), maxConfTarget)
	})
}

// An hour without a block is nothing unusual: the backend is asked again, and nobody who wants a rate
// waits for it.
func TestFeesWithoutABlock(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		f.rates[6] = 20_000
		wantRate := func(want chainfee.SatPerKWeight) {
			t.Helper()
			synctest.Wait()
			got, err := s.Fees().EstimateFeePerKW(6)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.False(t, s.Status().FeeFallback)
		}
		wantRate(20_000)
		time.Sleep(feeMaxAge + time.Second)
		require.True(t, s.Status().BackendReachable)
		wantRate(20_000)
		f.set(func() { f.rates[6] = 30_000 })
		time.Sleep(feeMaxAge)
		asked := f.asked
		wantRate(30_000)
		require.Equal(t, asked, f.asked, "it was asked before")

		// The backend is away for longer than an estimate is good for, and comes back with no new
		// block. What it refuses it is asked again.
		f.set(func() { f.down = &rpc.Error{Code: rpc.CodeInWarmup, Message: "Loading"} })
		f.current.fail(rpc.ErrClosed)
		time.Sleep(2 * feeMaxAge)
		f.set(func() { f.down, f.rates[6] = nil, 40_000 })
		time.Sleep(maxRetryFactor * defaultRetryInterval)
		wantRate(40_000)
	})
}

func TestFeeOptions(t *testing.T) {
	o := Options{Params: &chaincfg.RegressionNetParams, FeeFallback: 100, FeeCap: 300}
	require.NoError(t, o.fill())
	require.Equal(t, chainfee.FeePerKwFloor, o.FeeFallback, "the floor holds for the fallback")
	o = Options{Params: &chaincfg.RegressionNetParams, FeeCap: 300}
	require.NoError(t, o.fill())
	require.EqualValues(t, 300, o.FeeFallback, "the cap holds for the fallback")
}
