package node

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// errClaimed says that only our transaction pays the client now.
var errClaimed = errors.New("the client has claimed on the channel")

// Drop implements orders.Opener. While the client has an HTLC on the channel it may be about to
// claim it, so the link goes first: what it has learned by then is final. A channel that the client
// has claimed on is not dropped, for only our transaction pays the client.
func (o opener) Drop(point wire.OutPoint, reason string) error {
	r, ok := o.n.orders.OfChannel(point)
	claim, waits := r.Order.State.(jit.AwaitClaim)
	if !ok || !waits {
		return o.drop(point, reason)
	}
	id := lnwire.NewChanIDFromOutPoint(point)
	o.n.links.Retire(r.Order.Terms.Client, id)
	defer o.n.links.Restore(id)
	err := errClaimed
	if !o.claimed(point, claim.Hash) {
		err = o.drop(point, reason)
	}
	if err != nil {
		// The channel lives on without its link: the next connection makes one.
		_ = o.n.peers.Disconnect(r.Order.Terms.Client)
		return fmt.Errorf("node: drop channel %v: %w", point, err)
	}
	return nil
}

// claimed says that the preimage of the channel's payment is known, on disk or not yet.
func (o opener) claimed(point wire.OutPoint, hash lntypes.Hash) bool {
	if _, known := o.n.beacon.LookupPreimage(hash); known {
		return true
	}
	r, _ := o.n.orders.OfChannel(point)
	ch, live := r.Order.Channel()
	return live && ch.Point == point && !ch.Withheld
}

func (o opener) drop(point wire.OutPoint, reason string) error {
	ctx, cancel := o.n.callContext()
	defer cancel()
	return o.n.factory.Drop(ctx, point, reason)
}
