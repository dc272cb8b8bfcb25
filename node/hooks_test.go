package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/peer"
)

// HoldClaims makes the node hold HTLCs from which an LSP has withheld a fee: it
// does not come to judging the fee before release is called.
func (n *Node) HoldClaims() (release func()) {
	n.buyer.mu.Lock()
	return n.buyer.mu.Unlock
}

// SetClock makes the node live by another clock.
func (o *Options) SetClock(c clock.Clock) { o.clock = c }

// Mischief is what an LSP does that breaks its word. Nil members change nothing.
type Mischief struct {
	Switch   func(orders.Switch) orders.Switch
	Open     func(*chanfactory.OpenRequest)
	Wire     func(sent bool, m lnwire.Message)
	Features func(*lnwire.RawFeatureVector)
	Lifeline Lifeline
	Gate     func(Gated)
	Limits   func(*peer.Limits)
	AwayFor  time.Duration
	MPPHold  time.Duration
	Fees     func(chainfee.Estimator) chainfee.Estimator
}

// Lifeline is where a test holds the life of a node in its hands: what it writes,
// says and broadcasts. Nil members change nothing.
type Lifeline struct {
	Line      func(peer [33]byte, sent bool, m lnwire.Message)
	Commit    store.Watch
	Broadcast func(*wire.MsgTx) error
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	Bind      func(ctx context.Context, network, addr string) (net.Listener, error)
}

// SetStoreGroup makes the store commit so many writes together at most.
func (o *Options) SetStoreGroup(n int) { o.storeGroup = n }

// SetMischief makes the node break its word.
func (o *Options) SetMischief(m Mischief) {
	o.seams = seams{
		wrapSwitch: m.Switch, changeOpen: m.Open, onWire: m.Wire, features: m.Features,
		gate: m.Gate, limits: m.Limits, awayFor: m.AwayFor, mppHold: m.MPPHold,
		fees:   m.Fees,
		onLine: m.Lifeline.Line, onCommit: m.Lifeline.Commit,
		onBroadcast: m.Lifeline.Broadcast, dial: m.Lifeline.Dial, bind: m.Lifeline.Bind,
	}
}

// Say sends a peer any message.
func (n *Node) Say(to *btcec.PublicKey, m lnwire.Message) error {
	c, ok := n.peers.Get([33]byte(to.SerializeCompressed()))
	if !ok {
		return errors.New("not connected")
	}
	return c.SendMessage(true, m)
}

// ConnOf is the connection with a peer, 0 for none.
func (n *Node) ConnOf(of *btcec.PublicKey) uint64 {
	c, ok := n.peers.Get([33]byte(of.SerializeCompressed()))
	if !ok {
		return 0
	}
	return c.ID()
}

// ChannelState is what a node has stored about an open channel.
type ChannelState struct {
	Point     wire.OutPoint
	Peer      [33]byte
	Ours      bool // we funded it
	Confirmed bool
	Quiet     bool // no HTLC and no update is under way
	Still     bool // no update is under way, but HTLCs may be
	Capacity  btcutil.Amount
	Balance   lnwire.MilliSatoshi
}

// ChannelStates reads the open channels from the store.
func (n *Node) ChannelStates() ([]ChannelState, error) {
	chans, err := n.channels.ChannelStateDB().FetchAllOpenChannels()
	if err != nil {
		return nil, err
	}
	var list []ChannelState
	for _, ch := range chans {
		local, remote := ch.LocalCommitment, ch.RemoteCommitment
		_, tip := ch.RemoteCommitChainTip()
		unsigned, err := ch.UnsignedAckedUpdates()
		if err != nil {
			return nil, err
		}
		still := tip != nil && len(unsigned) == 0
		list = append(list, ChannelState{
			Point: ch.FundingOutpoint, Peer: [33]byte(ch.IdentityPub.SerializeCompressed()),
			Ours: ch.IsInitiator, Confirmed: !ch.IsZeroConf() || ch.ZeroConfConfirmed(),
			Quiet: len(local.Htlcs)+len(remote.Htlcs) == 0 && still, Still: still,
			Capacity: ch.Capacity, Balance: local.LocalBalance,
		})
	}
	return list, nil
}

// PreimageOf is the preimage of an invoice that may be unpaid.
func (n *Node) PreimageOf(ctx context.Context, hash lntypes.Hash) (lntypes.Preimage, error) {
	inv, err := n.registry.InvoiceRegistry.LookupInvoice(ctx, hash)
	if err != nil || inv.Terms.PaymentPreimage == nil {
		return lntypes.Preimage{}, fmt.Errorf("no preimage of %v: %w", hash, err)
	}
	return *inv.Terms.PaymentPreimage, nil
}

// KnowQuietly stores a preimage and tells nobody.
func (n *Node) KnowQuietly(p lntypes.Preimage) error {
	return n.channels.NewWitnessCache().AddSha256Witnesses(p)
}

// DropWithheld is what an order does with a channel that is to be given up.
func (n *Node) DropWithheld(point wire.OutPoint) error { return opener{n}.Drop(point, "test") }

// ForcedCloses lists the channels that went on chain without agreement.
func (n *Node) ForcedCloses() ([]wire.OutPoint, error) {
	state := n.channels.ChannelStateDB()
	closed, err := state.FetchClosedChannels(false)
	if err != nil {
		return nil, err
	}
	var list []wire.OutPoint
	for _, ch := range closed {
		if ch.CloseType != channeldb.CooperativeClose && ch.CloseType != channeldb.FundingCanceled {
			list = append(list, ch.ChanPoint)
		}
	}
	all, err := state.FetchAllChannels()
	for _, ch := range all {
		if ch.HasChanStatus(channeldb.ChanStatusCommitBroadcasted) ||
			ch.HasChanStatus(channeldb.ChanStatusBorked) {

			list = append(list, ch.FundingOutpoint)
		}
	}
	return list, err
}

// MayBeOut lists the funding transactions of an order that are out or may go out.
func (n *Node) MayBeOut(order string) ([]wire.OutPoint, error) {
	list, err := n.factory.Fundings()
	var points []wire.OutPoint
	for _, f := range list {
		if f.Tag == order && f.State != chanfactory.Gone && f.State != chanfactory.Withheld {
			points = append(points, f.Point)
		}
	}
	return points, err
}

// EndLifetimes closes what the policy wants closed, as if it were later.
func (n *Node) EndLifetimes(later time.Duration) error {
	return n.endLifetimes(context.Background(), n.clock.Now().Add(later))
}

// EndLeases gives all coins free, as ten minutes without the process do.
func (n *Node) EndLeases() error {
	_, err := n.wallet.ReleaseStale(func(wire.OutPoint) bool { return false })
	return err
}

// LeasedAtTheCourt starts a node as far as the court, and tells how many coins are leased then.
func LeasedAtTheCourt(ctx context.Context, opts Options) (_ int, err error) {
	n, err := New(opts)
	if err != nil {
		return 0, err
	}
	var down teardown
	defer func() { err = errors.Join(err, down.run(), n.store.Close()) }()
	if err := errors.Join(n.startChain(ctx, &down), n.startWallet(ctx, &down), n.compose(),
		n.startEngine(&down)); err != nil {
		return 0, err
	}
	leases, err := n.wallet.Leases()
	return len(leases), err
}

// Knows says whether the peer always finds a place.
func (n *Node) Knows(peer [33]byte) bool { return n.knownPeer(peer) }

// Reserved is what the wallet keeps back for the fee bumps of channels.
func (n *Node) Reserved() (btcutil.Amount, error) {
	b, err := n.wallet.Balance()
	return b.Reserved, err
}
