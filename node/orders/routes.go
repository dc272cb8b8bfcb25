package orders

import (
	"sync"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// route is what the switch may know of an order at any moment.
type route struct {
	id   string
	only lnwire.ChannelID // the channel that unpaid parts must take

	delta uint16 // lsp_cltv_expiry_delta
}

// routes is the part of the orders that other goroutines read: which scid and
// which HTLC belong to which order. The core goroutine writes it after the orders
// are on disk and before their commands leave.
type routes struct {
	mu     sync.RWMutex
	byScid map[lnwire.ShortChannelID]route
	byPart map[jit.CircuitKey]string
	parts  map[string][]jit.CircuitKey // what byPart holds for an order
}

func (r *routes) get(scid lnwire.ShortChannelID) (route, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	got, ok := r.byScid[scid]
	return got, ok
}

func (r *routes) ofPart(key jit.CircuitKey) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, ok := r.byPart[key]
	return id, ok
}

// set replaces what is known of an order.
func (r *routes) set(o jit.Order) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byScid == nil {
		r.byScid = map[lnwire.ShortChannelID]route{}
		r.byPart = map[jit.CircuitKey]string{}
		r.parts = map[string][]jit.CircuitKey{}
	}
	r.byScid[o.Terms.SCID] = route{o.ID, onlyChannel(o), o.Terms.CLTVExpiryDelta}
	for _, key := range r.parts[o.ID] {
		delete(r.byPart, key)
	}
	delete(r.parts, o.ID)
	for _, key := range partKeys(o) {
		r.byPart[key] = o.ID
		r.parts[o.ID] = append(r.parts[o.ID], key)
	}
}

func (r *routes) remove(o jit.Order) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byScid, o.Terms.SCID)
	for _, key := range r.parts[o.ID] {
		delete(r.byPart, key)
	}
	delete(r.parts, o.ID)
}

// onlyChannel is the channel that the order's parts may leave by: the one that
// they pay for, until they have.
func onlyChannel(o jit.Order) lnwire.ChannelID {
	if ch, ok := o.Channel(); ok && o.Unpaid() {
		return ch.Chan()
	}
	return lnwire.ChannelID{}
}

// partKeys are the HTLCs that the order has in hand or has answered.
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

// Route implements forward.Routes.
func (d *Desk) Route(scid lnwire.ShortChannelID) (only lnwire.ChannelID, isJIT bool) {
	r, ok := d.routes.get(scid)
	return r.only, ok
}

// Delta implements forward.Routes.
func (d *Desk) Delta(scid lnwire.ShortChannelID) (blocks uint16, isJIT bool) {
	r, ok := d.routes.get(scid)
	return r.delta, ok
}
