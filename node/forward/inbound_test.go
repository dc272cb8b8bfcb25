package forward

import (
	"testing"
	"time"

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

// TestInboundOfThoseAway: a channel counts for a while after its peer has gone, and after a start.
func TestInboundOfThoseAway(t *testing.T) {
	l, p, id := linked(t)
	l.cfg.AwayFor = time.Hour
	full := l.Inbound([33]byte{})
	if full == 0 || l.Inbound(p.PubKey()) != 0 {
		t.Fatalf("%d msat, and %d of others", full, l.Inbound(p.PubKey()))
	}
	ch := l.find(id).lc.State()
	l.PeerGone(p)
	if got := l.Inbound([33]byte{}); got != full || l.Inbound(p.PubKey()) != 0 {
		t.Errorf("%d msat when the peer has gone, before %d", got, full)
	}
	if err := l.PeerOnline(laterPeer{p}); err != nil {
		t.Fatal(err)
	}
	if got := l.Inbound([33]byte{}); got != full {
		t.Errorf("%d msat when the peer is back, before %d", got, full)
	}
	l.Remove(id)
	if got := l.Inbound([33]byte{}); got != 0 {
		t.Errorf("%d msat of a channel that was removed", got)
	}
	l.Expect([]*channeldb.OpenChannel{ch})
	if got := l.Inbound([33]byte{}); got != full {
		t.Errorf("%d msat are expected, before %d", got, full)
	}
	for key, ch := range l.away {
		ch.until = time.Now().Add(-time.Second)
		l.away[key] = ch
	}
	if got := l.Inbound([33]byte{}); got != 0 {
		t.Errorf("%d msat of a peer that is away for long", got)
	}
	l.left(nil)
	if len(l.away) != 0 {
		t.Error("what is over is remembered")
	}
}
