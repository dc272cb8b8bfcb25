package chanfactory

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// leaseFor is how long coins of an unconfirmed funding are leased from now, each time; it is
// renewed well before.
const leaseFor = 10 * time.Minute

// channel is one channel machine with what its commands need. It belongs to its worker's
// goroutine.
type channel struct {
	w       *worker
	machine funding.Channel
	subject Subject
	id      lnwire.ChannelID

	// ch is the copy that the court has too. It is changed only before there is a link.
	ch *channeldb.OpenChannel
	tx *wire.MsgTx // opener: the signed funding transaction, until confirmed

	ended      chan struct{} // closed when the channel is forgotten here
	waiting    bool          // for confirmations
	publishing bool
	released   []chan error // who waits for the first broadcast after Release
	// unmarked is the confirmed scid, until a zero-conf channel has it in the store.
	unmarked *lnwire.ShortChannelID
}

func (c *channel) log() *slog.Logger {
	log := c.w.log.With("chan", c.machine.Facts.Point.String())
	if c.subject.Tag != "" {
		log = log.With("order", c.subject.Tag)
	}
	return log
}

// counts says that the channel is one of those that limit what peers may open.
func (c *channel) counts() bool {
	if c.machine.Facts.Opener {
		return false
	}
	if c.machine.Facts.ZeroConf {
		_, usable := c.machine.Use.(funding.Usable)
		return !usable
	}
	_, deep := c.machine.Tx.(funding.Deep)
	return !deep
}

// newChannel builds the shell of a stored channel.
func (w *worker) newChannel(ch *channeldb.OpenChannel, s Subject, tx *wire.MsgTx) *channel {
	c := &channel{
		w: w, subject: s, id: lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint), ch: ch, tx: tx,
		ended: make(chan struct{}),
	}
	w.channels[c.id] = c
	return c
}

// factsOf reads what does not change from the store's record.
func factsOf(ch *channeldb.OpenChannel) funding.Facts {
	f := funding.Facts{
		Point: ch.FundingOutpoint, Opener: ch.IsInitiator, ZeroConf: ch.IsZeroConf(),
	}
	if !f.Opener && !f.ZeroConf {
		f.GiveUpAt = ch.BroadcastHeight() + funding.FundeeBlocks
	}
	return f
}

// carryOn takes over a channel that an opening has stored.
func (w *worker) carryOn(o *opening) {
	var tx funding.TxState = funding.Theirs{}
	if o.ours() {
		renew := w.f.clock.Now().Add(funding.RenewEvery)
		tx = funding.Leaving{RenewAt: renew}
		if o.ask.Withhold {
			tx = funding.Withheld{RenewAt: renew}
		}
	}
	c := w.newChannel(o.stored, o.subject(), o.tx)
	machine, out := funding.Begin(factsOf(o.stored), tx)
	w.follow(c, machine, out)
}

// step moves a channel on.
func (w *worker) step(c *channel, ev funding.ChannelEvent) {
	if err := w.tryStep(c, ev); err != nil {
		c.log().Error("channel machine", "err", err)
	}
}

func (w *worker) tryStep(c *channel, ev funding.ChannelEvent) error {
	next, out, err := c.machine.Step(w.f.clock.Now(), ev)
	if err != nil {
		return err
	}
	if len(out) > 0 || next != c.machine {
		c.log().Debug("step", "machine", "channel", "event", fmt.Sprintf("%T", ev),
			"to", fmt.Sprintf("%T %T", next.Tx, next.Use), "commands", len(out))
	}
	w.follow(c, next, out)
	return nil
}

// follow runs a machine's commands and steps it with their answers.
func (w *worker) follow(c *channel, next funding.Channel, out []funding.Command) {
	c.machine = next
	for _, command := range out {
		ev := w.runChannel(c, command)
		if ev == nil {
			continue
		}
		// Answering commands are the last of their lists, but for Watch that failed: then what
		// follows it must not be done.
		w.step(c, ev)
		break
	}
	if c.machine.Done() && c.unmarked == nil {
		w.forget(c)
	}
}

// forget drops a channel that has nothing left to await here.
func (w *worker) forget(c *channel) {
	if w.channels[c.id] != c {
		return
	}
	delete(w.channels, c.id)
	close(c.ended)
}

// runChannel does one command.
func (w *worker) runChannel(c *channel, command funding.Command) funding.ChannelEvent {
	switch command := command.(type) {
	case funding.Watch:
		return c.watch()
	case funding.MarkOpen:
		return c.markOpen(command.Confirmed)
	case funding.MarkReal:
		c.unmarked = &command.Scid
		w.markReal(c)
	case funding.SendReady:
		c.sendReady()
	case funding.Link:
		return c.link(command.Msg)
	case funding.KeepAlias:
		w.keepAlias(c.id, command.Alias)
	case funding.WaitDepth:
		c.waitDepth()
	case funding.Publish:
		c.publish()
	case funding.RenewCoins:
		c.renewCoins()
	case funding.KeepReleased:
		return c.keep(recordReleased, funding.ReleaseKept{})
	case funding.KeepDropped:
		return c.keep(recordDropped, funding.DropKept(command))
	case funding.KeepConfirmed:
		c.keep(recordConfirmed, nil)
	case funding.LookForFunding:
		return c.lookForFunding(command.Reason)
	case funding.WeighLoss:
		return c.weighLoss(command.Reason)
	case funding.CloseUnfunded:
		c.closeUnfunded()
	case funding.FreeCoins:
		c.freeCoins()
	case funding.Send:
		w.send(command.Msg)
	case funding.Tell:
		c.tell(command.What)
	}
	return nil
}

// watch puts the channel under the court's watch.
func (c *channel) watch() funding.ChannelEvent {
	if err := c.w.f.cfg.Court.WatchNewChannel(c.ch); err != nil {
		c.log().Error("cannot watch channel; restart the node", "err", err)
		return funding.StoreFailed{Reason: err.Error()}
	}
	return nil
}

// markOpen names the channel and marks it as open. An alias is registered once: the alias manager
// would keep a second entry.
func (c *channel) markOpen(confirmed *lnwire.ShortChannelID) funding.ChannelEvent {
	aliases, scid := c.w.f.cfg.Aliases, c.ch.ShortChannelID
	var err error
	switch {
	case confirmed == nil: // lives by the alias that the opening took and registered
		if !slices.Contains(aliases.GetAliases(scid), scid) {
			err = aliases.AddLocalAlias(scid, scid, true, false)
		}
	default:
		scid = *confirmed
		if c.ch.NegotiatedAliasFeature() && len(aliases.GetAliases(scid)) == 0 {
			var alias lnwire.ShortChannelID
			if alias, err = aliases.RequestAlias(); err == nil {
				err = aliases.AddLocalAlias(alias, scid, true, false)
			}
		}
	}
	if err == nil {
		err = c.ch.MarkAsOpen(scid)
	}
	if err != nil {
		c.log().Error("cannot mark channel as open; restart the node", "err", err)
		return funding.StoreFailed{Reason: err.Error()}
	}
	return funding.Opened{}
}

// alias is the one that our channel_ready carries; zero if the channel has none.
func (c *channel) alias() lnwire.ShortChannelID {
	if c.ch.IsZeroConf() {
		return c.ch.ShortChannelID
	}
	if aliases := c.w.f.cfg.Aliases.GetAliases(c.ch.ShortChannelID); len(aliases) > 0 {
		return aliases[0]
	}
	return lnwire.ShortChannelID{}
}

// sendReady sends channel_ready, unless there is a link already: that does it by itself after
// channel_reestablish.
func (c *channel) sendReady() {
	if _, _, linked := c.w.f.cfg.Links.Find(c.id); linked {
		return
	}
	point, err := c.ch.SecondCommitmentPoint()
	if err != nil {
		c.log().Error("cannot make channel_ready", "err", err)
		return
	}
	m := lnwire.NewChannelReady(c.id, point)
	// BOLT 2: "if `option_scid_alias` was negotiated:"
	// BOLT 2: "MUST set `short_channel_id` `alias`."
	if alias := c.alias(); alias != (lnwire.ShortChannelID{}) {
		m.AliasScid = &alias
	}
	c.w.send(m)
}

// link hands the channel over: from here on it is the link's.
func (c *channel) link(m *lnwire.ChannelReady) funding.ChannelEvent {
	if c.w.conn == nil {
		return funding.LinkFailed{}
	}
	if m.AliasScid != nil {
		c.w.keepAlias(c.id, *m.AliasScid)
	} else if c.ch.NegotiatedAliasFeature() {
		c.log().Warn("peer's channel_ready has no alias; invoices can't name the channel")
	}
	fresh, err := c.w.f.cfg.Channels.FetchChannel(c.machine.Facts.Point)
	if err == nil {
		err = c.w.f.cfg.Links.Ready(c.w.conn, fresh, m)
	}
	if err != nil {
		c.log().Error("cannot make the link; it is made when the peer is back", "err", err)
		return funding.LinkFailed{}
	}
	c.w.f.journal.markReady(c.machine.Facts.Point)
	return funding.Linked{}
}

// keepAlias stores the alias that the peer calls a channel by.
func (w *worker) keepAlias(id lnwire.ChannelID, alias lnwire.ShortChannelID) {
	aliases := w.f.cfg.Aliases
	if old, err := aliases.GetPeerAlias(id); err == nil && old == alias {
		return
	}
	if err := aliases.PutPeerAlias(id, alias); err != nil {
		w.log.Error("cannot store the peer's alias", "chan", id.String(), "err", err)
	}
}

// keep journals a change of state. Without a record, which only we as opener have, there is
// nothing to keep.
func (c *channel) keep(to recordState, done funding.ChannelEvent) funding.ChannelEvent {
	if c.subject.Tag == "" {
		return done
	}
	if err := c.w.f.journal.move(c.subject.Tag, to); err != nil {
		c.log().Error("cannot journal the funding", "to", string(to), "err", err)
		return nil
	}
	return done
}

func (c *channel) renewCoins() {
	until := c.w.f.clock.Now().Add(leaseFor)
	err := c.w.f.cfg.Coins.RenewLeases(c.tx, until)
	if _, withheld := c.machine.Tx.(funding.Withheld); withheld && err != nil {
		c.log().Error("a coin of a withheld funding was spent: drop it", "err", err)
	}
}

func (c *channel) freeCoins() {
	if c.tx == nil {
		return
	}
	if err := c.w.f.cfg.Coins.Release(inputsOf(c.tx)); err != nil {
		c.log().Error("cannot release coins; they are free in ten minutes", "err", err)
	}
}

// weighLoss looks whether anything would be lost with the channel. An opener loses nothing with one
// that was never used: afterwards only our caller knows what was paid for. An acceptor loses what
// is its own in there; one that has failed every HTLC has nothing, and must not keep a channel for
// ever that its LSP has given up.
func (c *channel) weighLoss(reason string) funding.ChannelEvent {
	ch, err := c.w.f.cfg.Channels.FetchChannel(c.machine.Facts.Point)
	if err != nil {
		c.log().Error("cannot look up channel", "err", err)
		return nil
	}
	local, remote := ch.LocalCommitment, ch.RemoteCommitment
	lost := local.LocalBalance != 0 || remote.LocalBalance != 0 ||
		len(local.Htlcs)+len(remote.Htlcs) > 0
	if ch.IsInitiator {
		lost = local.CommitHeight != 0 || remote.CommitHeight != 0
	}
	if lost {
		c.log().Warn("peer failed a channel that was used; it is kept", "err", reason)
		return nil
	}
	return funding.Worthless{Reason: reason}
}

// closeUnfunded ends a channel whose funding will never be there. Nothing may use it any more
// when its coins are freed.
func (c *channel) closeUnfunded() {
	f, point := c.w.f, c.machine.Facts.Point
	f.cfg.Links.Remove(c.id)
	ch, err := f.cfg.Channels.FetchChannel(point)
	if err != nil {
		c.log().Error("cannot look up channel", "err", err)
		return
	}
	err = ch.CloseChannel(&channeldb.ChannelCloseSummary{
		ChanPoint: point, ChainHash: ch.ChainHash, RemotePub: ch.IdentityPub,
		Capacity: ch.Capacity, CloseType: channeldb.FundingCanceled, ShortChanID: ch.ShortChanID(),
		SettledBalance:          ch.LocalCommitment.LocalBalance.ToSatoshis(),
		RemoteCurrentRevocation: ch.RemoteCurrentRevocation,
		RemoteNextRevocation:    ch.RemoteNextRevocation,
		LocalChanConfig:         ch.LocalChanCfg,
	}, channeldb.ChanStatusLocalCloseInitiator)
	if err != nil {
		c.log().Error("cannot close channel", "err", err)
		return
	}
	if err := f.cfg.Court.Forget(point); err != nil {
		c.log().Error("cannot end the watch", "err", err)
	}
	if scid := ch.ShortChannelID; ch.IsZeroConf() {
		// It had no link any more, so the switch can't be told, which counts as an error.
		_ = f.cfg.Aliases.DeleteLocalAlias(scid, scid)
	}
}

// tell reports to our caller.
func (c *channel) tell(what funding.Report) {
	point := c.machine.Facts.Point
	switch what := what.(type) {
	case funding.ToldBroadcast:
		c.w.emit(Broadcast{Subject: c.subject, Point: point})
	case funding.ToldReady:
		peerAlias, _ := c.w.f.cfg.Aliases.GetPeerAlias(c.id) // zero if there is none
		alias := c.alias()
		if alias == (lnwire.ShortChannelID{}) {
			alias = c.ch.ShortChannelID
		}
		c.log().Info("channel is ready", "alias", alias.String())
		c.w.emit(Ready{
			Subject: c.subject, Point: point, ChanID: c.id, PeerID: c.w.conn.ID(),
			Alias: alias, PeerAlias: peerAlias,
		})
	case funding.ToldConfirmed:
		c.log().Info("channel is confirmed", "scid", what.Scid.String())
		c.w.emit(Confirmed{Subject: c.subject, Point: point, Scid: what.Scid})
	case funding.ToldDropped:
		c.log().Info("funding came to nothing", "err", what.Reason)
		c.w.emit(Dropped{Subject: c.subject, Point: point, Reason: what.Reason})
	}
}
