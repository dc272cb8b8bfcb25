package world

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// What must hold in every history. Each check throws in the moment in which the rule
// is broken, and names it.

// The limits of the machine, as the world expects them.
const (
	limitAnswered = 256
	limitSets     = 8
)

// promised is what the client agreed to pay for a payment of this size: the rule of
// bLIP-52, worked out here once more.
func promised(b *bought, size lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	t := b.terms
	if t.PaymentSize != 0 {
		size = t.PaymentSize
	}
	fee := size * lnwire.MilliSatoshi(t.PPM) / 1_000_000
	if fee*1_000_000 < size*lnwire.MilliSatoshi(t.PPM) {
		fee++
	}
	fee = max(fee, t.MinFee)
	if t.PaymentSize == 0 {
		// What ldk-node lets be taken from a payment of variable amount.
		fee = min(fee, size*lnwire.MilliSatoshi(t.PPM)/(1_000_000+lnwire.MilliSatoshi(t.PPM)))
	}
	return fee
}

// checkStep is about one step of one order.
func (w *world) checkStep(before, next jit.Order, at time.Time) {
	id := next.ID
	if next.State.Name() != before.State.Name() {
		raw, err := jit.Marshal(next)
		w.must(err == nil, "an order does not marshal", err)
		read, err := jit.Unmarshal(raw)
		w.must(err == nil, "a record does not read", err)
		again, _ := jit.Marshal(read)
		w.must(bytes.Equal(raw, again), "a record does not round-trip", id)
	}
	due, ok := next.Deadline()
	held := next.Held()
	w.must(ok || len(held) == 0, "parts are held without a deadline", id)
	w.must(!ok || at.Before(due), "a deadline has passed and nothing was done", id)
	deep, ok := next.DeadlineHeight()
	w.must(ok || len(held) == 0, "parts are held without a height", id)
	w.must(!ok || len(held) == 0 || deep > w.lsp.desk.height || len(next.Answered) > 0,
		"a height was passed and nothing was done", id)
	for _, p := range held {
		w.must(p.IncomingExpiry-24 > w.lsp.desk.height, "a part is held too near its expiry", id)
	}
	w.must(len(next.Answered) <= limitAnswered, "too many answers are remembered", id)
	w.checkSets(next)
	w.must(!next.Done() || len(held) == 0 && len(next.Answered) == 0,
		"an order that is done holds something", id)
	switch s := next.State.(type) {
	case jit.Paid:
		w.must(s.Collected <= s.Fee, "more was collected than the fee", id)
		w.must(s.Fee == 0 || s.Waived == 0, "the fee was taken and waived", id)
	case jit.AwaitClaim:
		w.must(len(s.Pending) > 0, "nothing is awaited", id)
		var extra lnwire.MilliSatoshi
		for _, a := range next.Answered {
			if slices.Contains(s.Pending, a.Key) {
				extra += a.ExtraFee
			}
		}
		w.must(extra <= s.Fee, "more than the fee is on the way", id)
		w.must(s.Fee <= promised(w.order(id), w.sizeOf(next, s)), "the fee is not the promised one", id)
	}
	if next.State.Name() == "dead" && before.State.Name() != "dead" {
		w.must(len(w.order(id).funded) > 0 || !at.Before(next.Terms.ValidUntil),
			"an order dies that has funded nothing and has not run out", id)
	}
	if _, paid := before.State.(jit.Paid); paid {
		_, still := next.State.(jit.Paid)
		w.must(still, "a paid order is not paid any more", id)
	}
}

// sizeOf is what the payment in flight comes to.
func (w *world) sizeOf(o jit.Order, s jit.AwaitClaim) (sum lnwire.MilliSatoshi) {
	for _, h := range w.htlcs {
		if h.order.id == o.ID && h.part.Hash == s.Hash {
			sum += h.part.Amount
		}
	}
	return sum
}

// checkCommands is about what a step asks for.
func (w *world) checkCommands(next jit.Order, cmds []jit.Command) {
	for _, c := range cmds {
		switch c := c.(type) {
		case jit.ForwardPart:
			h := w.htlcs[c.Key.Index]
			w.must(h.part.OutgoingExpiry >= w.lsp.desk.height+44,
				"a part is forwarded that the client must refuse", c.Key.Index)
		case jit.FailPart:
			w.must(c.Reason != "" && c.Code != 0, "a part is failed without a reason", c.Key.Index)
		case jit.Finished:
			w.must(final(next.State), "an order is finished that is not at its end", next.ID)
		}
	}
}

func (w *world) checkSets(o jit.Order) {
	seen := map[byte][]jit.Part{}
	for _, p := range o.Held() {
		seen[p.Hash[0]] = append(seen[p.Hash[0]], p)
	}
	w.must(len(seen) <= limitSets, "too many payments are held", o.ID)
	for _, parts := range seen {
		w.must(len(parts) <= o.Terms.Rules.MaxParts, "too many parts of a payment are held", o.ID)
	}
}

// live lists the channels of an order that may be used or funded.
func (w *world) live(tag string) (points []wire.OutPoint) {
	for _, p := range sortedPoints(w.disk.channels) {
		if ch := w.channel(p); ch != nil && ch.tag == tag {
			points = append(points, p)
		}
	}
	return points
}

func (w *world) checkOpen(b *bought, c jit.OpenChannel) {
	w.must(len(w.live(b.id)) == 0, "a second channel is opened for an order", b.id)
	w.must(len(b.funded) == 0, "a channel is opened for an order that has funded one", b.id)
	w.must(!w.worker(b.client).opens(b.id), "an open while another is under way", b.id)
	r := w.disk.journal[b.id]
	w.must(r == nil || r.state == dropped, "an open is refused, for the last funding has no end", b.id)
	w.must(c.Withhold == b.terms.ClientTrustsLSP, "withheld otherwise than agreed", b.id)
	w.must(c.Attempt <= b.terms.Rules.MaxOpenAttempts, "too many attempts", b.id)
}

func (w *world) checkReserve(o *opening, coin int) {
	for _, r := range w.disk.journal {
		live := r.state != dropped && r.state != confirmed && w.chain.confirmed[r.point] == 0
		w.must(!live || r.coin != coin || !w.spendsStill(r), "a coin is taken twice", r.tag, " ", o.tag)
	}
	for _, k := range w.lsp.workers {
		if k == nil {
			continue
		}
		for _, other := range k.openings {
			w.must(other == o || other.coin != coin, "a coin is taken twice", other.tag, " ", o.tag)
		}
	}
}

// spendsStill says that the record's transaction may yet go out.
func (w *world) spendsStill(r *record) bool {
	return w.channel(r.point) != nil
}

func (w *world) checkStore(o *opening) {
	w.must(len(w.live(o.tag)) == 0, "an order has two channels", o.tag)
	w.must(len(w.order(o.tag).funded) == 0, "an order funds two channels", o.tag)
}

func (w *world) checkCreated(p wire.OutPoint) {
	for _, r := range w.disk.journal {
		if r.point == p {
			return
		}
	}
	w.must(false, "funding_created leaves before its intent is on disk", nr(p))
}

// checkPublish is where money is lost.
func (w *world) checkPublish(p wire.OutPoint) {
	ch := w.disk.channels[p]
	w.must(ch != nil, "a funding is broadcast whose channel is not stored", nr(p))
	r, b := w.disk.journal[ch.tag], w.order(ch.tag)
	w.must(r != nil && r.point == p, "a funding is broadcast that is not journalled", nr(p))
	w.must(r.mayBeOut(), "a withheld funding is broadcast", nr(p))
	w.must(ch.watched, "a funding is broadcast that nobody watches", nr(p))
	until, leased := w.disk.leases[r.coin]
	w.must(leased && w.now.Before(until) || w.chain.out(p) || !w.chain.coins[r.coin] ||
		len(w.held) > 0, "a funding is broadcast whose coin is free", nr(p))
	if b.terms.ClientTrustsLSP {
		w.must(w.preimageKnown(b), "a withheld funding is out without a preimage", nr(p))
	}
	b.funded[p] = true
	w.must(len(b.funded) == 1, "an order funds two channels", b.id)
}

// preimageKnown says that a client has given the preimage of a payment to the order,
// maybe for the same hash somewhere else.
func (w *world) preimageKnown(b *bought) bool {
	for _, h := range w.htlcs {
		for _, other := range w.htlcs {
			if h.order == b && other.claimed && other.hash() == h.hash() {
				return true
			}
		}
	}
	return false
}

func (w *world) checkUnfunded(p wire.OutPoint) {
	w.must(!w.chain.out(p) && len(w.order(w.disk.channels[p].tag).funded) == 0,
		"a channel is cancelled whose funding is out", nr(p))
	// One that has lapsed is enough: at its expiry lnd would close the channel by force. When the
	// decision is made, that one may be gone before it is carried out.
	claim, _ := w.lsp.desk.orders[w.disk.channels[p].tag].order.State.(jit.AwaitClaim)
	lapsed := claim.Dropping
	for k, out := range w.disk.channels[p].out {
		lapsed = lapsed || out.state == "sent" && w.lapsed(k)
	}
	for k, out := range w.disk.channels[p].out {
		w.must(!w.htlcs[k].claimed || w.lapsed(k) && out.state == "sent",
			"a channel is cancelled that a client has claimed on", nr(p))
		w.must(out.state != "sent" || lapsed, "a channel is cancelled with an HTLC in it", nr(p))
	}
}

func (w *world) checkFree(p wire.OutPoint, coin int) {
	w.must(w.channel(p) == nil, "the coins of a channel that lives are freed", nr(p))
	for _, r := range w.disk.journal {
		w.must(r.coin != coin || r.point == p || w.channel(r.point) == nil,
			"the coins of another funding are freed", nr(p))
	}
}

// checkForget is when the LSP tells a client to forget a channel.
func (w *world) checkForget(_ *client, ch *theirs) {
	for _, r := range ch.htlcs {
		w.must(r.state != "claimed" || w.disk.channels[ch.point].out[r.key].acked || w.lapsed(r.key),
			"a channel is cancelled that a client has claimed on", nr(ch.point))
	}
}

func (w *world) checkForward(b *bought, k uint64, amount, fee lnwire.MilliSatoshi) {
	h := w.htlcs[k]
	w.must(h.order == b, "a part is forwarded by another order", k)
	w.must(amount+fee == h.part.Amount, "the amounts do not add up", k)
	w.must(amount > 0, "a part leaves the client nothing", k)
	w.must(h.outcome != refunded || w.disk.circuits[k] == nil && h.gone,
		"a part is forwarded that was failed", k)
}

// checkLeave is when an HTLC enters a commitment with the client.
func (w *world) checkLeave(ch *stored, h *htlc, one packet) {
	w.must(h.outcome == pending, "a part is sent to the client that the payer has back", one.key)
	_, failing := w.lsp.swtch.upstream[one.key]
	w.must(!failing, "a part is sent to the client whose failure is on its way", one.key)
	for _, other := range w.disk.channels {
		w.must(other.out[one.key] == nil, "a part is sent twice", one.key)
	}
	e := w.lsp.desk.orders[h.order.id]
	if e.order.Unpaid() || one.fee > 0 {
		w.must(ch.tag == h.order.id, "a part with a fee leaves by another channel", one.key)
	}
}

// checkSkim has it that a client pays for its channel once, and no more than agreed. Who claims some
// parts of a payment and fails the others pays the rest of the fee with the next.
func (w *world) checkSkim(b *bought) {
	var taken, size lnwire.MilliSatoshi
	hashes := map[byte]bool{}
	for _, h := range w.htlcs {
		if h.order == b && h.claimed && h.taken > 0 {
			taken += h.taken
			hashes[h.hash()] = true
		}
	}
	for _, h := range w.htlcs {
		if h.order == b && hashes[h.hash()] {
			size += h.part.Amount
		}
	}
	w.must(len(hashes) <= 1 || b.terms.PaymentSize != 0, "a client is charged in two payments", b.id)
	w.must(taken == 0 || taken <= promised(b, size), "a client is charged too much", b.id)
}

// checkRest is when nothing moves any more and no thread is held up.
func (w *world) checkRest() {
	if w.lsp == nil || len(w.held) > 0 {
		return
	}
	d, s := w.lsp.desk, w.lsp.swtch
	for _, k := range sortedKeys(s.held) {
		h := w.htlcs[k]
		e := d.orders[h.order.id]
		_, parked := d.parked[k]
		owned := parked || slices.ContainsFunc(e.order.Held(), func(p jit.Part) bool {
			return p.Key.Index == k
		})
		w.must(owned || h.gone, "a held part has no owner", k)
		_, paid := e.order.State.(jit.Paid)
		until := h.offered.Add(e.order.Terms.Rules.Hold)
		if parked {
			until = d.parked[k].until
		}
		w.must(w.now.Before(until), "a part is held for too long", k)
		w.must(parked || h.part.IncomingExpiry-24 > w.height, "a part is held too near its expiry", k)
		w.must(paid || parked || h.part.OutgoingExpiry-43 > w.height,
			"a part is held that the client would refuse", k)
	}
	for _, p := range sortedPoints(w.disk.channels) {
		for k, out := range w.disk.channels[p].out {
			_, going := s.upstream[k]
			w.must(out.state == "sent" || out.acked || going, "an answer of the client is lost", k)
		}
	}
	for i := range w.clients {
		if k := w.lsp.workers[i]; k != nil {
			w.must(len(k.openings) <= len(w.orders), "too many openings", w.clients[i].name)
		}
	}
	for _, id := range d.ids {
		e := d.orders[id]
		w.must(endingOf(e.order) == nil || e.waits, "an open never ends for its order", id)
		ch, ok := e.order.Channel()
		w.must(!ok || ch.Conn == 0 || ch.Conn == w.order(id).client.conn,
			"an order believes in a connection that has ended", id)
	}
	w.checkLeases()
	w.checkMoney()
}

// checkLeases has it that each leased coin is for an opening or for a channel.
func (w *world) checkLeases() {
	owned := map[int]bool{}
	for _, k := range w.lsp.workers {
		if k == nil {
			continue
		}
		for _, o := range k.openings {
			owned[o.coin] = true
		}
	}
	for _, r := range w.disk.journal {
		if w.channel(r.point) != nil {
			owned[r.coin] = true
		}
	}
	for _, coin := range sortedKeys(w.disk.leases) {
		leased := w.now.Before(w.disk.leases[coin]) && w.chain.coins[coin]
		w.must(!leased || owned[coin], "a coin is leased for nothing", coin)
	}
}

// checkMoney is about each HTLC whose story is over, and about the payers' refunds.
func (w *world) checkMoney() {
	for _, h := range w.htlcs {
		w.must(h.outcome != refunded || !h.claimed, "a part was refunded and claimed", h.index())
		w.must(h.outcome != paidOut || h.claimed, "the payer paid and the client did not get it", h.index())
	}
}

// checkEnd is after a history was drained: everything has come to an end.
func (w *world) checkEnd() {
	d, s := w.lsp.desk, w.lsp.swtch
	for _, h := range w.htlcs {
		w.must(h.outcome != pending, "a part never got its answer", h.index())
		w.must((h.outcome == paidOut) == h.claimed, "a preimage was learned and not claimed", h.index())
	}
	w.must(len(s.held) == 0, "the switch still holds parts", fmt.Sprint(s.held))
	w.must(len(w.disk.circuits) == 0 && len(s.outbox) == 0 && len(s.upstream) == 0 &&
		len(d.parked) == 0, "forwards are left over")
	for _, id := range d.ids {
		w.checkOrderEnd(w.order(id), d.orders[id])
	}
}

func (w *world) checkOrderEnd(b *bought, e *entry) {
	var taken lnwire.MilliSatoshi
	for _, h := range w.htlcs {
		if h.order == b && h.claimed {
			taken += h.taken
		}
	}
	w.must(len(e.order.Held()) == 0, "an order holds parts for ever", b.id)
	w.must(len(e.effects) == 0 && !e.waits, "effects of an order are left over", b.id)
	switch s := e.order.State.(type) {
	case jit.Paid:
		w.must(s.Collected == taken, "the books differ from what was collected", b.id,
			fmt.Sprintf(": %d and %d", uint64(s.Collected), uint64(taken)))
		w.must(taken >= s.Fee, "an order is paid and not all was collected", b.id)
	case jit.Owed:
		w.must(taken == 0 || b.terms.PaymentSize != 0 && taken < promised(b, 0),
			"an order is owed for that was paid", b.id)
	case jit.Dead:
		w.must(taken == 0 || len(w.live(b.id)) == 0, "an order is dead that was paid", b.id)
	case jit.AwaitParts:
		w.must(s.Ending == nil, "an open never ends for its order", b.id)
	default:
		w.must(false, "an order never comes to an end", b.id, " ", e.order.State.Name())
	}
	for _, p := range w.live(b.id) {
		ch, ok := e.order.Channel()
		w.must(ok && ch.Point == p, "a channel has no order that knows it", nr(p))
		r := w.disk.journal[b.id]
		w.must(r != nil && r.mayBeOut(), "a channel stays withheld for ever", nr(p))
	}
}
