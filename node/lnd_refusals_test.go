package node_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
	"github.com/inletlsp/inlet/node/nodetest/lnd"
	"github.com/inletlsp/inlet/node/orders"
)

// payerTest is an LSP whose clock stands still unless it is moved, a real lnd that
// pays and a real LDK client that wants to be paid.
type payerTest struct {
	*ldkMarket
	now    *clock.TestClock
	lnd    *lnd.Node
	client *ldk.Client
}

// payerRefusal is a payment of lnd's that fails, or does not go at once.
type payerRefusal struct {
	when string
	pay  func(*payerTest, *testing.T) lnd.Pay
	// during is what happens while an attempt is under way; done is closed at its end.
	during func(p *payerTest, t *testing.T, q lnd.Pay, done <-chan struct{})
	// heal takes away what is in the way; nil: it stays.
	heal func(*payerTest, *testing.T)
	// onePart keeps lnd from splitting, by which it goes on after a failure that may be
	// one of the amount.
	onePart bool
	// route is what lnd is told to send first, against its own judgement.
	route func(*payerTest, *testing.T, lnd.Pay) lnd.Route
	// logs are parts of lines that the client's log must have, events what its user is
	// told.
	logs, events []string
}

const jitSize = 50_000_000

func (p *payerTest) jit(*testing.T) lnd.Pay { return lnd.Pay{Invoice: p.client.JIT(jitSize)} }

// pass lets time pass for the LSP.
func (p *payerTest) pass(d time.Duration) { p.now.SetTime(p.now.Now().Add(d)) }

// orderOf finds the order whose scid the invoice names.
func (p *payerTest) orderOf(t *testing.T, bolt11 string) orders.Record {
	t.Helper()
	inv, err := zpay32.Decode(bolt11, &chaincfg.RegressionNetParams)
	must(t, err)
	for _, r := range p.seller.Orders() {
		if r.Order.Terms.SCID.ToUint64() == inv.RouteHints[0][0].ChannelID {
			return r
		}
	}
	t.Fatal("no order has the scid of the invoice")
	return orders.Record{}
}

// held waits until the LSP holds a part of the payment.
func (p *payerTest) held(t *testing.T, pay lnd.Pay) {
	t.Helper()
	p.soon(waitLink, func(context.Context) bool {
		return len(p.orderOf(t, pay.Invoice).Order.Held()) > 0
	})
}

func (p *payerTest) away(t *testing.T) lnd.Pay {
	pay := p.jit(t)
	p.client.Stop()
	return pay
}

func (p *payerTest) back(t *testing.T) {
	p.client.Start()
	p.connected(t)
}

func (p *payerTest) connected(t *testing.T) {
	t.Helper()
	p.soon(waitLink, func(context.Context) bool {
		return p.client.Connected() || p.client.Connect(p.seller.NodeID(), p.seller.Addr()) == nil
	})
}

// over lets the hold of whatever the LSP has run out.
func over(p *payerTest, t *testing.T, q lnd.Pay, done <-chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if len(p.orderOf(t, q.Invoice).Order.Held()) > 0 {
				p.pass(91 * time.Second)
			}
		}
	}
}

// stranger is an invoice of nobody, over a scid of the LSP's.
func (p *payerTest) stranger(t *testing.T, scid uint64) lnd.Pay {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	must(t, err)
	var hash, secret [32]byte
	_, _ = rand.Read(hash[:])
	_, _ = rand.Read(secret[:])
	features := lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired), lnwire.Features)
	inv, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, hash, time.Now(),
		zpay32.Amount(jitSize), zpay32.Description("nobody's"), zpay32.PaymentAddr(secret),
		zpay32.Features(features), zpay32.CLTVExpiry(44),
		zpay32.RouteHint([]zpay32.HopHint{{
			NodeID: p.seller.Key(), ChannelID: scid, CLTVExpiryDelta: 144,
		}}))
	must(t, err)
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		h := sha256.Sum256(msg)
		return ecdsa.SignCompact(key, h[:], true), nil
	}})
	must(t, err)
	return lnd.Pay{Invoice: text}
}

// rewritten is an invoice that the client never made.
func rewritten(change func(*zpay32.Invoice)) func(*payerTest, *testing.T) lnd.Pay {
	return func(p *payerTest, t *testing.T) lnd.Pay {
		return lnd.Pay{Invoice: rewrite(t, p.client, p.client.JIT(jitSize), change)}
	}
}

func (p *payerTest) set(change func(*culprit)) {
	p.bad.mu.Lock()
	defer p.bad.mu.Unlock()
	p.bad.forward, p.bad.open, p.bad.wire, p.bad.features = nil, nil, nil, nil
	change(p.bad)
}

// honest takes back what set did.
func honest(p *payerTest, t *testing.T) {
	p.set(func(*culprit) {})
	p.connected(t)
}

// broken is an order whose opening is changed.
func broken(change func(*culprit)) func(*payerTest, *testing.T) lnd.Pay {
	return func(p *payerTest, t *testing.T) lnd.Pay {
		pay := p.jit(t)
		p.set(change)
		return pay
	}
}

// leaves ends the connection when the client has sent a message.
func leaves[M lnwire.Message](p *payerTest, t *testing.T) lnd.Pay {
	pay := p.jit(t)
	p.set(func(bad *culprit) {
		bad.wire = func(sent bool, msg lnwire.Message) {
			if _, ok := msg.(M); ok && !sent {
				go p.hangUp(p.client.ID)
			}
		}
	})
	return pay
}

var payerRefusals = []payerRefusal{
	{when: "the scid is nobody's", pay: func(p *payerTest, t *testing.T) lnd.Pay {
		return p.stranger(t, lnwire.ShortChannelID{BlockHeight: 16_100_000, TxIndex: 1}.ToUint64())
	}},
	{when: "`valid_until` is past, nothing was held", pay: func(p *payerTest, t *testing.T) lnd.Pay {
		q := p.jit(t)
		p.pass(2 * time.Hour)
		return q
	}},
	{
		when: "`valid_until` passes while the parts are less than the payment",
		pay: func(p *payerTest, t *testing.T) lnd.Pay {
			q := rewritten(func(i *zpay32.Invoice) { *i.MilliSat -= 1000 })(p, t)
			p.pass(offer().ValidFor - 10*time.Second)
			return q
		},
		during: func(p *payerTest, t *testing.T, q lnd.Pay, done <-chan struct{}) {
			if p.now.Now().Before(p.orderOf(t, q.Invoice).Order.Terms.ValidUntil) {
				p.held(t, q)
				p.pass(11 * time.Second)
			}
		},
	},
	{
		when: "the hold is over, the parts are less than the payment", onePart: true,
		pay: rewritten(func(i *zpay32.Invoice) { *i.MilliSat -= 1000 }), during: over,
	},
	{
		when: "the hold is over, the client is away", onePart: true,
		pay: (*payerTest).away, during: over, heal: (*payerTest).back,
	},
	{
		when: "the same, and the client comes back while lnd tries again with parts",
		pay:  (*payerTest).away,
		during: func(p *payerTest, t *testing.T, q lnd.Pay, _ <-chan struct{}) {
			p.held(t, q)
			p.pass(91 * time.Second)
			p.back(t)
		},
	},
	{
		when: "the client refuses the channel",
		pay:  broken(onOpenChannel(func(m *lnwire.OpenChannel) { m.FeePerKiloWeight = 252 })),
		heal: honest,
		logs: []string{"Error while accepting inbound 0conf Anchor channel"},
	},
	{
		when:   "the client's `to_self_delay` is too long",
		pay:    broken(onOpenRequest(func(r *chanfactory.OpenRequest) { r.MaxToSelfDelay = 100 })),
		heal:   honest,
		logs:   []string{"Closing channel: Channel closed because counterparty force-closed"},
		events: []string{"ChannelClosed"},
	},
	{
		when: "the client leaves before `funding_signed`", onePart: true,
		pay: leaves[*lnwire.AcceptChannel], heal: honest,
		logs:   []string{"Closing channel: Channel closed because the peer disconnected"},
		events: []string{"ChannelClosed"},
	},
	{
		when: "the LSP cannot fund the channel", onePart: true,
		pay: broken(onOpenRequest(func(r *chanfactory.OpenRequest) { r.FeeRate = 100_000_000 })), heal: honest,
	},
	{
		when: "the client leaves after `funding_signed`, the hold is over", onePart: true,
		pay: leaves[*lnwire.FundingSigned],
		during: func(p *payerTest, t *testing.T, q lnd.Pay, done <-chan struct{}) {
			p.soon(waitLink, func(context.Context) bool {
				_, opened := p.orderOf(t, q.Invoice).Order.Channel()
				return opened && !p.client.Connected()
			})
			over(p, t, q, done)
		},
		heal: honest, events: []string{"ChannelPending"},
	},
	{
		when: "the hint has less than `lsp_cltv_expiry_delta`",
		pay:  rewritten(func(i *zpay32.Invoice) { i.RouteHints[0][0].CLTVExpiryDelta = 40 }),
	},
	{
		when: "the HTLC is too near its expiry for us", pay: (*payerTest).jit, route: tooNear,
	},
	{
		when: "the HTLC is too near its expiry for the client", onePart: true,
		pay: rewritten(func(i *zpay32.Invoice) { zpay32.CLTVExpiry(18)(i) }),
	},
	{
		when: "more than 30 parts",
		pay: func(p *payerTest, t *testing.T) lnd.Pay {
			q := p.jit(t)
			q.MaxParts, q.MaxShard = 40, 1_500_000
			return q
		},
		during: func(p *payerTest, t *testing.T, q lnd.Pay, done <-chan struct{}) {
			p.soon(waitLink, func(context.Context) bool {
				return len(p.orderOf(t, q.Invoice).Order.Answered) > 30
			})
			over(p, t, q, done) // parts that were on their way are held as a new set
		},
	},
	{
		when: "a variable amount under `min_payment_size_msat`",
		pay: func(p *payerTest, t *testing.T) lnd.Pay {
			return lnd.Pay{Invoice: p.client.JIT(0), Amount: 5_000_000}
		},
	},
	{
		when: "the client does not know the payment",
		pay: rewritten(func(i *zpay32.Invoice) {
			var hash [32]byte
			_, _ = rand.Read(hash[:])
			i.PaymentHash = &hash
		}),
		events: []string{"ChannelPending", "ChannelReady"},
	},
	{
		when: "the fee is more than the client agreed to",
		pay:  broken(func(bad *culprit) { bad.forward = less(1) }), heal: honest,
		events: []string{"ChannelPending", "ChannelReady"},
	},
	{
		when: "the channel is paid for, the next payment over the scid is too large for it", onePart: true,
		pay: func(p *payerTest, t *testing.T) lnd.Pay {
			q := p.jit(t)
			if got, err := p.lnd.Pay(q); err != nil || !got.Paid() {
				t.Fatalf("%+v, %v", got, err)
			}
			p.client.Received()
			inv, err := zpay32.Decode(q.Invoice, &chaincfg.RegressionNetParams)
			must(t, err)
			next := rewrite(t, p.client, p.client.Invoice(1_000_000), func(i *zpay32.Invoice) {
				*i.MilliSat, i.RouteHints = 500_000_000, inv.RouteHints
			})
			return lnd.Pay{Invoice: next}
		},
	},
}

// tooNear is an HTLC that we could not get to the client in time.
func tooNear(p *payerTest, t *testing.T, q lnd.Pay) lnd.Route {
	inv, err := zpay32.Decode(q.Invoice, &chaincfg.RegressionNetParams)
	must(t, err)
	height, err := p.Chain.Height()
	must(t, err)
	var secret [32]byte
	inv.PaymentAddr.WhenSome(func(s [32]byte) { secret = s })
	const near = 20 // lnd's own link lets no less than 13 blocks out
	return lnd.Route{
		Hash: *inv.PaymentHash, Secret: secret, Via: p.seller.NodeID(), To: p.client.ID,
		SCID: inv.RouteHints[0][0].ChannelID, Amount: jitSize,
		Incoming: height + near, Expiry: height + near - 144,
	}
}

// TestRefusalsSeenByLnd pays with a real lnd into each failure that we give or pass on,
// and keeps docs/errors.md at what lnd did about it.
func TestRefusalsSeenByLnd(t *testing.T) {
	lnd.Program(t)
	now := clock.NewTestClock(time.Now())
	p := &payerTest{now: now, ldkMarket: newLDKMarket(t, func(o *node.Options) {
		o.SetClock(now)
		o.LSP.Limits = lsp.Limits{ClientOpen: 1000, ClientPerSecond: 1000}
		o.Channels = node.ChannelOptions{BaseFee: 1000, FeePPM: 100}
	})}
	p.lnd = lnd.Start(t, filepath.Join(p.dir, "lnd"), p.bitcoind.Config())
	p.lnd.Fund(p.Chain, 20_000_000)
	p.lnd.Connect(p.seller.NodeID(), p.seller.Addr())
	p.lnd.Open(p.Chain, p.bitcoind, p.seller.NodeID(), 10_000_000)
	p.client = p.ldkMarket.client(t, "client")

	var rows [][]string
	for _, c := range payerRefusals {
		t.Run(c.when, func(t *testing.T) { rows = append(rows, c.run(p, t)) })
	}
	seen(t, "payments", []string{
		"when", "lnd's attempts", "lnd's payment ends", "the same payment again at once",
		"again when lnd's penalty is over", "the client's log has", "its user is told",
	}, rows)
}

// run makes the payment, and again until it succeeds: at once, and when lnd's penalty
// is over.
func (c payerRefusal) run(p *payerTest, t *testing.T) []string {
	p.lnd.Forget()
	p.lnd.HalfLife(time.Hour)
	p.client.Events()
	q := c.pay(p, t)
	if c.onePart {
		q.MaxParts = 1
	}
	send := func() (lnd.Payment, error) { return p.lnd.Pay(q) }
	if c.route != nil {
		send = func() (lnd.Payment, error) { return p.lnd.SendTo(c.route(p, t, q)) }
	}
	first := c.attempt(p, t, q, send)
	row := []string{c.when, code(first.Codes()), reason(first)}
	told := c.told(p, t, first.Paid())
	if c.heal != nil {
		c.heal(p, t)
		c.during = nil
	}
	send = func() (lnd.Payment, error) { return p.lnd.Pay(q) }
	atOnce, later := first, first
	if !first.Paid() {
		atOnce = c.attempt(p, t, q, send)
	}
	if !atOnce.Paid() {
		p.lnd.HalfLife(time.Second) // a penalty that is older than that is small
		p.soon(waitLink, func(context.Context) bool {
			later = c.attempt(p, t, q, send)
			return len(later.Attempts) > 0
		})
	}
	honest(p, t)
	return append(append(row, again(first, atOnce), again(atOnce, later)), told...)
}

func (c payerRefusal) attempt(p *payerTest, t *testing.T, q lnd.Pay,
	send func() (lnd.Payment, error)) (got lnd.Payment) {

	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if got, err = send(); err != nil {
			t.Errorf("lnd: %v", err)
		}
	}()
	select {
	case <-done: // lnd has not even tried
		return got
	case <-time.After(100 * time.Millisecond):
	}
	if c.during != nil {
		c.during(p, t, q, done)
	}
	<-done
	t.Logf("%s: %s: %s", got.Status, got.FailureReason, got.Codes())
	return got
}

// told is what the client has seen.
func (c payerRefusal) told(p *payerTest, t *testing.T, paid bool) []string {
	t.Helper()
	var log, events []string
	for _, part := range c.logs {
		p.soon(waitLink, func(context.Context) bool { return p.client.Logged(part) })
		for _, l := range ldkLog(p.client.Trace(1e6)) {
			if strings.Contains(l, part) {
				log = append(log, code(l))
				break
			}
		}
	}
	for _, name := range c.events {
		detail := string(p.client.Event(name))
		if _, msg, ok := strings.Cut(detail, `"PeerMsg":`); ok {
			name += ": " + strings.TrimRight(msg, "}")
		}
		events = append(events, code(name))
	}
	if extra := p.client.Events(); len(c.events)+len(c.logs) == 0 && !paid && len(extra) > 0 {
		t.Errorf("the client's user is told %q", extra)
	}
	return []string{strings.Join(log, "<br>"), strings.Join(events, ", ")}
}

func reason(p lnd.Payment) string {
	switch {
	case p.Paid():
		return "paid"
	case p.FailureReason == "":
		return "" // of a single attempt
	}
	return code(strings.ToLower(strings.TrimPrefix(p.FailureReason, "FAILURE_REASON_")))
}

// again is how another payment of the same invoice went.
func again(before, p lnd.Payment) string {
	switch {
	case before.Paid():
		return ""
	case p.Paid():
		return "paid"
	case len(p.Attempts) == 0:
		return "no attempt, " + reason(p)
	}
	text := p.Codes()
	if _, rest, ok := strings.Cut(text, " × "); ok {
		text = rest // how often depends on how fast the penalty is over
	}
	return code(text)
}
