package pay

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
	"github.com/lightningnetwork/lnd/routing/route"
)

// add is the update_add_htlc of an attempt, with its onion.
func (t transfer) add(a attempt, self route.Vertex) (*lnwire.UpdateAddHTLC, error) {
	path, err := t.path(a, self)
	if err != nil {
		return nil, fmt.Errorf("pay: make route: %w", err)
	}
	key, _ := btcec.PrivKeyFromBytes(a.key[:])
	packet, err := sphinx.NewOnionPacket(
		path, key, t.bill.hash[:], sphinx.DeterministicPacketFiller,
	)
	if err != nil {
		return nil, fmt.Errorf("pay: make onion: %w", err)
	}
	var onion bytes.Buffer
	if err := packet.Encode(&onion); err != nil {
		return nil, fmt.Errorf("pay: write onion: %w", err)
	}
	msg := &lnwire.UpdateAddHTLC{
		Amount:      a.hops[0].amount,
		Expiry:      a.hops[0].expiry,
		PaymentHash: t.bill.hash,
	}
	copy(msg.OnionBlob[:], onion.Bytes())
	return msg, nil
}

// path is the attempt's route with the payload of each hop. What a hop forwards is the HTLC that
// arrives at the next.
func (t transfer) path(a attempt, self route.Vertex) (*sphinx.PaymentPath, error) {
	hops := make([]*route.Hop, len(a.hops))
	for n, h := range a.hops {
		next := a.hops[min(n+1, len(a.hops)-1)]
		hops[n] = &route.Hop{
			PubKeyBytes:      h.node,
			ChannelID:        h.scid.ToUint64(),
			AmtToForward:     next.amount,
			OutgoingTimeLock: next.expiry,
		}
	}
	final := hops[len(hops)-1]
	// BOLT 4: total_msat is that of the whole set, not of this part.
	final.MPP = record.NewMPP(t.amount, t.bill.secret)
	final.Metadata = t.bill.metadata
	rt, err := route.NewRouteFromHops(a.hops[0].amount, a.hops[0].expiry, self, hops)
	if err != nil {
		return nil, err
	}
	return rt.ToSphinxPath()
}

// decrypter reads the failures of an attempt, also of one that was read from the store.
func (a attempt) decrypter() (htlcswitch.ErrorDecrypter, error) {
	nodes := make([]*btcec.PublicKey, len(a.hops))
	for n, h := range a.hops {
		pub, err := btcec.ParsePubKey(h.node[:])
		if err != nil {
			return nil, fmt.Errorf("pay: read node id of route: %w", err)
		}
		nodes[n] = pub
	}
	key, _ := btcec.PrivKeyFromBytes(a.key[:])
	circuit := &sphinx.Circuit{SessionKey: key, PaymentPath: nodes}
	return &htlcswitch.SphinxErrorDecrypter{
		OnionErrorDecrypter: sphinx.NewOnionErrorDecrypter(circuit),
	}, nil
}
