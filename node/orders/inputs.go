package orders

import (
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/inletlsp/inlet/lsp/jit"
)

// Add makes a new order durable before it returns.
func (d *Desk) Add(r Record) error {
	if _, taken := d.routes.get(r.Order.Terms.SCID); taken {
		return ErrTaken
	}
	done := make(chan error, 1)
	if !d.post(input{id: r.Order.ID, add: &r, done: done}) {
		return ErrStopped
	}
	return <-done
}

// ErrTaken says that another order has the jit_channel_scid.
var ErrTaken = fmt.Errorf("orders: the jit_channel_scid is taken")

// Offer takes an HTLC that names the jit_channel_scid of an order. It runs on the
// interceptor's goroutine.
func (d *Desk) Offer(p htlcswitch.InterceptedPacket) (taken bool) {
	r, ok := d.routes.get(p.OutgoingChanID)
	if !ok {
		return false
	}
	key := jit.CircuitKey{Chan: p.IncomingCircuit.ChanID, Index: p.IncomingCircuit.HtlcID}
	d.replays.came(key)
	if p.Deadline.IsRight() {
		// Its channel is on chain: it can neither be forwarded nor failed any more.
		d.post(input{id: r.id, event: jit.PartGone{Key: key}})
		return true
	}
	// One that comes while the node stops is taken too: it is offered again after the
	// start, and passing it on would tell the payer that there is no such peer.
	d.post(input{id: r.id, event: jit.PartArrived{Part: jit.Part{
		Key: key, Hash: p.Hash,
		Amount: p.OutgoingAmount, IncomingAmount: p.IncomingAmount,
		IncomingExpiry: p.IncomingExpiry, OutgoingExpiry: p.OutgoingExpiry,
	}}})
	return true
}

// ClientOnline tells that a peer is connected.
func (d *Desk) ClientOnline(client [33]byte, conn uint64) {
	d.post(input{client: &client, event: jit.ClientOnline{Conn: jit.Conn(conn)}})
}

// ClientGone tells that a peer's connection has ended.
func (d *Desk) ClientGone(client [33]byte, _ uint64) {
	d.post(input{client: &client, event: jit.ClientGone{}})
}

// Funding tells how an order's open went on.
func (d *Desk) Funding(orderID string, ev jit.Event) { d.post(input{id: orderID, event: ev}) }

// Stage puts a stage into an order's timeline.
func (d *Desk) Stage(orderID string, stage Stage) { d.post(input{id: orderID, stage: stage}) }

// ChannelUsable tells that a channel's link is up, whoever it belongs to.
func (d *Desk) ChannelUsable(ev jit.ChannelUsable) {
	point := ev.Point
	d.post(input{point: &point, event: ev})
}

// ChannelGone tells that a channel is closed.
func (d *Desk) ChannelGone(point wire.OutPoint) {
	d.post(input{point: &point, event: jit.ChannelGone{Point: point}})
}

// ChannelRefused tells that the client sent `error` for a channel. The reason is
// printable and short.
func (d *Desk) ChannelRefused(point wire.OutPoint, reason string) {
	d.post(input{point: &point, event: jit.ChannelRefused{Point: point, Reason: reason}})
}

// ChannelDropped tells that a channel was given up, and that its funding will never be there.
func (d *Desk) ChannelDropped(point wire.OutPoint) {
	d.post(input{point: &point, event: jit.ChannelGone{Point: point, Unfunded: true}})
}

// ChannelConfirmed tells that a channel's funding is confirmed.
func (d *Desk) ChannelConfirmed(point wire.OutPoint) {
	d.post(input{point: &point, stage: StageConfirmed})
}

// Preimage tells that a peer has claimed an HTLC, and with what. It must come for HTLCs alone
// that are locked in, once for each: what comes here is not limited.
func (d *Desk) Preimage(p lntypes.Preimage) {
	hash := p.Hash()
	d.post(input{hash: &hash, stage: StageClaimed})
}

// htlcEvent turns what the switch tells of a forward into an input.
func (d *Desk) htlcEvent(ev any) {
	switch ev := ev.(type) {
	case *htlcswitch.ForwardingEvent:
		d.leaving.left(ev.IncomingCircuit)
	case *htlcswitch.SettleEvent:
		d.part(ev.IncomingCircuit, func(k jit.CircuitKey) jit.Event { return jit.PartClaimed{Key: k} })
	case *htlcswitch.ForwardingFailEvent:
		d.part(ev.IncomingCircuit, func(k jit.CircuitKey) jit.Event { return jit.PartFailed{Key: k} })
	case *htlcswitch.LinkFailEvent:
		d.leaving.left(ev.IncomingCircuit)
		d.part(ev.IncomingCircuit, func(k jit.CircuitKey) jit.Event {
			return jit.PartFailed{Key: k, Ours: true}
		})
		in := ev.IncomingCircuit
		if id, ok := d.routes.ofPart(jit.CircuitKey{Chan: in.ChanID, Index: in.HtlcID}); ok {
			d.divided(id)
		}
	case *htlcswitch.FinalHtlcEvent:
		// The outcome again, for a forward of which nothing else was heard.
		d.part(ev.CircuitKey, func(k jit.CircuitKey) jit.Event {
			if ev.Settled {
				return jit.PartClaimed{Key: k}
			}
			return jit.PartFailed{Key: k, Ours: true}
		})
		d.part(ev.CircuitKey, func(k jit.CircuitKey) jit.Event { return jit.PartGone{Key: k} })
	}
}

// part posts an event for the order that has forwarded or failed the part.
func (d *Desk) part(c models.CircuitKey, event func(jit.CircuitKey) jit.Event) {
	key := jit.CircuitKey{Chan: c.ChanID, Index: c.HtlcID}
	if id, ok := d.routes.ofPart(key); ok {
		d.post(input{id: id, event: event(key)})
	}
}
