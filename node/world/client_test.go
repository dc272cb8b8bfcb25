package world

import (
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// client is a wallet that buys channels. Its modes say how it answers; what it has
// of channels is on its own disk, except that it takes less than an onion says,
// which an LDK client keeps in memory.
type client struct {
	name  string
	id    byte
	conn  jit.Conn // 0: away
	inbox []any
	chans map[wire.OutPoint]*theirs
	slots int // max_accepted_htlcs

	open string // accept, refuse, noanchors, terms, silent
	sign string // sign, error, badsig, silent
	up   string // ready, silent: its channel_ready
	pay  string // claim, fail, hold, one
}

// theirs is a channel as the client has it.
type theirs struct {
	point               wire.OutPoint
	skims               bool // takes less than the onion says
	sentReady, gotReady bool
	htlcs               map[uint64]*received
}

// received is an HTLC at the client.
type received struct {
	addHTLC
	state string // held, claimed, failed
}

func newClient(name string, id byte) *client {
	return &client{
		name: name, id: id, chans: map[wire.OutPoint]*theirs{}, slots: 50,
		open: "accept", sign: "sign", up: "ready", pay: "claim",
	}
}

func (c *client) disconnect() { c.conn, c.inbox = 0, nil }

// connect is the node's Connected, in its order: links, channel factory, orders.
func (w *world) connect(c *client) {
	w.lsp.conns++
	c.conn = w.lsp.conns
	for _, p := range sortedPoints(w.disk.channels) {
		ch := w.channel(p)
		if ch == nil || ch.client != c {
			continue
		}
		if ch.open && !w.lsp.retired[p] {
			w.lsp.swtch.links[p] = &link{conn: c.conn}
		}
		c.inbox = append(c.inbox, reestablish{p})
	}
	// The client's channel_reestablish for a channel that we have given up is answered with an error.
	for _, p := range sortedPoints(c.chans) {
		if w.disk.channels[p] == nil || w.unfunded(p) {
			c.inbox = append(c.inbox, &lnwire.Error{ChanID: lnwire.NewChanIDFromOutPoint(p)})
		}
	}
	w.worker(c).online(c.conn)
	w.lsp.desk.post(input{client: c, event: jit.ClientOnline{Conn: c.conn}})
}

// leave is the node's Disconnected.
func (w *world) leaves(c *client) {
	conn := c.conn
	c.disconnect()
	if w.lsp == nil {
		return
	}
	w.lsp.desk.post(input{client: c, event: jit.ClientGone{}})
	k := w.worker(c)
	k.post(func() { k.gone(conn) })
	for _, p := range sortedPoints(w.lsp.swtch.links) {
		if l := w.lsp.swtch.links[p]; l.conn == conn {
			delete(w.lsp.swtch.links, p)
		}
	}
}

// forgets is the client's restart: an LDK client does not keep which channels may
// take less than the onion says.
func (c *client) forgets() {
	for _, ch := range c.chans {
		ch.skims = false
	}
}

func (w *world) stepClients() bool {
	for i := range w.clients {
		c := w.clients[(i+w.rotate)%len(w.clients)]
		if len(c.inbox) == 0 || w.held[c.name] {
			continue
		}
		w.stepClient(c)
		return true
	}
	return false
}

// stepClient lets a client read one message.
func (w *world) stepClient(c *client) {
	if len(c.inbox) == 0 {
		return
	}
	m := c.inbox[0]
	c.inbox = c.inbox[1:]
	switch m := m.(type) {
	case *lnwire.OpenChannel:
		w.opened(c, m)
	case *lnwire.FundingCreated:
		w.created(c, m)
	case *lnwire.ChannelReady:
		if ch := c.chanOf(m.ChanID); ch != nil {
			ch.gotReady = true
		}
	case *lnwire.Error:
		if ch := c.chanOf(m.ChanID); ch != nil {
			w.checkForget(c, ch)
			delete(c.chans, ch.point)
		}
	case reestablish:
		w.reestablish(c, m.point)
	case addHTLC:
		w.added(c, m)
	}
}

func (c *client) chanOf(id lnwire.ChannelID) *theirs {
	for p, ch := range c.chans {
		if lnwire.NewChanIDFromOutPoint(p) == id {
			return ch
		}
	}
	return nil
}

func (w *world) reply(c *client, m lnwire.Message) { w.worker(c).receive(c.conn, m) }

func (w *world) refusal(c *client, id lnwire.ChannelID) {
	w.reply(c, &lnwire.Error{ChanID: id, Data: lnwire.ErrorData("Channel request rejected")})
}

func (w *world) opened(c *client, m *lnwire.OpenChannel) {
	k := theirKeys
	a := &lnwire.AcceptChannel{
		PendingChannelID: m.PendingChannelID, DustLimit: 354,
		MaxValueInFlight: lnwire.NewMSatFromSatoshis(m.FundingAmount),
		ChannelReserve:   max(1000, m.FundingAmount/100), HtlcMinimum: 1, CsvDelay: 144,
		MaxAcceptedHTLCs: uint16(max(5, c.slots)), ChannelType: m.ChannelType,
		FundingKey: k.Funding, RevocationPoint: k.Revocation, PaymentPoint: k.Payment,
		DelayedPaymentPoint: k.Delayed, HtlcPoint: k.Htlc, FirstCommitmentPoint: k.FirstPoint,
	}
	anchors := lnwire.RawFeatureVector(*m.ChannelType)
	switch {
	case c.open == "silent":
	case c.open == "refuse",
		c.open == "noanchors" && anchors.IsSet(lnwire.AnchorsZeroFeeHtlcTxRequired):
		w.refusal(c, m.PendingChannelID)
	case c.open == "terms":
		a.ChannelReserve = m.FundingAmount / 5
		w.reply(c, a)
	default:
		w.reply(c, a)
	}
}

func (w *world) created(c *client, m *lnwire.FundingCreated) {
	id := lnwire.NewChanIDFromOutPoint(m.FundingPoint)
	signed := &lnwire.FundingSigned{ChanID: id}
	switch c.sign {
	case "silent":
		return
	case "error":
		w.refusal(c, id)
		return
	case "badsig":
		signed.CommitSig, _ = lnwire.NewSigFromWireECDSA([]byte{63: 1})
		w.reply(c, signed)
		return
	}
	c.chans[m.FundingPoint] = &theirs{
		point: m.FundingPoint, skims: true, htlcs: map[uint64]*received{},
	}
	w.reply(c, signed)
	w.ready(c, m.FundingPoint)
}

// ready sends channel_ready.
func (w *world) ready(c *client, p wire.OutPoint) {
	if c.up == "silent" {
		return
	}
	c.chans[p].sentReady = true
	w.reply(c, lnwire.NewChannelReady(lnwire.NewChanIDFromOutPoint(p), theirKeys.FirstPoint))
}

// reestablish answers channel_reestablish, with what may have been lost.
func (w *world) reestablish(c *client, p wire.OutPoint) {
	ch := c.chans[p]
	if ch == nil {
		w.refusal(c, lnwire.NewChanIDFromOutPoint(p))
		return
	}
	w.reestablished(p, c.conn)
	if len(ch.htlcs) == 0 {
		ch.gotReady = true // ours comes again, from the link or the channel factory
		w.ready(c, p)
	}
	for _, k := range sortedKeys(ch.htlcs) {
		if r := ch.htlcs[k]; r.state != "held" {
			w.sendAnswer(c, r)
		}
	}
}

func (w *world) sendAnswer(c *client, r *received) {
	claimed := r.state == "claimed"
	switch {
	case w.lsp == nil:
		return
	case w.unfunded(r.point):
		return // it is too late, and there is nothing to claim
	case w.disk.channels[r.point].closed:
		w.onChain(r.point, r.key, claimed)
		return
	case c.conn == 0:
		return
	}
	if claimed {
		w.lsp.desk.post(input{hash: r.hash, preimage: true})
	}
	w.lsp.swtch.incoming = append(w.lsp.swtch.incoming,
		linkMessage{r.point, c.conn, r.key, claimed})
}

// added is an HTLC that came; one that came before is known.
func (w *world) added(c *client, m addHTLC) {
	ch := c.chans[m.point]
	w.must(ch != nil && ch.sentReady && ch.gotReady, "an HTLC before the channel is ready", m.key)
	if ch.htlcs[m.key] != nil {
		return
	}
	r := &received{m, "held"}
	ch.htlcs[m.key] = r
	b := w.invoice(c, m.hash)
	late := w.htlcs[m.key].part.OutgoingExpiry < w.height+ldkDelta
	if b == nil || m.fee > 0 && !ch.skims || late {
		w.finish(c, r, false)
		return
	}
	w.consider(c, b, m.hash)
}

// invoice is the order that the client's invoice with this hash names.
func (w *world) invoice(c *client, hash byte) *bought {
	for _, b := range w.orders {
		for _, h := range b.hashes {
			if h == hash && b.client == c {
				return b
			}
		}
	}
	return nil
}

// holding are the HTLCs of a payment that the client has not answered.
func (c *client) holding(hash byte) []*received {
	var all []*received
	for _, p := range sortedPoints(c.chans) {
		for _, k := range sortedKeys(c.chans[p].htlcs) {
			if r := c.chans[p].htlcs[k]; r.state == "held" && (hash == 0 || r.hash == hash) {
				all = append(all, r)
			}
		}
	}
	return all
}

// consider answers a payment as soon as it is all there.
func (w *world) consider(c *client, b *bought, hash byte) {
	var total, skimmed lnwire.MilliSatoshi
	parts := c.holding(hash)
	for _, r := range parts {
		total += r.amount + r.fee
		skimmed += r.fee
	}
	if total < b.terms.PaymentSize {
		return
	}
	// A payer may send one order's hash to another order, of which the invoice knows
	// nothing.
	strange := slices.ContainsFunc(parts, func(r *received) bool { return w.htlcs[r.key].order != b })
	dear := skimmed > promised(b, total)
	w.must(!dear || strange, "the client is charged more than the promise", b.id)
	if dear {
		for _, r := range parts {
			w.finish(c, r, false)
		}
		return
	}
	switch c.pay {
	case "hold":
	case "one":
		w.finish(c, parts[len(parts)-1], true)
	default:
		for _, r := range parts {
			w.finish(c, r, c.pay == "claim")
		}
	}
}

// finish claims or fails one HTLC.
func (w *world) finish(c *client, r *received, claim bool) {
	r.state = "failed"
	if claim {
		r.state = "claimed"
		h := w.htlcs[r.key]
		w.must(h.outcome == pending || w.unfunded(r.point),
			"a part is claimed downstream that was failed upstream", r.key)
		if !w.unfunded(r.point) { // else it is worth nothing: the channel was given up while it was away
			h.claimed, h.taken = true, r.fee
			w.checkSkim(h.order)
		}
	}
	w.say("%s: part %d %s", c.name, r.key, r.state)
	w.sendAnswer(c, r)
}
