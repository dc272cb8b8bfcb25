package node_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// waitLink is how long links may take to be up again after a reconnect. It finds what
// hangs, not what is slow: machines with one busy core take more than 10 seconds with LDK.
const waitLink = 45 * time.Second

// market is a chain with an LSP and a payer that has channels with it.
type market struct {
	*nodetest.Net
	t      testing.TB
	log    *stageLog
	seller *member
	payer  *member
}

// member is a node of the market with what its admin API needs.
type member struct {
	*nodetest.Node
	dir string
}

// marketPlan says what a test wants other than usual.
type marketPlan struct {
	seller   func(*node.Options)
	payer    func(*node.Options)
	coins    int              // of 5,000,000 sat in the LSP's wallet; 0: 12
	channels []btcutil.Amount // from payer to LSP; nil: one of 4,000,000 sat
}

func newMarket(t testing.TB, plan marketPlan) *market {
	t.Helper()
	m := &market{Net: nodetest.New(t), t: t, log: newStageLog()}
	addr := freeAddr(t)
	m.seller = m.node("lsp", func(o *node.Options) {
		// The others come back to it after a restart, so it keeps its port.
		o.Listen = []string{addr}
		o.LSP = &node.LSPOptions{
			Offer: offer(), OverprovisionPPM: 500_000, Reached: m.log.reached,
		}
		if plan.seller != nil {
			plan.seller(o)
		}
	})
	m.payer = m.node("payer", plan.payer)
	if plan.coins == 0 {
		plan.coins = 12
	}
	if plan.channels == nil {
		plan.channels = []btcutil.Amount{4_000_000}
	}
	m.seller.Fund(5_000_000, plan.coins)
	if len(plan.channels) > 0 {
		m.payer.Fund(5_000_000, len(plan.channels))
	}
	for _, size := range plan.channels {
		m.open(m.payer, m.seller, size)
	}
	return m
}

// node makes a member with an admin API.
func (m *market) node(name string, change func(*node.Options)) *member {
	m.t.Helper()
	n := &member{}
	n.Node = m.Node(name, func(o *node.Options) {
		o.Admin = "127.0.0.1:0"
		if change != nil {
			change(o)
		}
		n.dir = o.Dir
	})
	return n
}

// freeAddr is an address where nobody listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	return l.Addr().String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a confirmed private channel between two nodes.
func (m *market) open(from, to *member, size btcutil.Amount) wire.OutPoint {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	point, err := from.OpenChannel(ctx, node.OpenRequest{
		Peer: to.Key(), Addr: to.Addr(), Capacity: size, Private: true,
	})
	must(m.t, err)
	m.Mine(6)
	for _, n := range []*member{from, to} {
		m.event(n, node.ChannelOpened, point.String())
	}
	return point
}

// event waits until something happened to a node; point may be empty.
func (m *market) event(n *member, kind node.EventKind, point string) node.Event {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	for ev, err := range n.Events(ctx) {
		if err != nil {
			m.t.Fatalf("no %s of %s: %v", kind, point, err)
		}
		if ev.Kind == kind && (point == "" || ev.ChannelPoint == point) {
			return ev
		}
	}
	m.t.Fatalf("events ended without %s", kind)
	return node.Event{}
}

// buy makes a JIT invoice of a client; size 0 leaves the amount to the payer.
func (m *market) buy(client *member, size lnwire.MilliSatoshi) node.JITInvoice {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	inv, err := client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: m.seller.Key(), Addr: m.seller.Addr(), Amount: size, Description: "channel",
	})
	must(m.t, err)
	return inv
}

// pay pays and wants success; amount may be 0.
func (m *market) pay(from *member, bolt11 string, amount lnwire.MilliSatoshi) pay.Payment {
	m.t.Helper()
	out := <-m.paying(from, pay.PayRequest{Invoice: bolt11, Amount: amount})
	must(m.t, out.err)
	if out.payment.Status != pay.Succeeded {
		m.t.Fatalf("payment: %+v", out.payment.Failure)
	}
	return out.payment
}

type paid struct {
	payment pay.Payment
	err     error
}

// paying pays in the background.
func (m *market) paying(from *member, r pay.PayRequest) <-chan paid {
	out := make(chan paid, 1)
	n := from.Node.Node // the one that runs now, not the one after a restart
	go func() {
		ctx, cancel := m.Context()
		defer cancel()
		p, err := n.Pay(ctx, r)
		out <- paid{p, err}
	}()
	return out
}

// send pays an ordinary invoice of another node.
func (m *market) send(from, to *member, amount lnwire.MilliSatoshi) pay.Payment {
	m.t.Helper()
	return m.pay(from, m.invoice(to, pay.InvoiceRequest{Amount: amount}), 0)
}

func (m *market) invoice(of *member, r pay.InvoiceRequest) string {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	inv, err := of.Invoice(ctx, r)
	must(m.t, err)
	return inv.Bolt11
}

// sendSoon pays as soon as the links are up again. Nothing tells when: the peers'
// links are ready some milliseconds after they are connected.
func (m *market) sendSoon(from, to *member, amount lnwire.MilliSatoshi, within time.Duration) {
	m.t.Helper()
	m.soon(within, func(ctx context.Context) bool {
		if !m.ready(ctx, to) {
			return false // without a link there would be no hint in the invoice
		}
		inv, err := to.Invoice(ctx, pay.InvoiceRequest{Amount: amount})
		if err != nil {
			return false
		}
		p, err := from.Pay(ctx, pay.PayRequest{Invoice: inv.Bolt11, Timeout: time.Second})
		return err == nil && p.Status == pay.Succeeded
	})
}

// ready says that all open channels of a node are active.
func (m *market) ready(ctx context.Context, n *member) bool {
	for _, ch := range m.channelsOf(ctx, n) {
		if ch.State == api.ChannelOpen && !ch.Active {
			return false
		}
	}
	return ctx.Err() == nil // else nothing was listed
}

// soon tries until it works.
func (m *market) soon(within time.Duration, works func(context.Context) bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !works(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("it does not work within %v", within)
		}
	}
}

// paidOver waits until an order is paid and the payment is off the commitments of
// the payer, whose invoices name only channels that can receive.
func (m *market) paidOver(inv node.JITInvoice) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	id := m.order(inv).Order.ID
	for ev, err := range m.seller.Events(ctx) {
		if err != nil {
			m.t.Fatalf("order %s is not paid: %v", id, err)
		}
		if ev.Kind == node.OrderPaid && ev.OrderID == id {
			break
		}
	}
	m.soon(waitLink, func(context.Context) bool {
		for _, n := range []*member{m.payer, m.seller} {
			for _, ch := range m.channels(n, m.peerOf(n)) {
				if ch.LocalMsat+ch.RemoteMsat+maxCommitFee < api.Msat(ch.CapacitySat)*1000 {
					return false
				}
			}
		}
		return true
	})
}

// maxCommitFee is more than commitment fees and anchors take, and less than an HTLC
// of these tests.
const maxCommitFee = 20_000_000

func (m *market) peerOf(n *member) *member {
	if n == m.payer {
		return m.seller
	}
	return m.payer
}

// received is what arrived for an invoice of ours.
func (m *market) received(n *member, hash lntypes.Hash) lnwire.MilliSatoshi {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	inv, err := n.AwaitInvoice(ctx, hash)
	must(m.t, err)
	if inv.State != pay.InvoiceSettled {
		m.t.Fatalf("the invoice is %s", inv.State)
	}
	return inv.Received()
}

// wantReceived checks that a client got exactly the payment minus the fee.
func (m *market) wantReceived(client *member, inv node.JITInvoice, size lnwire.MilliSatoshi) {
	m.t.Helper()
	got, want := m.received(client, inv.Invoice.Hash), size-inv.OpeningFee
	if got != want {
		m.t.Errorf("the client received %d msat, want %d", got, want)
	}
}

// admin is a client of a node's admin API, until the test ends.
func (m *market) admin(n *member) *api.Client {
	m.t.Helper()
	c, err := api.NewClient(api.ClientOptions{Address: n.AdminAddr(), Dir: n.dir})
	must(m.t, err)
	return c
}

func (m *market) channelsOf(ctx context.Context, n *member) []api.Channel {
	m.t.Helper()
	c := m.admin(n)
	defer c.Close()
	list, err := c.Channels(ctx)
	if ctx.Err() != nil {
		return nil
	}
	must(m.t, err)
	return list.Channels
}

// channels lists a node's channels with a peer.
func (m *market) channels(n, with *member) []api.Channel {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	var list []api.Channel
	for _, ch := range m.channelsOf(ctx, n) {
		if ch.Peer == with.NodeID() {
			list = append(list, ch)
		}
	}
	return list
}

// flap ends a node's connection to a peer and makes a new one.
func (m *market) flap(n, to *member) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(n)
	defer c.Close()
	must(m.t, c.Disconnect(ctx, api.DisconnectRequest{NodeID: to.NodeID()}))
	_, err := c.Connect(ctx, api.ConnectRequest{Peer: to.URI()})
	must(m.t, err)
}

// order is the newest order of the LSP for the jit_channel_scid.
func (m *market) order(inv node.JITInvoice) orders.Record {
	m.t.Helper()
	for _, r := range m.seller.Orders() {
		if r.Order.Terms.SCID == inv.SCID {
			return r
		}
	}
	m.t.Fatalf("no order has the scid %v", inv.SCID)
	return orders.Record{}
}

// stageLog remembers what orders have reached.
type stageLog struct {
	mu      sync.Mutex
	counts  map[orders.Stage]int    // guarded by mu
	hooks   map[orders.Stage]func() // guarded by mu
	changed chan struct{}           // closed and replaced at each stage; guarded by mu
}

func newStageLog() *stageLog {
	return &stageLog{
		counts: map[orders.Stage]int{}, hooks: map[orders.Stage]func(){},
		changed: make(chan struct{}),
	}
}

func (l *stageLog) reached(_ string, at orders.Moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[at.Stage]++
	if hook := l.hooks[at.Stage]; hook != nil {
		hook()
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// on calls f, which must not block, whenever an order reaches the stage.
func (l *stageLog) on(stage orders.Stage, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hooks[stage] = f
}

// count is how often the stage was reached so far.
func (l *stageLog) count(stage orders.Stage) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[stage]
}

// await returns when the stage was reached count times.
func (m *market) await(stage orders.Stage, count int) {
	m.t.Helper()
	timeout := time.After(time.Minute)
	for {
		m.log.mu.Lock()
		got, changed := m.log.counts[stage], m.log.changed
		m.log.mu.Unlock()
		if got >= count {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			m.t.Fatalf("stage %s was reached %d times, want %d", stage, got, count)
		}
	}
}
