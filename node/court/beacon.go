package court

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// waiter is one resolver and the hash whose preimage it waits for. Its channel
// holds one, so the one it needs always fits and telling it never blocks.
type waiter struct {
	hash    lntypes.Hash
	updates chan lntypes.Preimage
}

// errSettleOnly answers whoever tries to do more than claim an HTLC whose
// channel is already on chain.
var errSettleOnly = errors.New(
	"court: an HTLC on chain can only be claimed, not failed or forwarded")

// Held is where HTLCs wait for a decision: the interceptor in front of the
// switch. The beacon hands it those whose channel has gone on chain, for their
// preimage may still come.
type Held interface {
	ForwardPacket(htlcswitch.InterceptedForward) error
	RemoveOnChainIntercept(models.CircuitKey) error
}

// Beacon keeps every preimage this node learns and tells those who wait for
// one: the resolvers of contracts on chain, and the owner of the hook.
//
// It stands between learning a preimage downstream and claiming upstream: were
// it to forget one, the payment would be made and never collected.
type Beacon struct {
	cache *channeldb.WitnessCache
	held  Held
	log   *slog.Logger

	mu   sync.Mutex
	subs map[uint64]waiter      // guarded by mu; one a contract on chain
	next uint64                 // guarded by mu
	hook func(lntypes.Preimage) // set before the first link starts
}

// NewBeacon builds a beacon over the channel database's witness cache.
func NewBeacon(cache *channeldb.WitnessCache, held Held, log *slog.Logger) *Beacon {
	return &Beacon{
		cache: cache, held: held, log: log,
		subs: map[uint64]waiter{},
	}
}

// OnPreimage names who is told of each preimage after it is on disk. The call
// comes from a link's own goroutine and must not block. Set it before any link.
func (b *Beacon) OnPreimage(hook func(lntypes.Preimage)) { b.hook = hook }

// AddPreimages stores the preimages, then tells everyone. It is called by a link
// before it lets the settle go upstream, and by resolvers that read one on chain.
func (b *Beacon) AddPreimages(preimages ...lntypes.Preimage) error {
	if len(preimages) == 0 {
		return nil
	}
	if err := b.cache.AddSha256Witnesses(preimages...); err != nil {
		return fmt.Errorf("court: store preimage: %w", err)
	}
	for _, p := range preimages {
		b.tell(p)
		if b.hook != nil {
			b.hook(p)
		}
	}
	return nil
}

func (b *Beacon) tell(p lntypes.Preimage) {
	hash := p.Hash()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.subs {
		if w.hash != hash {
			continue
		}
		select {
		case w.updates <- p:
		default: // told already
		}
	}
}

// LookupPreimage finds the preimage of a hash among all that were learned.
func (b *Beacon) LookupPreimage(hash lntypes.Hash) (lntypes.Preimage, bool) {
	p, err := b.cache.LookupSha256Witness(hash)
	if err != nil && !errors.Is(err, channeldb.ErrNoWitnesses) {
		b.log.Error("cannot look up preimage", "hash", hash, "err", err)
	}
	return p, err == nil
}

// SubscribeUpdates is called by the resolver of an incoming HTLC on chain. Until
// it cancels, it hears of the preimage, and the interceptor may supply it.
func (b *Beacon) SubscribeUpdates(scid lnwire.ShortChannelID, htlc *channeldb.HTLC,
	payload *hop.Payload, onion []byte) (*contractcourt.WitnessSubscription, error) {

	key := models.CircuitKey{ChanID: scid, HtlcID: htlc.HtlcIndex}
	b.mu.Lock()
	id, updates := b.next, make(chan lntypes.Preimage, 1)
	b.next++
	b.subs[id] = waiter{htlc.RHash, updates}
	b.mu.Unlock()

	sub := &contractcourt.WitnessSubscription{
		WitnessUpdates: updates,
		CancelSubscription: func() {
			b.mu.Lock()
			delete(b.subs, id)
			b.mu.Unlock()
			if err := b.held.RemoveOnChainIntercept(key); err != nil {
				b.log.Debug("on-chain HTLC stays listed as held",
					"chan", scid, "err", err)
			}
		},
	}
	if err := b.held.ForwardPacket(&onChainForward{
		packet: onChainPacket(key, htlc, payload, onion), beacon: b,
	}); err != nil {
		sub.CancelSubscription()
		return nil, fmt.Errorf("court: offer on-chain HTLC: %w", err)
	}
	return sub, nil
}

// onChainPacket describes an HTLC on chain the way the switch describes one off
// chain, so that one interceptor can judge both.
func onChainPacket(key models.CircuitKey, htlc *channeldb.HTLC, payload *hop.Payload,
	onion []byte) htlcswitch.InterceptedPacket {

	packet := htlcswitch.InterceptedPacket{
		IncomingCircuit: key, Hash: htlc.RHash,
		IncomingExpiry: htlc.RefundTimeout, IncomingAmount: htlc.Amt,
		OutgoingChanID:       payload.FwdInfo.NextHopChannel().UnwrapOr(hop.Exit),
		OutgoingNodeID:       payload.FwdInfo.NextHopNode(),
		OutgoingExpiry:       payload.FwdInfo.OutgoingCLTV,
		OutgoingAmount:       payload.FwdInfo.AmountToForward,
		InOnionCustomRecords: payload.CustomRecords(),
		InWireCustomRecords:  htlc.CustomRecords,
		Deadline: fn.NewRight[
			htlcswitch.OffChainAutoFailHeight, htlcswitch.OnChainSettleDeadline,
		](htlcswitch.OnChainSettleDeadline(htlc.RefundTimeout)),
	}
	copy(packet.OnionBlob[:], onion)
	return packet
}

// onChainForward is an HTLC of a channel that is on chain: it can be claimed with
// its preimage, and nothing else.
type onChainForward struct {
	packet htlcswitch.InterceptedPacket
	beacon *Beacon
}

func (f *onChainForward) Packet() htlcswitch.InterceptedPacket { return f.packet }
func (f *onChainForward) Resume() error                        { return errSettleOnly }
func (f *onChainForward) Fail([]byte) error                    { return errSettleOnly }
func (f *onChainForward) FailWithCode(lnwire.FailCode) error   { return errSettleOnly }

func (f *onChainForward) ResumeModified(_, _ fn.Option[lnwire.MilliSatoshi],
	_ fn.Option[lnwire.CustomRecords]) error {
	return errSettleOnly
}

func (f *onChainForward) Settle(p lntypes.Preimage) error {
	if !p.Matches(f.packet.Hash) {
		return fmt.Errorf("court: preimage does not match hash %v", f.packet.Hash)
	}
	return f.beacon.AddPreimages(p)
}

var (
	_ contractcourt.WitnessBeacon   = (*Beacon)(nil)
	_ htlcswitch.InterceptedForward = (*onChainForward)(nil)
)
