package orders

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/jit"
)

// forward is a part on its way to the client, with what is taken from it.
type forward struct {
	order       string
	scid        lnwire.ShortChannelID // of the order: an alias of the client's channel
	key         jit.CircuitKey
	amount, fee lnwire.MilliSatoshi
	until       time.Time // the end of its hold, which is stored with the order
}

// parked are the forwards that wait for the payer's link or the client's. The HTLC
// stays held in the switch meanwhile, or is offered again after a start. They are no
// more than the parts of the orders.
type parked struct {
	mu   sync.Mutex
	list map[jit.CircuitKey]forward // guarded by mu
	// split are the orders of which the switch has failed a part since the last were to
	// be forwarded. They are no more than the orders that are kept.
	split map[string]struct{} // guarded by mu
}

// add keeps a forward until its links are there. It says no when another part of the
// order has failed for that reason: the client would hold this one and wait for that.
func (p *parked) add(f forward) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, split := p.split[f.order]; split {
		return false
	}
	if p.list == nil {
		p.list = map[jit.CircuitKey]forward{}
	}
	p.list[f.key] = f
	return true
}

// begin is told that parts of an order are to be forwarded, all with all, or that the
// order is no more.
func (p *parked) begin(order string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.split, order)
}

// divide is told that the switch has failed a part of an order, and gives back the parts
// that wait for a link: sent on without that one they would be held by a client that
// waits for the rest, to the end of its patience.
func (p *parked) divide(order string) []forward {
	p.mu.Lock()
	if p.split == nil {
		p.split = map[string]struct{}{}
	}
	p.split[order] = struct{}{}
	p.mu.Unlock()
	return p.take(func(f forward) bool { return f.order == order })
}

// remove is told that a part is answered.
func (p *parked) remove(key jit.CircuitKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.list, key)
}

// take removes those that are wanted, in the order of their keys.
func (p *parked) take(want func(forward) bool) []forward {
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken []forward
	for key, f := range p.list {
		if want(f) {
			taken = append(taken, f)
			delete(p.list, key)
		}
	}
	slices.SortFunc(taken, func(a, b forward) int {
		return cmp.Or(cmp.Compare(a.key.Chan.ToUint64(), b.key.Chan.ToUint64()),
			cmp.Compare(a.key.Index, b.key.Index))
	})
	return taken
}

// first is the earliest end of a wait; zero when nothing waits.
func (p *parked) first() (first time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.list {
		if first.IsZero() || f.until.Before(first) {
			first = f.until
		}
	}
	return first
}

// replays are the parts of before the start that their links have not offered again.
// The switch holds them only from then on.
type replays struct {
	mu   sync.Mutex
	keys map[jit.CircuitKey]struct{} // guarded by mu
}

func (r *replays) expect(keys []jit.CircuitKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[jit.CircuitKey]struct{}{}
	}
	for _, key := range keys {
		r.keys[key] = struct{}{}
	}
}

func (r *replays) came(key jit.CircuitKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, key)
}

func (r *replays) expects(key jit.CircuitKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, yes := r.keys[key]
	return yes
}

// leaving are the forwards that the switch has and that no link has taken yet. A stop
// waits for them: without the client's link the switch would fail them.
type leaving struct {
	mu   sync.Mutex
	keys map[models.CircuitKey]struct{} // guarded by mu
}

// expect notes a forward, unless the switch has it from before and drops this one.
func (l *leaving) expect(key models.CircuitKey, again bool) {
	if again {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = map[models.CircuitKey]struct{}{}
	}
	l.keys[key] = struct{}{}
}

func (l *leaving) left(key models.CircuitKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

func (l *leaving) none() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys) == 0
}

// forward sends a part on, as soon as both its links are there. The channel is paid
// for by then: a part that the switch fails because the payer or the client is away
// for a moment would leave us with the channel and without the fee.
func (d *Desk) forward(f forward) error {
	d.parked.remove(f.key)
	if !d.live(f) {
		d.cfg.Log.Info("a link is down, the forward waits for it",
			"order", f.order, "htlc", f.key.Index, "scid", f.key.Chan)
		if !d.parked.add(f) {
			d.post(input{id: f.order, event: jit.PartStuck{Key: f.key}})
			return nil
		}
		d.unpark() // it may have come up in between
		d.nudge()  // the core has one deadline more
		return nil
	}
	circuit := models.CircuitKey{ChanID: f.key.Chan, HtlcID: f.key.Index}
	var records lnwire.CustomRecords
	if f.fee > 0 {
		records = lnwire.CustomRecords{lsp.ExtraFeeType: lsp.AppendExtraFee(nil, f.fee)}
	}
	d.leaving.expect(circuit, d.ports.Switch.Forwarded(circuit))
	err := d.ports.Switch.ResumeWith(circuit, f.amount, records)
	if err != nil {
		d.leaving.left(circuit)
	}
	if err != nil && !d.ports.Switch.Forwarded(circuit) {
		// It is not held any more, nor under way: lnd has failed it by itself.
		d.post(input{id: f.order, event: jit.PartFailed{Key: f.key, Ours: true}})
		d.divided(f.order)
	}
	return err
}

// again sends a part on as it was decided before. One whose hold is over and that never
// left goes no more: its payer was away after a start, and the client has long given up
// the others.
func (d *Desk) again(f forward) error {
	circuit := models.CircuitKey{ChanID: f.key.Chan, HtlcID: f.key.Index}
	if d.cfg.Clock.Now().Before(f.until) || d.ports.Switch.Forwarded(circuit) {
		return d.forward(f)
	}
	d.post(input{id: f.order, event: jit.PartStuck{Key: f.key}})
	d.divided(f.order)
	return nil
}

// live says that the switch holds the part and would not fail its forward for a link that
// is down. What the switch has already it drops by itself.
func (d *Desk) live(f forward) bool {
	sw := d.ports.Switch
	return sw.Forwarded(models.CircuitKey{ChanID: f.key.Chan, HtlcID: f.key.Index}) ||
		!d.replays.expects(f.key) && sw.Live(f.key.Chan) && sw.Live(f.scid)
}

// unpark sends on what waited for links that are live now. Callers are goroutines
// that end waits for.
func (d *Desk) unpark() {
	for _, f := range d.parked.take(d.live) {
		d.wg.Go(func() {
			if err := d.again(f); err != nil {
				d.cfg.Log.Warn("cannot forward a part that waited", "order", f.order, "err", err)
			}
		})
	}
}

// stuck gives up the forwards that have waited for too long: nobody sends them on
// any more, and their orders fail them.
func (d *Desk) stuck(now time.Time) {
	for _, f := range d.parked.take(func(f forward) bool { return !now.Before(f.until) }) {
		d.post(input{id: f.order, event: jit.PartStuck{Key: f.key}})
	}
}

// divided answers the parts of a payment whose others have been failed by the switch,
// those that have not left. An order that is paid has payments of which each stands alone.
func (d *Desk) divided(order string) {
	if rec, ok := d.views.get(order); !ok || final(rec.Order.State) {
		return
	}
	for _, f := range d.parked.divide(order) {
		d.post(input{id: f.order, event: jit.PartStuck{Key: f.key}})
	}
}
