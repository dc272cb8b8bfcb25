package forward

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/netann"
)

// policiesBucket holds the channel_update of each channel's peer, by channel id:
// what the peer charges for forwarding to us. Our invoices' hints repeat it.
var policiesBucket = []byte("inlet-policies")

// updateDontForward is the bit of message_flags by which BOLT 7 says that a
// channel_update is for the peer alone: "dont_forward".
const updateDontForward lnwire.ChanUpdateMsgFlags = 1 << 1

// ErrForeignUpdate says that a channel_update is not the peer's own for this
// channel.
var ErrForeignUpdate = errors.New("forward: channel_update does not belong to the channel")

// Policy is what we charge for forwarding out over a channel.
type Policy struct {
	// BaseFee is charged for each HTLC.
	BaseFee lnwire.MilliSatoshi
	// PPM is charged on the amount, in millionths.
	PPM uint32
	// Delta is how many blocks earlier than the incoming HTLC the outgoing one
	// must expire.
	Delta uint16
}

// forwarding is the policy as lnd's link takes it, within the peer's limits.
func (p Policy) forwarding(minHTLC, maxHTLC lnwire.MilliSatoshi) models.ForwardingPolicy {
	return models.ForwardingPolicy{
		MinHTLCOut: minHTLC, MaxHTLC: maxHTLC, BaseFee: p.BaseFee,
		FeeRate: lnwire.MilliSatoshi(p.PPM), TimeLockDelta: uint32(p.Delta),
	}
}

// Signer signs as this node.
type Signer interface {
	SignMessage(loc keychain.KeyLocator, msg []byte, double bool) (*ecdsa.Signature, error)
}

// updates makes our channel_updates and keeps those of our peers. No graph is
// needed for that: ours are derived from the policy each time.
type updates struct {
	chain  chainhash.Hash
	self   *btcec.PublicKey
	signer Signer
	policy Policy
	clock  clock.Clock
	store  kvdb.Backend
}

func newUpdates(cfg Config) (*updates, error) {
	u := &updates{
		chain: *cfg.Params.GenesisHash, self: cfg.NodeKey.PubKey(), signer: cfg.Signer,
		policy: cfg.Policy, clock: cfg.Clock, store: cfg.Backend,
	}
	err := kvdb.Update(u.store, func(tx kvdb.RwTx) error {
		_, err := tx.CreateTopLevelBucket(policiesBucket)
		return err
	}, func() {})
	if err != nil {
		return nil, fmt.Errorf("forward: create policies bucket: %w", err)
	}
	return u, nil
}

// channelFacts is what our channel_update says about one channel.
type channelFacts struct {
	scid             lnwire.ShortChannelID
	peer             *btcec.PublicKey // nil: direction unknown, taken as node one
	minHTLC, maxHTLC lnwire.MilliSatoshi
	private          bool
	policy           *Policy // nil: ours for every channel
}

// ours makes our signed channel_update.
func (u *updates) ours(f channelFacts) (*lnwire.ChannelUpdate1, error) {
	policy := u.policy
	if f.policy != nil {
		policy = *f.policy
	}
	m := &lnwire.ChannelUpdate1{
		ChainHash: u.chain, ShortChannelID: f.scid,
		Timestamp:       uint32(u.clock.Now().Unix()),
		MessageFlags:    lnwire.ChanUpdateRequiredMaxHtlc,
		TimeLockDelta:   policy.Delta,
		HtlcMinimumMsat: max(f.minHTLC, 1), HtlcMaximumMsat: f.maxHTLC,
		BaseFee: uint32(policy.BaseFee), FeeRate: policy.PPM,
	}
	if f.private {
		m.MessageFlags |= updateDontForward
	}
	if f.peer != nil && bytes.Compare(
		u.self.SerializeCompressed(), f.peer.SerializeCompressed()) > 0 {

		m.ChannelFlags |= lnwire.ChanUpdateDirection
	}
	sig, err := u.sign(m)
	if err != nil {
		return nil, err
	}
	if m.Signature, err = lnwire.NewSigFromSignature(sig); err != nil {
		return nil, fmt.Errorf("forward: encode channel_update signature: %w", err)
	}
	return m, nil
}

// sign signs a channel_update of ours; lnd's switch also calls it after it has
// put an alias into one.
func (u *updates) sign(m *lnwire.ChannelUpdate1) (*ecdsa.Signature, error) {
	data, err := m.DataToSign()
	if err != nil {
		return nil, fmt.Errorf("forward: encode channel_update: %w", err)
	}
	return u.signer.SignMessage(
		keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey}, data, true)
}

// keep stores the peer's channel_update for a channel if it is really the peer's
// and newer than the stored one.
func (u *updates) keep(id lnwire.ChannelID, peer *btcec.PublicKey,
	m *lnwire.ChannelUpdate1) error {

	if m.ChainHash != u.chain {
		return fmt.Errorf("%w: it is for chain %v", ErrForeignUpdate, m.ChainHash)
	}
	if err := netann.VerifyChannelUpdateSignature(m, peer); err != nil {
		return fmt.Errorf("%w: %w", ErrForeignUpdate, err)
	}
	old, err := u.peers(id)
	if err != nil {
		return err
	}
	if old != nil && old.Timestamp >= m.Timestamp {
		return nil
	}
	var raw bytes.Buffer
	if _, err := lnwire.WriteMessage(&raw, m, 0); err != nil {
		return fmt.Errorf("forward: encode channel_update: %w", err)
	}
	err = kvdb.Update(u.store, func(tx kvdb.RwTx) error {
		return tx.ReadWriteBucket(policiesBucket).Put(id[:], raw.Bytes())
	}, func() {})
	if err != nil {
		return fmt.Errorf("forward: store channel_update: %w", err)
	}
	return nil
}

// peers is the peer's stored channel_update for a channel, or nil.
func (u *updates) peers(id lnwire.ChannelID) (*lnwire.ChannelUpdate1, error) {
	var raw []byte
	err := kvdb.View(u.store, func(tx kvdb.RTx) error {
		raw = bytes.Clone(tx.ReadBucket(policiesBucket).Get(id[:]))
		return nil
	}, func() { raw = nil })
	if err != nil || raw == nil {
		return nil, err
	}
	m, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
	if err != nil {
		return nil, fmt.Errorf("forward: decode stored channel_update: %w", err)
	}
	update, ok := m.(*lnwire.ChannelUpdate1)
	if !ok {
		return nil, fmt.Errorf("forward: stored channel_update is a %T", m)
	}
	return update, nil
}

// forget removes what is stored for a closed channel.
func (u *updates) forget(id lnwire.ChannelID) error {
	return kvdb.Update(u.store, func(tx kvdb.RwTx) error {
		return tx.ReadWriteBucket(policiesBucket).Delete(id[:])
	}, func() {})
}

// batchTick is the longest that HTLCs wait for others to share a commitment when
// the link can't commit them at once.
const batchTick = 10 * time.Millisecond
