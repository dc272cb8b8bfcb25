package world

import (
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
	"github.com/inletlsp/inlet/lsp/jit"
)

// stepEffects does one command of one order.
func (w *world) stepEffects() bool {
	if w.lsp == nil {
		return false
	}
	d := w.lsp.desk
	for i := range d.ids {
		e := d.orders[d.ids[(i+w.rotate)%len(d.ids)]]
		if len(e.effects) == 0 || e.waits {
			continue
		}
		cmd := e.effects[0]
		e.effects = e.effects[1:]
		w.point("before " + sayCommand(cmd))
		d.do(e, cmd)
		return true
	}
	return false
}

func (d *desk) do(e *entry, cmd jit.Command) {
	w, id := d.w, e.order.ID
	b := w.order(id)
	switch c := cmd.(type) {
	case jit.WakeClient:
		if conn, ok := d.online[b.client]; ok {
			d.post(input{id: id, event: jit.ClientOnline{Conn: conn}})
		}
	case jit.OpenChannel:
		w.checkOpen(b, c)
		if err := w.open(b, c); err != nil {
			d.post(input{id: id, event: jit.OpenFailed{Fault: jit.FaultOurs, Reason: err.Error()}})
		}
	case jit.CancelOpen:
		w.cancel(b)
	case jit.DropChannel:
		if w.claimedOn(e, c.Point) {
			w.say("%s: cannot drop: the client has claimed", id)
			if b.client.conn != 0 {
				w.leaves(b.client)
			}
			return
		}
		e.waits = true
		w.decide(b, c.Point, funding.Drop{Reason: "no payment"}, func(err error) {
			e.waits = false
			delete(w.lsp.retired, c.Point)
			if err == nil {
				d.post(input{id: id, event: jit.ChannelGone{Point: c.Point, Unfunded: true}})
			} else {
				w.say("%s: cannot drop: %v", id, err)
			}
		})
	case jit.BroadcastFunding:
		e.waits = true
		w.decide(b, c.Point, funding.Release{}, func(err error) {
			e.waits = false
			if err != nil {
				w.say("%s: cannot release: %v", id, err)
			}
		})
	case jit.RegisterAlias:
		if w.disk.channels[c.Point] != nil && w.disk.aliases[c.SCID] != c.Point {
			w.durable("alias", func() { w.disk.aliases[c.SCID] = c.Point })
		}
	case jit.ForwardPart:
		w.checkForward(b, c.Key.Index, c.Amount, c.ExtraFee)
		d.forward(forward{id, b.terms.SCID, c.Key.Index, c.Amount, c.ExtraFee})
	case jit.ResumePart:
		w.checkForward(b, c.Key.Index, c.Amount, c.ExtraFee)
		d.forward(forward{id, b.terms.SCID, c.Key.Index, c.Amount, c.ExtraFee})
	case jit.FailPart:
		w.failHeld(c.Key.Index, c.Code)
	case jit.Finished:
	default:
		w.must(false, "an unknown command", fmt.Sprintf("%T", cmd))
	}
}

// claimedOn takes the link from a channel that is to be given up while its payment is with the
// client, and says that what it learned before is the preimage.
func (w *world) claimedOn(e *entry, p wire.OutPoint) bool {
	claim, ok := e.order.State.(jit.AwaitClaim)
	if !ok {
		return false
	}
	w.lsp.retired[p] = true
	delete(w.lsp.swtch.links, p)
	if !w.disk.preimages[claim.Hash[0]] && claim.Channel.Withheld {
		return false
	}
	delete(w.lsp.retired, p)
	return true
}

// forward sends a part on when both its links are there, else it waits for them.
func (d *desk) forward(f forward) {
	w := d.w
	if d.replays[f.key] {
		return
	}
	if !d.live(f) {
		until := w.now.Add(maxParked)
		if old, again := d.parked[f.key]; again {
			until = old.until
		}
		d.parked[f.key] = waiting{f, until}
		w.say("%s: part %d waits for a link", f.order, f.key)
		return
	}
	if !w.resumeHeld(f) && w.disk.circuits[f.key] == nil {
		d.post(input{id: f.order, event: jit.PartFailed{Key: key(f.key), Ours: true}})
	}
}

func (d *desk) live(f forward) bool {
	return d.w.disk.circuits[f.key] != nil || d.w.payerUp && d.w.linkOf(f.scid) != nil
}

func (d *desk) unpark() {
	for _, k := range sortedKeys(d.parked) {
		if f := d.parked[k]; d.live(f.forward) {
			delete(d.parked, k)
			d.forward(f.forward)
		}
	}
}

// fundings is what a start finds of the orders' channels, as the node has it.
func (w *world) fundings() map[string]jit.Funding {
	found := map[string]jit.Funding{}
	for tag, r := range w.disk.journal {
		ch := w.disk.channels[r.point]
		if r.state == intended && ch == nil {
			continue
		}
		found[tag] = jit.Funding{
			Point: r.point, Withheld: !r.mayBeOut(),
			Gone: ch == nil || ch.closed || r.state == dropped,
		}
	}
	return found
}

// sayStep writes a step of an order down.
func (w *world) sayStep(before, next jit.Order, ev jit.Event, cmds []jit.Command) {
	if w.trace == nil {
		return
	}
	line := sayEvent(ev)
	if before.State.Name() != next.State.Name() {
		line += " -> " + next.State.Name()
	}
	for i, c := range cmds {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		line += sep + sayCommand(c)
	}
	w.say("%s: %s", next.ID, line)
}

func sayEvent(ev jit.Event) string {
	switch v := ev.(type) {
	case jit.PartArrived:
		s := fmt.Sprintf("part %d of payment %d, %d msat", v.Part.Key.Index, v.Part.Hash[0],
			uint64(v.Part.Amount))
		if v.Refuse != 0 {
			s += " (the node is full)"
		}
		return s
	case jit.ClientOnline:
		return fmt.Sprintf("client online %d", v.Conn)
	case jit.OpenSigned:
		return fmt.Sprintf("funding %d signed", nr(v.Point))
	case jit.OpenFailed:
		return "open failed: " + v.Reason
	case jit.ChannelUsable:
		return fmt.Sprintf("channel %d usable on %d", nr(v.Point), v.Conn)
	case jit.ChannelGone:
		return fmt.Sprintf("channel %d gone", nr(v.Point))
	case jit.PartClaimed:
		return fmt.Sprintf("part %d claimed", v.Key.Index)
	case jit.PartFailed:
		if v.Ours {
			return fmt.Sprintf("part %d failed by ourselves", v.Key.Index)
		}
		return fmt.Sprintf("part %d failed", v.Key.Index)
	case jit.PartStuck:
		return fmt.Sprintf("part %d stuck", v.Key.Index)
	case jit.PartGone:
		return fmt.Sprintf("part %d off the channel", v.Key.Index)
	case jit.Height:
		return fmt.Sprintf("height %d", v.Height)
	case jit.Restarted:
		return fmt.Sprintf("restarted, %s, %d parts are there, %d claimed",
			sayFunding(v.Funding), len(v.Outstanding), len(v.Claimed))
	case jit.PreimageKnown:
		return fmt.Sprintf("preimage %d known", v.Hash[0])
	case jit.ClientGone:
		return "client gone"
	}
	return "tick"
}

func sayFunding(f *jit.Funding) string {
	switch {
	case f == nil:
		return "no funding"
	case f.Gone && f.Withheld:
		return fmt.Sprintf("funding %d dropped", nr(f.Point))
	case f.Gone:
		return fmt.Sprintf("funding %d closed", nr(f.Point))
	case f.Withheld:
		return fmt.Sprintf("funding %d withheld", nr(f.Point))
	}
	return fmt.Sprintf("funding %d may be out", nr(f.Point))
}

func sayCommand(c jit.Command) string {
	less := func(amount, extra lnwire.MilliSatoshi) string {
		return fmt.Sprintf("%d msat, extra_fee %d", uint64(amount), uint64(extra))
	}
	switch c := c.(type) {
	case jit.OpenChannel:
		s := fmt.Sprintf("open channel (attempt %d)", c.Attempt)
		if c.WithoutAnchors {
			s += " without anchors"
		}
		if c.Withhold {
			s += " withheld"
		}
		return s
	case jit.DropChannel:
		return fmt.Sprintf("drop channel %d", nr(c.Point))
	case jit.BroadcastFunding:
		return fmt.Sprintf("broadcast funding %d", nr(c.Point))
	case jit.RegisterAlias:
		return fmt.Sprintf("register alias of %d", nr(c.Point))
	case jit.ForwardPart:
		return fmt.Sprintf("forward part %d: %s", c.Key.Index, less(c.Amount, c.ExtraFee))
	case jit.ResumePart:
		return fmt.Sprintf("resume part %d: %s", c.Key.Index, less(c.Amount, c.ExtraFee))
	case jit.FailPart:
		return fmt.Sprintf("fail part %d: %v, %s", c.Key.Index, c.Code, c.Reason)
	case jit.WakeClient:
		return "wake client"
	case jit.CancelOpen:
		return "cancel open"
	}
	return "finished"
}
