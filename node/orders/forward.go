package orders

import (
	"sync"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/jit"
)

// forward is a part on its way to the client, with what is taken from it.
type forward struct {
	order       string
	key         jit.CircuitKey
	amount, fee lnwire.MilliSatoshi
}

// parked are the forwards that wait for the payer's link. The HTLC stays held in
// the switch meanwhile, which fails it before it expires if the payer stays away.
// They are no more than the parts that the orders hold.
type parked struct {
	mu   sync.Mutex
	list map[jit.CircuitKey]forward // guarded by mu
}

func (p *parked) add(f forward) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = map[jit.CircuitKey]forward{}
	}
	p.list[f.key] = f
}

// take removes those whose link is live.
func (p *parked) take(live func(lnwire.ShortChannelID) bool) []forward {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready []forward
	for key, f := range p.list {
		if live(key.Chan) {
			ready = append(ready, f)
			delete(p.list, key)
		}
	}
	return ready
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

// forward sends a part on, as soon as the payer's link is there. The channel is
// paid for by then: a part that the switch fails because the payer is away for a
// moment would leave us with the channel and without the fee.
func (d *Desk) forward(f forward) error {
	if d.replays.expects(f.key) {
		return nil // the order answers it again when it is offered
	}
	if !d.ports.Switch.Live(f.key.Chan) {
		d.parked.add(f)
		d.cfg.Log.Info("the payer's channel is down, the forward waits for it",
			"order", f.order, "htlc", f.key.Index, "scid", f.key.Chan)
		d.unpark() // it may have come up in between
		return nil
	}
	circuit := models.CircuitKey{ChanID: f.key.Chan, HtlcID: f.key.Index}
	var records lnwire.CustomRecords
	if f.fee > 0 {
		records = lnwire.CustomRecords{lsp.ExtraFeeType: lsp.AppendExtraFee(nil, f.fee)}
	}
	err := d.ports.Switch.ResumeWith(circuit, f.amount, records)
	if err != nil && !d.ports.Switch.Forwarded(circuit) {
		// It is not held any more, nor under way: lnd has failed it by itself.
		d.post(input{id: f.order, event: jit.PartFailed{Key: f.key, Ours: true}})
	}
	return err
}

// unpark sends on what waited for a link that is live now. Callers are goroutines
// that end waits for.
func (d *Desk) unpark() {
	for _, f := range d.parked.take(d.ports.Switch.Live) {
		d.wg.Go(func() {
			if err := d.forward(f); err != nil {
				d.cfg.Log.Warn("cannot forward a part that waited", "order", f.order, "err", err)
			}
		})
	}
}
