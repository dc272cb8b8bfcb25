package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// arena is a market in which an order can be brought to a stage, and harmed there. The
// LSP lives by a clock that stands still unless the test moves it: what is answered
// without that is answered at once, on however slow a machine.
type arena struct {
	*market
	now    *clock.TestClock
	lsp    *gateway // of the LSP
	pays   *gateway // of the payer
	air    *air
	wire   *observer
	toPay  *cable // between payer and LSP
	chain  *cable // between the LSP and its chain backend
	disk   *disk  // of the LSP
	trials int

	// delay is how long after the purchase the payment comes, final how many blocks it
	// leaves the client; 0: what the invoice asks for.
	delay time.Duration
	final uint32
}

// saleSize is the payment that each trial sells a channel for.
const saleSize = lnwire.MilliSatoshi(50_000_000)

func newArena(t testing.TB, r row) *arena {
	t.Helper()
	a := &arena{
		now: clock.NewTestClock(time.Now()), lsp: newGateway(), pays: newGateway(), air: &air{},
		disk: &disk{},
	}
	a.wire = &observer{now: a.now, seen: map[htlc]*span{}}
	a.market = newMarket(t, marketPlan{
		channels: []btcutil.Amount{}, coins: r.coins,
		seller: func(o *node.Options) {
			o.SetClock(a.now)
			o.LSP.Limits.ClientPerSecond, o.LSP.Limits.PerSecond = 1000, 100_000
			btcd := *o.Chain.Btcd
			a.chain = newCable(t, btcd.RPCHost)
			btcd.RPCHost = a.chain.addr()
			o.Chain.Btcd = &btcd
			o.SetMischief(node.Mischief{Gate: a.lsp.handle, Lifeline: node.Lifeline{
				Broadcast: a.air.take, Commit: a.disk.commit,
			}})
			if r.seller != nil {
				r.seller(o)
			}
		},
		payer: func(o *node.Options) {
			o.SetMischief(node.Mischief{Gate: a.pays.handle, Wire: a.wire.see})
		},
	})
	a.payer.Fund(5_000_000, 1)
	a.toPay = newCable(t, a.seller.Addr())
	ctx, cancel := a.Context()
	defer cancel()
	point, err := a.payer.OpenChannel(ctx, node.OpenRequest{
		Peer: a.seller.Key(), Addr: a.toPay.addr(), Capacity: 4_000_000, Private: true,
	})
	must(t, err)
	a.Mine(6)
	for _, n := range []*member{a.payer, a.seller} {
		a.event(n, node.ChannelOpened, point.String())
	}
	a.wire.height = func() uint32 { h, _ := a.Chain.Height(); return h }
	return a
}

// advance moves the LSP's clock.
func (a *arena) advance(d time.Duration) {
	a.now.SetTime(a.now.Now().Add(d))
	a.seller.Nudge()
}

// air is where the LSP's transactions leave.
type air struct {
	mu     sync.Mutex
	closed chan struct{} // guarded by mu; not nil: they wait until it is closed
	err    func() error  // guarded by mu; nil: they leave
	came   chan struct{} // guarded by mu; told when one waits
	txs    []*wire.MsgTx // guarded by mu; all that came
}

func (a *air) take(tx *wire.MsgTx) error {
	a.mu.Lock()
	a.txs = append(a.txs, tx)
	wait, came, err := a.closed, a.came, a.err
	a.mu.Unlock()
	if wait != nil {
		select {
		case came <- struct{}{}:
		default:
		}
		<-wait
	}
	if err != nil {
		return err()
	}
	return nil
}

// hold keeps transactions on the ground until open; came tells of the first.
func (a *air) hold() (came <-chan struct{}, open func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.came = make(chan struct{}), make(chan struct{}, 1)
	return a.came, sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		close(a.closed)
		a.closed = nil
	})
}

// fail makes every transaction fail to leave; nil ends that.
func (a *air) fail(err func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// disk is where the LSP's store writes.
type disk struct {
	mu   sync.Mutex
	fail func(done bool) error // guarded by mu; nil: all is well
}

func (d *disk) commit(done bool, _ []store.Write) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		return nil
	}
	return d.fail(done)
}

func (d *disk) set(fail func(done bool) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// htlc names an HTLC on the payer's wire.
type htlc struct {
	channel lnwire.ChannelID
	id      uint64
}

// span is one HTLC's life on the payer's wire, by the LSP's clock, the chain and ours.
type span struct {
	hash         [32]byte
	from, to     time.Time
	fromHeight   uint32
	toHeight     uint32
	began, ended time.Time
	fulfilled    bool
}

// observer stands at the payer's wire and measures from update_add_htlc to
// update_fail_htlc or update_fulfill_htlc.
type observer struct {
	now    *clock.TestClock
	height func() uint32

	mu   sync.Mutex
	seen map[htlc]*span // guarded by mu
}

func (o *observer) see(sent bool, m lnwire.Message) {
	switch m := m.(type) {
	case *lnwire.UpdateAddHTLC:
		if sent {
			o.add(htlc{m.ChanID, m.ID}, m.PaymentHash)
		}
	case *lnwire.UpdateFailHTLC:
		o.end(sent, htlc{m.ChanID, m.ID}, false)
	case *lnwire.UpdateFailMalformedHTLC:
		o.end(sent, htlc{m.ChanID, m.ID}, false)
	case *lnwire.UpdateFulfillHTLC:
		o.end(sent, htlc{m.ChanID, m.ID}, true)
	}
}

func (o *observer) add(key htlc, hash [32]byte) {
	height := o.height()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[key] == nil { // else it is sent again after a reconnect
		o.seen[key] = &span{hash: hash, from: o.now.Now(), fromHeight: height, began: time.Now()}
	}
}

func (o *observer) end(sent bool, key htlc, fulfilled bool) {
	if sent {
		return
	}
	height := o.height()
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.seen[key]; s != nil && s.to.IsZero() {
		s.to, s.toHeight, s.ended, s.fulfilled = o.now.Now(), height, time.Now(), fulfilled
	}
}

// of lists what was seen of one payment.
func (o *observer) of(hash [32]byte) []span {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []span
	for _, s := range o.seen {
		if s.hash == hash {
			list = append(list, *s)
		}
	}
	return list
}

// The stages of the fault matrix.
const (
	stageOrdered   = iota // S0: bought, no HTLC
	stageReceived         // S1: the HTLC is not locked in
	stageHeld             // S2: parts are held, one is missing
	stageOpening          // S3: open_channel sent
	stageCreated          // S4: funding_created sent
	stageSigned           // S5: funding_signed stored, the broadcast under way
	stageAwaited          // S6: waiting for the client's channel_ready
	stageForwarded        // S7: forwarded, not settled
	stageClaimed          // S8: the preimage is known, the payer has not got it
	stageSettled          // S9: settled, the funding is not confirmed
	stages
)

// trial is one order at one stage.
type trial struct {
	*arena
	t      *testing.T
	client *member
	gate   *gateway // the client's
	line   *cable   // between client and LSP
	inv    node.JITInvoice
	parts  []<-chan node.PartResult
	ended  int // of parts
	leases int // coins that others had leased at the beginning
	opens  *rule
	// free undoes what keeps the order at its stage.
	free func()
}

// begin is a client with an order.
func (a *arena) begin(t *testing.T) *trial {
	t.Helper()
	net := *a.Net
	net.TB = t
	m := *a.market
	m.Net, m.t = &net, t
	own := *a
	own.market = &m
	a.trials++
	c := &trial{arena: &own, t: t, gate: newGateway(), free: func() {}}
	c.line = newCable(t, a.seller.Addr())
	c.client = c.node(fmt.Sprintf("client%d", a.trials), func(o *node.Options) {
		o.Listen = nil
		o.SetMischief(node.Mischief{Gate: c.gate.handle})
	})
	c.inv = c.sell(saleSize)
	c.leases = c.leased()
	if a.delay != 0 {
		c.advance(a.delay)
	}
	c.opens = a.lsp.watch(true, lnwire.MsgOpenChannel, c.id(), nil)
	return c
}

func (c *trial) id() [33]byte { return [33]byte(c.client.Key().SerializeCompressed()) }

// sell is one more order of the client.
func (c *trial) sell(size lnwire.MilliSatoshi) node.JITInvoice {
	c.t.Helper()
	ctx, cancel := c.Context()
	defer cancel()
	inv, err := c.client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: c.seller.Key(), Addr: c.line.addr(), Amount: size,
	})
	must(c.t, err)
	return inv
}

// at brings an order to a stage.
func (a *arena) at(t *testing.T, stage int) *trial {
	t.Helper()
	c := a.begin(t)
	c.to(stage)
	return c
}

// to brings the order to a stage.
func (c *trial) to(stage int) {
	c.t.Helper()
	switch stage {
	case stageOrdered:
	case stageReceived:
		c.stop(c.pays, true, lnwire.MsgRevokeAndAck)
	case stageHeld:
		c.send(saleSize / 2)
		c.holds(1)
	case stageOpening:
		c.stop(c.gate, true, lnwire.MsgAcceptChannel)
	case stageCreated:
		c.stop(c.gate, true, lnwire.MsgFundingSigned)
	case stageSigned:
		came, open := c.air.hold()
		c.t.Cleanup(open)
		c.stop(c.gate, true, lnwire.MsgChannelReady)
		<-came
		c.soon(waitLink, func(context.Context) bool { return c.rec().Point != nil })
		ready := c.free
		c.free = func() { open(); ready() }
	case stageAwaited:
		broadcast := c.log.count(orders.StageBroadcast)
		c.stop(c.gate, true, lnwire.MsgChannelReady)
		c.await(orders.StageBroadcast, broadcast+1)
	case stageForwarded:
		c.stop(c.gate, true, lnwire.MsgUpdateFulfillHTLC)
	case stageClaimed:
		c.stop(c.lsp, true, lnwire.MsgUpdateFulfillHTLC)
	case stageSettled:
		c.send(saleSize)
		c.paid()
	}
}

// stop pays, and stops the order where a node is about to send or take a message.
func (c *trial) stop(g *gateway, sent bool, kind lnwire.MessageType) {
	c.t.Helper()
	r := g.hold(sent, kind)
	c.send(saleSize)
	r.reached(c.t)
	c.free = sync.OnceFunc(func() { g.open(r) })
	c.t.Cleanup(c.free)
}

// send sends one part of the order's payment.
func (c *trial) send(amount lnwire.MilliSatoshi) {
	c.t.Helper()
	c.sendPart(node.PartRequest{Amount: amount, Total: max(amount, saleSize), Final: c.final})
}

func (c *trial) sendPart(r node.PartRequest) {
	c.t.Helper()
	if r.Bolt11 == "" {
		r.Bolt11 = c.inv.Invoice.Bolt11
	}
	height, err := c.Chain.Height() // one block less would be too few for the client
	must(c.t, err)
	c.reach(height, c.payer)
	out, err := c.payer.SendPart(r)
	must(c.t, err)
	c.parts = append(c.parts, out)
}

// rec is the order as the LSP has it.
func (c *trial) rec() orders.Record {
	c.t.Helper()
	return c.order(c.inv)
}

// holds waits until the LSP holds so many parts of the order.
func (c *trial) holds(parts int) {
	c.t.Helper()
	c.soon(waitLink, func(context.Context) bool { return len(c.rec().Order.Held()) == parts })
}

// inState waits until the order is in a state.
func (c *trial) inState(name string) {
	c.t.Helper()
	var last string
	ok := c.eventually(func() bool {
		last = c.rec().Order.State.Name()
		return last == name
	})
	if !ok {
		c.t.Fatalf("the order is %s, want %s; %+v", last, name, c.rec().Failure)
	}
}

// eventually says whether something comes true within waitLink.
func (c *trial) eventually(holds func() bool) bool { return c.within(waitLink, holds) }

func (c *trial) within(d time.Duration, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// away waits until the LSP knows that the client is not connected.
func (c *trial) away() {
	c.t.Helper()
	if !c.eventually(func() bool { return c.seller.ConnOf(c.client.Key()) == 0 }) {
		c.t.Fatal("the LSP keeps the client's connection")
	}
}

// cut ends the client's connection; it can't come back before heal.
func (c *trial) cut() {
	c.t.Helper()
	c.line.set(lineCut)
	c.away()
}

// heal makes all well again: no rules, nothing held, the client connected.
func (c *trial) heal() {
	c.t.Helper()
	c.gate.clear()
	c.gate.silence(false)
	c.line.set(lineOpen)
	c.free()
	ctx, cancel := c.Context()
	defer cancel()
	admin := c.admin(c.client)
	defer admin.Close()
	c.soon(waitLink, func(context.Context) bool {
		_, err := admin.Connect(ctx, api.ConnectRequest{Peer: c.seller.NodeID() + "@" + c.line.addr()})
		return err == nil && c.seller.ConnOf(c.client.Key()) != 0
	})
}

// results waits for the ends of all parts that were sent.
func (c *trial) results() []node.PartResult {
	c.t.Helper()
	var list []node.PartResult
	for ; c.ended < len(c.parts); c.ended++ {
		select {
		case r, ok := <-c.parts[c.ended]:
			if !ok {
				c.t.Fatal("the payer stopped")
			}
			list = append(list, r)
		case <-time.After(90 * time.Second):
			c.t.Fatalf("part %d has no answer; the order is %s with %d parts held",
				c.ended, c.rec().Order.State.Name(), len(c.rec().Order.Held()))
		}
	}
	return list
}

// unanswered wants no part to have ended.
func (c *trial) unanswered() {
	c.t.Helper()
	for _, s := range c.wire.of(c.inv.Invoice.Hash) {
		if !s.to.IsZero() {
			c.t.Fatal("a part was answered that must be held")
		}
	}
}

// paid wants all parts to be settled and the order to be paid.
func (c *trial) paid() {
	c.t.Helper()
	for i, r := range c.results() {
		if r.Code != 0 || r.Err != nil {
			c.t.Fatalf("part %d failed at hop %d: %v; the order is %s: %+v", i, r.Hop, r.Code,
				c.rec().Order.State.Name(), c.rec().Failure)
		}
	}
	c.inState("paid")
	c.once()
}

// failed wants all parts to be failed by the LSP with a code, within a time of its clock
// from their update_add_htlc, and the order to be in a state.
func (c *trial) failed(code lnwire.FailCode, within time.Duration, state string) {
	c.t.Helper()
	for i, r := range c.results() {
		if r.Code != code || r.Hop != 1 {
			c.t.Errorf("part %d ended with %v (%v) of hop %d, want %v of the LSP",
				i, r.Code, r.Err, r.Hop, code)
		}
	}
	c.bound(within)
	c.inState(state)
	c.once()
}

// bound wants no HTLC of the order to have been held for longer, at the payer's wire.
func (c *trial) bound(within time.Duration) {
	c.t.Helper()
	for _, s := range c.wire.of(c.inv.Invoice.Hash) {
		if s.to.IsZero() {
			c.t.Error("an HTLC was not answered on the wire")
		} else if got := s.to.Sub(s.from); got > within {
			c.t.Errorf("an HTLC was held for %v, at most %v may be", got, within)
		}
	}
}

// once wants the order to have at most one funding and no coin leased without one.
func (c *trial) once() {
	c.t.Helper()
	points, err := c.seller.FundingsOf(c.rec().Order.ID)
	must(c.t, err)
	if len(points) > 1 {
		c.t.Errorf("the order has %d fundings: %v", len(points), points)
	}
	if len(points) > 0 {
		return
	}
	if !c.eventually(func() bool { return c.leased() <= c.leases }) {
		c.t.Error("coins are leased and there is no funding")
	}
}

// spendable says that all coins of the LSP are confirmed.
func (c *trial) spendable() bool {
	coins, err := c.seller.Utxos()
	must(c.t, err)
	return !slices.ContainsFunc(coins, func(u wallet.Utxo) bool { return u.Confirmations == 0 })
}

func (c *trial) leased() (n int) {
	coins, err := c.seller.Utxos()
	must(c.t, err)
	for _, coin := range coins {
		if coin.Leased {
			n++
		}
	}
	return n
}

// kept wants so many open channels with the client.
func (c *trial) kept(channels int) {
	c.t.Helper()
	open := 0
	for _, ch := range c.channels(c.seller, c.client) {
		if ch.State == api.ChannelOpen || ch.State == api.ChannelOpening {
			open++
		}
	}
	if open != channels {
		c.t.Errorf("the LSP has %d channels with the client, want %d", open, channels)
	}
}

// serves wants everything to work again once the fault is over: the order sells its one
// channel, or one that is paid or dead has a successor, and afterwards no coin is leased.
func (c *trial) serves() {
	c.t.Helper()
	c.heal()
	switch c.rec().Order.State.Name() {
	case "paid":
	case "dead":
		c.inv = c.sell(saleSize)
		fallthrough
	default:
		c.send(saleSize)
		c.paid()
	}
	c.paysAgain()
	c.confirms()
}

// confirms wants the funding to confirm, and no coin to be leased then.
func (c *trial) confirms() {
	c.t.Helper()
	c.Mine(1)
	if !c.eventually(func() bool { return c.leased() == 0 && c.spendable() }) {
		c.t.Error("a coin is leased although everything is confirmed")
	}
}

// paysAgain pays over the jit_channel_scid once more: it is an alias of the channel now.
func (c *trial) paysAgain() {
	c.t.Helper()
	again := c.invoice(c.client, jitInvoice(c.jitHint(c.inv)))
	ctx, cancel := c.Context()
	defer cancel()
	c.soon(waitLink, func(context.Context) bool {
		out, err := c.payer.SendPart(node.PartRequest{Bolt11: again, Amount: 1_000_000})
		if err != nil {
			return false
		}
		select {
		case r := <-out:
			return r.Err == nil && r.Code == 0
		case <-ctx.Done():
			return false
		}
	})
}
