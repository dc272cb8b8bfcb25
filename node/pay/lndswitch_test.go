package pay

import (
	"testing"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/stretchr/testify/require"
)

// lnd's circuits after a restart: one whose HTLC never got into a commitment is dead, one that has
// a keystone is live, and a number is never given twice.
func TestLndSwitch(t *testing.T) {
	db := openChannelDB(t)
	config := htlcswitch.CircuitMapConfig{
		DB:                   db,
		FetchAllOpenChannels: func() ([]*channeldb.OpenChannel, error) { return nil, nil },
		FetchClosedChannels: func(bool) ([]*channeldb.ChannelCloseSummary, error) {
			return nil, nil
		},
	}
	circuits, err := htlcswitch.NewCircuitMap(&config)
	require.NoError(t, err)
	for id := range uint64(2) {
		_, err = circuits.CommitCircuits(&htlcswitch.PaymentCircuit{Incoming: localKey(id + 1)})
		require.NoError(t, err)
	}
	require.NoError(t, circuits.OpenCircuits(htlcswitch.Keystone{InKey: localKey(2),
		OutKey: htlcswitch.CircuitKey{ChanID: scid(7), HtlcID: 3}}))

	s, err := htlcswitch.New(htlcswitch.Config{DB: db,
		FetchAllOpenChannels: config.FetchAllOpenChannels,
		FetchClosedChannels:  config.FetchClosedChannels}, 800_000)
	require.NoError(t, err)
	sw := FromSwitch(s)
	require.Equal(t, DeadCircuit, sw.Circuit(1))
	require.Equal(t, LiveCircuit, sw.Circuit(2))
	require.Equal(t, NoCircuit, sw.Circuit(3))
	require.NoError(t, sw.DropCircuit(1))
	require.Equal(t, NoCircuit, sw.Circuit(1))
	_, err = sw.GetAttemptResult(1, lntypes.Hash{}, nil)
	require.ErrorIs(t, err, htlcswitch.ErrPaymentIDNotFound)
	require.EqualValues(t, 800_000, sw.BestHeight())

	used := make(map[uint64]bool)
	for range 3 {
		ids, err := htlcswitch.NewPersistentSequencer(db)
		require.NoError(t, err)
		for range 5 {
			id, err := ids.NextID()
			require.NoError(t, err)
			require.False(t, used[id])
			used[id] = true
		}
	}
}
