package forward

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/ticker"
)

const (
	// commitBatch is how many updates a link waits for before it signs: none. A
	// link that waits for a revocation collects what comes meanwhile anyway, so
	// this costs no throughput and saves a tick for each hop.
	commitBatch = 1

	// pendingCommitTimeout ends the connection to a peer that does not revoke.
	pendingCommitTimeout = time.Minute

	// fwdPkgGCInterval is how often settled forwarding packages are removed.
	fwdPkgGCInterval = time.Hour

	// maxAnchorsCommitFeeRate caps the commitment's fee rate of channels with
	// anchors, which bump what is missing: 10 sat/vB, lnd's value.
	maxAnchorsCommitFeeRate chainfee.SatPerKVByte = 10_000
)

// add makes the link and hands it what was parked. The caller holds c.mu. ready is
// nil for a channel that was open before the connection began: there
// channel_reestablish goes first. For all others it is the peer's channel_ready.
func (l *Links) add(c *connLinks, ch *channeldb.OpenChannel, ready *lnwire.ChannelReady) error {
	sync := ready == nil
	if ready != nil && ch.RemoteNextRevocation == nil {
		if err := ch.InsertNextRevocation(ready.NextPerCommitmentPoint); err != nil {
			return fmt.Errorf("forward: store next revocation point: %w", err)
		}
	}
	e := l.cfg.Engine
	lc, err := lnwallet.NewLightningChannel(e.cfg.Wallet.Cfg.Signer, ch, e.sigs)
	if err != nil {
		return fmt.Errorf("forward: load channel %v: %w", ch.FundingOutpoint, err)
	}
	events, err := l.cfg.Court.SubscribeChannelEvents(ch.FundingOutpoint)
	if err != nil {
		return fmt.Errorf("forward: watch channel %v: %w", ch.FundingOutpoint, err)
	}
	one := &oneLink{conn: c, lc: lc, fresh: !sync, ticks: newOwedTicker(lc.OweCommitment)}
	one.link = &strictLink{
		ChannelLink: htlcswitch.NewChannelLink(l.linkConfig(one, ch, events, sync), lc),
		routes:      e.cfg.Routes, delta: uint32(e.cfg.Policy.Delta), update: e.UpdateFor,
		withheld: func() bool {
			return e.cfg.Withheld != nil && e.cfg.Withheld(ch.FundingOutpoint)
		},
	}
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)

	// The mailbox of a channel must only ever be read by one link.
	e.swtch.RemoveLink(id)
	if err := e.swtch.AddLink(one.link); err != nil {
		return fmt.Errorf("forward: start link of %v: %w", ch.FundingOutpoint, err)
	}
	for _, m := range c.parked[id] {
		one.link.HandleChannelUpdate(m)
	}
	delete(c.parked, id)
	delete(c.pending, id)

	l.mu.Lock()
	l.byChan[id], l.boxes[id] = one, one.link.box
	delete(l.away, id)
	l.mu.Unlock()
	return nil
}

func (l *Links) linkConfig(one *oneLink, ch *channeldb.OpenChannel,
	events *contractcourt.ChainEventSubscription, sync bool) htlcswitch.ChannelLinkConfig {

	e, point := l.cfg.Engine, ch.FundingOutpoint
	bounds := ch.LocalChanCfg.ChannelStateBounds
	nop := func(wire.OutPoint) {}
	return htlcswitch.ChannelLinkConfig{
		Peer:                  one.conn.peer,
		DecodeHopIterators:    e.onions.DecodeHopIterators,
		ExtractErrorEncrypter: takeOwnFailures(e.onions.ExtractErrorEncrypter),
		FetchLastChannelUpdate: func(scid lnwire.ShortChannelID) (
			*lnwire.ChannelUpdate1, error) {
			return e.failureUpdate(factsOf(ch, scid))
		},
		Registry: l.cfg.Registry, BestHeight: e.swtch.BestHeight,
		Circuits: e.swtch.CircuitModifier(),
		ForwardPackets: pastInterceptor(
			e.intercept.ForwardPackets, e.swtch.ForwardPackets, e.Forwarded),
		FwrdingPolicy: e.cfg.Policy.forwarding(bounds.MinHTLC, bounds.MaxPendingAmount),
		FeeEstimator:  e.cfg.Fees, PreimageCache: l.cfg.Beacon, ChainEvents: events,
		UpdateContractSignals: func(s *contractcourt.ContractSignals) error {
			return l.cfg.Court.UpdateContractSignals(point, s)
		},
		NotifyContractUpdate: func(u *contractcourt.ContractUpdate) error {
			return l.cfg.Court.NotifyContractUpdate(point, u)
		},
		OnChannelFailure: func(_ lnwire.ChannelID, _ lnwire.ShortChannelID,
			f htlcswitch.LinkFailureError) {
			// It comes from the link's own goroutine, which its removal waits for.
			l.wg.Go(func() { l.failed(one, f) })
		},
		SyncStates: sync, BatchTicker: one.ticks, BatchSize: commitBatch,
		FwdPkgGCTicker:          ticker.New(fwdPkgGCInterval),
		PendingCommitTicker:     ticker.New(pendingCommitTimeout),
		MinUpdateTimeout:        htlcswitch.DefaultMinLinkFeeUpdateTimeout,
		MaxUpdateTimeout:        htlcswitch.DefaultMaxLinkFeeUpdateTimeout,
		OutgoingCltvRejectDelta: outgoingRejectDelta,
		MaxOutgoingCltvExpiry:   maxOutgoingExpiry,
		MaxFeeAllocation:        htlcswitch.DefaultMaxLinkFeeAllocation,
		MaxAnchorsCommitFeeRate: maxAnchorsCommitFeeRate.FeePerKWeight(),
		NotifyActiveLink:        nop,
		NotifyActiveChannel:     func(wire.OutPoint) { l.active(one, sync) },
		NotifyInactiveChannel:   l.cfg.Events.ChannelUnusable,
		NotifyInactiveLinkEvent: nop,
		NotifyChannelUpdate:     func(*channeldb.OpenChannel) {},
		HtlcNotifier:            e.htlcs, GetAliases: ownFirst(e.cfg.Aliases.GetAliases),
		PreviouslySentShutdown: fn.None[lnwire.Shutdown](),
		MaxFeeExposure:         htlcswitch.DefaultMaxFeeExposure,
		// What our init does not offer must not be done.
		DisallowQuiescence: true, DisallowRouteBlinding: true,
		ShouldFwdExpAccountability: func() bool { return false },
		AuxTrafficShaper:           fn.Some(e.cfg.CustomHTLC),
	}
}

// active runs in the link's goroutine when the link is ready for HTLCs, after
// channel_reestablish where that was due.
func (l *Links) active(one *oneLink, synced bool) {
	if synced {
		id := lnwire.NewChanIDFromOutPoint(one.lc.ChannelPoint())
		l.cfg.Events.Reestablished(one.conn.peer, id)
	}
	// Without the peer's next revocation point nothing can be signed yet: its
	// channel_ready was lost with the last connection and comes again.
	if one.lc.RemoteNextRevocation() != nil {
		l.tellUsable(one)
	}
}

func (l *Links) tellUsable(one *oneLink) {
	l.sendUpdate(one)
	point := one.lc.ChannelPoint()
	bounds := one.lc.State().LocalChanCfg.ChannelStateBounds
	l.cfg.Events.ChannelUsable(Usable{
		Chan: lnwire.NewChanIDFromOutPoint(point), Point: point,
		Peer: one.conn.peer.PubKey(), Conn: one.conn.peer.ID(),
		HTLCMin: bounds.MinHTLC, MaxHTLCs: bounds.MaxAcceptedHtlcs, Fresh: one.fresh,
	})
}

// failed ends a link that lnd gave up, as far as lnd says it must.
func (l *Links) failed(one *oneLink, f htlcswitch.LinkFailureError) {
	log, point := l.cfg.Engine.cfg.Log, one.lc.ChannelPoint()
	// A peer can have a link fail as often as it reconnects; what costs money follows below.
	log.Warn("channel link failed", "chan", point.String(), "err", f.Error())
	id := lnwire.NewChanIDFromOutPoint(point)
	l.removeOnly(id, one)

	broken := f.FailureAction == htlcswitch.LinkFailureForceClose || f.PermanentFailure
	if f.FailureAction == htlcswitch.LinkFailureForceClose {
		log.Error("the channel must be closed by force", "chan", point.String(), "err", f.Error())
		if err := l.cfg.Court.ForceClose(point); err != nil {
			log.Error("cannot force-close", "chan", point.String(), "err", err)
		}
	}
	if f.PermanentFailure {
		if err := one.lc.State().MarkBorked(); err != nil {
			log.Error("cannot mark channel as broken", "chan", point.String(), "err", err)
		}
	}
	if broken {
		l.Remove(id) // also the link of a connection that began meanwhile
	}
	if f.ShouldSendToPeer() {
		data := f.SendData
		if data == nil {
			data = []byte(f.Error())
		}
		var m lnwire.Message = &lnwire.Error{ChanID: id, Data: data}
		if f.Warning || !broken && isInternal(f) {
			m = &lnwire.Warning{ChanID: id, Data: data}
		}
		if err := one.conn.peer.SendMessage(true, m); err != nil {
			log.Debug("cannot tell peer of failure", "chan", point.String(), "err", err)
		}
	}
	if f.FailureAction == htlcswitch.LinkFailureDisconnect || !broken && isInternal(f) {
		// The next connection makes the link anew.
		one.conn.peer.Disconnect(fmt.Errorf("forward: link of %v: %w", point, f))
	}
}

// isInternal says that the fault is ours and not the channel's: a disk that is full, a database that is
// being closed. lnd would send `error` for it. BOLT 1: the receiver of that "MUST fail the channel",
// so LDK closes it by force, and who has nothing in it forgets it.
func isInternal(f htlcswitch.LinkFailureError) bool {
	return f.Error() == (htlcswitch.LinkFailureError{}).Error() // the zero code is ErrInternalError
}
