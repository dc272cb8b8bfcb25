package admission

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

// TestHistories has clients, of whom many never pay, buy and open at random, with an operator who
// changes his mind, and checks after each step what must hold in all histories.
func TestHistories(t *testing.T) {
	seeds := 80
	if testing.Short() {
		seeds = 20
	}
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		h := newHistory(t, seed, seen)
		for range 400 {
			h.step()
			h.check()
		}
		h.drain()
	}
	t.Log(seen)
	for _, what := range []string{
		"sold", "sold on trust", "refused", "opened", "reserve refused", "must wait", "paid", "lost",
		"waived", "dropped", "alarm",
	} {
		if seen[what] == 0 {
			t.Errorf("no history came to %q", what)
		}
	}
}

// history is one life of a Gate.
type history struct {
	*testing.T
	r      *rand.Rand
	limits Limits
	g      *Gate
	now    time.Time
	orders map[string]Order
	ids    []string
	opens  map[string]int // by order
	seen   map[string]int
}

func newHistory(t *testing.T, seed uint64, seen map[string]int) *history {
	r := rand.New(rand.NewPCG(seed, 8))
	l := Limits{
		Client: Quota{
			Unpaid: r.IntN(4), AtRisk: btcutil.Amount(r.IntN(5)) * 1_000_000,
			OpensPerDay: r.IntN(3) * 8,
		},
		All: Quota{
			Unpaid: 6 + r.IntN(8), AtRisk: 15_000_000, OpensPerDay: r.IntN(2) * 50,
		},
		Token:  Quota{Unpaid: 3, OpensPerDay: 20},
		Window: time.Duration(1+r.IntN(48)) * time.Hour, TrustAfter: 1 + r.IntN(5),
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return &history{
		T: t, r: r, limits: l, g: New(l, Auto), now: t0, orders: map[string]Order{},
		opens: map[string]int{}, seen: seen,
	}
}

func (h *history) step() {
	h.now = h.now.Add(time.Duration(h.r.ExpFloat64() * float64(2*time.Minute)))
	switch h.r.IntN(20) {
	case 0:
		h.now = h.now.Add(time.Duration(h.r.IntN(20)) * time.Hour)
	case 1:
		h.g.SetPolicy([]Policy{Auto, Auto, LSP, Client}[h.r.IntN(4)])
	case 2:
		h.restart()
	case 3, 4, 5, 6, 7:
		h.buy()
	default:
		h.move()
	}
}

func (h *history) buy() {
	a := Ask{
		Client: [33]byte{2, byte(h.r.IntN(6))}, Token: []string{"", "", "a", "b"}[h.r.IntN(4)],
		Capacity: 1_000_000,
	}
	v := h.g.Judge(h.now, a)
	if v.Refusal != "" {
		h.seen["refused"]++
		return
	}
	h.seen["sold"]++
	if v.ClientTrustsLSP {
		h.seen["sold on trust"]++
		h.must(v.Why != "", "trust without a reason")
	}
	o := Order{
		ID: fmt.Sprint(len(h.ids)), Client: a.Client, Token: a.Token, Trusting: v.ClientTrustsLSP,
	}
	h.ids = append(h.ids, o.ID)
	h.put(o)
}

func (h *history) put(o Order) {
	if old, ok := h.orders[o.ID]; ok && !o.OpenedAt.Equal(old.OpenedAt) {
		h.opens[o.ID]++
	}
	h.orders[o.ID] = o
	h.g.Put(h.now, o)
	if h.r.IntN(4) == 0 {
		h.g.Put(h.now, o) // told twice
	}
}

// move takes one order a step on.
func (h *history) move() {
	if len(h.ids) == 0 {
		return
	}
	o := h.orders[h.ids[h.r.IntN(len(h.ids))]]
	switch o.Stage {
	case Waiting, Opening:
		h.open(o)
	case Opened:
		h.end(o)
	case Owed:
		switch h.r.IntN(6) {
		case 0:
			o.Stage = Paid
		case 1:
			o.Stage = Lost
			h.seen["lost"]++
		}
		h.put(o)
	case Lost, Waived, Paid, Ended:
	}
}

func (h *history) open(o Order) {
	if h.r.IntN(6) == 0 {
		o.Stage, o.Capacity = Ended, 0
		h.put(o)
		return
	}
	o.Stage = Opening
	h.put(o)
	why, wait := h.g.Reserve(h.now, o.ID, 1_000_000)
	switch {
	case wait:
		h.seen["must wait"]++
		return
	case why != "":
		h.seen["reserve refused"]++
		return
	case h.r.IntN(5) == 0: // it failed
		o.Stage = Waiting
		h.put(o)
		return
	}
	h.seen["opened"]++
	o.Stage, o.OpenedAt, o.Withheld, o.Capacity = Opened, h.now, o.Trusting, 1_000_000
	h.put(o)
}

func (h *history) end(o Order) {
	switch n := h.r.IntN(5); {
	case n == 0:
		return // it is left lying
	case n < 3:
		o.Stage, o.Withheld = Paid, false
		h.seen["paid"]++
	case o.Withheld && n == 3:
		o.Stage, o.Withheld = Waiting, false
		h.seen["dropped"]++
	case n == 3:
		o.Stage, o.OwedAt = Waived, h.now
		h.seen["waived"]++
	default:
		o.Stage, o.OwedAt, o.Withheld = Owed, h.now, false
	}
	h.put(o)
}

// restart makes a Gate from the orders as they are stored, in any order.
func (h *history) restart() {
	h.g.advance(h.now)
	alarm, policy := h.g.alarm, h.g.policy
	h.g = New(h.limits, policy)
	for _, id := range slices.Collect(maps.Keys(h.orders)) {
		o := h.orders[id]
		if o.Stage == Opening {
			o.Stage = Waiting
			h.orders[id] = o
		}
		h.opens[id] = min(h.opens[id], 1) // earlier ones are not stored
		h.g.Put(h.now, o)
	}
	after := h.limits.TrustAfter
	if h.g.all.recent >= after || h.g.all.recent <= after/2 {
		h.must(h.g.alarm == alarm, "the alarm changed with a restart")
	}
	h.g.alarm = alarm // between the thresholds history decides
}

// check compares with sums made from scratch.
func (h *history) check() {
	h.Helper()
	h.g.advance(h.now)
	all, clients, tokens := weight{}, map[[33]byte]*weight{}, map[string]*weight{}
	for id, o := range h.orders {
		e := entry{order: o, opens: h.opens[id]}
		if now := h.g.orders[id]; now != nil {
			e.reserved = now.reserved
			if o.Stage == Opening {
				e.order.Capacity = now.order.Capacity
			}
		}
		w, _ := e.weigh(h.now, h.limits.Window)
		h.model(e, w)
		all.add(w, 1)
		if clients[o.Client] == nil {
			clients[o.Client] = &weight{}
		}
		clients[o.Client].add(w, 1)
		if o.Token == "" {
			continue
		}
		if tokens[o.Token] == nil {
			tokens[o.Token] = &weight{}
		}
		tokens[o.Token].add(w, 1)
	}
	h.must(all == h.g.all, fmt.Sprintf("all: %+v, want %+v", h.g.all, all))
	for id, w := range clients {
		got := h.g.clients[id]
		h.must(got == nil && *w == weight{} || got != nil && *got == *w, "a client's account")
		h.must(w.atRisk <= h.limits.Client.AtRisk || h.limits.Client.AtRisk == 0, "a client's risk")
	}
	for name, w := range tokens {
		got := h.g.tokens[name]
		h.must(got == nil && *w == weight{} || got != nil && *got == *w, "a token's account")
	}
	h.must(len(h.g.clients) <= len(clients) && len(h.g.tokens) <= len(tokens), "accounts too many")
	h.must(all.atRisk <= h.limits.All.AtRisk, "the risk of all")
	h.loss(clients, all)
	if h.g.alarm {
		h.seen["alarm"]++
	}
	for i, e := range h.g.due {
		h.must(e.at == i && h.now.Before(e.next), "the queue")
	}
	before := h.accounts()
	h.g.Report(h.now, 100)
	h.must(reflect.DeepEqual(before, h.accounts()), "asking changes something")
}

// loss is what clients can make us lose: never more than the limits, whatever they do.
func (h *history) loss(clients map[[33]byte]*weight, all weight) {
	h.Helper()
	for _, w := range clients {
		l := h.limits.Client.Unpaid
		h.must(l == 0 || w.unpaid+w.underWay <= l+h.granted(), "a client can make us lose too much")
	}
	l := h.limits.All.Unpaid
	h.must(all.unpaid+all.underWay <= l+h.granted(), "all clients can make us lose too much")
}

// granted are channels that came to be unpaid although their orders trust us: the client claimed
// a part without the fee, so that we had to broadcast.
func (h *history) granted() (n int) {
	for _, o := range h.orders {
		if o.Trusting && (o.Stage == Owed || o.Stage == Lost || o.Stage == Waived) {
			n++
		}
	}
	return n
}

// model says again, in other words, what an order counts for.
func (h *history) model(e entry, w weight) {
	h.Helper()
	o, age := e.order, h.now.Sub(e.order.OpenedAt)
	live := o.Stage == Opened || o.Stage == Owed || o.Stage == Opening && e.reserved
	h.must((w.atRisk != 0) == (live && o.Capacity != 0), "at risk")
	h.must(w.unpaid == 0 || !o.Withheld, "a withheld funding is unpaid")
	h.must(w.unpaid+w.underWay+w.waiting <= 1, "counted twice")
	h.must(w.recent <= w.unpaid, "recent and not unpaid")
	h.must(w.opens == 0 == (e.opens == 0 || age >= day), "opens of the day")
	h.must(w.broadcast <= w.opens, "broadcast and not opened")
	h.must(o.Stage != Owed || w.unpaid == 1, "owed and not unpaid")
	h.must(o.Stage != Paid || w.unpaid+w.underWay+w.waiting == 0 && w.atRisk == 0, "paid")
}

func (h *history) accounts() map[string]weight {
	all := map[string]weight{"": h.g.all}
	for id, w := range h.g.clients {
		all[fmt.Sprintf("%x", id)] = *w
	}
	for name, w := range h.g.tokens {
		all[name] = *w
	}
	return all
}

// drain ends every order; time then empties the Gate.
func (h *history) drain() {
	for _, id := range h.ids {
		o := h.orders[id]
		switch {
		case o.Stage.over():
		case o.Stage == Waiting || o.Stage == Opening || o.Withheld:
			o.Stage = Ended
		default:
			o.Stage = Paid
		}
		h.put(o)
	}
	h.now = h.now.Add(maxWindow + day)
	h.g.advance(h.now)
	h.must(len(h.g.orders)+len(h.g.clients)+len(h.g.tokens)+len(h.g.due) == 0 &&
		h.g.all == weight{} && h.g.over == [Ended + 1]int{}, "something is left")
}

func (h *history) must(ok bool, what string) {
	h.Helper()
	if !ok {
		h.Fatalf("%s, after %v", what, h.now.Sub(t0))
	}
}
