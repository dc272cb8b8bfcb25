package world

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

const (
	maxBatch  = 256
	maxParked = 90 * time.Second

	// Small, so that they are reached.
	maxClientParts = 9
	maxAllParts    = 14
)

// desk is node/orders: inbox, step, disk, and then each order's commands one after
// the other.
type desk struct {
	w       *world
	inbox   []input
	heights []uint32 // blocks, which go before the inbox
	ticked  bool     // a Tick is in the inbox

	orders map[string]*entry
	ids    []string
	points map[wire.OutPoint]*entry
	height uint32

	// What the other goroutines read; as it is on disk.
	byScid map[lnwire.ShortChannelID]string
	byPart map[jit.CircuitKey]string
	only   map[string]wire.OutPoint
	online map[*client]jit.Conn

	parked  map[uint64]waiting
	replays map[uint64]bool
}

// row is an order on disk.
type row struct {
	order []byte
	hash  *lntypes.Hash
}

type entry struct {
	order   jit.Order
	hash    *lntypes.Hash
	dirty   bool
	queued  []jit.Command
	effects []jit.Command
	waits   bool // an effect waits for the channel factory
}

type input struct {
	id       string
	point    *wire.OutPoint
	client   *client
	hash     byte
	event    jit.Event
	preimage bool
	at       time.Time
}

// waiting is a forward that waits for a link that is down.
type waiting struct {
	forward
	until time.Time
}

type forward struct {
	order       string
	scid        lnwire.ShortChannelID
	key         uint64
	amount, fee lnwire.MilliSatoshi
}

func (d *desk) post(in input) {
	in.at = d.w.now
	d.inbox = append(d.inbox, in)
}

func (w *world) loadOrders() {
	d := &desk{
		w: w, orders: map[string]*entry{}, points: map[wire.OutPoint]*entry{},
		byScid: map[lnwire.ShortChannelID]string{}, byPart: map[jit.CircuitKey]string{},
		only: map[string]wire.OutPoint{}, online: map[*client]jit.Conn{},
		parked: map[uint64]waiting{}, replays: map[uint64]bool{}, height: w.height,
	}
	w.lsp.desk = d
	for _, id := range sortedKeys(w.disk.orders) {
		o, err := jit.Unmarshal(w.disk.orders[id].order)
		w.must(err == nil, "a record does not read", err)
		e := &entry{order: o, hash: w.disk.orders[id].hash}
		d.orders[id], d.ids = e, append(d.ids, id)
		d.index(e)
		d.route(e.order)
	}
}

// resumeOrders is Desk.Resume.
func (w *world) resumeOrders() {
	d := w.lsp.desk
	fundings := w.fundings()
	for _, id := range d.ids {
		e := d.orders[id]
		f, ok := fundings[id]
		if atRest(e.order, f, ok) {
			continue
		}
		ev := jit.Restarted{Height: w.height}
		if ok {
			ev.Funding = &f
		}
		for _, k := range partKeys(e.order) {
			if !w.htlcs[k.Index].gone {
				ev.Outstanding = append(ev.Outstanding, k)
				d.replays[k.Index] = true
			}
		}
		known := e.hash != nil && w.disk.preimages[e.hash[0]]
		for _, a := range e.order.Answered {
			if known && a.Forwarded() && !a.Resolved && !slices.Contains(ev.Outstanding, a.Key) {
				ev.Claimed = append(ev.Claimed, a.Key)
			}
		}
		d.takeBack(e.order, ev)
		d.post(input{id: id, event: ev})
		if known {
			d.post(input{id: id, event: jit.PreimageKnown{Hash: *e.hash}})
		}
	}
	for w.stepDesk() {
		continue
	}
}

// atRest says that a start means nothing to the order.
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

func (d *desk) takeBack(o jit.Order, ev jit.Restarted) {
	for _, a := range o.Answered {
		if !a.Forwarded() || a.Resolved || !slices.Contains(ev.Outstanding, a.Key) {
			continue
		}
		if c := d.w.disk.circuits[a.Key.Index]; c != nil && !c.keystone {
			d.w.durable("circuit taken back", func() { delete(d.w.disk.circuits, a.Key.Index) })
		}
	}
}

func final(s jit.State) bool {
	switch s.(type) {
	case jit.Paid, jit.Dead:
		return true
	}
	return false
}

func partKeys(o jit.Order) []jit.CircuitKey {
	var keys []jit.CircuitKey
	for _, p := range o.Held() {
		keys = append(keys, p.Key)
	}
	for _, a := range o.Answered {
		keys = append(keys, a.Key)
	}
	return keys
}

func (w *world) stepDesk() bool {
	if w.lsp == nil {
		return false
	}
	d := w.lsp.desk
	switch {
	case len(d.heights) > 0:
		h := d.heights[0]
		d.heights = d.heights[1:]
		d.turn([]input{{event: jit.Height{Height: h}, at: w.now}})
	case len(d.inbox) > 0:
		n := min(len(d.inbox), maxBatch)
		batch := d.inbox[:n:n]
		d.inbox = d.inbox[n:]
		d.turn(batch)
	default:
		return false
	}
	return true
}

// turn steps the machines through a batch, writes, and lets the commands go.
func (d *desk) turn(batch []input) {
	var touched []*entry
	for _, in := range batch {
		if _, tick := in.event.(jit.Tick); tick {
			d.ticked = false
		}
		for _, e := range d.concerned(in) {
			if d.happened(e, in) {
				touched = append(touched, e)
			}
		}
	}
	d.write(touched)
	for _, e := range touched {
		d.route(e.order)
	}
	for _, e := range touched {
		e.effects = append(e.effects, e.queued...)
		e.queued = nil
	}
	for _, in := range batch {
		if _, up := in.event.(jit.ChannelUsable); up {
			d.unpark()
			break
		}
	}
}

func (d *desk) write(touched []*entry) {
	if !slices.ContainsFunc(touched, func(e *entry) bool { return e.dirty }) {
		return
	}
	d.w.durable("write of orders", func() {
		for _, e := range touched {
			raw, err := jit.Marshal(e.order)
			d.w.must(err == nil, "an order does not marshal", err)
			d.w.disk.orders[e.order.ID] = row{raw, e.hash}
			e.dirty = false
		}
	})
}

func (d *desk) concerned(in input) []*entry {
	if in.client != nil {
		switch ev := in.event.(type) {
		case jit.ClientOnline:
			d.online[in.client] = ev.Conn
		case jit.ClientGone:
			delete(d.online, in.client)
		}
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
	var all []*entry
	for _, id := range d.ids {
		if d.wants(d.orders[id], in) {
			all = append(all, d.orders[id])
		}
	}
	return all
}

func (d *desk) wants(e *entry, in input) bool {
	switch ev := in.event.(type) {
	case jit.Tick:
		at, ok := e.order.Deadline()
		return ok && !in.at.Before(at)
	case jit.Height:
		at, ok := e.order.DeadlineHeight()
		return ok && ev.Height >= at
	}
	if in.client != nil {
		_, dead := e.order.State.(jit.Dead)
		return e.order.Terms.Client[1] == in.client.id && !dead
	}
	if in.preimage {
		c, ok := e.order.State.(jit.AwaitClaim)
		return ok && c.Hash[0] == in.hash
	}
	return false
}

func (d *desk) happened(e *entry, in input) bool {
	if !in.preimage {
		return d.step(e, in)
	}
	c, ok := e.order.State.(jit.AwaitClaim)
	if !ok || !c.Channel.Withheld {
		return false
	}
	return d.step(e, input{at: in.at, event: jit.PreimageKnown{Hash: c.Hash}})
}

func (d *desk) step(e *entry, in input) bool {
	ev := in.event
	if p, ok := ev.(jit.PartArrived); ok {
		p.Height, p.Refuse = d.height, d.refuse(e)
		ev = p
	}
	before := e.order
	next, cmds, err := before.Step(in.at, ev)
	var unexpected *jit.UnexpectedError
	if errors.As(err, &unexpected) {
		d.w.must(d.beside(before, ev), "an event that the contract allows is unexpected",
			fmt.Sprintf("%s: %s in %s", e.order.ID, sayEvent(ev), before.State.Name()))
		return false
	}
	e.order = next
	e.queued = append(e.queued, cmds...)
	d.note(e)
	d.index(e)
	e.dirty = true
	d.w.count[next.State.Name()]++
	d.w.sayStep(before, next, ev, cmds)
	d.w.checkStep(before, next, in.at)
	d.w.checkCommands(next, cmds)
	return true
}

// beside says that the shell tells more than the contract asks for: the switch tells
// the end of each HTLC, also of those that the order has failed, and both the channel
// factory and the desk tell that a channel was dropped.
func (d *desk) beside(o jit.Order, ev jit.Event) bool {
	switch ev := ev.(type) {
	case jit.PartFailed:
		return !slices.ContainsFunc(o.Answered, func(a jit.Answer) bool {
			return a.Key == ev.Key && a.Forwarded()
		})
	case jit.ChannelGone:
		ch, ok := o.Channel()
		e := endingOf(o)
		return (!ok || ch.Point != ev.Point) && (e == nil || e.Point == nil || *e.Point != ev.Point)
	}
	return false
}

// endingOf is what the order waits for the end of, if it does.
func endingOf(o jit.Order) *jit.Ending {
	switch s := o.State.(type) {
	case jit.AwaitParts:
		return s.Ending
	case jit.AwaitClient:
		return s.Ending
	}
	return nil
}

// note keeps the payment that is served, as the record does.
func (d *desk) note(e *entry) {
	switch s := e.order.State.(type) {
	case jit.AwaitClient:
		e.hash = &s.Sets[0].Hash
	case jit.AwaitChannel:
		e.hash = &s.Sets[0].Hash
	case jit.AwaitClaim:
		e.hash = &s.Hash
	}
}

func (d *desk) index(e *entry) {
	if ch, ok := e.order.Channel(); ok {
		d.points[ch.Point] = e
	}
}

// route is what the switch may know of the order.
func (d *desk) route(o jit.Order) {
	d.byScid[o.Terms.SCID] = o.ID
	for k, id := range d.byPart {
		if id == o.ID {
			delete(d.byPart, k)
		}
	}
	for _, k := range partKeys(o) {
		d.byPart[k] = o.ID
	}
	delete(d.only, o.ID)
	if ch, ok := o.Channel(); ok && o.Unpaid() {
		d.only[o.ID] = ch.Point
	}
}

func (d *desk) refuse(e *entry) lnwire.FailCode {
	var all, client int
	for _, other := range d.orders {
		n := len(other.order.Held())
		all += n
		if other.order.Terms.Client == e.order.Terms.Client {
			client += n
		}
	}
	if all >= maxAllParts || client >= maxClientParts {
		d.w.count["refused"]++
		return lnwire.CodeTemporaryChannelFailure
	}
	return 0
}

// deadline is when the desk's timer fires.
func (d *desk) deadline() (first time.Time, ok bool) {
	if d.ticked {
		return first, false
	}
	for _, f := range d.parked {
		if !ok || f.until.Before(first) {
			first, ok = f.until, true
		}
	}
	for _, id := range d.ids {
		if at, is := d.orders[id].order.Deadline(); is && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

func (d *desk) tick() {
	if at, ok := d.deadline(); !ok || d.w.now.Before(at) {
		return
	}
	for _, k := range sortedKeys(d.parked) {
		if f := d.parked[k]; !d.w.now.Before(f.until) {
			delete(d.parked, k)
			d.post(input{id: f.order, event: jit.PartStuck{Key: key(k)}})
		}
	}
	d.ticked = true
	d.post(input{event: jit.Tick{}})
}

// add makes a new order durable.
func (d *desk) add(o jit.Order) {
	e := &entry{order: o, dirty: true}
	d.orders[o.ID], d.ids = e, append(d.ids, o.ID)
	slices.Sort(d.ids)
	d.write([]*entry{e})
	d.route(o)
}

// offer is Desk.Offer: the interceptor hands over an HTLC.
func (d *desk) offer(h *htlc) bool {
	id, ok := d.byScid[h.scid]
	if !ok {
		return false
	}
	delete(d.replays, h.index())
	d.post(input{id: id, event: jit.PartArrived{Part: h.part}})
	return true
}

// part tells the order that has forwarded or failed the part.
func (d *desk) part(index uint64, event jit.Event) {
	if id, ok := d.byPart[key(index)]; ok {
		d.post(input{id: id, event: event})
	}
}
