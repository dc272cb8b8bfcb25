package pay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// maxInFlight is the number of payments that may be in flight at once.
const maxInFlight = 500

// defaultFeeFloor is the smallest fee that is allowed when a request does not bound it.
const defaultFeeFloor = lnwire.MilliSatoshi(10_000)

// Payments pays invoices and follows each attempt to its end.
type Payments struct {
	opts  Options
	store *store

	starts  chan *actor   // from Pay to Run
	ready   chan struct{} // closed when Run takes starts
	stopped chan struct{} // closed when Run has ended

	// gate is held shared by those who store new attempts, and wholly by Prune: a result that
	// the switch is told to forget must not be that of an attempt stored meanwhile.
	gate sync.RWMutex

	mu     sync.Mutex
	active map[lntypes.Hash]*actor // guarded by mu
	limit  int
}

// New checks its options and makes the bucket. It starts nothing and sends nothing.
func New(opts Options) (*Payments, error) {
	if opts.DB == nil || opts.Params == nil || opts.Switch == nil || opts.Channels == nil ||
		opts.IDs == nil {

		return nil, errors.New("pay: payments need a database, network parameters, a switch, " +
			"channels and a sequencer")
	}
	if opts.Clock == nil {
		opts.Clock = clock.NewDefaultClock()
	}
	if opts.Updates == nil {
		opts.Updates = func(Payment) {}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	store, err := openStore(opts.DB)
	if err != nil {
		return nil, err
	}
	return &Payments{
		opts:    opts,
		store:   store,
		starts:  make(chan *actor),
		ready:   make(chan struct{}),
		stopped: make(chan struct{}),
		active:  make(map[lntypes.Hash]*actor),
		limit:   maxInFlight,
	}, nil
}

// Ready is closed when Run has taken up what was in flight: from then on Pay works.
func (p *Payments) Ready() <-chan struct{} { return p.ready }

// Run follows the payments that were in flight when the node stopped, and those made by Pay, until
// ctx ends. It must be called once, after the switch has started and so has read its circuits.
// Payments that are in flight when ctx ends stay so, and the next run follows them again.
func (p *Payments) Run(ctx context.Context) error {
	defer close(p.stopped)
	var actors sync.WaitGroup
	defer actors.Wait()
	open, err := p.store.open()
	if err != nil {
		return err
	}
	// The results of attempts that are not awaited any more would pile up for ever.
	if err := p.opts.Switch.CleanStore(awaited(open)); err != nil {
		return fmt.Errorf("pay: forget old results: %w", err)
	}
	for _, t := range open {
		a := newActor(p, t)
		p.mu.Lock()
		p.active[t.bill.hash] = a
		p.mu.Unlock()
		actors.Go(func() { a.routinePayment(ctx) })
	}
	close(p.ready)
	for {
		select {
		case a := <-p.starts:
			actors.Go(func() { a.routinePayment(ctx) })

		case <-ctx.Done():
			return nil
		}
	}
}

// awaited are the ids of all attempts in flight.
func awaited(open []transfer) map[uint64]struct{} {
	ids := make(map[uint64]struct{})
	for _, t := range open {
		for _, a := range t.attempts {
			if a.status == InFlight {
				ids[a.id] = struct{}{}
			}
		}
	}
	return ids
}

// Pay pays an invoice and waits for the outcome or for the timeout, whichever comes first; after
// the timeout nothing new is sent, and the payment's Status is InFlight as long as parts are out. A
// payment that was sent and failed is no error.
//
// ErrInFlight and ErrAlreadyPaid come with the payment that is meant. When ctx ends, or the node
// stops (ErrStopped), the payment goes on, and comes with the error as it stands. With any other
// error nothing was sent.
func (p *Payments) Pay(ctx context.Context, req PayRequest) (Payment, error) {
	select {
	case <-p.ready:
	default:
		return Payment{}, ErrStopped
	}
	t, earlier, err := p.accept(req)
	if err != nil {
		return earlier, err
	}
	a := newActor(p, t)
	if err := p.claim(a); err != nil {
		return p.stored(t.bill.hash), err
	}
	select {
	case p.starts <- a:
	case <-p.stopped:
		p.release(a)
		return Payment{}, ErrStopped
	}
	select {
	case <-a.answered:
		return a.answer, a.err

	case <-ctx.Done():
		err = ctx.Err()

	case <-p.stopped:
		err = ErrStopped
	}
	return p.stored(t.bill.hash), err
}

// stored is a payment as it is on disk, or the zero value if it is not there yet.
func (p *Payments) stored(hash lntypes.Hash) Payment {
	view, err := p.Lookup(hash)
	if err != nil {
		return Payment{}
	}
	return view
}

// accept makes a payment of a request, or says why it cannot be paid.
func (p *Payments) accept(req PayRequest) (transfer, Payment, error) {
	b, err := readBill(req.Invoice, p.opts.Params)
	if err != nil {
		return transfer{}, Payment{}, err
	}
	// Before anything else, or a paid invoice would be called expired.
	earlier, err := p.store.byHash(b.hash)
	switch {
	case errors.Is(err, ErrUnknownPayment):
	case err != nil:
		return transfer{}, Payment{}, err
	default:
		if err := earlier.blocks(); err != nil {
			return transfer{}, earlier.view(), err
		}
	}
	now := p.opts.Clock.Now()
	if b.dest == p.opts.Self {
		return transfer{}, Payment{}, ErrOwnInvoice
	}
	if !now.Before(b.expires) {
		return transfer{}, Payment{}, fmt.Errorf("%w (it expired at %s)",
			ErrExpired, b.expires.UTC().Format(time.RFC3339))
	}
	amount, err := b.pays(req.Amount)
	if err != nil {
		return transfer{}, Payment{}, err
	}
	fee := max(amount/20, defaultFeeFloor)
	if req.MaxFee != nil {
		fee = min(*req.MaxFee, maxMoney)
	}
	parts := req.MaxParts
	if parts <= 0 {
		parts = DefaultMaxParts
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return newTransfer(b, amount,
			limits{fee, min(parts, MaxParts), min(timeout, MaxTimeout)}, now),
		Payment{}, nil
}

// pays is the amount to pay for a requested one.
func (b bill) pays(requested lnwire.MilliSatoshi) (lnwire.MilliSatoshi, error) {
	amount := requested
	if amount == 0 {
		amount = b.amount
	}
	switch {
	case amount == 0:
		return 0, ErrAmountMissing

	case amount > maxMoney:
		return 0, ErrAmountTooLarge

	case amount < b.amount:
		return 0, fmt.Errorf("%w (it asks for %d msat)", ErrUnderpaid, b.amount)

	// BOLT 4 lets a recipient fail what is more than twice the amount expected.
	case b.amount != 0 && amount > 2*b.amount:
		return 0, fmt.Errorf("%w (it asks for %d msat)", ErrOverpaid, b.amount)
	}
	return amount, nil
}

// claim makes an actor the only one for its hash.
func (p *Payments) claim(a *actor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active[a.t.bill.hash] != nil {
		return ErrInFlight
	}
	if len(p.active) >= p.limit {
		return ErrBusy
	}
	p.active[a.t.bill.hash] = a
	return nil
}

// release gives the hash of an actor free.
func (p *Payments) release(a *actor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.active, a.t.bill.hash)
	close(a.gone)
}

// Lookup finds the latest payment of a hash, or fails with ErrUnknownPayment.
func (p *Payments) Lookup(hash lntypes.Hash) (Payment, error) {
	t, err := p.store.byHash(hash)
	if err != nil {
		return Payment{}, err
	}
	return t.view(), nil
}

// List gives payments with an index below before (0: the newest), newest first, at most limit and
// at most MaxPage.
func (p *Payments) List(before uint64, limit int) ([]Payment, error) {
	list, err := p.store.list(before, pageSize(limit))
	if err != nil {
		return nil, err
	}
	views := make([]Payment, len(list))
	for n, t := range list {
		views[n] = t.view()
	}
	return views, nil
}

// Prune deletes payments that ended before the time given and says how many. A payment that
// succeeded is kept until its invoice has expired, so that it cannot be paid twice. It also lets
// the switch forget results that are not needed any more.
func (p *Payments) Prune(endedBefore time.Time) (int, error) {
	p.gate.Lock()
	defer p.gate.Unlock()
	deleted, err := p.store.prune(endedBefore, p.opts.Clock.Now())
	if err != nil {
		return 0, err
	}
	open, err := p.store.open()
	if err != nil {
		return deleted, err
	}
	if err := p.opts.Switch.CleanStore(awaited(open)); err != nil {
		return deleted, fmt.Errorf("pay: forget old results: %w", err)
	}
	return deleted, nil
}
