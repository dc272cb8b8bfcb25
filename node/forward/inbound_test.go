package forward

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"
)

// TestInboundOfAChannel: what the peer must keep does not reach us.
func TestInboundOfAChannel(t *testing.T) {
	for _, v := range []struct {
		remote   lnwire.MilliSatoshi
		reserve  btcutil.Amount
		inFlight lnwire.MilliSatoshi
		ours     bool // we opened it, so the fee is ours to pay
		want     lnwire.MilliSatoshi
	}{
		{50_000_000, 1000, 1e9, true, 49_000_000},
		{50_000_000, 1000, 1e9, false, 48_500_000},
		{50_000_000, 1000, 20_000_000, false, 20_000_000},
		{1_200_000, 1000, 1e9, true, 200_000},
		{1_200_000, 1000, 1e9, false, 0},
		{0, 1000, 1e9, true, 0},
	} {
		ch := &channeldb.OpenChannel{IsInitiator: v.ours}
		ch.RemoteChanCfg.ChanReserve, ch.RemoteChanCfg.MaxPendingAmount = v.reserve, v.inFlight
		ch.LocalChanCfg.ChanReserve, ch.LocalChanCfg.MaxPendingAmount = 9999, 1
		now := &channeldb.ChannelSnapshot{ChannelCommitment: channeldb.ChannelCommitment{
			LocalBalance: 7, RemoteBalance: v.remote, CommitFee: 500,
		}}
		if got := inboundOf(ch, now); got != v.want {
			t.Errorf("%+v: %d", v, got)
		}
	}
}
