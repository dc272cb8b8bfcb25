package node

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/peer"
)

// peersBucket holds where we reached a peer last, by node id.
var peersBucket = []byte("inlet-peers")

// maxKnownAddrs limits the stored addresses; they are only written for peers that
// somebody here asked to connect to.
const maxKnownAddrs = 10_000

// peerAddrV1 is a peer's address on disk.
type peerAddrV1 struct {
	V    int    `json:"v"`
	Addr string `json:"addr"`
}

// rememberPeer stores where a peer was reached, so that we can reconnect to it once
// we have a channel with it, and starts doing so.
func (n *Node) rememberPeer(id [33]byte, addr string) error {
	if addr == "" {
		return nil
	}
	raw, err := json.Marshal(peerAddrV1{1, addr})
	if err != nil {
		return fmt.Errorf("node: encode peer address: %w", err)
	}
	err = kvdb.Update(n.store, func(tx kvdb.RwTx) error {
		b, err := tx.CreateTopLevelBucket(peersBucket)
		if err != nil {
			return err
		}
		if string(b.Get(id[:])) == string(raw) {
			return nil
		}
		var count int
		if err := b.ForEach(func(_, _ []byte) error { count++; return nil }); err != nil {
			return err
		}
		if count >= maxKnownAddrs {
			return fmt.Errorf("node: %d peer addresses are stored, the most there may be", count)
		}
		return b.Put(id[:], raw)
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: store peer address: %w", err)
	}
	n.backups.Changed()
	n.peers.Keep(id, []string{addr})
	return nil
}

// knownAddrs reads the stored addresses.
func (n *Node) knownAddrs() (map[[33]byte]string, error) {
	addrs := map[[33]byte]string{}
	err := kvdb.View(n.store, func(tx kvdb.RTx) error {
		b := tx.ReadBucket(peersBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, raw []byte) error {
			var v peerAddrV1
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("node: decode address of peer %x: %w", k, err)
			}
			addrs[[33]byte(k)] = v.Addr
			return nil
		})
	}, func() { clear(addrs) })
	return addrs, err
}

// keepPeers reconnects to everyone we have a channel with, or a purchase from, and
// know where to find.
func (n *Node) keepPeers() error {
	addrs, err := n.knownAddrs()
	if err != nil {
		return err
	}
	for id, addr := range addrs {
		if n.hasChannels(id) || n.buyer.expects(id) {
			n.peers.Keep(id, []string{addr})
		}
	}
	return nil
}

// forgetPeers stops reconnecting to peers whose last channel is closed.
func (n *Node) forgetPeers() {
	addrs, err := n.knownAddrs()
	if err != nil {
		n.log.Warn("cannot read peer addresses", "err", err)
		return
	}
	for id := range addrs {
		if !n.hasChannels(id) && !n.buyer.expects(id) {
			n.peers.Forget(id)
		}
	}
}

// hasChannels reports whether we have an open or pending channel with the peer.
func (n *Node) hasChannels(id [33]byte) bool { return len(n.channelsWith(id)) > 0 }

// channelsWith are the open and pending channels with a peer.
func (n *Node) channelsWith(id [33]byte) []*channeldb.OpenChannel {
	key, err := parseKey(id)
	if err != nil {
		return nil
	}
	chans, err := n.channels.ChannelStateDB().FetchOpenChannels(key)
	if err != nil {
		n.log.Error("cannot read channels", "peer", hex.EncodeToString(id[:]), "err", err)
	}
	return chans
}

// knownPeer reports whether the peer is one that must always find a place: it has
// a channel with us, or an order that a payer may be on the way to pay. One that has only said
// that it opens a channel is none: that costs nothing, and could fill all places.
func (n *Node) knownPeer(id [33]byte) bool {
	return n.orders.Expects(id) || n.buyer.expects(id) ||
		slices.ContainsFunc(n.channelsWith(id), func(ch *channeldb.OpenChannel) bool { return !unfunded(ch) })
}

// features is what our init offers: what this node does, and nothing else.
func (n *Node) features([33]byte) *lnwire.RawFeatureVector {
	f := lnwire.NewRawFeatureVector(
		lnwire.DataLossProtectRequired, lnwire.TLVOnionPayloadRequired,
		lnwire.StaticRemoteKeyRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional,
		lnwire.AnchorsZeroFeeHtlcTxOptional, lnwire.ShutdownAnySegwitOptional,
		lnwire.ExplicitChannelTypeOptional, lnwire.ScidAliasOptional, lnwire.ZeroConfOptional,
		lnwire.WumboChannelsOptional,
	)
	if n.opts.LSP != nil {
		f.Set(lsp.FeatureBit)
	}
	return n.opts.seams.offer(f)
}

// peerError passes a peer's `error` on. BOLT 1 lets it mean one channel or all
// with the peer; lnd's link ends then, and takes up the channel on reconnect.
func (n *Node) peerError(p connPeer, m *lnwire.Error) {
	all := m.ChanID == lnwire.ConnectionWideID
	chans, err := n.channels.ChannelStateDB().FetchOpenChannels(p.IdentityKey())
	if err != nil {
		n.log.Debug("no channels for the peer's error", "peer", peerKey(p.PubKey()), "err", err)
	}
	var failed []lnwire.ChannelID
	for _, ch := range chans {
		id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
		if !all && id != m.ChanID {
			continue
		}
		failed = append(failed, id)
		// Before the factory, which may drop the channel: a payment that waits for it is
		// refused, and not tried again with another.
		n.orders.ChannelRefused(ch.FundingOutpoint, peer.Printable(m.Data))
	}
	n.factory.Handle(p, m)
	// BOLT 1: "if `channel_id` is all 0, then it MUST fail all channels with the sending
	// node". As in lnd a failed link waits for the next connection; on chain the peer
	// itself knows better than we whether it must go there.
	for _, id := range failed {
		if link, _, ok := n.links.Find(id); ok {
			link.HandleChannelUpdate(m)
		}
	}
	if all {
		p.Disconnect(errors.New("node: the peer sent an error for all channels"))
	}
}

// acceptor decides about channels that peers open to us.
type acceptor struct{ n *Node }

// Judge takes a channel as zero-conf only from an LSP that we bought one from and
// whose offer holds: the opener of a zero-conf channel can take back what is in it.
func (a acceptor) Judge(p chanfactory.Proposal) (chanfactory.Terms, error) {
	if maxDelay, ok := a.n.buyer.expected(p.Peer.PubKey()); ok && p.Private {
		return chanfactory.Terms{ZeroConf: true, MaxToSelfDelay: maxDelay}, nil
	}
	return chanfactory.Terms{}, nil
}

// Expects implements chanfactory.Acceptor.
func (a acceptor) Expects(peer [33]byte) bool { return a.n.buyer.expects(peer) }

// sender tells payments what can be sent, and over which channels.
type sender struct{ n *Node }

// Sendable implements pay.Channels.
func (s sender) Sendable() []pay.Channel {
	var list []pay.Channel
	for _, ch := range s.n.openChannels() {
		link, lc, ok := s.n.links.Find(lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint))
		if !ok || !link.EligibleToForward() {
			continue
		}
		bounds := lc.State().LocalChanCfg.ChannelStateBounds
		list = append(list, pay.Channel{
			Scid: ch.ShortChannelID, Peer: [33]byte(ch.IdentityPub.SerializeCompressed()),
			Bandwidth: link.Bandwidth(), MinHTLC: bounds.MinHTLC, MaxHTLC: bounds.MaxPendingAmount,
		})
	}
	return list
}

// hinter tells invoices how payers find our private channels.
type hinter struct{ n *Node }

// PrivateChannels implements pay.Hinter.
func (h hinter) PrivateChannels() []pay.PrivateChannel {
	var list []pay.PrivateChannel
	for _, ch := range h.n.openChannels() {
		if hint, ok := h.n.hint(ch); ok {
			list = append(list, hint)
		}
	}
	return list
}

// openChannels are those over which something can be paid, now or when the peer is back.
func (n *Node) openChannels() []*channeldb.OpenChannel {
	chans, err := n.channels.ChannelStateDB().FetchAllOpenChannels()
	if err != nil {
		n.log.Error("cannot read channels", "err", err)
	}
	return slices.DeleteFunc(chans, func(ch *channeldb.OpenChannel) bool {
		return ch.HasChanStatus(channeldb.ChanStatusRestored)
	})
}

func peerKey(id [33]byte) string { return hex.EncodeToString(id[:]) }
