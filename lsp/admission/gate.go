package admission

import (
	"container/heap"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

// maxOver bounds the orders that are over and that a Gate still counts. Those that are not over are
// as many as the service sells at a time, and as there are channels.
const maxOver = 20_000

// Stage is where an order stands, as far as it matters here.
type Stage uint8

const (
	// Waiting: it has no channel.
	Waiting Stage = iota
	// Opening: a channel is wanted for it, and counts once Reserve has let it through.
	Opening
	// Opened: it has a channel, and its payment is under way.
	Opened
	// Owed: it has a channel that nobody has paid for.
	Owed
	// Lost: that channel is closed.
	Lost
	// Waived: it has a channel whose fee we gave up because the client would not bear it.
	Waived
	// Paid: its channel is paid for.
	Paid
	// Ended: it is over without a channel that could still cost anything.
	Ended
)

// over says that nothing is awaited of the order any more.
func (s Stage) over() bool { return s == Lost || s == Waived || s == Paid || s == Ended }

// Order is an order as it stands.
type Order struct {
	ID     string
	Client [33]byte
	Token  string // its name; "": none
	Stage  Stage

	// Trusting says that it was sold as client_trusts_lsp, Withheld that its channel is not
	// broadcast.
	Trusting, Withheld bool

	// OpenedAt is when its last channel was signed, OwedAt since when it is unpaid; zero: never.
	OpenedAt, OwedAt time.Time

	// Capacity is of its channel; 0: as before, or as reserved.
	Capacity btcutil.Amount
}

// Gate counts what orders have cost and still could. It is not safe for several goroutines.
type Gate struct {
	limits Limits
	policy Policy
	alarm  bool // TrustAfter was reached, and not yet left

	now     time.Time // the latest that was heard of
	orders  map[string]*entry
	over    [Ended + 1]int // how many of orders are over, by stage
	due     queue
	clients map[[33]byte]*weight
	tokens  map[string]*weight
	all     weight
}

// New makes a Gate that knows of no order.
func New(l Limits, p Policy) *Gate {
	return &Gate{
		limits: l, policy: p,
		orders: map[string]*entry{}, clients: map[[33]byte]*weight{}, tokens: map[string]*weight{},
	}
}

// SetLimits replaces the limits. What is sold stays sold.
func (g *Gate) SetLimits(now time.Time, l Limits) {
	g.limits = l
	g.advance(now)
	for _, e := range g.orders {
		g.weigh(e)
	}
	g.watch()
}

// SetPolicy replaces the policy. Orders keep the mode that they were sold with.
func (g *Gate) SetPolicy(p Policy) { g.policy = p }

// Policy is what was set.
func (g *Gate) Policy() Policy { return g.policy }

// Put takes an order as it stands now. Saying the same twice changes nothing.
func (g *Gate) Put(now time.Time, o Order) {
	g.advance(now)
	e := g.orders[o.ID]
	switch {
	case e == nil:
		e = &entry{at: -1}
		g.orders[o.ID] = e
	case o.Capacity == 0:
		o.Capacity = e.order.Capacity
	}
	if !o.OpenedAt.IsZero() && !o.OpenedAt.Equal(e.order.OpenedAt) {
		e.opens++
	}
	if o.Stage != Opening {
		e.reserved = false
	}
	g.leave(e)
	e.order = o
	g.weigh(e)
	g.makeRoom()
	g.watch()
}

// entry is an order with what it counts for.
type entry struct {
	order    Order
	reserved bool   // Reserve has let its opening through
	opens    int    // channels that were signed for it
	weight   weight // as it is in the accounts, if it is counted
	counted  bool
	next     time.Time
	at       int // its place in the queue; -1: none
}

// advance lets time pass: some weights change by themselves. A clock that goes back changes
// nothing.
func (g *Gate) advance(now time.Time) {
	if now.After(g.now) {
		g.now = now
	}
	for len(g.due) > 0 && !g.now.Before(g.due[0].next) {
		g.weigh(g.due[0])
	}
	g.watch()
}

// weigh puts an order's weight into the accounts anew, and forgets an order that will never weigh
// anything again.
func (g *Gate) weigh(e *entry) {
	g.leave(e)
	e.weight, e.next = e.weigh(g.now, g.limits.Window)
	if e.weight == (weight{}) && e.next.IsZero() {
		g.drop(e)
		return
	}
	e.counted = true
	for _, account := range g.accounts(e.order) {
		account.add(e.weight, 1)
	}
	if e.order.Stage.over() {
		g.over[e.order.Stage]++
	}
	g.queue(e)
}

// leave takes an order's weight out of the accounts.
func (g *Gate) leave(e *entry) {
	if !e.counted {
		return
	}
	e.counted = false
	for _, account := range g.accounts(e.order) {
		account.add(e.weight, -1)
	}
	if e.order.Stage.over() {
		g.over[e.order.Stage]--
	}
	g.sweep(e.order)
}

// accounts are those that an order counts in, made if they are not there.
func (g *Gate) accounts(o Order) []*weight {
	client := g.clients[o.Client]
	if client == nil {
		client = &weight{}
		g.clients[o.Client] = client
	}
	if o.Token == "" {
		return []*weight{&g.all, client}
	}
	token := g.tokens[o.Token]
	if token == nil {
		token = &weight{}
		g.tokens[o.Token] = token
	}
	return []*weight{&g.all, client, token}
}

// sweep forgets accounts in which nothing is left.
func (g *Gate) sweep(o Order) {
	if w := g.clients[o.Client]; w != nil && *w == (weight{}) {
		delete(g.clients, o.Client)
	}
	if w := g.tokens[o.Token]; w != nil && *w == (weight{}) {
		delete(g.tokens, o.Token)
	}
}

func (g *Gate) drop(e *entry) {
	g.leave(e)
	if e.at >= 0 {
		heap.Remove(&g.due, e.at)
	}
	delete(g.orders, e.order.ID)
}

// makeRoom forgets orders that are over when there are too many: first all those that have cost
// nothing, then the paid ones, and what was lost at the very last.
func (g *Gate) makeRoom() {
	for _, stage := range []Stage{Ended, Paid, Waived, Lost} {
		if g.over[Ended]+g.over[Paid]+g.over[Waived]+g.over[Lost] <= maxOver {
			return
		}
		if g.over[stage] == 0 {
			continue
		}
		for _, e := range g.orders {
			if e.order.Stage == stage {
				g.drop(e)
			}
		}
	}
}

// watch sets the alarm and ends it. Between the two thresholds it stays as it is, so that one
// channel more or less does not change everybody's terms to and fro.
func (g *Gate) watch() {
	switch after := g.limits.TrustAfter; {
	case after == 0:
		g.alarm = false
	case g.all.recent >= after:
		g.alarm = true
	case g.all.recent <= after/2:
		g.alarm = false
	}
}

// queue puts an order where its next change is due.
func (g *Gate) queue(e *entry) {
	switch {
	case e.next.IsZero() && e.at >= 0:
		heap.Remove(&g.due, e.at)
	case e.next.IsZero():
	case e.at >= 0:
		heap.Fix(&g.due, e.at)
	default:
		heap.Push(&g.due, e)
	}
}

// queue is a heap of entries by when they change.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.at = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.at = -1
	return e
}
