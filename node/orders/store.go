package orders

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/kvdb"

	"github.com/inletlsp/inlet/lsp/jit"
)

// ordersBucket holds every order's record by its id.
var ordersBucket = []byte("inlet-orders")

func createBucket(db kvdb.Backend) error {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		if _, err := tx.CreateTopLevelBucket(tokensBucket); err != nil {
			return err
		}
		_, err := tx.CreateTopLevelBucket(ordersBucket)
		return err
	}, func() {})
	if err != nil {
		return fmt.Errorf("orders: create buckets: %w", err)
	}
	return nil
}

// Load reads all orders. It comes before the switch starts, so that no HTLC of an
// order can pass as nobody's.
func (d *Desk) Load(p Ports) error {
	d.ports = p
	err := kvdb.View(d.cfg.DB, func(tx kvdb.RTx) error {
		if err := d.loadTokens(tx); err != nil {
			return err
		}
		return tx.ReadBucket(ordersBucket).ForEach(func(k, v []byte) error {
			rec, err := Unmarshal(v)
			if err != nil {
				return fmt.Errorf("orders: read order %s: %w", k, err)
			}
			d.orders[string(k)] = &entry{order: rec.Order, rec: rec, told: len(rec.Timeline)}
			return nil
		})
	}, func() { clear(d.orders) })
	if err != nil {
		return err
	}
	for _, e := range d.orders {
		d.index(e)
		d.awake.set(e)
		d.routes.set(e.order)
		d.views.set(e.rec)
		d.tokens.count(e)
	}
	return nil
}

// Resume tells each order what the node found after its start. It comes after the
// channel factory has settled its store and before any connection.
func (d *Desk) Resume(height uint32) error {
	fundings, err := d.ports.Facts.Fundings()
	if err != nil {
		return fmt.Errorf("orders: read fundings: %w", err)
	}
	incoming, err := d.ports.Facts.Incoming()
	if err != nil {
		return fmt.Errorf("orders: read incoming HTLCs: %w", err)
	}
	d.height = height
	for _, e := range d.sorted() {
		if f, ok := fundings[e.order.ID]; atRest(e.order, f, ok) {
			continue
		}
		ev := d.found(e.rec, height, fundings, incoming)
		d.replays.expect(ev.Outstanding)
		if err := d.takeBack(e.order, ev); err != nil {
			return err
		}
		d.post(input{id: e.order.ID, event: ev})
		if d.known(e.rec) {
			d.post(input{id: e.order.ID, event: jit.PreimageKnown{Hash: *e.rec.Hash}})
		}
	}
	return d.drain()
}

// atRest says that a start means nothing to the order: it has come to its end, and
// nothing is left of the life before. One that is paid may have died before it
// broadcast the funding that was withheld: the client's money is in it.
func atRest(o jit.Order, f jit.Funding, funded bool) bool {
	if !final(o.State) || len(partKeys(o)) > 0 {
		return false
	}
	ch, has := o.Channel()
	if !has {
		return !funded || f.Gone
	}
	return ch.Conn == 0 && (!funded || f.Gone || !f.Withheld)
}

// found is what the start has shown about one order.
func (d *Desk) found(r Record, height uint32, fundings map[string]jit.Funding,
	incoming map[models.CircuitKey]bool) jit.Restarted {

	ev := jit.Restarted{Height: height}
	if f, ok := fundings[r.Order.ID]; ok {
		ev.Funding = &f
	}
	for _, key := range partKeys(r.Order) {
		if incoming[models.CircuitKey{ChanID: key.Chan, HtlcID: key.Index}] {
			ev.Outstanding = append(ev.Outstanding, key)
		}
	}
	for _, a := range r.Order.Answered {
		// The payer's channel may be closing, or on chain: the client can still claim, and then
		// the court takes what the payer owes.
		if a.Forwarded() && !a.Resolved && !slices.Contains(ev.Outstanding, a.Key) &&
			d.ports.Switch.Unresolved(models.CircuitKey{ChanID: a.Key.Chan, HtlcID: a.Key.Index}) {
			ev.Outstanding = append(ev.Outstanding, a.Key)
		}
	}
	if !d.known(r) {
		return ev
	}
	for _, a := range r.Order.Answered {
		// One that is there may be failed yet: the preimage may have come with another part.
		if a.Forwarded() && !a.Resolved && !slices.Contains(ev.Outstanding, a.Key) {
			ev.Claimed = append(ev.Claimed, a.Key)
		}
	}
	return ev
}

// known says that the preimage of the order's payment was learned.
func (d *Desk) known(r Record) bool {
	if r.Hash == nil {
		return false
	}
	_, known := d.ports.Facts.Preimage(*r.Hash)
	return known
}

// takeBack sees to it that forwards that were decided and never left are offered
// again. Then they leave as they were decided, with what was to be taken from them, if
// that is before the end of their hold.
func (d *Desk) takeBack(o jit.Order, ev jit.Restarted) error {
	for _, a := range o.Answered {
		if !a.Forwarded() || a.Resolved || !slices.Contains(ev.Outstanding, a.Key) {
			continue
		}
		circuit := models.CircuitKey{ChanID: a.Key.Chan, HtlcID: a.Key.Index}
		if err := d.ports.Switch.TakeBack(circuit); err != nil {
			return fmt.Errorf("orders: take back forward: %w", err)
		}
		if !d.ports.Switch.Forwarded(circuit) {
			d.parked.add(forward{o.ID, o.Terms.SCID, a.Key, a.Amount, a.ExtraFee, a.Until})
		}
	}
	return nil
}

// write puts the orders that changed on disk, in one transaction.
func (d *Desk) write(touched []*entry) error {
	type row struct{ key, value []byte }
	var rows []row
	for _, e := range touched {
		if !e.dirty {
			continue
		}
		raw, err := Marshal(e.rec)
		if err != nil {
			return err
		}
		rows = append(rows, row{[]byte(e.order.ID), raw})
		e.dirty = false
	}
	if len(rows) == 0 {
		return nil
	}
	err := kvdb.Update(d.cfg.DB, func(tx kvdb.RwTx) error {
		b := tx.ReadWriteBucket(ordersBucket)
		for _, r := range rows {
			if err := b.Put(r.key, r.value); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("orders: store orders: %w", err)
	}
	return nil
}

// prune forgets the oldest finished orders past maxFinished.
func (d *Desk) prune() error {
	if len(d.orders) <= maxFinished {
		return nil
	}
	var done []*entry
	for _, e := range d.orders {
		if e.order.Done() && e.effects.idle() {
			done = append(done, e)
		}
	}
	// Those with an unpaid channel go last: that they had one counts against their clients,
	// and must not be forgotten for orders that cost nothing.
	slices.SortFunc(done, func(a, b *entry) int {
		return cmp.Or(
			a.rec.OwedSince.Compare(time.Time{})-b.rec.OwedSince.Compare(time.Time{}),
			a.rec.CreatedAt.Compare(b.rec.CreatedAt),
		)
	})
	done = done[:min(len(done), len(d.orders)-maxFinished)]
	if len(done) == 0 {
		return nil
	}
	err := kvdb.Update(d.cfg.DB, func(tx kvdb.RwTx) error {
		if err := keepCounts(tx, done); err != nil {
			return err
		}
		for _, e := range done {
			if err := tx.ReadWriteBucket(ordersBucket).Delete([]byte(e.order.ID)); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("orders: prune orders: %w", err)
	}
	for _, e := range done {
		delete(d.orders, e.order.ID)
		delete(d.points, e.point)
		delete(d.awake, e)
		d.routes.remove(e.order)
		d.parked.begin(e.order.ID)
		d.views.remove(e.order.ID)
	}
	return nil
}

// sorted lists the orders by id: what concerns many is done in the same order each
// time.
func (d *Desk) sorted() []*entry {
	all := make([]*entry, 0, len(d.orders))
	for _, e := range d.orders {
		all = append(all, e)
	}
	return byID(all)
}

func byID(all []*entry) []*entry {
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.order.ID, b.order.ID) })
	return all
}

// final says that the order is paid or dead.
func final(s jit.State) bool {
	switch s.(type) {
	case jit.Paid, jit.Dead:
		return true
	}
	return false
}
