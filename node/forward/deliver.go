package forward

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Deliver hands a message about a channel to its link. One that comes before the
// link is made waits for it: right after channel_ready a peer may send HTLCs
// while we still store that it was ready. It is called from the connection's read
// goroutine only, and does not block on anything that a peer can hold up.
func (l *Links) Deliver(p Peer, id lnwire.ChannelID, m lnwire.Message) error {
	if one := l.find(id); one != nil && one.conn.peer.ID() == p.ID() {
		if f, ok := m.(*lnwire.UpdateFulfillHTLC); ok && one.claims(f) {
			l.cfg.Events.Fulfilled(f.PaymentPreimage)
		}
		one.link.HandleChannelUpdate(m)
		return nil
	}
	c := l.conn(p)
	if c == nil {
		return ErrPeerGone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := l.find(id); one != nil && one.conn == c {
		one.link.HandleChannelUpdate(m)
		return nil
	}
	if sync, ok := m.(*lnwire.ChannelReestablish); ok && c.pending[id] {
		return reestablishPending(p, sync)
	}
	known, err := l.expected(p, id)
	if err != nil {
		return err
	}
	if !known {
		return l.unknown(p, id, m)
	}
	if len(c.parked[id]) >= maxParked || len(c.parked) >= maxParkedChannels {
		return fmt.Errorf("forward: peer sent more than %d messages on channel %v "+
			"before it was usable", maxParked, id)
	}
	c.parked[id] = append(c.parked[id], m)
	return nil
}

// reestablishPending compares where both stand on a channel that is not open yet:
// nothing but the first commitment can exist. We sent ours when the connection
// began.
func reestablishPending(p Peer, m *lnwire.ChannelReestablish) error {
	if m.NextLocalCommitHeight == 1 && m.RemoteCommitTailHeight == 0 {
		return nil
	}
	return p.SendMessage(false, &lnwire.Error{ChanID: m.ChanID, Data: lnwire.ErrorData(
		"channel_reestablish names commitments that this channel never had")})
}

// claims says that the message claims an HTLC that is locked in, and is the first to do so: then the
// link passes the claim on before it takes anything else from the peer, who can't take it back.
//
// What is told of each is a bounded number of HTLCs a channel, whatever a peer sends. Called from the
// connection's read goroutine only.
func (o *oneLink) claims(f *lnwire.UpdateFulfillHTLC) bool {
	preimage := lntypes.Preimage(f.PaymentPreimage)
	hash := [32]byte(preimage.Hash())
	for _, htlc := range o.lc.ActiveHtlcs() {
		if htlc.Incoming || htlc.HtlcIndex != f.ID || htlc.RHash != hash {
			continue
		}
		if o.claimed[f.ID] {
			return false
		}
		if o.claimed == nil || len(o.claimed) >= input.MaxHTLCNumber {
			o.claimed = map[uint64]bool{} // most of them are long gone
		}
		o.claimed[f.ID] = true
		return true
	}
	return false
}

// expected reports whether the channel is one of ours with this peer whose link
// is still to be made.
func (l *Links) expected(p Peer, id lnwire.ChannelID) (bool, error) {
	ch, err := l.channels().FetchChannelByID(nil, id)
	switch {
	case errors.Is(err, channeldb.ErrChannelNotFound), errors.Is(err, channeldb.ErrNoChanDBExists),
		errors.Is(err, channeldb.ErrNoActiveChannels):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("forward: look up channel %v: %w", id, err)
	}
	return ch.IdentityPub.IsEqual(p.IdentityKey()) &&
		ch.HasChanStatus(channeldb.ChanStatusDefault), nil
}

// unknown answers a message about a channel that has no link and will get none.
//
// BOLT 2 wants an error for a channel we don't know, so that a peer who lost
// nothing closes it. For one that is closed on chain, our last channel_reestablish
// lets a peer that lost its state find its money. For one that was restored from a
// backup, BOLT 2 has us "SHOULD send an `error` to request the peer to fail the channel":
// not every peer does so for our channel_reestablish alone.
func (l *Links) unknown(p Peer, id lnwire.ChannelID, m lnwire.Message) error {
	if _, ok := m.(*lnwire.ChannelReestablish); !ok {
		l.cfg.Engine.cfg.Log.Debug("message for a channel without a link",
			"peer", p.PubKey(), "chan", id, "msg", m.MsgType().String())
		return nil
	}
	if ch, err := l.channels().FetchChannelByID(nil, id); err == nil &&
		ch.IdentityPub.IsEqual(p.IdentityKey()) {
		if ch.HasChanStatus(channeldb.ChanStatusRestored) {
			return p.SendMessage(false, &lnwire.Error{ChanID: id, Data: lnwire.ErrorData(
				"the state of this channel is lost: please close it by force")})
		}
		return nil // being closed: PeerOnline sent our channel_reestablish
	}
	closed, err := l.channels().FetchClosedChannelForID(id)
	if err == nil && closed.RemotePub.IsEqual(p.IdentityKey()) && closed.LastChanSyncMsg != nil {
		return p.SendMessage(false, closed.LastChanSyncMsg)
	}
	return p.SendMessage(false, &lnwire.Error{
		ChanID: id, Data: lnwire.ErrorData("unknown channel"),
	})
}

// PeerUpdate keeps the peer's channel_update for one of our channels with it.
//
// It may come before our link is made: the peer sends it right behind its
// channel_ready. If it were lost, our invoices would have no hint for the channel
// until the peer connects again.
func (l *Links) PeerUpdate(p Peer, m *lnwire.ChannelUpdate1) error {
	chans, err := l.channels().FetchOpenChannels(p.IdentityKey())
	if err != nil && !errors.Is(err, channeldb.ErrNoActiveChannels) {
		return fmt.Errorf("forward: look up the peer's channels: %w", err)
	}
	for _, ch := range chans {
		if l.named(ch, m.ShortChannelID) {
			id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
			return l.cfg.Engine.updates.keep(id, p.IdentityKey(), m)
		}
	}
	return nil // gossip of others
}

// named reports whether the scid is one of the channel's: its own, the confirmed
// one, or an alias that we gave the peer.
func (l *Links) named(ch *channeldb.OpenChannel, scid lnwire.ShortChannelID) bool {
	base := ch.ShortChanID()
	if scid == base || (ch.IsZeroConf() && ch.ZeroConfConfirmed() && scid == ch.ZeroConfRealScid()) {
		return true
	}
	for _, alias := range l.cfg.Engine.cfg.Aliases.GetAliases(base) {
		if alias == scid {
			return true
		}
	}
	return false
}

// sendUpdate tells the peer of a private channel what we charge, naming the alias
// that the peer gave us. Without it LDK and lnd put no hint into their invoices,
// and nobody could pay the client over the channel again.
func (l *Links) sendUpdate(one *oneLink) {
	ch := one.lc.State()
	if ch.ChannelFlags&lnwire.FFAnnounceChannel != 0 && !ch.ChanType.HasScidAliasFeature() {
		return // an announced channel's update goes out as gossip
	}
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	scid, err := l.cfg.Engine.cfg.Aliases.GetPeerAlias(id)
	if err != nil {
		scid = ch.ShortChanID()
	}
	m, err := l.cfg.Engine.updates.ours(factsOf(ch, scid))
	if err == nil {
		err = one.conn.peer.SendMessage(false, m)
	}
	if err != nil {
		l.cfg.Engine.cfg.Log.Warn("cannot send channel_update",
			"chan", ch.FundingOutpoint.String(), "err", err)
	}
}

// PeerPolicy is what the peer of a channel charges for forwarding to us, as its
// last channel_update said, or nil.
func (l *Links) PeerPolicy(id lnwire.ChannelID) (*lnwire.ChannelUpdate1, error) {
	return l.cfg.Engine.updates.peers(id)
}

// Forget removes what is kept for a channel that is closed. The switch keeps the
// mailbox of every channel, two goroutines each, for as long as it runs.
//
// A channel that was closed by agreement has no HTLCs. Into the mailbox of another one
// an HTLC may have come that no commitment has any more: the mailbox fails it when its
// time is over, and must live until then, or the HTLC would hang upstream.
func (l *Links) Forget(id lnwire.ChannelID, byAgreement bool) error {
	l.mu.Lock()
	box := l.boxes[id]
	delete(l.boxes, id)
	delete(l.away, id)
	l.mu.Unlock()
	e := l.cfg.Engine
	select {
	case <-e.quit: // the switch ends its mailboxes
		box = nil
	default:
	}
	if box != nil {
		// Not here: the link may be waiting for the court, which is calling.
		e.wg.Go(func() {
			l.Remove(id)
			if !byAgreement {
				select {
				case <-e.cfg.Clock.TickAfter(2 * mailboxTimeout):
				case <-e.quit:
				}
			}
			box.Stop()
		})
	}
	return e.updates.forget(id)
}

// factsOf is what our channel_update says about a channel of ours.
func factsOf(ch *channeldb.OpenChannel, scid lnwire.ShortChannelID) channelFacts {
	bounds := ch.LocalChanCfg.ChannelStateBounds
	return channelFacts{
		scid: scid, peer: ch.IdentityPub,
		minHTLC: bounds.MinHTLC,
		maxHTLC: min(bounds.MaxPendingAmount, lnwire.NewMSatFromSatoshis(ch.Capacity)),
		private: ch.ChannelFlags&lnwire.FFAnnounceChannel == 0,
	}
}
