package orders

import (
	"maps"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// awake are the orders that time, a block or a held part can still mean something to. Thousands
// of finished ones are kept to look at; every event of a payment would walk through them all.
// The core goroutine's own.
type awake map[*entry]struct{}

// set takes an order in or out, as it stands now. It comes after every change of it.
func (a awake) set(e *entry) {
	if sleeps(e.order) {
		delete(a, e)
		return
	}
	a[e] = struct{}{}
}

// sleeps says that neither a time nor a height nor a part is awaited. An order that slept by
// mistake would hold its HTLCs for ever, so it asks the machine and not the state's name.
func sleeps(o jit.Order) bool {
	if !final(o.State) || len(o.Held()) > 0 {
		return false
	}
	_, timed := o.Deadline()
	_, bound := o.DeadlineHeight()
	return !timed && !bound
}

// many are the orders that an input for no one of them is for, sorted, so that what concerns
// several is done in the same order each time. A client may come back to a finished one.
func (d *Desk) many(in input) (all []*entry) {
	from := maps.Keys(d.awake)
	if in.client != nil {
		from = maps.Values(d.orders)
	}
	for e := range from {
		if d.wants(e, in) {
			all = append(all, e)
		}
	}
	return byID(all)
}

// wants says whether an input for many orders is for this one.
func (d *Desk) wants(e *entry, in input) bool {
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
		return e.order.Terms.Client == *in.client && !dead
	}
	if in.hash != nil {
		c, ok := e.order.State.(jit.AwaitClaim)
		return ok && c.Hash == *in.hash
	}
	return false
}

// refuse is the failure for one more part when too many are held, else zero.
func (d *Desk) refuse(e *entry) lnwire.FailCode {
	var all, client int
	for other := range d.awake {
		n := len(other.order.Held())
		all += n
		if other.order.Terms.Client == e.order.Terms.Client {
			client += n
		}
	}
	if all >= d.cfg.Limits.Parts || client >= d.cfg.Limits.ClientParts {
		return lnwire.CodeTemporaryChannelFailure
	}
	return 0
}
