package world

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// outcome is what the payer sees of a part.
type outcome int

const (
	pending outcome = iota
	paidOut         // the preimage came
	refunded
)

// htlc is one part as the payer knows it.
type htlc struct {
	order   *bought
	scid    lnwire.ShortChannelID
	part    jit.Part
	offered time.Time // to the interceptor, the last time
	outcome outcome
	code    lnwire.FailCode
	gone    bool // off both commitments

	claimed bool // by the client
	taken   lnwire.MilliSatoshi
}

func (h *htlc) index() uint64 { return h.part.Key.Index }
func (h *htlc) hash() byte    { return h.part.Hash[0] }

func key(k uint64) jit.CircuitKey {
	return jit.CircuitKey{Chan: lnwire.ShortChannelID{BlockHeight: 5}, Index: k}
}

// answer is the payer's: what became of its part.
func (w *world) answer(h *htlc, code lnwire.FailCode) {
	h.gone, h.code, h.outcome = true, code, refunded
	if code == 0 {
		h.outcome = paidOut
	}
	w.must(code == 0 || !h.claimed, "a part was refunded and claimed", h.index())
	if code == 0 {
		w.say("payer: part %d is paid", h.index())
		return
	}
	w.say("payer: part %d is back: %v", h.index(), code)
}

// errSkip is a line that has no place here and now: it does nothing.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// line does one line of a script. A line that can't be done now does nothing, so that
// a script from which lines were cut is a script still. The error is for one that
// could never be.
func (w *world) line(text string) error {
	f := strings.Fields(text)
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	var err error
	w.guard(func() {
		if err = w.verb(f); err == nil {
			w.run()
		}
	})
	if skip := errSkip(""); errors.As(err, &skip) {
		w.say("nothing: %s", skip.Error())
		err = nil
	}
	if err == nil {
		w.checkRest()
	}
	return err
}

// verb does what the line says; what follows from it is for run.
func (w *world) verb(f []string) error {
	if d, ok := strings.CutPrefix(f[0], "t+"); ok {
		dur, err := time.ParseDuration(d)
		if err == nil {
			w.pass(dur)
		}
		return err
	}
	if len(f) == 1 {
		return w.plain(f[0])
	}
	if c := w.client(f[1]); c != nil && f[0] != "buy" && f[0] != "free" {
		return w.clientVerb(c, f)
	}
	switch f[0] {
	case "buy":
		return w.buy(f)
	case "part":
		return w.part(f)
	case "evict", "close":
		return w.channelVerb(f)
	}
	return w.setting(f[0], f[1])
}

// plain are the verbs without words after them.
func (w *world) plain(verb string) error {
	switch verb {
	case "crash":
		if w.lsp == nil {
			return errSkip("it is down")
		}
		panic(crash{})
	case "start":
		if w.lsp != nil {
			return errSkip("it is up")
		}
		w.start()
	case "coin":
		w.chain.addCoin()
	case "drain":
		w.drain()
	default:
		return fmt.Errorf("unknown line %q", verb)
	}
	return nil
}

func (w *world) setting(verb, word string) error {
	n, numeric := strconv.Atoi(word)
	switch {
	case verb == "block" && numeric == nil:
		for range n {
			w.block()
			w.run()
		}
	case verb == "crash" && numeric == nil:
		w.crashIn = n
	case verb == "rotate" && numeric == nil:
		w.rotate = n
	case verb == "hold":
		w.held[word] = true
	case verb == "free":
		delete(w.held, word)
	case verb == "step":
		if c := w.client(word); c != nil {
			w.stepClient(c)
		}
		w.stepThread(word)
	case verb == "mining":
		w.chain.mining = word == "on"
	case verb == "backend":
		w.chain.up = word == "on"
	case verb == "payer":
		return w.payer(word == "up")
	default:
		return fmt.Errorf("unknown line %q %q", verb, word)
	}
	return nil
}

// payer has the payer's link go and come.
func (w *world) payer(up bool) error {
	if w.lsp == nil || up == w.payerUp {
		return errSkip("it is so")
	}
	if w.payerUp = up; !up {
		return nil
	}
	for _, h := range w.htlcs {
		if !h.gone {
			w.offer(h)
		}
	}
	// Its link can carry forwards again.
	p := w.payerPoint()
	w.lsp.desk.post(input{point: &p, event: jit.ChannelUsable{Point: p, Conn: 1}})
	return nil
}

// buy NAME fixed|variable AMOUNT as ID [withheld] [refuse] [valid DURATION]
func (w *world) buy(f []string) error {
	if len(f) < 6 || f[4] != "as" {
		return fmt.Errorf("want: buy NAME fixed|variable MSAT as ID, not %q", f)
	}
	c, id := w.client(f[1]), f[5]
	size, err := strconv.ParseUint(f[3], 10, 63)
	switch {
	case c == nil || err != nil:
		return fmt.Errorf("buy: %q, %w", f, err)
	case w.lsp == nil || w.order(id) != nil || w.held["desk"]:
		return errSkip("no buy now")
	}
	t := jit.Terms{
		Client: [33]byte{2, c.id},
		SCID: lnwire.ShortChannelID{
			BlockHeight: 16_060_000, TxIndex: uint32(len(w.orders) + 1),
		},
		MinFee: 100_000, PPM: 10_000, MinPayment: 1_000_000, MaxPayment: 400_000_000,
		ValidUntil: w.now.Add(time.Hour), CLTVExpiryDelta: 144, MaxClientToSelfDelay: 2016,
		MinLifetime: 4320, Rules: jit.DefaultRules(),
	}
	if f[2] == "fixed" {
		t.PaymentSize = lnwire.MilliSatoshi(size)
	}
	for i, word := range f[6:] {
		switch word {
		case "withheld":
			t.ClientTrustsLSP = true
		case "refuse":
			t.Rules.LostSkim = jit.Refuse
		case "valid":
			d, err := time.ParseDuration(f[6+i+1])
			if err != nil {
				return err
			}
			t.ValidUntil = w.now.Add(d)
		}
	}
	t.Rules.MaxParts = 6
	t.AliasUntil = t.ValidUntil.Add(time.Hour)
	b := &bought{id: id, client: c, terms: t, funded: map[outPoint]bool{}}
	w.orders = append(w.orders, b)
	defer func() {
		if _, sold := w.disk.orders[id]; !sold {
			w.orders = w.orders[:len(w.orders)-1] // the client got no answer
		}
	}()
	w.lsp.desk.add(jit.New(id, t))
	return nil
}

// part ID MSAT hash N [exp BLOCKS] [cltv N] [in N]
//
// exp is the outgoing expiry above the tip, cltv and in change the delta and what the
// HTLC is worth.
func (w *world) part(f []string) error {
	if len(f) < 5 || f[3] != "hash" || len(f)%2 == 0 {
		return fmt.Errorf("want: part ID MSAT hash N, not %q", f)
	}
	b := w.order(f[1])
	amount, err := strconv.ParseUint(f[2], 10, 63)
	switch {
	case err != nil:
		return err
	case b == nil || w.lsp == nil || !w.payerUp:
		return errSkip("nobody can pay now")
	}
	n := map[string]int{"exp": 60}
	for i := 3; i < len(f); i += 2 {
		if n[f[i]], err = strconv.Atoi(f[i+1]); err != nil {
			return err
		}
	}
	p := jit.Part{
		Key: key(uint64(len(w.htlcs))), Hash: lntypes.Hash{byte(n["hash"])},
		Amount:         lnwire.MilliSatoshi(amount),
		IncomingAmount: lnwire.MilliSatoshi(int(amount) + n["in"]),
		OutgoingExpiry: w.height + uint32(n["exp"]),
	}
	p.IncomingExpiry = uint32(int(p.OutgoingExpiry) + 144 + n["cltv"])
	if w.owner(byte(n["hash"])) == nil {
		b.hashes = append(b.hashes, byte(n["hash"]))
	}
	h := &htlc{order: b, scid: b.terms.SCID, part: p}
	w.htlcs = append(w.htlcs, h)
	w.offer(h)
	return nil
}

// owner is the order whose invoice has the hash. A payer may send the same hash to
// another order as well.
func (w *world) owner(hash byte) *bought {
	for _, b := range w.orders {
		for _, h := range b.hashes {
			if h == hash {
				return b
			}
		}
	}
	return nil
}

// clientVerb are the lines about one client.
func (w *world) clientVerb(c *client, f []string) error {
	switch f[0] {
	case "online":
		if w.lsp == nil || c.conn != 0 {
			return errSkip("no")
		}
		w.connect(c)
	case "offline", "restart":
		if f[0] == "restart" {
			c.forgets()
		}
		if c.conn == 0 {
			return errSkip("it is away")
		}
		w.leaves(c)
	case "claim", "fail":
		for _, r := range c.holding(0) {
			w.finish(c, r, f[0] == "claim")
		}
	case "error":
		w.abort(c)
	case "ready":
		for _, p := range sortedPoints(c.chans) {
			if c.conn != 0 && !c.chans[p].sentReady {
				c.chans[p].sentReady = true
				w.reply(c, lnwire.NewChannelReady(lnwire.NewChanIDFromOutPoint(p), theirKeys.FirstPoint))
			}
		}
	case "mode":
		return c.mode(f[2:])
	case "hold":
		w.held[c.name] = true
	case "step":
		w.stepClient(c)
	default:
		return fmt.Errorf("unknown line %q", f)
	}
	return nil
}

func (c *client) mode(f []string) error {
	if len(f) != 2 {
		return fmt.Errorf("want: mode NAME WHAT HOW, not %q", f)
	}
	switch f[0] {
	case "open":
		c.open = f[1]
	case "sign":
		c.sign = f[1]
	case "up":
		c.up = f[1]
	case "pay":
		c.pay = f[1]
	case "slots":
		n, err := strconv.Atoi(f[1])
		c.slots = n
		return err
	default:
		return fmt.Errorf("unknown mode %q", f)
	}
	return nil
}

// abort is an error from the client for the channels that are not funded.
func (w *world) abort(c *client) {
	if c.conn == 0 {
		return
	}
	for _, p := range sortedPoints(c.chans) {
		if ch := w.channel(p); ch != nil && !w.chain.out(p) && len(c.chans[p].htlcs) == 0 {
			w.refusal(c, lnwire.NewChanIDFromOutPoint(p))
		}
	}
}

// channelVerb are the lines about an order's channel on the chain.
func (w *world) channelVerb(f []string) error {
	live := w.live(f[1])
	switch {
	case len(live) == 0:
		return errSkip("no channel")
	case f[0] == "evict":
		delete(w.chain.mempool, live[0])
		return nil
	case w.chain.confirmed[live[0]] == 0 || w.lsp == nil:
		return errSkip("its funding is not confirmed")
	}
	w.close(live[0])
	return nil
}
