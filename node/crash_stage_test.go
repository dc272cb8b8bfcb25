package node_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/wallet"
)

// sale is one kind of JIT payment that the sweeps make.
type sale struct {
	name     string
	size     lnwire.MilliSatoshi
	channels []btcutil.Amount // from payer to LSP
	parts    int
	trusting bool // client_trusts_lsp
}

var sales = []sale{
	{name: "one part", size: 20_000_000, channels: []btcutil.Amount{4_500_000, 4_500_000}, parts: 1},
	{name: "parts", size: 350_000_000, channels: []btcutil.Amount{300_000, 300_000}, parts: 2},
	{name: "withheld", size: 20_000_000, channels: []btcutil.Amount{4_500_000, 4_500_000}, parts: 1,
		trusting: true},
}

const (
	// maxHeld is the longest that an HTLC may be out. It is less than the minute after which
	// lnd's link gives up a peer that does not answer, which would hide something that hangs.
	maxHeld = 55 * time.Second

	// stageHold is the LSP's hold on the stage. A payer that splits again after the first
	// failed part, and finds no way for the rest, leaves it with a part of the payment; only
	// such parts may be held that long.
	stageHold = 25 * time.Second

	// stageMPPHold is for how long a client waits for the other parts. It gets one alone when its
	// connection ends while the LSP forwards several: lnd's switch fails the next at once.
	stageMPPHold = 20 * time.Second
)

// stage is a market for sweeps: LSP and payer stay, each point has a client of its own.
type stage struct {
	*market
	sale    sale
	lspLife *lifeline
	cliLife *lifeline // of the newest client
	payLife *lifeline
	guard   *watchman
	errors  *errorLog           // of the LSP
	group   int                 // writes in one commit; 0: as many as come
	line    atomic.Pointer[tap] // nil but in a sweep of messages
	clients int
	waived  int // points at which the fee was waived by rule
	retried int // points at which the payer had to pay again
}

func newStage(t testing.TB, s sale, group int) *stage {
	t.Helper()
	st := &stage{
		sale: s, lspLife: newLifeline(), payLife: newLifeline(), guard: &watchman{},
		errors: &errorLog{}, group: group,
	}
	st.market = newMarket(t, marketPlan{
		coins: 40, channels: s.channels, // the longest sweep sells some 200 channels of half a million
		seller: func(o *node.Options) {
			o.LSP.Offer.ClientTrustsLSP = s.trusting
			o.LSP.Offer.Rules.Hold = stageHold
			o.Log = st.errors.over(o.Log)
			st.hold(o, "lsp", st.lspLife)
		},
		payer: func(o *node.Options) { st.hold(o, "payer", st.payLife) },
	})
	return st
}

// tap sees the messages of all nodes.
type tap func(at string, peer [33]byte, sent bool, m lnwire.Message)

func (st *stage) setLine(t tap) {
	if t == nil {
		st.line.Store(nil)
		return
	}
	st.line.Store(&t)
}

// showMessages puts each message into the logs of the nodes.
var showMessages = os.Getenv("INLET_TEST_WIRE") != ""

// hold puts a node on a lifeline, and its messages in sight.
func (st *stage) hold(o *node.Options, name string, l *lifeline) {
	seams := l.seams()
	seams.Line = func(peer [33]byte, sent bool, m lnwire.Message) {
		if showMessages {
			o.Log.Debug("wire", "sent", sent, "message", messageName(m), "peer", fmt.Sprintf("%x", peer[:4]))
		}
		l.says(sent, m)
		if name == "payer" {
			st.guard.line(sent, m)
		}
		if line := st.line.Load(); line != nil {
			(*line)(name, peer, sent, m)
		}
	}
	o.SetStoreGroup(st.group)
	o.SetMischief(node.Mischief{Lifeline: seams, MPPHold: stageMPPHold})
}

// in has everything that fails fail this test, and runs f.
func (st *stage) in(t *testing.T, f func()) {
	outer := st.market.t
	st.market.t, st.Net.TB = t, t
	defer func() { st.market.t, st.Net.TB = outer, outer }()
	f()
}

// act is one sale on the stage, from the purchase to the confirmed channel, during
// which something happens.
type act struct {
	*stage
	client *member
	inv    node.JITInvoice
	got    pay.Payment
	// struck is closed when it has happened, and mend makes it good; nil: nothing does.
	struck <-chan struct{}
	mend   func()
	fell   bool // it has happened
}

// newAct is a sale to a client of its own.
func (st *stage) newAct() *act {
	st.clients++
	a := &act{stage: st}
	st.cliLife = newLifeline()
	a.client = st.node(fmt.Sprintf("client %d", st.clients), func(o *node.Options) {
		st.hold(o, "client", st.cliLife)
	})
	return a
}

// until waits for something, and makes good meanwhile what happens.
func (a *act) until(what string, works func(context.Context) bool) {
	a.t.Helper()
	a.try(what, 10*time.Millisecond, works)
}

// try is until with a pace.
func (a *act) try(what string, pace time.Duration, works func(context.Context) bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 2*maxHeld)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for !works(ctx) {
		select {
		case <-tick.C:
			a.raise()
		case <-ctx.Done():
			a.t.Fatalf("%s does not come", what)
		}
	}
}

// raise makes good what has happened, once.
func (a *act) raise() {
	a.t.Helper()
	select {
	case <-a.struck: // nil: never
		a.struck, a.fell = nil, true
		a.mend()
	default:
	}
}

// meet connects payer and client to the LSP now; by themselves they wait for their next
// attempt.
func (a *act) meet() {
	a.t.Helper()
	for _, n := range []*member{a.market.payer, a.client} {
		a.soon(waitLink, func(ctx context.Context) bool {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return n.Connect(ctx, a.market.seller.Key(), a.market.seller.Addr()) == nil &&
				a.connected(n)
		})
	}
}

// play makes the sale.
func (a *act) play() {
	a.t.Helper()
	a.buy()
	a.pay()
	a.settle()
	a.confirm()
}

func (a *act) buy() {
	a.t.Helper()
	seller := a.market.seller
	var last error
	defer func() {
		if last != nil {
			a.t.Logf("the last try to buy: %v", last)
		}
	}()
	// Two requests each time: at a faster pace the limit of ten a second would let the first of them
	// pass and never the second.
	a.try("the purchase", 300*time.Millisecond, func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		inv, err := a.client.JITInvoice(ctx, node.JITInvoiceRequest{
			LSP: seller.Key(), Addr: seller.Addr(), Amount: a.sale.size,
			ClientTrustsLSP: a.sale.trusting,
		})
		a.inv, last = inv, err
		return err == nil
	})
}

// pay pays, and pays once more where it has failed for a reason that may pass.
func (a *act) pay() {
	a.t.Helper()
	for range 2 {
		out := a.paying(a.market.payer, pay.PayRequest{Invoice: a.inv.Invoice.Bolt11})
		var got paid
		a.until("the end of the payment", func(context.Context) bool {
			select {
			case got = <-out:
				return true
			default:
				return false
			}
		})
		must(a.t, got.err)
		a.got = got.payment
		if a.got.Status == pay.Succeeded {
			return
		}
		a.t.Logf("the payment failed: %+v", a.got.Failure)
		a.retried++
		a.until("a way for another try", func(context.Context) bool {
			return a.connected(a.market.payer) && a.connected(a.client)
		})
	}
	a.t.Errorf("the payment failed twice: %+v", a.got.Failure)
}

// connected says that a node's connection with the LSP is there at both ends.
func (a *act) connected(n *member) bool {
	return n.ConnOf(a.market.seller.Key()) != 0 && a.market.seller.ConnOf(n.Key()) != 0
}

// settle waits until nothing of the payment is under way any more.
func (a *act) settle() {
	a.t.Helper()
	a.until("the end of all HTLCs", func(context.Context) bool {
		for _, n := range []*member{a.market.seller, a.market.payer, a.client} {
			chans, err := n.ChannelStates()
			if err != nil {
				return false
			}
			for _, ch := range chans {
				if !ch.Quiet {
					return false
				}
			}
		}
		return a.got.Status != pay.Succeeded || a.isPaid()
	})
}

func (a *act) isPaid() bool {
	for _, r := range a.market.seller.Orders() {
		if r.Order.Terms.SCID == a.inv.SCID {
			_, paid := r.Order.State.(jit.Paid)
			return paid
		}
	}
	return false
}

// confirm mines until the new channel is deep.
func (a *act) confirm() {
	a.t.Helper()
	if a.got.Status != pay.Succeeded {
		return
	}
	point := *a.order(a.inv).Point
	a.until("the funding transaction", func(context.Context) bool {
		txs, err := a.Chain.Mempool()
		return err == nil && slices.Contains(txs, point.Hash)
	})
	a.Mine(6)
	a.until("the confirmation", func(context.Context) bool {
		for _, n := range []*member{a.market.seller, a.client} {
			chans, err := n.ChannelStates()
			if err != nil || !slices.ContainsFunc(chans, func(ch node.ChannelState) bool {
				return ch.Point == point && ch.Confirmed
			}) {
				return false
			}
		}
		return true
	})
}

// check is what must hold at the end, whatever happened (design.md 4).
func (a *act) check() {
	a.t.Helper()
	a.checkFunding()
	a.checkMoney()
	a.checkHolds()
	open, _, longest := a.guard.report()
	if open != 0 || longest > maxHeld {
		a.t.Errorf("%d HTLCs of the payer are unanswered, the longest was held for %v", open, longest)
	}
	for _, n := range []*member{a.market.seller, a.market.payer, a.client} {
		forced, err := n.ForcedCloses()
		must(a.t, err)
		if len(forced) != 0 {
			a.t.Errorf("%s: forced closes of %v", n.NodeID(), forced)
		}
	}
	a.soon(waitLink, func(context.Context) bool { // the wallet follows the block by itself
		coins, err := a.market.seller.Utxos()
		must(a.t, err)
		return !slices.ContainsFunc(coins, func(c wallet.Utxo) bool { return c.Leased })
	})
}

// checkFunding: one order funds at most one channel, and all broadcasts are of it.
func (a *act) checkFunding() {
	a.t.Helper()
	var out []string
	for _, hash := range a.lspLife.broadcasts() {
		out = append(out, hash.String())
	}
	var funded []string
	for _, r := range a.market.seller.Orders() {
		if r.Order.Terms.Client != [33]byte(a.client.Key().SerializeCompressed()) {
			continue
		}
		points, err := a.market.seller.MayBeOut(r.Order.ID)
		must(a.t, err)
		if len(points) > 1 {
			a.t.Errorf("order %s may have funded %v", r.Order.ID, points)
		}
		for _, p := range points {
			funded = append(funded, p.Hash.String())
		}
	}
	if len(funded) > 1 || len(out) > 1 || len(out) == 1 && !slices.Equal(out, funded) {
		a.t.Errorf("one sale funded %v and broadcast %v", funded, out)
	}
	for _, n := range []*member{a.market.seller, a.client} {
		chans, err := n.ChannelStates()
		must(a.t, err)
		other := [33]byte(a.client.Key().SerializeCompressed())
		if n == a.client {
			other = [33]byte(a.market.seller.Key().SerializeCompressed())
		}
		count := 0
		for _, ch := range chans {
			if ch.Peer == other {
				count++
			}
		}
		if want := len(funded); count != want {
			a.t.Errorf("%d channels between LSP and client, want %d", count, want)
		}
	}
}

// checkHolds: nothing was held to the end of the hold but a payment of which parts were missing.
func (a *act) checkHolds() {
	a.t.Helper()
	var late lnwire.MilliSatoshi
	for _, p := range a.order(a.inv).Parts {
		if p.Held >= stageHold {
			late += p.Amount
		}
	}
	if late >= a.sale.size {
		a.t.Errorf("%d msat were held for %v: %+v", late, stageHold, a.order(a.inv).Parts)
	}
}

// checkMoney: who paid what is the same at all three, and the fee is the promised one.
func (a *act) checkMoney() {
	a.t.Helper()
	ctx, cancel := a.Context()
	defer cancel()
	inv, err := a.client.LookupInvoice(ctx, a.inv.Invoice.Hash)
	must(a.t, err)
	if a.got.Status != pay.Succeeded {
		if inv.State == pay.InvoiceSettled {
			a.t.Error("the client has the money and the payer has not paid")
		}
		return
	}
	if inv.State != pay.InvoiceSettled {
		a.t.Fatalf("the payer has paid and the invoice is %s", inv.State)
	}
	r := a.order(a.inv)
	var fee lnwire.MilliSatoshi
	for _, p := range r.Parts {
		if p.State == "claimed" {
			fee += p.ExtraFee
		}
	}
	s, ok := r.Order.State.(jit.Paid)
	switch {
	case !ok:
		a.t.Errorf("the order is %s", r.Order.State.Name())
	case s.Waived != 0:
		a.waived++
		if fee != 0 || s.Waived != a.inv.OpeningFee {
			a.t.Errorf("the fee is %d msat, %d are waived", fee, s.Waived)
		}
	case fee != a.inv.OpeningFee:
		a.t.Errorf("the fee is %d msat, promised were %d: %+v", fee, a.inv.OpeningFee, r.Parts)
	}
	if got := inv.Received(); got != a.sale.size-fee {
		a.t.Errorf("the client received %d msat of %d with a fee of %d", got, a.sale.size, fee)
	}
}

// serves: the LSP forwards on, without anybody's help.
func (a *act) serves() {
	a.t.Helper()
	a.transfer(a.market.payer, a.client, 1_000_000)
	defer a.settle() // the client ends here: nothing of it should stay behind
	if a.sale.parts == 1 {
		return
	}
	// The payer's channels are small: it gets back what it has paid, less the reserves.
	chans, err := a.market.seller.ChannelStates()
	must(a.t, err)
	var back lnwire.MilliSatoshi
	for _, ch := range chans {
		if ch.Peer == [33]byte(a.market.payer.Key().SerializeCompressed()) {
			back += ch.Balance
		}
	}
	a.transfer(a.market.seller, a.market.payer, back-20_000_000)
}

// transfer pays as soon as the links are up, and tells what is in the way.
func (a *act) transfer(from, to *member, amount lnwire.MilliSatoshi) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), waitLink)
	defer cancel()
	for {
		problem := a.attempt(ctx, from, to, amount)
		if problem == "" {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			a.t.Fatalf("the channels do not work within %v: %s\n%s", waitLink, problem, a.links())
		}
	}
}

func (a *act) attempt(ctx context.Context, from, to *member, amount lnwire.MilliSatoshi) string {
	if !a.ready(ctx, to) || !a.ready(ctx, from) && from != a.market.seller {
		return "a link is down"
	}
	inv, err := to.Invoice(ctx, pay.InvoiceRequest{Amount: amount})
	if err != nil {
		return err.Error()
	}
	// Its end is waited for: one that was given up here could still pay, and the next try
	// would pay again.
	p, err := from.Pay(ctx, pay.PayRequest{Invoice: inv.Bolt11})
	switch {
	case err != nil:
		return err.Error()
	case p.Status != pay.Succeeded:
		return fmt.Sprintf("%+v", p.Failure)
	}
	return ""
}

// links tells of all links, for a failure.
func (a *act) links() string {
	var text strings.Builder
	for _, n := range []*member{a.market.seller, a.market.payer, a.client} {
		for _, ch := range a.channelsOf(a.t.Context(), n) {
			fmt.Fprintf(&text, "%.8s with %.8s: %s, active %v\n", n.NodeID(), ch.Peer, ch.State, ch.Active)
		}
	}
	return text.String()
}
