package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/lightningnetwork/lnd/zpay32"
)

// PartRequest is one HTLC over the first hint of an invoice. Unlike a payment it is
// tried once, and may be whatever a payer can send.
type PartRequest struct {
	Bolt11 string
	Amount lnwire.MilliSatoshi
	Total  lnwire.MilliSatoshi // of the set; 0: Amount
	Final  uint32              // blocks for the recipient; 0: what the invoice asks for
	Delta  uint32              // blocks for the LSP; 0: what the hint asks for
}

// PartResult is how an HTLC ended. Code is zero when it was settled.
type PartResult struct {
	Preimage lntypes.Preimage
	Code     lnwire.FailCode
	Hop      int // who has failed it: 0 this node, 1 the LSP, 2 the client
	Err      error
}

// SendPart sends an HTLC. The channel gets its one result, and is closed without one
// when the node stops.
func (n *Node) SendPart(r PartRequest) (<-chan PartResult, error) {
	inv, err := zpay32.Decode(r.Bolt11, n.opts.Params)
	if err != nil {
		return nil, err
	}
	add, first, decrypter, err := n.partOf(inv, r)
	if err != nil {
		return nil, err
	}
	ids, err := htlcswitch.NewPersistentSequencer(n.channels)
	if err != nil {
		return nil, err
	}
	id, err := ids.NextID()
	if err != nil {
		return nil, err
	}
	if err := n.engine.Switch().SendHTLC(first, id, add); err != nil {
		return nil, err
	}
	results, err := n.engine.Switch().GetAttemptResult(id, add.PaymentHash, decrypter)
	if err != nil {
		return nil, err
	}
	out := make(chan PartResult, 1)
	go func() {
		defer close(out)
		if got, ok := <-results; ok {
			out <- partResult(got)
		}
	}()
	return out, nil
}

func partResult(got *htlcswitch.PaymentResult) PartResult {
	if got.Error == nil {
		return PartResult{Preimage: got.Preimage}
	}
	r := PartResult{Err: got.Error}
	var failed *htlcswitch.ForwardingError
	if errors.As(got.Error, &failed) {
		r.Hop = failed.FailureSourceIdx
		if m := failed.WireMessage(); m != nil {
			r.Code = m.Code()
		}
	}
	return r
}

// partOf makes the update_add_htlc and says by which channel it leaves.
func (n *Node) partOf(inv *zpay32.Invoice, r PartRequest) (_ *lnwire.UpdateAddHTLC,
	first lnwire.ShortChannelID, _ htlcswitch.ErrorDecrypter, err error) {

	hint := inv.RouteHints[0][0]
	for _, ch := range n.openChannels() {
		if ch.IdentityPub.IsEqual(hint.NodeID) {
			first = ch.ShortChannelID
		}
	}
	final, delta, total := r.Final, r.Delta, r.Total
	setDefault(&final, uint32(inv.MinFinalCLTVExpiry()))
	setDefault(&delta, uint32(hint.CLTVExpiryDelta))
	setDefault(&total, r.Amount)
	expiry := n.source.Status().Height + final
	secret, _ := inv.PaymentAddr.UnwrapOrErr(errors.New("no payment secret"))
	rt, err := route.NewRouteFromHops(r.Amount, expiry+delta, route.NewVertex(n.wallet.NodeKey().PubKey()),
		[]*route.Hop{
			{PubKeyBytes: route.NewVertex(hint.NodeID), ChannelID: first.ToUint64(),
				AmtToForward: r.Amount, OutgoingTimeLock: expiry},
			{PubKeyBytes: route.NewVertex(inv.Destination), ChannelID: hint.ChannelID,
				AmtToForward: r.Amount, OutgoingTimeLock: expiry, MPP: record.NewMPP(total, secret),
				Metadata: inv.Metadata},
		})
	if err != nil {
		return nil, first, nil, err
	}
	path, err := rt.ToSphinxPath()
	if err != nil {
		return nil, first, nil, err
	}
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	packet, err := sphinx.NewOnionPacket(path, key, inv.PaymentHash[:], sphinx.DeterministicPacketFiller)
	if err != nil {
		return nil, first, nil, fmt.Errorf("make onion: %w", err)
	}
	var onion bytes.Buffer
	if err := packet.Encode(&onion); err != nil {
		return nil, first, nil, err
	}
	add := &lnwire.UpdateAddHTLC{
		Amount: r.Amount, Expiry: expiry + delta, PaymentHash: *inv.PaymentHash,
	}
	copy(add.OnionBlob[:], onion.Bytes())
	circuit := &sphinx.Circuit{SessionKey: key,
		PaymentPath: []*btcec.PublicKey{hint.NodeID, inv.Destination}}
	return add, first, &htlcswitch.SphinxErrorDecrypter{
		OnionErrorDecrypter: sphinx.NewOnionErrorDecrypter(circuit),
	}, nil
}
