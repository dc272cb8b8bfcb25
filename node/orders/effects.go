package orders

import (
	"fmt"
	"sync"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// effects is the queue of one order's commands: they leave one after the other, in
// the order of the steps, on a goroutine that lives only while there are any.
type effects struct {
	mu      sync.Mutex
	queue   []jit.Command // guarded by mu
	running bool          // guarded by mu
}

func (f *effects) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.running
}

// release lets the commands of a step go, now that it is on disk.
func (d *Desk) release(e *entry) {
	cmds := e.queued
	e.queued = nil
	if len(cmds) == 0 {
		return
	}
	for _, cmd := range cmds {
		if _, sends := cmd.(jit.ForwardPart); sends {
			d.parked.begin(e.order.ID)
			break
		}
	}
	f := &e.effects
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, cmds...)
	if f.running {
		return
	}
	f.running = true
	terms, id := e.order.Terms, e.order.ID
	d.wg.Go(func() { d.routineEffects(f, terms, id) })
}

func (d *Desk) routineEffects(f *effects, terms jit.Terms, id string) {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 {
			f.running = false
			f.mu.Unlock()
			return
		}
		cmd := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		if err := d.do(terms, id, cmd); err != nil {
			d.cfg.Log.Warn("command of an order failed", "order", id,
				"command", fmt.Sprintf("%T", cmd), "err", err)
		}
	}
}

// do carries out one command. Doing one twice is harmless: after a restart the
// machine commands again what may not have happened.
func (d *Desk) do(terms jit.Terms, id string, cmd jit.Command) error {
	switch c := cmd.(type) {
	case jit.WakeClient:
		d.wake(terms.Client, id)
		return nil
	case jit.OpenChannel:
		return d.open(terms, id, c)
	case jit.CancelOpen:
		d.ports.Opener.Cancel(id)
		return nil
	case jit.DropChannel:
		err := d.ports.Opener.Drop(c.Point, "the payment that it was for did not come")
		if err == nil {
			// By its id: an order that only waits for this end is not found by the channel.
			d.post(input{id: id, event: jit.ChannelGone{Point: c.Point, Unfunded: true}})
		}
		return err
	case jit.BroadcastFunding:
		return d.ports.Opener.Release(c.Point)
	case jit.RegisterAlias:
		return d.ports.Aliases.Register(c.SCID, c.Point)
	case jit.ForwardPart:
		return d.forward(forward{id, terms.SCID, c.Key, c.Amount, c.ExtraFee, c.Until})
	case jit.ResumePart:
		return d.again(forward{id, terms.SCID, c.Key, c.Amount, c.ExtraFee, c.Until})
	case jit.FailPart:
		return d.fail(terms, id, c)
	case jit.Finished:
		if rec, ok := d.views.get(id); ok && d.ports.Finished != nil {
			d.ports.Finished(rec)
		}
		return nil
	}
	return fmt.Errorf("orders: unknown command %T", cmd)
}

// wake answers at once when the client is connected; the core knows.
func (d *Desk) wake(client [33]byte, id string) {
	if conn, ok := d.views.connOf(client); ok {
		d.post(input{id: id, event: jit.ClientOnline{Conn: conn}})
		return
	}
	if d.ports.Wake != nil {
		d.ports.Wake(client)
	}
}

func (d *Desk) open(terms jit.Terms, id string, c jit.OpenChannel) error {
	err := d.ports.Opener.Open(Opening{
		OrderID: id, Client: terms.Client, Conn: uint64(c.Conn), OpenChannel: c,
		MaxToSelfDelay: uint16(min(terms.MaxClientToSelfDelay, 0xffff)),
		Timeout:        terms.Rules.OpenTimeout,
	})
	if err != nil {
		d.post(input{id: id, event: jit.OpenFailed{Fault: jit.FaultOurs, Reason: err.Error()}})
	}
	return err
}

func (d *Desk) fail(terms jit.Terms, id string, c jit.FailPart) error {
	d.parked.remove(c.Key)
	msg, err := d.failure(terms, c.Code)
	if err != nil {
		return err
	}
	d.cfg.Log.Info("failing part of JIT payment", "order", id, "htlc", c.Key.Index,
		"code", c.Code.String(), "reason", c.Reason)
	return d.ports.Switch.Fail(
		models.CircuitKey{ChanID: c.Key.Chan, HtlcID: c.Key.Index}, msg)
}

// failure is the BOLT 4 message for a code. Those that carry a channel_update name
// the jit_channel_scid, which is all that the payer knows of the channel.
func (d *Desk) failure(terms jit.Terms, code lnwire.FailCode) (lnwire.FailureMessage, error) {
	switch code {
	case lnwire.CodeUnknownNextPeer:
		return &lnwire.FailUnknownNextPeer{}, nil
	case lnwire.CodeTemporaryChannelFailure:
		return lnwire.NewTemporaryChannelFailure(nil), nil
	case lnwire.CodeTemporaryNodeFailure:
		return &lnwire.FailTemporaryNodeFailure{}, nil
	case lnwire.CodePermanentChannelFailure:
		return &lnwire.FailPermanentChannelFailure{}, nil
	case lnwire.CodeExpiryTooFar:
		return &lnwire.FailExpiryTooFar{}, nil
	}
	update, err := d.ports.Aliases.UpdateFor(terms.SCID)
	if err != nil {
		// An HTLC must never stay because its failure can't be made.
		return lnwire.NewTemporaryChannelFailure(nil), nil
	}
	switch code {
	case lnwire.CodeExpiryTooSoon:
		return lnwire.NewExpiryTooSoon(*update), nil
	case lnwire.CodeIncorrectCltvExpiry:
		return lnwire.NewIncorrectCltvExpiry(0, *update), nil
	case lnwire.CodeAmountBelowMinimum:
		return lnwire.NewAmountBelowMinimum(0, *update), nil
	case lnwire.CodeFeeInsufficient:
		return lnwire.NewFeeInsufficient(0, *update), nil
	}
	return nil, fmt.Errorf("orders: no failure message for code %v", code)
}
