package forward

import (
	"time"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// AwayFor is how long a channel whose peer is away still counts as a way to us. Peers come back from
// a restart of ours, or of theirs, in seconds; invoices are paid minutes after they were made. Without
// it a client that is there first would be refused for the absence of all others.
const AwayFor = 10 * time.Minute

// away is a channel without a link.
type away struct {
	peer    [33]byte
	inbound lnwire.MilliSatoshi
	until   time.Time
}

// Inbound is the most that can come in over all channels together, in as many parts as there are
// channels: those that are live, and those whose peer is away for a while. Those with one peer
// don't count: what it pays to itself through us brings us nothing. It reads memory only.
func (l *Links) Inbound(except [33]byte) lnwire.MilliSatoshi {
	var sum lnwire.MilliSatoshi
	now := l.cfg.Engine.cfg.Clock.Now()
	l.mu.RLock()
	var live []*oneLink
	for _, one := range l.byChan {
		if one.conn.peer.PubKey() != except && !one.link.IsFlushing(htlcswitch.Incoming) {
			live = append(live, one)
		}
	}
	for _, ch := range l.away {
		if ch.peer != except && now.Before(ch.until) {
			sum += ch.inbound
		}
	}
	l.mu.RUnlock()
	for _, one := range live {
		sum += inboundOf(one.lc.State(), one.lc.StateSnapshot())
	}
	return sum
}

// Expect counts channels as ways to us whose peers have not connected since the start.
func (l *Links) Expect(chans []*channeldb.OpenChannel) {
	until := l.cfg.Engine.cfg.Clock.Now().Add(l.cfg.AwayFor)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ch := range chans {
		if id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint); l.byChan[id] == nil &&
			!ch.IsPending && ch.HasChanStatus(channeldb.ChanStatusDefault) {

			l.away[id] = away{
				[33]byte(ch.IdentityPub.SerializeCompressed()), inboundOf(ch, ch.Snapshot()), until,
			}
		}
	}
}

// left counts links that have ended with their connection, until AwayFor is over.
func (l *Links) left(links map[lnwire.ChannelID]*oneLink) {
	gone := make(map[lnwire.ChannelID]away, len(links))
	now := l.cfg.Engine.cfg.Clock.Now()
	for id, one := range links {
		if !one.link.IsFlushing(htlcswitch.Incoming) {
			gone[id] = away{
				one.conn.peer.PubKey(), inboundOf(one.lc.State(), one.lc.StateSnapshot()),
				now.Add(l.cfg.AwayFor),
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ch := range gone {
		if l.byChan[id] == nil && l.boxes[id] != nil {
			l.away[id] = ch
		}
	}
	for id, ch := range l.away {
		if !now.Before(ch.until) {
			delete(l.away, id)
		}
	}
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
