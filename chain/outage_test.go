package chain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
)

func TestOutage(t *testing.T) {
	for name, end := range map[string]func(regtest.Regtest) error{
		"stopped": regtest.Regtest.Stop,
		"killed":  regtest.Regtest.Kill,
	} {
		t.Run(name, func(t *testing.T) {
			onAll(t, func(t *testing.T, r rig) { testOutage(t, r, end) })
		})
	}
}

func testOutage(t *testing.T, r rig, end func(regtest.Regtest) error) {
	s := r.open(t)
	coins := fund(t, r, 3)
	before, during, old := coins[0].spend(t, 1000), coins[1].spend(t, 1000), coins[2].spend(t, 1000)
	_, err := r.Send(old)
	require.NoError(t, err)
	_, err = r.Mine(1)
	require.NoError(t, err)
	height, err := r.Height()
	require.NoError(t, err)

	beforeID, duringID, oldID := before.TxHash(), during.TxHash(), old.TxHash()
	conf, err := s.Notifier().RegisterConfirmationsNtfn(&beforeID, coins[0].script, 1, height)
	require.NoError(t, err)
	spend, err := s.Notifier().RegisterSpendNtfn(&coins[0].op, coins[0].script, height)
	require.NoError(t, err)
	sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
	require.NoError(t, err)
	for recv(t, sub.Epochs, "the present block").Height < int32(height) {
	}

	require.NoError(t, end(r.Regtest))
	unreachable(t, s)
	require.ErrorIs(t, s.Broadcast(during, "while it is away"), chain.ErrUnreachable)
	_, at, err := s.Blocks().GetBestBlock()
	require.NoError(t, err, "the best block is known without the backend")
	require.EqualValues(t, height, at)
	rate, err := s.Fees().EstimateFeePerKW(6)
	require.NoError(t, err)
	require.Equal(t, chain.DefaultFeeFallback, rate)

	// what is registered while it is away is looked for when it is back
	duringConf, err := s.Notifier().RegisterConfirmationsNtfn(&duringID, coins[1].script, 1,
		height)
	require.NoError(t, err)
	oldConf, err := s.Notifier().RegisterConfirmationsNtfn(&oldID, coins[2].script, 1, 1)
	require.NoError(t, err)
	oldSpend, err := s.Notifier().RegisterSpendNtfn(&coins[2].op, coins[2].script, 1)
	require.NoError(t, err)

	require.NoError(t, r.Restart(testContext(t)))
	// mined before the Source is back, most times
	_, err = r.Send(before)
	require.NoError(t, err)
	hashes, err := r.Mine(2)
	require.NoError(t, err)
	for _, hash := range hashes {
		require.Equal(t, hash, *recv(t, sub.Epochs, "a block").Hash)
	}
	require.Equal(t, beforeID, recv(t, conf.Confirmed, "confirmation").Tx.TxHash())
	recv(t, spend.Spend, "spend")
	require.Equal(t, oldID, recv(t, oldConf.Confirmed, "past confirmation").Tx.TxHash())
	recv(t, oldSpend.Spend, "past spend")

	require.NoError(t, s.Broadcast(during, "when it is back"))
	hashes, err = r.Mine(1)
	require.NoError(t, err)
	require.Equal(t, hashes[0], *recv(t, sub.Epochs, "a block").Hash)
	recv(t, duringConf.Confirmed, "confirmation")
	st := s.Status()
	require.True(t, st.BackendReachable)
	require.True(t, st.DownSince.IsZero())
	require.Empty(t, st.LastError)
}

// unreachable waits until the Source has noticed.
func unreachable(t *testing.T, s chain.Source) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(limit)
	for {
		st := s.Status()
		if !st.BackendReachable {
			require.False(t, st.Synced)
			require.False(t, st.DownSince.IsZero())
			require.NotEmpty(t, st.LastError)
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			require.FailNow(t, "the Source does not notice that the backend is away")
		}
	}
}

func TestStopWhileUnreachable(t *testing.T) {
	onAll(t, func(t *testing.T, r rig) {
		s, err := r.source(options())
		require.NoError(t, err)
		require.NoError(t, s.Start(testContext(t)))
		c := fund(t, r, 1)[0]
		sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
		require.NoError(t, err)
		require.NoError(t, r.Stop())
		unreachable(t, s)
		conf, err := s.Notifier().RegisterConfirmationsNtfn(&c.op.Hash, c.script, 1, 1)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, s.Stop())
		require.NoError(t, s.Stop(), "stopping twice is harmless")
		require.Less(t, time.Since(start), 2*time.Second)
		_, open := <-conf.Confirmed
		require.False(t, open, "notifications are closed")
		for range sub.Epochs { // what was not read, until the channel is closed
		}
		require.ErrorIs(t, s.Broadcast(c.spend(t, 1000), "late"), chain.ErrStopped)
		_, err = s.Notifier().RegisterBlockEpochNtfn(nil)
		require.Error(t, err)
	})
}
