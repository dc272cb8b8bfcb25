package orders

import (
	"slices"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// views is what other goroutines may read of the orders: records as they stand on
// disk (stages may be a step ahead), and who is connected.
type views struct {
	mu      sync.RWMutex
	records map[string]Record
	online  map[[33]byte]jit.Conn
	open    map[[33]byte]int // orders that are neither paid nor dead
}

func (v *views) set(r Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.records == nil {
		v.records, v.open = map[string]Record{}, map[[33]byte]int{}
	}
	v.count(r.Order.ID, -1)
	v.records[r.Order.ID] = r
	v.count(r.Order.ID, 1)
}

// count adds to the open orders of a client for an order that is one of them. The
// caller holds mu.
func (v *views) count(id string, by int) {
	r, ok := v.records[id]
	if !ok || final(r.Order.State) {
		return
	}
	client := r.Order.Terms.Client
	if v.open[client] += by; v.open[client] == 0 {
		delete(v.open, client)
	}
}

func (v *views) remove(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count(id, -1)
	delete(v.records, id)
}

func (v *views) get(id string) (Record, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	r, ok := v.records[id]
	return r, ok
}

func (v *views) connected(client [33]byte, conn jit.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.online == nil {
		v.online = map[[33]byte]jit.Conn{}
	}
	if conn == 0 {
		delete(v.online, client)
		return
	}
	v.online[client] = conn
}

func (v *views) connOf(client [33]byte) (jit.Conn, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	conn, ok := v.online[client]
	return conn, ok
}

// Get returns one order. Error: ErrUnknown.
func (d *Desk) Get(id string) (Record, error) {
	r, ok := d.views.get(id)
	if !ok {
		return Record{}, ErrUnknown
	}
	return r, nil
}

// List returns all orders, newest first.
func (d *Desk) List() []Record {
	d.views.mu.RLock()
	all := make([]Record, 0, len(d.views.records))
	for _, r := range d.views.records {
		all = append(all, r)
	}
	d.views.mu.RUnlock()
	slices.SortFunc(all, func(a, b Record) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.Order.ID, b.Order.ID)
	})
	return all
}

// Expects reports whether an order of this client is open: then it is no stranger,
// for a payer may be on the way to it.
func (d *Desk) Expects(client [33]byte) bool {
	d.views.mu.RLock()
	defer d.views.mu.RUnlock()
	return d.views.open[client] > 0
}

// Withholds says that an incoming HTLC was forwarded over a channel whose funding is withheld: no
// transaction of that channel can be brought on chain.
func (d *Desk) Withholds(key jit.CircuitKey) bool {
	id, ok := d.routes.ofPart(key)
	if !ok {
		return false
	}
	r, _ := d.views.get(id)
	claim, ok := r.Order.State.(jit.AwaitClaim)
	return ok && claim.Channel.Withheld
}

// Busy says that an order is open: its payment may come at any moment and want coins.
func (d *Desk) Busy() bool {
	d.views.mu.RLock()
	defer d.views.mu.RUnlock()
	return len(d.views.open) > 0
}

// OfChannel is the order whose channel this is.
func (d *Desk) OfChannel(point wire.OutPoint) (Record, bool) {
	d.views.mu.RLock()
	defer d.views.mu.RUnlock()
	for _, r := range d.views.records {
		if r.Point != nil && *r.Point == point {
			return r, true
		}
	}
	return Record{}, false
}

// OrderOf is the id of the order whose channel this is, or "".
func (d *Desk) OrderOf(point string) string {
	d.views.mu.RLock()
	defer d.views.mu.RUnlock()
	for id, r := range d.views.records {
		if r.Point != nil && r.Point.String() == point {
			return id
		}
	}
	return ""
}
