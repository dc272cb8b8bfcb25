package forward

import (
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Inbound is the most that can come in over all live channels together, in as many parts
// as there are channels. Those with one peer don't count: what it pays to itself through
// us brings us nothing. It reads memory only.
func (l *Links) Inbound(except [33]byte) lnwire.MilliSatoshi {
	l.mu.RLock()
	var live []*oneLink
	for _, one := range l.byChan {
		if one.conn.peer.PubKey() != except && one.link.EligibleToForward() {
			live = append(live, one)
		}
	}
	l.mu.RUnlock()
	var sum lnwire.MilliSatoshi
	for _, one := range live {
		sum += inboundOf(one.lc.State(), one.lc.StateSnapshot())
	}
	return sum
}

// inboundOf is what the peer of a channel can send us at once: its balance without its
// reserve and, if it pays for the commitment, the fee that must be left for it.
func inboundOf(ch *channeldb.OpenChannel, now *channeldb.ChannelSnapshot) lnwire.MilliSatoshi {
	theirs := ch.RemoteChanCfg.ChannelStateBounds
	kept := lnwire.NewMSatFromSatoshis(theirs.ChanReserve)
	if !ch.IsInitiator {
		kept += lnwire.NewMSatFromSatoshis(now.CommitFee)
	}
	return min(now.RemoteBalance-min(kept, now.RemoteBalance), theirs.MaxPendingAmount)
}
