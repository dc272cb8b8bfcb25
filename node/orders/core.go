package orders

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/lightningnetwork/lnd/chainntnfs"

	"github.com/inletlsp/inlet/lsp/jit"
)

// Run works until ctx ends. Load and Resume come before it. An error means that
// orders can't be written any more; the node must stop.
func (d *Desk) Run(ctx context.Context) error {
	blocks, err := d.ports.Blocks.RegisterBlockEpochNtfn(nil)
	if err != nil {
		return fmt.Errorf("orders: subscribe to blocks: %w", err)
	}
	defer blocks.Cancel()
	htlcs, err := d.ports.Htlcs.SubscribeHtlcEvents()
	if err != nil {
		return fmt.Errorf("orders: subscribe to HTLCs: %w", err)
	}
	defer htlcs.Cancel()
	defer func() { d.end(htlcs.Updates()) }()

	for {
		d.lookBack()
		timer := d.timer()
		select {
		case <-d.poke:
		case b, ok := <-blocks.Epochs:
			if !ok {
				return errBackend
			}
			if err := d.block(b); err != nil {
				return err
			}
		case ev := <-htlcs.Updates():
			d.htlcEvent(ev)
		case <-timer:
			d.stuck(d.cfg.Clock.Now())
			d.post(input{event: jit.Tick{}})
		case <-ctx.Done():
			return nil
		}
		// A block counts before the HTLCs that came with it: one that leaves the client
		// too few blocks must not open a channel.
		if err := d.newest(blocks.Epochs); err != nil {
			return err
		}
		if err := d.drain(); err != nil {
			return err
		}
	}
}

// maxClockBack is how far back the clock may be set without more ado.
const maxClockBack = 2 * time.Second

// lookBack sees whether the clock was set back. Deadlines are times of day, so that they
// outlive a restart; after that they would be late by as much, and a payment would be held
// for a day. So what is held now counts as held long enough: its payer tries again.
func (d *Desk) lookBack() {
	now := d.cfg.Clock.Now().Round(0) // as the clock on the wall has it
	back := now.Before(d.latest.Add(-maxClockBack))
	d.latest = now
	if !back {
		return
	}
	d.cfg.Log.Warn("the clock was set back: payments that are held end now")
	for _, e := range d.sorted() {
		if at, ok := e.order.Deadline(); ok && len(e.order.Held()) > 0 {
			d.postAt(input{id: e.order.ID, event: jit.Tick{}}, at)
		}
	}
}

// newest puts the blocks that have come before everything else in the inbox.
func (d *Desk) newest(epochs <-chan *chainntnfs.BlockEpoch) error {
	for {
		select {
		case b, ok := <-epochs:
			if !ok {
				return errBackend
			}
			if err := d.block(b); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// block steps the orders through a new height, past what waits in the inbox.
func (d *Desk) block(b *chainntnfs.BlockEpoch) error {
	return d.turn([]input{{
		event: jit.Height{Height: uint32(b.Height)}, at: d.cfg.Clock.Now(),
	}})
}

var errBackend = errors.New("orders: the chain backend stopped")

// maxLeaving is how long a stop waits for forwards that are on their way to a link.
const maxLeaving = 2 * time.Second

// end refuses what comes now, answers who waits, and waits for the effects, until
// the last forward is with its link.
func (d *Desk) end(htlcs <-chan any) {
	d.mu.Lock()
	d.closed = true
	left := d.inbox
	d.inbox = nil
	d.mu.Unlock()
	for _, in := range left {
		if in.done != nil {
			in.done <- ErrStopped
		}
	}
	d.wg.Wait()
	late := d.cfg.Clock.TickAfter(maxLeaving)
	for !d.leaving.none() {
		select {
		case ev := <-htlcs:
			d.htlcEvent(ev)
		case <-late:
			return
		}
	}
}

// timer fires at the earliest deadline of all orders; nil when there is none. The
// deadlines are derived from what is stored, so a restart loses none.
func (d *Desk) timer() <-chan time.Time {
	first := d.parked.first()
	for e := range d.awake {
		if at, ok := e.order.Deadline(); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		return nil
	}
	return d.cfg.Clock.TickAfter(max(first.Sub(d.cfg.Clock.Now()), 0))
}

// drain works off the inbox, a batch at a time.
func (d *Desk) drain() error {
	for {
		batch := d.take()
		if len(batch) == 0 {
			return nil
		}
		if err := d.turn(batch); err != nil {
			return err
		}
	}
}

// turn steps the machines through a batch, writes what changed, and only then lets
// the commands go.
func (d *Desk) turn(batch []input) error {
	var touched []*entry
	added := map[*entry]chan error{}
	for _, in := range batch {
		if in.add != nil {
			e, err := d.added(*in.add)
			if err != nil {
				in.done <- err
				continue
			}
			added[e] = in.done
			touched = append(touched, e)
			continue
		}
		for _, e := range d.concerned(in) {
			if d.happened(e, in) {
				touched = append(touched, e)
			}
		}
	}
	if err := d.write(touched); err != nil {
		for _, done := range added {
			done <- err
		}
		return err
	}
	for _, e := range touched {
		d.routes.set(e.order)
		d.views.set(e.rec)
		d.tokens.count(e)
		if d.ports.Changed != nil {
			d.ports.Changed(e.rec)
		}
	}
	for _, done := range added {
		done <- nil
	}
	for _, e := range touched {
		d.release(e)
		d.tell(e)
	}
	for _, in := range batch {
		if _, up := in.event.(jit.ChannelUsable); up {
			d.unpark()
			break
		}
	}
	return d.prune()
}

// tell reports the stages that were reached and the holds that have ended since the last
// time.
func (d *Desk) tell(e *entry) {
	for _, p := range e.ended {
		if d.ports.Holds != nil {
			d.ports.Holds.HoldEnded(p.Held, p.How())
		}
	}
	e.ended = nil
	for ; e.told < len(e.rec.Timeline); e.told++ {
		if d.ports.Reached != nil {
			d.ports.Reached(e.order.ID, e.rec.Timeline[e.told])
		}
	}
}

// added puts a new order on the desk.
func (d *Desk) added(r Record) (*entry, error) {
	if _, ok := d.orders[r.Order.ID]; ok {
		return nil, fmt.Errorf("orders: order %s exists already", r.Order.ID)
	}
	if _, taken := d.routes.get(r.Order.Terms.SCID); taken {
		return nil, ErrTaken
	}
	e := &entry{order: r.Order, rec: r, dirty: true}
	e.rec.stage(StageBought, r.CreatedAt)
	d.orders[r.Order.ID] = e
	d.awake.set(e)
	d.routes.set(r.Order) // so that a second Add in this batch sees it
	return e, nil
}

// concerned lists the orders that an input is about, in a fixed order.
func (d *Desk) concerned(in input) []*entry {
	if in.client != nil {
		d.connected(in)
	}
	if h, ok := in.event.(jit.Height); ok {
		d.height = h.Height
	}
	switch {
	case in.id != "":
		if e := d.orders[in.id]; e != nil {
			return []*entry{e}
		}
		return nil
	case in.point != nil:
		if e := d.points[*in.point]; e != nil {
			return []*entry{e}
		}
		return nil
	}
	return d.many(in)
}

// connected keeps who is online, for orders that ask later.
func (d *Desk) connected(in input) {
	switch ev := in.event.(type) {
	case jit.ClientOnline:
		d.views.connected(*in.client, ev.Conn)
	case jit.ClientGone:
		d.views.connected(*in.client, 0)
	}
}

// happened steps one order. It reports whether the order must be written or has
// commands to do.
func (d *Desk) happened(e *entry, in input) bool {
	if in.stage != "" {
		// A timeline may be full, or tell of an earlier claim: what follows from the preimage
		// must not hang on it.
		decided := in.stage == StageClaimed && d.claimed(e, in)
		if !e.rec.stage(in.stage, in.at) {
			return decided
		}
		d.views.set(e.rec)
		// A stage alone is not worth a write on a payment's path: it goes to disk
		// with the next change. Confirmation is the last thing that happens.
		e.dirty = true
		if in.stage == StageConfirmed || decided {
			return true
		}
		d.tell(e)
		return false
	}
	return d.step(e, in)
}

// claimed is the preimage at the moment that it is known. For a channel whose
// funding is withheld that moment decides: from then on the client's money is in a
// transaction that only we can broadcast. Which parts pay for it the switch tells: the
// client may claim one and fail the part that bears the fee.
func (d *Desk) claimed(e *entry, in input) bool {
	c, ok := e.order.State.(jit.AwaitClaim)
	if !ok || !c.Channel.Withheld {
		return false
	}
	return d.step(e, input{at: in.at, event: jit.PreimageKnown{Hash: c.Hash}})
}

func (d *Desk) step(e *entry, in input) bool {
	ev := in.event
	if p, ok := ev.(jit.PartArrived); ok {
		p.Height, p.Refuse = d.height, d.refuse(e)
		ev = p
	}
	before := e.order
	next, cmds, err := before.Step(in.at, ev)
	var unexpected *jit.UnexpectedError
	if errors.As(err, &unexpected) {
		d.cfg.Log.Debug("event means nothing to the order", "order", e.order.ID,
			"state", before.State.Name(), "event", fmt.Sprintf("%T", ev))
		return false
	}
	// A client that comes and goes must not cost a write each time: node ids are free.
	if in.client != nil && len(cmds) == 0 && reflect.DeepEqual(before, next) {
		return false
	}
	e.order, e.rec.Order = next, next
	e.queued = append(e.queued, cmds...)
	e.ended = append(e.ended, e.rec.note(before, ev, cmds, in.at)...)
	d.index(e)
	d.awake.set(e)
	e.dirty = true
	d.cfg.Log.Debug("step", "machine", "jit", "order", next.ID, "from", before.State.Name(),
		"event", fmt.Sprintf("%T", ev), "to", next.State.Name(), "commands", len(cmds))
	return true
}

// index keeps the way from a channel to its order: to the last one that it had.
func (d *Desk) index(e *entry) {
	if ch, ok := e.order.Channel(); ok {
		delete(d.points, e.point)
		e.point = ch.Point
		d.points[ch.Point] = e
	}
}
