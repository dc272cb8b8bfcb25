package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
)

// admissions is the gate that buys and openings of orders pass. What it knows it has from the stored
// orders, at the start and at each change.
type admissions struct {
	n  *Node
	wg sync.WaitGroup // openings whose turn has come

	mu   sync.Mutex
	gate *admission.Gate // guarded by mu
	// waiting are openings that must wait for others, the first comes first; at most one of each
	// order. Their orders cancel them in time.
	waiting []chanfactory.OpenRequest // guarded by mu
	// starting are those whose turn has come, true when they were cancelled since.
	starting map[string]bool // guarded by mu
}

func newAdmissions(n *Node) *admissions {
	limits, policy := admission.DefaultLimits(), admission.Auto
	if o := n.opts.LSP; o != nil {
		limits, policy = o.Admission, o.trust()
	}
	return &admissions{n: n, gate: admission.New(limits, policy), starting: map[string]bool{}}
}

// trust is the policy that the node starts with.
func (o *LSPOptions) trust() admission.Policy {
	switch {
	case o.Offer.ClientTrustsLSP:
		return admission.Client
	case o.Admission.TrustAfter == 0:
		return admission.LSP
	}
	return admission.Auto
}

// restore reads how the stored orders stand. It comes after the orders are loaded and before
// anything can happen to them.
func (a *admissions) restore() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.n.clock.Now()
	for _, r := range a.n.orders.List() {
		o := standing(r)
		if r.Point != nil && (o.Stage == admission.Opened || o.Stage == admission.Owed) {
			if ch, err := a.n.channels.ChannelStateDB().FetchChannel(*r.Point); err == nil {
				o.Capacity = ch.Capacity
			}
		}
		a.gate.Put(now, o)
	}
}

// standing is an order as the gate wants it.
func standing(r orders.Record) admission.Order {
	o := admission.Order{
		ID: r.Order.ID, Client: r.Order.Terms.Client, Trusting: r.Order.Terms.ClientTrustsLSP,
		OpenedAt: r.OpenedAt, OwedAt: r.OwedSince,
	}
	ch, live := r.Order.Channel()
	o.Withheld = live && ch.Withheld
	owed := !r.OwedSince.IsZero()
	pick := func(stage, whenOwed admission.Stage) admission.Stage {
		if owed {
			return whenOwed
		}
		return stage
	}
	switch r.Order.State.(type) {
	case jit.AwaitParts, jit.AwaitClient:
		o.Stage = admission.Waiting
	case jit.AwaitChannel:
		o.Stage = admission.Opening
		if live {
			o.Stage = pick(admission.Opened, admission.Owed)
		}
	case jit.AwaitClaim:
		o.Stage = pick(admission.Opened, admission.Owed)
	case jit.Owed:
		o.Stage = admission.Owed
	case jit.Paid:
		o.Stage = pick(admission.Paid, admission.Waived)
	case jit.Dead:
		o.Stage = pick(admission.Ended, admission.Lost)
	}
	return o
}

// judge implements lsp.ServiceConfig's Admit.
func (a *admissions) judge(now time.Time, ask lsp.Ask) lsp.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.gate.Judge(now, admission.Ask{
		Client: ask.Client, Token: ask.Token, Capacity: a.expected(ask),
	})
	if v.Refusal != "" {
		a.n.log.Debug("refused to sell", "peer", peerKey(ask.Client), "reason", v.Refusal)
	}
	return lsp.Verdict{Refusal: v.Refusal, ClientTrustsLSP: v.ClientTrustsLSP}
}

// expected is about how large a channel would become, without asking for a fee rate.
func (a *admissions) expected(ask lsp.Ask) btcutil.Amount {
	policy := lsp.ChannelPolicy{}
	if o := a.n.opts.LSP; o != nil {
		policy = o.channels()
	}
	// A payment that no channel carries is not sold, so it puts nothing at risk beyond that.
	const largest = 1<<24 - 1 // sat, BOLT 2's without option_support_large_channel
	return min(policy.Size(ask.MaxPayment, lsp.ChannelNeeds{}).Capacity, largest)
}

// changed takes an order as it was written. It is called by the orders' own goroutine.
func (a *admissions) changed(r orders.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := standing(r)
	a.gate.Put(a.n.clock.Now(), o)
	if o.Stage == admission.Opening || o.Stage == admission.Opened {
		return // it has given up no place
	}
	a.next()
}

// next begins the openings whose turn has come. The caller holds mu.
func (a *admissions) next() {
	still := a.waiting[:0]
	for _, r := range a.waiting {
		why, wait := a.gate.Reserve(a.n.clock.Now(), r.Tag, r.Capacity)
		switch {
		case why == "":
			a.starting[r.Tag] = false
			a.wg.Go(func() { a.start(r) })
		case wait:
			still = append(still, r)
		default:
			a.failed(r.Tag, errors.New(why))
		}
	}
	clear(a.waiting[len(still):])
	a.waiting = still
}

// start opens what had to wait.
func (a *admissions) start(r chanfactory.OpenRequest) {
	ctx, cancel := a.n.callContext()
	defer cancel()
	err := a.n.factory.Open(ctx, r)
	a.mu.Lock()
	cancelled := a.starting[r.Tag]
	delete(a.starting, r.Tag)
	a.mu.Unlock()
	switch {
	case err != nil:
		a.failed(r.Tag, err)
	case cancelled:
		a.n.factory.Cancel(r.Tag)
	}
}

// failed ends an opening that had to wait. It only queues.
func (a *admissions) failed(orderID string, err error) {
	a.n.orders.Funding(orderID, jit.OpenFailed{Fault: jit.FaultOurs, Reason: err.Error()})
}

// open opens a channel for an order as soon as its client, and all, have not too many that are not
// paid for.
func (a *admissions) open(ctx context.Context, r chanfactory.OpenRequest) error {
	a.mu.Lock()
	why, wait := a.gate.Reserve(a.n.clock.Now(), r.Tag, r.Capacity)
	if wait {
		a.waiting = append(a.waiting, r)
	}
	a.mu.Unlock()
	switch {
	case wait:
		a.n.log.Info("the opening waits for other payments", "order", r.Tag, "reason", why)
		return nil
	case why != "":
		return fmt.Errorf("node: no channel is opened now: %s", why)
	}
	return a.n.factory.Open(ctx, r)
}

// cancel ends an opening before the client has signed.
func (a *admissions) cancel(orderID string) {
	a.mu.Lock()
	i := slices.IndexFunc(a.waiting, func(r chanfactory.OpenRequest) bool { return r.Tag == orderID })
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
	if _, starts := a.starting[orderID]; starts {
		a.starting[orderID] = true
	}
	a.mu.Unlock()
	if i >= 0 {
		a.failed(orderID, errors.New("it had to wait for other payments"))
		return
	}
	a.n.factory.Cancel(orderID)
}

// setPolicy changes who trusts whom in what is sold from now on.
func (a *admissions) setPolicy(p admission.Policy) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate.SetPolicy(p)
	a.n.log.Info("trust policy changed", "policy", string(p))
}

// maxReported is how many clients a report names.
const maxReported = 100

func (a *admissions) report() (r admission.Report, waiting int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gate.Report(a.n.clock.Now(), maxReported), len(a.waiting)
}

// SetTrust says who trusts whom in what is sold from now on, until the node is started again:
// then it is what the options say. Orders keep the mode that they were sold with.
func (n *Node) SetTrust(p admission.Policy) error {
	switch {
	case !p.Valid():
		return fmt.Errorf("node: there is no trust policy %q: auto, lsp or client", p)
	case n.opts.LSP == nil:
		return errNoService
	}
	if err := n.running(); err != nil {
		return err
	}
	n.admission.setPolicy(p)
	return nil
}

// Admission tells what clients have cost and could, and who must trust whom.
func (n *Node) Admission() (admission.Report, error) {
	if err := n.running(); err != nil {
		return admission.Report{}, err
	}
	r, _ := n.admission.report()
	return r, nil
}
