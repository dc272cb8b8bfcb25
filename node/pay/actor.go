package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
)

// actor runs one payment: it feeds the transfer with what happens, stores what it becomes, and only
// then sends what it asks for.
type actor struct {
	p *Payments
	t transfer // the actor's goroutine only, once it runs

	// events has room for the result of every attempt, so no follower ever waits.
	events    chan event
	followers sync.WaitGroup

	// answered is closed when answer and err are what Pay gives.
	answered chan struct{}
	once     sync.Once

	// gone is closed when the payment's hash is free again.
	gone chan struct{}

	answer Payment
	err    error
}

func newActor(p *Payments, t transfer) *actor {
	return &actor{
		p:        p,
		t:        t,
		events:   make(chan event, maxAttempts),
		answered: make(chan struct{}),
		gone:     make(chan struct{}),
	}
}

// routinePayment runs until the payment is over or ctx ends. Run waits for it.
func (a *actor) routinePayment(ctx context.Context) {
	err := a.live(ctx)
	a.followers.Wait()
	// Only then the answer: who gets it may pay the same invoice again at once.
	a.p.release(a)
	if ctx.Err() == nil || a.t.over() {
		a.reply(err)
	}
}

// live takes the payment through its events.
func (a *actor) live(ctx context.Context) (err error) {
	if a.t.index == 0 {
		err = a.apply(ctx, begin{view: a.world()})
	} else {
		err = a.resume(ctx)
	}
	deadline := a.p.opts.Clock.TickAfter(a.t.deadline.Sub(a.p.opts.Clock.Now()))
	for err == nil && !a.t.over() {
		select {
		case ev := <-a.events:
			// The way a failed part is tried again depends on how things are now.
			if f, ok := ev.(partFailed); ok {
				f.view = a.world()
				ev = f
			}
			err = a.apply(ctx, ev)

		case <-deadline:
			err = a.apply(ctx, tick{})
			a.reply(nil)

		case <-ctx.Done():
			return nil
		}
	}
	if err != nil && a.t.index != 0 {
		// What is on disk is the payment before the change. The next run follows it from there.
		a.p.opts.Log.Error("cannot store a payment: it is taken up again after a restart",
			slog.String("hash", a.t.bill.hash.String()), slog.Any("err", err))
	}
	return err
}

// world is what a plan needs to know.
func (a *actor) world() view {
	return view{
		height: a.p.opts.Switch.BestHeight(),
		ways:   findWays(a.t.bill, a.p.opts.Channels.Sendable(), a.p.opts.Self),
	}
}

// reply gives Pay its answer, once.
func (a *actor) reply(err error) {
	a.once.Do(func() {
		if a.t.index != 0 {
			a.answer = a.t.view()
		}
		var refused *refusal
		if errors.As(err, &refused) {
			a.answer, err = refused.earlier.view(), refused.err
		}
		a.err = err
		close(a.answered)
	})
}

// refusal is a payment that was made before and forbids this one.
type refusal struct {
	earlier transfer
	err     error
}

func (r *refusal) Error() string { return r.err.Error() }

// apply makes one step: the new payment is on disk before any of its HTLCs leaves.
func (a *actor) apply(ctx context.Context, ev event) error {
	next, send, err := a.t.step(a.p.opts.Clock.Now(), ev)
	if err != nil {
		a.p.opts.Log.Debug("payment event is late", slog.String("hash",
			a.t.bill.hash.String()), slog.String("event", fmt.Sprintf("%T", ev)))
		return nil //nolint:nilerr // an event that means nothing any more
	}
	if next, err = a.arm(next, send); err != nil {
		return err
	}
	if next, err = a.save(next); err != nil {
		return err
	}
	a.t = next
	for _, n := range send {
		a.followers.Go(func() { a.send(ctx, next, n) })
	}
	a.p.opts.Updates(next.view())
	a.log(ev)
	if next.known() && !next.over() {
		a.reply(nil)
	}
	return nil
}

// arm gives new attempts their ids and session keys.
func (a *actor) arm(t transfer, send []int) (transfer, error) {
	t.attempts = slices.Clone(t.attempts)
	for _, n := range send {
		id, err := a.p.opts.IDs.NextID()
		if err != nil {
			return t, fmt.Errorf("pay: number attempt: %w", err)
		}
		key, err := btcec.NewPrivateKey()
		if err != nil {
			return t, fmt.Errorf("pay: draw session key: %w", err)
		}
		t.attempts[n].id = id
		copy(t.attempts[n].key[:], key.Serialize())
	}
	return t, nil
}

// save stores a payment, and gives a new one its index.
func (a *actor) save(t transfer) (transfer, error) {
	a.p.gate.RLock()
	defer a.p.gate.RUnlock()
	if t.index != 0 {
		return t, a.p.store.put(t)
	}
	added, earlier, err := a.p.store.add(t, a.p.opts.Clock.Now())
	if errors.Is(err, ErrInFlight) || errors.Is(err, ErrAlreadyPaid) {
		return t, &refusal{earlier: earlier, err: err}
	}
	return added, err
}

// send hands the HTLC of an attempt to the switch and waits for its result.
func (a *actor) send(ctx context.Context, t transfer, n int) {
	if ctx.Err() != nil {
		return // not sent: the next run finds no trace of it in the switch
	}
	part := t.attempts[n]
	msg, err := t.add(part, a.p.opts.Self)
	if err != nil {
		a.events <- partFailed{attempt: n, fault: fault{kind: faultOurs, text: err.Error()}}
		return
	}
	err = a.p.opts.Switch.SendHTLC(part.hops[0].scid, part.id, msg)
	// Whatever the error says: as long as the switch keeps a circuit, the HTLC may still leave, and
	// another one in its place could pay twice.
	if err != nil && a.p.opts.Switch.Circuit(part.id) == NoCircuit {
		a.events <- partFailed{attempt: n, fault: refusalOf(err)}
		return
	}
	a.follow(ctx, t, n, false)
}

// resume takes up a payment of an earlier run. By now the switch has read its circuits, so an
// attempt that it does not know, or knows as dead, has never left.
func (a *actor) resume(ctx context.Context) error {
	t := a.t
	if err := a.apply(ctx, resumed{}); err != nil {
		return err
	}
	for n, part := range t.attempts {
		if part.status != InFlight {
			continue
		}
		if a.p.opts.Switch.Circuit(part.id) != DeadCircuit {
			a.followers.Go(func() { a.follow(ctx, t, n, true) })
			continue
		}
		// Dropped before it is noted as failed: if the node stops between the two, the next run
		// finds no circuit and comes to the same end.
		if err := a.p.opts.Switch.DropCircuit(part.id); err != nil {
			return fmt.Errorf("pay: drop circuit of attempt %d: %w", part.id, err)
		}
		a.events <- partFailed{attempt: n, fault: fault{kind: faultLost}}
	}
	return nil
}

// follow waits for the result of an attempt. Without one the attempt stays in flight: the next run
// follows it again.
func (a *actor) follow(ctx context.Context, t transfer, n int, restarted bool) {
	part := t.attempts[n]
	log := a.p.opts.Log.With(slog.String("hash", t.bill.hash.String()),
		slog.Uint64("attempt", part.id))
	decrypter, err := part.decrypter()
	if err != nil {
		log.Error("cannot follow an attempt", slog.Any("err", err))
		return
	}
	results, err := a.p.opts.Switch.GetAttemptResult(part.id, t.bill.hash, decrypter)
	switch {
	case errors.Is(err, htlcswitch.ErrPaymentIDNotFound) && restarted:
		a.events <- partFailed{attempt: n, fault: fault{kind: faultLost}}
		return

	case err != nil:
		log.Error("cannot follow an attempt before the next restart", slog.Any("err", err))
		return
	}
	select {
	case result, ok := <-results:
		if ok {
			a.events <- resultEvent(n, t.bill.hash, result)
		}

	case <-ctx.Done():
	}
}

// resultEvent is what the switch's result means for the payment.
func resultEvent(n int, hash lntypes.Hash, result *htlcswitch.PaymentResult) event {
	if result.Error != nil {
		return partFailed{attempt: n, fault: faultOf(result.Error)}
	}
	preimage := lntypes.Preimage(result.Preimage)
	if !preimage.Matches(hash) {
		return partFailed{attempt: n, fault: fault{kind: faultOurs,
			text: "the switch reported a preimage that does not belong to the payment"}}
	}
	return partSettled{attempt: n, preimage: preimage}
}

// log tells of a step.
func (a *actor) log(ev event) {
	t := a.t
	amount, fee, inFlight := t.out()
	log := a.p.opts.Log.With(slog.String("hash", t.bill.hash.String()))
	log.Debug("payment step", slog.String("event", fmt.Sprintf("%T", ev)),
		slog.String("to", fmt.Sprintf("%T", t.state)), slog.Int("in_flight", inFlight))
	if !t.over() {
		return
	}
	switch s := t.state.(type) {
	case paid:
		log.Info("payment succeeded", slog.Uint64("amount_msat", uint64(amount)),
			slog.Uint64("fee_msat", uint64(fee)))
	case failed:
		log.Info("payment failed", slog.String("code", s.why.Code),
			slog.String("reason", s.why.Text))
	}
}
