package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
)

// Errors of channel calls.
var (
	// ErrUnknownChannel: no open channel has this channel point.
	ErrUnknownChannel = errors.New("node: there is no open channel with this channel point")
	// ErrUnseenFunding: the channel's funding transaction was not seen.
	ErrUnseenFunding = errors.New("node: the channel's funding transaction is not on chain: " +
		"its commitment can't be published before it is")
	// ErrOpenFailed: the peer or we ended the opening.
	ErrOpenFailed = errors.New("node: the channel could not be opened")
)

// maxWaitingOpens limits the openings that a caller waits for.
const maxWaitingOpens = 100

// openers are the calls that wait for an opening to go on, by tag.
type openers struct {
	mu      sync.Mutex
	waiting map[string]chan chanfactory.Event // guarded by mu
}

func (o *openers) wait(tag string) (<-chan chanfactory.Event, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == nil {
		o.waiting = map[string]chan chanfactory.Event{}
	}
	if len(o.waiting) >= maxWaitingOpens {
		return nil, chanfactory.ErrBusy
	}
	// An opening has fewer events than this, so tell never finds it full.
	ch := make(chan chanfactory.Event, 16)
	o.waiting[tag] = ch
	return ch, nil
}

func (o *openers) done(tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.waiting, tag)
}

func (o *openers) tell(ev chanfactory.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ch := o.waiting[ev.Of().Tag]; ch != nil {
		select {
		case ch <- ev:
		default:
		}
	}
}

// OpenRequest asks for a channel to a peer.
type OpenRequest struct {
	Peer *btcec.PublicKey
	// Addr is host:port; empty when the peer is connected already.
	Addr     string
	Capacity btcutil.Amount
	// Push is a gift to the peer.
	Push     lnwire.MilliSatoshi
	Private  bool
	ZeroConf bool
	// FeeRate of the funding transaction; 0 is an estimate.
	FeeRate chainfee.SatPerVByte
}

// OpenChannel opens a channel and returns when its funding transaction is
// broadcast; the channel is usable after its confirmations (zero-conf: at once).
// The opening goes on when ctx ends.
func (n *Node) OpenChannel(ctx context.Context, r OpenRequest) (wire.OutPoint, error) {
	if err := n.running(); err != nil {
		return wire.OutPoint{}, err
	}
	conn, err := n.peers.Connect(ctx, r.Peer, r.Addr)
	if err != nil {
		return wire.OutPoint{}, err
	}
	rate, err := n.feeRate(r.FeeRate, n.opts.Onchain.OpenConfTarget)
	if err != nil {
		return wire.OutPoint{}, err
	}
	if err := n.wallet.CanFund(r.Capacity, rate); err != nil {
		return wire.OutPoint{}, err
	}
	if r.Addr != "" {
		if err := n.rememberPeer(conn.PubKey(), r.Addr); err != nil {
			return wire.OutPoint{}, err
		}
	}
	tag := "open-" + randomHex(16)
	events, err := n.openers.wait(tag)
	if err != nil {
		return wire.OutPoint{}, err
	}
	defer n.openers.done(tag)
	err = n.factory.Open(ctx, chanfactory.OpenRequest{
		Peer: peerHandler{n}.wrap(conn), Tag: tag, Capacity: r.Capacity, Push: r.Push,
		Private: r.Private, ZeroConf: r.ZeroConf, FeeRate: rate,
	})
	if err != nil {
		return wire.OutPoint{}, err
	}
	return n.awaitBroadcast(ctx, events)
}

func (n *Node) awaitBroadcast(ctx context.Context, events <-chan chanfactory.Event) (
	wire.OutPoint, error) {

	for {
		select {
		case ev := <-events:
			switch ev := ev.(type) {
			case chanfactory.Broadcast:
				return ev.Point, nil
			case chanfactory.Failed:
				return wire.OutPoint{}, fmt.Errorf("%w: %s", ErrOpenFailed, ev.Reason)
			case chanfactory.Dropped:
				return wire.OutPoint{}, fmt.Errorf("%w: %s", ErrOpenFailed, ev.Reason)
			}
		case <-ctx.Done():
			return wire.OutPoint{}, fmt.Errorf("node: the opening goes on, but the wait ended: %w",
				ctx.Err())
		}
	}
}

// CloseChannel closes a channel by agreement with the peer and returns the closing
// transaction when both have signed it. HTLCs in flight are waited for. The close
// goes on when ctx ends. A channel that we sold is closed only with BreakMinLifetime while
// its client has a right to it (ErrMinLifetime, ErrPaymentUnderWay).
func (n *Node) CloseChannel(ctx context.Context, point wire.OutPoint,
	rate chainfee.SatPerVByte, how ...CloseOption) (chainhash.Hash, error) {

	if err := n.running(); err != nil {
		return chainhash.Hash{}, err
	}
	if err := n.mayClose(point, how); err != nil {
		return chainhash.Hash{}, err
	}
	feeRate, err := n.feeRate(rate, n.opts.Onchain.CloseConfTarget)
	if err != nil {
		return chainhash.Hash{}, err
	}
	updates, err := n.factory.Close(ctx, chanfactory.CloseRequest{Point: point, FeeRate: feeRate})
	if err != nil {
		return chainhash.Hash{}, err
	}
	for {
		select {
		case u, ok := <-updates:
			switch {
			case !ok:
				return chainhash.Hash{}, ErrNotRunning
			case u.Stage == chanfactory.CloseFailed:
				return chainhash.Hash{}, u.Err
			case u.Stage == chanfactory.ClosePending || u.Stage == chanfactory.CloseConfirmed:
				return u.Txid, nil
			}
		case <-ctx.Done():
			return chainhash.Hash{}, fmt.Errorf("node: the close goes on, but the wait ended: %w",
				ctx.Err())
		}
	}
}

// ForceClose publishes our commitment transaction. What is ours comes back after
// the peer's delay. A channel that we sold is closed as in CloseChannel.
func (n *Node) ForceClose(point wire.OutPoint, how ...CloseOption) (chainhash.Hash, error) {
	if err := n.running(); err != nil {
		return chainhash.Hash{}, err
	}
	if err := n.mayClose(point, how); err != nil {
		return chainhash.Hash{}, err
	}
	return n.forceClose(point)
}

func (n *Node) forceClose(point wire.OutPoint) (chainhash.Hash, error) {
	ch, err := n.channels.ChannelStateDB().FetchChannel(point)
	if err != nil {
		return chainhash.Hash{}, fmt.Errorf("%w: %v", ErrUnknownChannel, point)
	}
	if ch.HasChanStatus(channeldb.ChanStatusRestored) {
		return chainhash.Hash{}, fmt.Errorf("%w: %v", ErrRestored, point)
	}
	if !fundingSeen(ch) && !n.fundingOut(ch) && !n.fundingThere(ch) {
		return chainhash.Hash{}, fmt.Errorf("%w: %v", ErrUnseenFunding, point)
	}
	tx, err := n.court.ForceClose(point)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return tx.TxHash(), nil
}

// fundingSeen says that the funding transaction is confirmed.
func fundingSeen(ch *channeldb.OpenChannel) bool {
	return !ch.IsPending && (!ch.IsZeroConf() || ch.ZeroConfConfirmed())
}

// fundingOut says that a funding transaction is ours and confirmed, or was given to the
// network: then it can be given again together with the commitment.
func (n *Node) fundingOut(ch *channeldb.OpenChannel) bool {
	if !ch.IsInitiator || n.factory == nil {
		return false
	}
	list, err := n.factory.Fundings()
	if err != nil {
		return false
	}
	for _, f := range list {
		if f.Point != ch.FundingOutpoint {
			continue
		}
		// Confirmed: the channel's own record follows when its link comes to it, which it
		// does not while the peer leaves a commitment unanswered.
		return f.State == chanfactory.Settled || f.State == chanfactory.Released &&
			f.Tx != nil && n.source.Broadcast(f.Tx, "funding") == nil
	}
	return false
}

// fundingThere says that the funding output of a channel that a peer funded is in a block and not
// spent. The channel's own record may be late, see fundingOut.
func (n *Node) fundingThere(ch *channeldb.OpenChannel) bool {
	_, want, err := input.GenFundingPkScript(
		ch.LocalChanCfg.MultiSigKey.PubKey.SerializeCompressed(),
		ch.RemoteChanCfg.MultiSigKey.PubKey.SerializeCompressed(), int64(ch.Capacity))
	if err != nil {
		return false
	}
	got, err := n.source.Blocks().GetUtxo(&ch.FundingOutpoint, want.PkScript, 0, nil)
	return err == nil && got.Value == want.Value && bytes.Equal(got.PkScript, want.PkScript)
}

// callContext bounds calls that only queue work.
func (n *Node) callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}

// running says whether calls can be served.
func (n *Node) running() error {
	select {
	case <-n.ready:
		return nil
	default:
		return ErrNotRunning
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand
	return hex.EncodeToString(b)
}

func newPreimage() (lntypes.Preimage, error) {
	var p lntypes.Preimage
	if _, err := rand.Read(p[:]); err != nil {
		return p, fmt.Errorf("node: draw preimage: %w", err)
	}
	return p, nil
}
