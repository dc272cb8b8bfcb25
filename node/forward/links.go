package forward

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnpeer"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

// maxParked limits the messages that wait for one channel's link to be made. A
// peer that sends more before its channel is usable breaks the protocol.
const maxParked = 64

// maxParkedChannels limits for how many channels of a connection messages wait.
const maxParkedChannels = 16

// ErrPeerGone says that the connection ended before the link could be made.
var ErrPeerGone = errors.New("forward: the peer's connection has ended")

// ChannelPoint names a channel by its funding output.
type ChannelPoint = wire.OutPoint

// Peer is a connection as lnd's link wants it, with a number of its own.
type Peer interface {
	lnpeer.Peer
	// ID tells this connection from all others of the process.
	ID() uint64
}

// Watch is what a link tells the chain arbitrator.
type Watch interface {
	SubscribeChannelEvents(ChannelPoint) (*contractcourt.ChainEventSubscription, error)
	UpdateContractSignals(ChannelPoint, *contractcourt.ContractSignals) error
	NotifyContractUpdate(ChannelPoint, *contractcourt.ContractUpdate) error
}

// Usable says that HTLCs can go over a channel now: channel_ready (after a
// reconnect channel_reestablish) has gone both ways and its link runs.
type Usable struct {
	Chan  lnwire.ChannelID
	Point ChannelPoint
	Peer  [33]byte
	// Conn is the connection's number.
	Conn uint64
	// HTLCMin and MaxHTLCs are the peer's limits on what we send.
	HTLCMin  lnwire.MilliSatoshi
	MaxHTLCs uint16
	// Fresh is false after a reconnect.
	Fresh bool
}

// LinkEvents is told of a link's life. The calls come from the link's goroutine
// and must not block.
type LinkEvents interface {
	ChannelUsable(Usable)
	ChannelUnusable(ChannelPoint)
	// Fulfilled: the peer has claimed an HTLC that is locked in on its channel. It comes once for
	// each HTLC and connection, from the connection's read goroutine, before the link has it.
	Fulfilled(lntypes.Preimage)
	// Reestablished: channel_reestablish has gone both ways.
	Reestablished(Peer, lnwire.ChannelID)
}

// LinksConfig is what links need beyond the engine.
type LinksConfig struct {
	Engine   *Engine
	Court    Court
	Beacon   contractcourt.WitnessBeacon
	Registry htlcswitch.InvoiceDatabase
	Events   LinkEvents
	// AwayFor is how long a channel counts for Inbound while its peer is away; 0: not at all.
	AwayFor time.Duration
}

// Links owns the links of all connections: which exist, and which messages wait
// for one that doesn't yet.
type Links struct {
	cfg LinksConfig
	wg  sync.WaitGroup

	mu     sync.RWMutex
	conns  map[[33]byte]*connLinks                 // guarded by mu
	byChan map[lnwire.ChannelID]*oneLink           // guarded by mu
	boxes  map[lnwire.ChannelID]htlcswitch.MailBox // of channels that are not closed; guarded by mu
	closed bool                                    // guarded by mu
	away   map[lnwire.ChannelID]away               // open channels without a link; guarded by mu
	// retired are the channels that get no link now; guarded by mu.
	retired map[lnwire.ChannelID]bool
}

// connLinks is what belongs to one connection.
type connLinks struct {
	peer Peer

	mu      sync.Mutex // held while a link is made or removed
	gone    bool
	pending map[lnwire.ChannelID]bool // not open yet when the connection began
	parked  map[lnwire.ChannelID][]lnwire.Message
}

// oneLink is a link in the switch.
type oneLink struct {
	conn  *connLinks
	link  *strictLink
	lc    *lnwallet.LightningChannel
	fresh bool
	ticks *owedTicker
	// claimed are HTLCs whose preimage was told of; of the connection's read goroutine.
	claimed map[uint64]bool
}

// NewLinks builds an empty set.
func NewLinks(cfg LinksConfig) *Links {
	return &Links{
		cfg: cfg, conns: map[[33]byte]*connLinks{},
		byChan: map[lnwire.ChannelID]*oneLink{}, boxes: map[lnwire.ChannelID]htlcswitch.MailBox{},
		away: map[lnwire.ChannelID]away{}, retired: map[lnwire.ChannelID]bool{},
	}
}

// PeerOnline makes the links of all channels with the peer. Call it once for each
// connection, before any of its messages is delivered.
func (l *Links) PeerOnline(p Peer) error {
	c := &connLinks{
		peer: p, pending: map[lnwire.ChannelID]bool{},
		parked: map[lnwire.ChannelID][]lnwire.Message{},
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrPeerGone
	}
	l.conns[p.PubKey()] = c
	l.mu.Unlock()

	chans, err := l.channels().FetchOpenChannels(p.IdentityKey())
	if err != nil {
		return fmt.Errorf("forward: load channels of peer %x: %w", p.PubKey(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range chans {
		if err := l.resume(c, ch); err != nil {
			// One bad channel must not take the others' links with it.
			l.cfg.Engine.cfg.Log.Error("cannot start channel", "chan",
				ch.FundingOutpoint.String(), "err", err)
		}
	}
	return nil
}

// resume takes up a stored channel on a new connection. The caller holds c.mu.
func (l *Links) resume(c *connLinks, ch *channeldb.OpenChannel) error {
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	switch {
	case l.isRetired(id):
		return nil

	case ch.HasChanStatus(channeldb.ChanStatusRestored):
		// From a backup: no link, so that there is nothing that could sign. This
		// channel_reestablish names a commitment that never was, which has the peer close by force
		// (BOLT 2, option_data_loss_protect).
		return tellWhereWeStand(c.peer, ch)

	case ch.IsPending:
		// The funding flow makes its link later; the peer waits for our
		// channel_reestablish before it sends channel_ready again.
		c.pending[id] = true
		return tellWhereWeStand(c.peer, ch)

	case !ch.HasChanStatus(channeldb.ChanStatusDefault):
		// Being closed, or broken: never signed for again. Our channel_reestablish
		// lets the peer see whether it has lost state (BOLT 2,
		// option_data_loss_protect).
		return tellWhereWeStand(c.peer, ch)
	}
	return l.add(c, ch, nil)
}

func tellWhereWeStand(p Peer, ch *channeldb.OpenChannel) error {
	m, err := ch.ChanSyncMsg()
	if err != nil {
		return fmt.Errorf("forward: make channel_reestablish: %w", err)
	}
	return p.SendMessage(false, m)
}

// PeerGone removes the connection's links and returns when they have ended.
func (l *Links) PeerGone(p Peer) {
	l.mu.Lock()
	c := l.conns[p.PubKey()]
	if c == nil || c.peer.ID() != p.ID() {
		l.mu.Unlock()
		return
	}
	delete(l.conns, p.PubKey())
	ended := map[lnwire.ChannelID]*oneLink{}
	for id, one := range l.byChan {
		if one.conn == c {
			ended[id] = one
			delete(l.byChan, id)
		}
	}
	l.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	clear(c.parked)
	for id := range ended {
		l.cfg.Engine.swtch.RemoveLink(id)
	}
	l.left(ended)
}

// Ready makes the link of a channel whose channel_ready has gone both ways, or
// gives a live link the peer's next revocation point.
func (l *Links) Ready(p Peer, ch *channeldb.OpenChannel, m *lnwire.ChannelReady) error {
	c := l.conn(p)
	if c == nil {
		return ErrPeerGone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return ErrPeerGone
	}
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	if one := l.find(id); one != nil {
		return l.readyAgain(one, m)
	}
	if l.isRetired(id) {
		return errRetired
	}
	return l.add(c, ch, m)
}

// readyAgain handles the channel_ready that follows a channel_reestablish: the
// link runs already, but could not sign before it had this point.
func (l *Links) readyAgain(one *oneLink, m *lnwire.ChannelReady) error {
	if one.lc.RemoteNextRevocation() != nil {
		return nil // a duplicate
	}
	if err := one.lc.InitNextRevocation(m.NextPerCommitmentPoint); err != nil {
		return fmt.Errorf("forward: store next revocation point: %w", err)
	}
	// The peer's commitment_signed may have come to the link before this point did: the
	// link has answered it and could not sign, and nothing else would make it sign. A
	// hook has it look again; it may wait for channel_reestablish first.
	one.ticks.again()
	l.wg.Go(func() { one.link.OnCommitOnce(htlcswitch.Outgoing, func() {}) })
	if one.link.EligibleToForward() {
		l.tellUsable(one)
	}
	return nil
}

// Find returns the live link of a channel and the channel it drives.
func (l *Links) Find(id lnwire.ChannelID) (htlcswitch.ChannelUpdateHandler,
	*lnwallet.LightningChannel, bool) {

	one := l.find(id)
	if one == nil {
		return nil, nil, false
	}
	return one.link, one.lc, true
}

// Refresh lets the switch read the aliases of a link again.
func (l *Links) Refresh(id lnwire.ChannelID) {
	if one := l.find(id); one != nil {
		l.cfg.Engine.swtch.UpdateLinkAliases(one.link)
	}
}

// Remove stops the link of a channel and returns when it has ended.
func (l *Links) Remove(id lnwire.ChannelID) {
	l.mu.Lock()
	delete(l.byChan, id)
	delete(l.away, id)
	l.mu.Unlock()
	l.cfg.Engine.swtch.RemoveLink(id)
}

// errRetired says that the channel is being given up.
var errRetired = errors.New("forward: the channel is being given up")

// Retire removes the link of a channel with the peer, and has none be made before Restore: what
// the channel has learned when it returns is final.
func (l *Links) Retire(peer [33]byte, id lnwire.ChannelID) {
	l.mu.Lock()
	c := l.conns[peer]
	l.retired[id] = true
	l.mu.Unlock()
	if c != nil {
		c.mu.Lock() // a link that is being made is made by then
		defer c.mu.Unlock()
	}
	l.Remove(id)
}

// Restore takes Retire back. The link is made with the next connection.
func (l *Links) Restore(id lnwire.ChannelID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.retired, id)
}

func (l *Links) isRetired(id lnwire.ChannelID) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.retired[id]
}

// removeOnly is Remove for a channel whose link is still this one. A link reports its
// failure from a goroutine of its own, when the peer may be back already: the link of the
// new connection must stay, or the channel is dead until the peer connects once more.
func (l *Links) removeOnly(id lnwire.ChannelID, one *oneLink) {
	// While this is held the connection can't end, so no other can begin.
	one.conn.mu.Lock()
	defer one.conn.mu.Unlock()
	l.mu.Lock()
	same := l.byChan[id] == one
	if same {
		delete(l.byChan, id)
	}
	l.mu.Unlock()
	if same {
		l.cfg.Engine.swtch.RemoveLink(id)
	}
}

// Stop refuses new connections, removes every link and waits for what is left.
func (l *Links) Stop() {
	l.mu.Lock()
	l.closed = true
	var peers []Peer
	for _, c := range l.conns {
		peers = append(peers, c.peer)
	}
	l.mu.Unlock()
	for _, p := range peers {
		l.PeerGone(p)
	}
	l.wg.Wait()
}

func (l *Links) find(id lnwire.ChannelID) *oneLink {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.byChan[id]
}

func (l *Links) conn(p Peer) *connLinks {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c := l.conns[p.PubKey()]; c != nil && c.peer.ID() == p.ID() {
		return c
	}
	return nil
}

func (l *Links) channels() *channeldb.ChannelStateDB {
	return l.cfg.Engine.cfg.Channels.ChannelStateDB()
}

// Peers lists the node ids of everyone we have a channel with, open or pending.
func (l *Links) Peers() ([]*btcec.PublicKey, error) {
	chans, err := l.channels().FetchAllChannels()
	if err != nil {
		return nil, fmt.Errorf("forward: load channels: %w", err)
	}
	seen, keys := map[[33]byte]bool{}, []*btcec.PublicKey(nil)
	for _, ch := range chans {
		id := [33]byte(ch.IdentityPub.SerializeCompressed())
		if !seen[id] {
			seen[id], keys = true, append(keys, ch.IdentityPub)
		}
	}
	return keys, nil
}
