package world

import (
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
	"github.com/inletlsp/inlet/lsp/jit"
)

const (
	rejectDelta    = 19 // the interceptor fails what it holds by then
	interceptDelta = 22 // and does not offer what is nearer
	mailboxTimeout = time.Minute

	outgoingRejectDelta = 3  // what the link must leave the next one
	ldkDelta            = 44 // what LDK wants to have left, to the block
)

const temporary = lnwire.CodeTemporaryChannelFailure

// swtch is lnd's switch with the interceptor, the links and their mailboxes.
type swtch struct {
	held     map[uint64]bool // by the interceptor
	links    map[wire.OutPoint]*link
	incoming []linkMessage              // from clients, for their links
	outbox   []packet                   // for the clients' links
	upstream map[uint64]lnwire.FailCode // for the payer's link; 0 is a settle
}

// link is that of a client's channel, on one connection.
type link struct {
	conn   jit.Conn
	synced bool // channel_reestablish has gone both ways
}

type packet struct {
	key         uint64
	point       wire.OutPoint
	amount, fee lnwire.MilliSatoshi
	since       time.Time
}

// circuit is an HTLC that was decided to be forwarded; with a keystone it is in a
// commitment of the next channel.
type circuit struct{ keystone bool }

// outgoing is an HTLC on a client's channel.
type outgoing struct {
	key         uint64
	amount, fee lnwire.MilliSatoshi
	state       string // sent, settled, failed
	acked       bool   // the answer is in a commitment with the payer
}

// linkMessage is update_fulfill_htlc or update_fail_htlc.
type linkMessage struct {
	point   wire.OutPoint
	conn    jit.Conn
	key     uint64
	claimed bool
}

// addHTLC is update_add_htlc.
type addHTLC struct {
	point       wire.OutPoint
	key         uint64
	amount, fee lnwire.MilliSatoshi
	hash        byte
}

// reestablish is channel_reestablish.
type reestablish struct{ point wire.OutPoint }

func newSwitch() *swtch {
	return &swtch{
		held: map[uint64]bool{}, links: map[wire.OutPoint]*link{},
		upstream: map[uint64]lnwire.FailCode{},
	}
}

// loadSwitch finds the answers that the payer has not got yet.
func (w *world) loadSwitch() {
	for _, p := range sortedPoints(w.disk.channels) {
		for _, k := range sortedKeys(w.disk.channels[p].out) {
			out := w.disk.channels[p].out[k]
			if out.state == "sent" && w.unfunded(p) {
				// lnd clears the second halves of circuits over closed channels, and fails what
				// is left when it is offered again.
				out.state = "failed"
			}
			switch {
			case out.acked || out.state == "sent":
			case out.state == "settled":
				w.lsp.swtch.upstream[k] = 0
			default:
				w.lsp.swtch.upstream[k] = temporary
			}
		}
	}
}

// offer shows an HTLC to the interceptor, for the first time or again.
func (w *world) offer(h *htlc) {
	s, k := w.lsp.swtch, h.index()
	_, answered := s.upstream[k]
	switch c := w.disk.circuits[k]; {
	case c != nil && !c.keystone && !slices.ContainsFunc(s.outbox, is(k)) && !answered:
		// lnd fails what was cut off between the two halves of its circuit.
		w.unsent(k)
		return
	case c != nil:
		return // the circuit map drops the duplicate
	case h.part.IncomingExpiry-min(h.part.IncomingExpiry, interceptDelta) <= w.height:
		if !answered {
			s.upstream[k] = temporary
		}
		return
	}
	s.held[k] = true
	h.offered = w.now
	if !w.lsp.desk.offer(h) {
		delete(s.held, k)
		s.upstream[k] = lnwire.CodeUnknownNextPeer
		w.must(false, "an HTLC of an order passed as nobody's", k)
	}
}

func is(key uint64) func(packet) bool { return func(p packet) bool { return p.key == key } }

// failHeld fails what the interceptor holds.
func (w *world) failHeld(k uint64, code lnwire.FailCode) {
	s := w.lsp.swtch
	if c := w.disk.circuits[k]; c != nil && c.keystone {
		w.void(k, code)
		return
	}
	if !s.held[k] {
		return
	}
	w.must(w.disk.circuits[k] == nil, "a part is failed that was forwarded", k)
	delete(s.held, k)
	s.upstream[k] = code
}

// void fails what went out on a channel that was never funded, and nothing else.
func (w *world) void(k uint64, code lnwire.FailCode) {
	for _, p := range sortedPoints(w.disk.channels) {
		if out := w.disk.channels[p].out[k]; out != nil && out.state == "sent" && w.unfunded(p) {
			w.durable("resolution", func() { out.state = "failed" })
			w.lsp.swtch.upstream[k] = code
			w.count["voided"]++
		}
	}
}

// unfunded says that a channel was closed whose funding will never be there.
func (w *world) unfunded(p wire.OutPoint) bool {
	ch := w.disk.channels[p]
	r := w.disk.journal[ch.tag]
	return ch.closed && !w.chain.out(p) && (r == nil || r.point != p || r.state == dropped)
}

// lapsed says that an HTLC has expired over whose channel nothing can go on chain.
func (w *world) lapsed(k uint64) bool {
	h := w.htlcs[k]
	return h.part.IncomingExpiry <= w.height+uint32(h.order.terms.CLTVExpiryDelta)
}

// resumeHeld forwards what the interceptor holds; false if it does not hold it.
func (w *world) resumeHeld(f forward) bool {
	s, k := w.lsp.swtch, f.key
	if !s.held[k] {
		return false
	}
	delete(s.held, k)
	_, failing := s.upstream[k]
	w.must(!failing, "a part is forwarded whose failure is on its way", k)
	w.durable("circuit", func() { w.disk.circuits[k] = &circuit{} })
	p, ok := w.outgoingChannel(f)
	if !ok || w.htlcs[k].part.OutgoingExpiry <= w.height+outgoingRejectDelta {
		w.unsent(k)
		return true
	}
	s.outbox = append(s.outbox, packet{k, p, f.amount, f.fee, w.now})
	return true
}

// outgoingChannel is where the switch sends the part: by any channel of the next
// peer, unless the order has but one for it.
func (w *world) outgoingChannel(f forward) (wire.OutPoint, bool) {
	b := w.order(f.order)
	only, strict := w.lsp.desk.only[f.order]
	for _, p := range sortedPoints(w.lsp.swtch.links) {
		ch := w.channel(p)
		if ch == nil || ch.client != b.client || strict && p != only {
			continue
		}
		// A withheld channel carries its order's parts alone.
		if r := w.disk.journal[ch.tag]; r.withhold && r.state == intended && p != only {
			continue
		}
		if w.linkUp(p) && w.bandwidth(ch) >= f.amount {
			return p, true
		}
	}
	return wire.OutPoint{}, false
}

// bandwidth is what the link can still send: the reserve, the anchors and twice the
// fee of the commitment are kept.
func (w *world) bandwidth(ch *stored) lnwire.MilliSatoshi {
	spent, n := lnwire.MilliSatoshi(0), 1
	for _, out := range ch.out {
		if out.state != "failed" {
			spent += out.amount
		}
		if out.state == "sent" {
			n++
		}
	}
	for _, p := range w.lsp.swtch.outbox {
		if p.point == ch.point {
			spent += p.amount
			n++
		}
	}
	fee := 2 * rate * (1124 + 172*int64(n)) / 1000
	keep := int64(funding.ReserveRule{}.Of(ch.capacity)) + 660 + fee
	return lnwire.MilliSatoshi(max(0, 1000*(int64(ch.capacity)-keep)-int64(spent)))
}

// linkUp says that HTLCs can move on the channel.
func (w *world) linkUp(p wire.OutPoint) bool {
	l, ch := w.lsp.swtch.links[p], w.channel(p)
	return l != nil && l.synced && ch != nil && ch.ready
}

// linkOf is the channel that the scid leads to, if its link is up.
func (w *world) linkOf(scid lnwire.ShortChannelID) *stored {
	p, ok := w.disk.aliases[scid]
	if !ok || !w.linkUp(p) {
		return nil
	}
	return w.channel(p)
}

// unsent fails a forward that did not leave. Its circuit stays until the payer has the
// failure, so that a replay is not forwarded.
func (w *world) unsent(k uint64) {
	w.lsp.swtch.upstream[k] = temporary
	w.lsp.desk.part(k, jit.PartFailed{Key: key(k), Ours: true})
}

func (w *world) stepLinks() bool {
	if w.lsp == nil {
		return false
	}
	s := w.lsp.swtch
	if len(s.incoming) > 0 {
		m := s.incoming[0]
		s.incoming = s.incoming[1:]
		if l := s.links[m.point]; l != nil && l.conn == m.conn {
			w.resolved(m.point, m.key, m.claimed)
		}
		return true
	}
	for i, one := range s.outbox {
		if w.linkUp(one.point) {
			s.outbox = slices.Delete(slices.Clone(s.outbox), i, i+1)
			w.leave(one)
			return true
		}
	}
	return false
}

// leave puts an HTLC into a commitment of the client's channel.
func (w *world) leave(one packet) {
	ch, h := w.channel(one.point), w.htlcs[one.key]
	w.checkLeave(ch, h, one)
	w.durable("outgoing commitment", func() {
		ch.out[one.key] = &outgoing{key: one.key, amount: one.amount, fee: one.fee, state: "sent"}
		w.disk.circuits[one.key] = &circuit{keystone: true}
	})
	w.count["forwarded"]++
	w.tellAdd(ch, ch.out[one.key])
}

func (w *world) tellAdd(ch *stored, out *outgoing) {
	c, l := ch.client, w.lsp.swtch.links[ch.point]
	if l != nil && c.conn == l.conn {
		c.inbox = append(c.inbox, addHTLC{
			ch.point, out.key, out.amount, out.fee, w.htlcs[out.key].hash(),
		})
	}
}

// resolved is the client's answer to an HTLC, off chain or on chain.
func (w *world) resolved(p wire.OutPoint, k uint64, claimed bool) {
	out := w.disk.channels[p].out[k]
	if out == nil || out.state != "sent" {
		return
	}
	hash := w.htlcs[k].hash()
	if !claimed {
		w.durable("failure of the client", func() { out.state = "failed" })
		w.lsp.swtch.upstream[k] = temporary
		w.lsp.desk.part(k, jit.PartFailed{Key: key(k)})
		return
	}
	w.durable("preimage", func() { out.state, w.disk.preimages[hash] = "settled", true })
	w.lsp.swtch.upstream[k] = 0
	w.lsp.desk.part(k, jit.PartClaimed{Key: key(k)})
}

// deadline is when a packet has waited for too long for a link.
func (s *swtch) deadline() (first time.Time, ok bool) {
	for _, one := range s.outbox {
		if at := one.since.Add(mailboxTimeout); !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	return first, ok
}

func (w *world) expireOutbox() {
	s := w.lsp.swtch
	for _, one := range slices.Clone(s.outbox) {
		if !w.now.Before(one.since.Add(mailboxTimeout)) {
			s.outbox = slices.DeleteFunc(s.outbox, is(one.key))
			w.unsent(one.key)
		}
	}
}

// expireHeld is what lnd's interceptor does by itself. The orders are to be earlier.
func (w *world) expireHeld() {
	if w.lsp == nil {
		return
	}
	s := w.lsp.swtch
	for _, k := range sortedKeys(s.held) {
		if w.htlcs[k].part.IncomingExpiry > w.height+rejectDelta {
			continue
		}
		// A forward that waits for a link is not the order's any more. It waits for its hold only,
		// in which as many blocks never come outside of histories.
		_, parked := w.lsp.desk.parked[k]
		w.must(parked || len(w.held) > 0, "a part was held until the switch failed it", k)
		delete(s.held, k)
		s.upstream[k] = temporary
	}
}

// stepUpstream brings one answer to the payer.
func (w *world) stepUpstream() bool {
	if w.lsp == nil || !w.payerUp || len(w.lsp.swtch.upstream) == 0 {
		return false
	}
	s := w.lsp.swtch
	k := sortedKeys(s.upstream)[0]
	code := s.upstream[k]
	h := w.htlcs[k]
	w.durable("commitment with the payer", func() {
		delete(w.disk.circuits, k)
		for _, ch := range w.disk.channels {
			if out := ch.out[k]; out != nil {
				out.acked = true
			}
		}
		w.answer(h, code)
	})
	delete(s.upstream, k)
	delete(s.held, k)
	if code == 0 {
		w.lsp.desk.part(k, jit.PartClaimed{Key: key(k)})
	} else {
		w.lsp.desk.part(k, jit.PartFailed{Key: key(k), Ours: true})
	}
	w.lsp.desk.part(k, jit.PartGone{Key: key(k)})
	return true
}

// linkReady is Links.Ready: the channel's first link, or one that could not sign yet.
func (w *world) linkReady(p wire.OutPoint, conn jit.Conn) {
	l := w.lsp.swtch.links[p]
	if l == nil {
		l = &link{conn: conn, synced: true}
		w.lsp.swtch.links[p] = l
	}
	if l.synced {
		w.tellUsable(p, l)
	}
}

func (w *world) tellUsable(p wire.OutPoint, l *link) {
	w.lsp.desk.post(input{point: &p, event: jit.ChannelUsable{
		Point: p, Conn: l.conn, HTLCMin: 1, MaxHTLCs: w.channel(p).client.slots,
	}})
}

// reestablished: both sides know where the channel stands.
func (w *world) reestablished(p wire.OutPoint, conn jit.Conn) {
	l, ch := w.lsp.swtch.links[p], w.channel(p)
	if l == nil || l.conn != conn || ch == nil || l.synced {
		return
	}
	l.synced = true
	for _, k := range sortedKeys(ch.out) {
		if ch.out[k].state == "sent" {
			w.tellAdd(ch, ch.out[k])
		}
	}
	if ch.ready {
		w.tellUsable(p, l)
	}
}
