package admission

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

var (
	t0  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	bob = [33]byte{2, 0xb0}
	eve = [33]byte{3, 0xee}
)

// desk plays orders to a Gate and remembers how they stand.
type desk struct {
	*testing.T
	g     *Gate
	now   time.Time
	count int
}

func newDesk(t *testing.T, change func(*Limits)) *desk {
	l := DefaultLimits()
	if change != nil {
		change(&l)
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return &desk{T: t, g: New(l, Auto), now: t0}
}

func (d *desk) after(dt time.Duration) { d.now = d.now.Add(dt) }

// sell sells to a client on the terms that Judge gives.
func (d *desk) sell(client [33]byte) Order {
	d.Helper()
	v := d.g.Judge(d.now, Ask{Client: client, Capacity: 1_000_000})
	if v.Refusal != "" {
		d.Fatalf("refused: %s", v.Refusal)
	}
	d.count++
	o := Order{ID: fmt.Sprint("o", d.count), Client: client, Trusting: v.ClientTrustsLSP}
	d.g.Put(d.now, o)
	return o
}

// open opens the order's channel, if it may be.
func (d *desk) open(o Order) (_ Order, why string) {
	d.Helper()
	o.Stage = Opening
	d.g.Put(d.now, o)
	if why, _ := d.g.Reserve(d.now, o.ID, 1_000_000); why != "" {
		return o, why
	}
	o.Stage, o.OpenedAt, o.Withheld = Opened, d.now, o.Trusting
	d.g.Put(d.now, o)
	return o, ""
}

// leave sells and opens a channel that is not paid for.
func (d *desk) leave(client [33]byte) Order {
	d.Helper()
	o, why := d.open(d.sell(client))
	if why != "" {
		d.Fatalf("not opened: %s", why)
	}
	return d.owe(o)
}

func (d *desk) owe(o Order) Order {
	o.Stage, o.OwedAt = Owed, d.now
	d.g.Put(d.now, o)
	return o
}

func (d *desk) put(o Order, s Stage) Order {
	o.Stage = s
	d.g.Put(d.now, o)
	return o
}

func (d *desk) judge(client [33]byte) Verdict {
	return d.g.Judge(d.now, Ask{Client: client, Capacity: 1_000_000})
}

func (d *desk) wantTrust(client [33]byte, want bool) {
	d.Helper()
	v := d.judge(client)
	if v.Refusal != "" || v.ClientTrustsLSP != want {
		d.Errorf("must trust us: %+v, want %v", v, want)
	}
}

func (d *desk) wantRefusal(client [33]byte, want string) {
	d.Helper()
	if v := d.judge(client); !strings.Contains(v.Refusal, want) || want == "" && v.Refusal != "" {
		d.Errorf("refusal %q, want %q", v.Refusal, want)
	}
}

// wantEmpty has it that nothing is remembered.
func (d *desk) wantEmpty() {
	d.Helper()
	g := d.g
	g.advance(d.now)
	if len(g.orders)+len(g.clients)+len(g.tokens)+len(g.due) != 0 || g.all != (weight{}) {
		d.Errorf("left: %d orders, %d clients, %d tokens, %d due, %+v", len(g.orders),
			len(g.clients), len(g.tokens), len(g.due), g.all)
	}
}

// LSPS2-116, LSPS2-117: a client that left two channels unpaid must trust us, until one is paid or
// enough time has passed.
func TestUnpaidOfAClient(t *testing.T) {
	d := newDesk(t, nil)
	one := d.leave(bob)
	d.wantTrust(bob, false)
	two := d.leave(bob)
	d.wantTrust(bob, true)
	d.wantTrust(eve, false)
	if r := d.g.Report(d.now, 10); len(r.Clients) != 1 || r.Clients[0].Unpaid != 2 ||
		r.Clients[0].MustTrust == "" || r.Clients[0].AtRisk != 2_000_000 || r.ClientsTrust {
		t.Errorf("%+v", r)
	}

	d.put(two, Paid)
	d.wantTrust(bob, false)
	d.leave(bob)
	d.wantTrust(bob, true)

	// Closing it gives us our coins back, and does not make it paid.
	d.put(one, Lost)
	d.wantTrust(bob, true)
	if d.g.all.atRisk != 1_000_000 {
		t.Errorf("at risk: %v", d.g.all.atRisk)
	}
	d.after(day - time.Second)
	d.wantTrust(bob, true)
	d.after(time.Second)
	d.wantTrust(bob, false)
}

// TestOwedIsForLong: an open channel that is not paid for counts as long as it is open.
func TestOwedIsForLong(t *testing.T) {
	d := newDesk(t, nil)
	one, two := d.leave(bob), d.leave(bob)
	d.after(30 * day)
	d.wantTrust(bob, true)
	d.put(one, Lost)
	d.wantTrust(bob, false)
	d.put(two, Paid)
	d.wantEmpty()
}

// TestWaivedCounts: a client that would not bear the fee has not paid.
func TestWaivedCounts(t *testing.T) {
	d := newDesk(t, nil)
	for range 2 {
		o, _ := d.open(d.sell(bob))
		o.OwedAt = d.now
		d.put(o, Waived)
	}
	d.wantTrust(bob, true)
	if d.g.all.atRisk != 0 {
		t.Errorf("at risk: %v", d.g.all.atRisk)
	}
	d.after(day)
	d.wantTrust(bob, false)
	d.wantEmpty()
}

// LSPS2-117: with the policy that we trust clients, the same client is refused.
func TestUnpaidIsRefused(t *testing.T) {
	d := newDesk(t, nil)
	d.g.SetPolicy(LSP)
	d.leave(bob)
	two := d.leave(bob)
	d.wantRefusal(bob, "too many unpaid channels of yours")
	d.wantRefusal(eve, "")
	d.put(two, Paid)
	d.wantRefusal(bob, "")
}

// TestPolicy: the operator's word changes what is sold next, and not what was sold.
func TestPolicy(t *testing.T) {
	d := newDesk(t, nil)
	before := d.sell(bob)
	d.g.SetPolicy(Client)
	d.wantTrust(bob, true)
	d.wantTrust(eve, true)
	d.sell(bob)
	if o, why := d.open(before); why != "" || o.Withheld {
		t.Errorf("withheld %v: %s", o.Withheld, why)
	}
	d.g.SetPolicy(LSP)
	d.wantTrust(bob, false)
	if !d.g.Policy().Valid() || Policy("both").Valid() {
		t.Error("validity of policies")
	}
}

// TestAlarm: unpaid channels of many clients make all of them trust us, until half are left.
func TestAlarm(t *testing.T) {
	d := newDesk(t, nil)
	var left []Order
	for i := range 10 {
		d.wantTrust(eve, false)
		left = append(left, d.leave([33]byte{2, byte(i)}))
	}
	d.wantTrust(eve, true)
	for i, o := range left[:5] {
		d.put(o, Paid)
		d.wantTrust(eve, i < 4) // the fifth leaves five
	}
	for i := range 4 {
		d.leave([33]byte{2, 1, byte(i)})
		d.wantTrust(eve, false)
	}
	d.leave([33]byte{2, 1, 9}) // ten again
	d.wantTrust(eve, true)

	// Time ends it too.
	d = newDesk(t, nil)
	for i := range 10 {
		d.leave([33]byte{2, byte(i)})
		d.after(time.Hour)
	}
	d.wantTrust(eve, true)
	if r := d.g.Report(d.now, 3); !r.ClientsTrust || r.Recent != 10 || r.From != 10 || r.Until != 5 ||
		len(r.Clients) != 3 || r.All.Unpaid != 10 {
		t.Errorf("%+v", r)
	}
	d.now = t0.Add(day + 4*time.Hour - time.Second)
	d.wantTrust(eve, true)
	d.after(time.Second)
	d.wantTrust(eve, false)

	// 0 is never.
	l := DefaultLimits()
	l.TrustAfter = 0
	d.g.SetLimits(d.now, l)
	d.now = t0
	for i := range 20 {
		d.leave([33]byte{2, 2, byte(i)})
	}
	d.wantTrust(eve, false)
}

// TestAllUnpaid: what all together may leave unpaid.
func TestAllUnpaid(t *testing.T) {
	d := newDesk(t, func(l *Limits) { l.All.Unpaid, l.TrustAfter = 3, 0 })
	late := d.sell(eve)
	for i := range 3 {
		d.leave([33]byte{2, byte(i)})
	}
	d.wantTrust(eve, true)
	if _, why := d.open(late); !strings.Contains(why, "of all clients") {
		t.Errorf("an order that was sold before: %q", why)
	}
	trusting := d.sell(eve)
	if _, why := d.open(trusting); why != "" {
		t.Errorf("an order that trusts us: %s", why)
	}
}

// TestReserve: a client that was sold ten orders while it owed nothing can't have all of them
// opened at once. The others wait until the payments under way have come to an end.
func TestReserve(t *testing.T) {
	d := newDesk(t, nil)
	var list []Order
	for range 5 {
		list = append(list, d.sell(bob))
	}
	for i := range 2 {
		var why string
		if list[i], why = d.open(list[i]); why != "" {
			t.Fatal(why)
		}
	}
	why, wait := d.g.Reserve(d.now, list[2].ID, 1_000_000)
	if !strings.Contains(why, "of yours") || !wait {
		t.Errorf("%q, wait %v", why, wait)
	}
	list[0] = d.put(list[0], Paid)
	if _, why = d.open(list[2]); why != "" {
		t.Errorf("after one was paid: %s", why)
	}
	list[2].Stage, list[2].OpenedAt = Opened, d.now
	for _, i := range []int{1, 2} {
		list[i] = d.owe(list[i])
	}
	if why, wait = d.g.Reserve(d.now, list[3].ID, 1_000_000); why == "" || wait {
		t.Errorf("nothing is to be waited for: %q, wait %v", why, wait)
	}
	// One that is refused does not count itself.
	d.put(list[1], Paid)
	d.put(list[3], Waiting)
	if _, why = d.open(list[4]); why != "" {
		t.Errorf("the others are paid or wait: %s", why)
	}
	if why, wait = d.g.Reserve(d.now, "unknown", 1); why == "" || wait {
		t.Errorf("an order that is not known: %q", why)
	}
}

// TestReserveAgain: an order that tries again, and one whose open failed, hold one place or none.
func TestReserveAgain(t *testing.T) {
	d := newDesk(t, func(l *Limits) { l.Client.Unpaid = 1 })
	one, two := d.sell(bob), d.sell(bob)
	for range 3 {
		one = d.put(one, Opening)
		if why, _ := d.g.Reserve(d.now, one.ID, 1_000_000); why != "" {
			t.Fatal(why)
		}
	}
	d.put(two, Opening)
	if why, wait := d.g.Reserve(d.now, two.ID, 1_000_000); why == "" || !wait {
		t.Errorf("a second: %q, %v", why, wait)
	}
	d.put(one, Waiting)
	if d.g.all.atRisk != 0 {
		t.Errorf("at risk after the open failed: %v", d.g.all.atRisk)
	}
	d.put(one, Opening) // and has not asked yet
	if why, _ := d.g.Reserve(d.now, two.ID, 1_000_000); why != "" {
		t.Errorf("after the first has failed: %s", why)
	}
}

// TestOverdue: a client that leaves a payment lying has not paid.
func TestOverdue(t *testing.T) {
	d := newDesk(t, nil)
	for range 2 {
		if _, why := d.open(d.sell(bob)); why != "" {
			t.Fatal(why)
		}
	}
	d.after(overdue - time.Second)
	d.wantTrust(bob, false)
	d.after(time.Second)
	d.wantTrust(bob, true)
	if d.g.all.unpaid != 2 || d.g.all.recent != 2 || d.g.all.hopeful != 0 {
		t.Errorf("%+v", d.g.all)
	}
}

// TestDropped: withheld fundings that came to nothing cost openings of the day, and nothing else.
func TestDropped(t *testing.T) {
	d := newDesk(t, func(l *Limits) { l.Client.OpensPerDay, l.All.OpensPerDay = 5, 5 })
	d.g.SetPolicy(Client)
	o := d.sell(bob)
	for range 3 {
		d.after(time.Second)
		var why string
		if o, why = d.open(o); why != "" {
			t.Fatal(why)
		}
		if d.g.all.atRisk != 1_000_000 || d.g.all.unpaid+d.g.all.underWay != 0 {
			t.Errorf("withheld: %+v", d.g.all)
		}
		o.Withheld = false
		o = d.put(o, Waiting) // dropped
	}
	d.put(o, Ended)
	for range 2 {
		d.wantRefusal(bob, "")
		o, _ := d.open(d.sell(bob))
		d.put(o, Ended)
	}
	d.wantRefusal(bob, "too many channels of yours were opened within a day")
	if d.g.all.broadcast != 0 || d.g.all.unpaid != 0 || d.g.all.atRisk != 0 {
		t.Errorf("%+v", d.g.all)
	}
	d.wantRefusal(eve, "")
	d.after(day)
	d.wantRefusal(bob, "")
	d.wantEmpty()
}

// TestOpensOfTheDay: paid ones count too.
func TestOpensOfTheDay(t *testing.T) {
	d := newDesk(t, func(l *Limits) { l.Client.OpensPerDay, l.All.OpensPerDay = 3, 5 })
	sold := d.sell(bob)
	for i := range 5 {
		client := bob
		if i > 2 {
			client = eve
		}
		o, why := d.open(d.sell(client))
		if why != "" {
			t.Fatal(why)
		}
		d.put(o, Paid)
	}
	d.wantRefusal(bob, "of yours were opened within a day")
	d.wantRefusal(eve, "of all clients were opened within a day")
	if _, why := d.open(sold); why == "" {
		t.Error("an order that was sold before is opened all the same")
	}
	d.after(day)
	d.wantRefusal(bob, "")
}

// TestAtRisk: the sats in channels that are not paid for.
func TestAtRisk(t *testing.T) {
	d := newDesk(t, func(l *Limits) {
		l.Client.AtRisk, l.All.AtRisk = 2_500_000, 3_500_000
		l.Client.Unpaid, l.All.Unpaid, l.TrustAfter = 0, 0, 0
	})
	var first Order
	for range 2 {
		first = d.leave(bob)
	}
	d.wantRefusal(bob, "unpaid channels of yours")
	late := d.sell(eve)
	d.leave(eve)
	d.wantRefusal([33]byte{2, 9}, "unpaid channels of all clients")
	if _, why := d.open(late); !strings.Contains(why, "of all clients") {
		t.Errorf("sold before: %q", why)
	}
	if v := d.g.Judge(d.now, Ask{Client: bob, Capacity: 500_000}); v.Refusal != "" {
		t.Errorf("a small one still fits: %s", v.Refusal)
	}
	d.put(first, Paid)
	d.wantRefusal(bob, "")
}

// TestTokens: a token has limits of its own; others are not concerned.
func TestTokens(t *testing.T) {
	d := newDesk(t, func(l *Limits) {
		l.Token = Quota{Unpaid: 1, AtRisk: 2_000_000, OpensPerDay: 3}
	})
	ask := func(name string) Verdict {
		return d.g.Judge(d.now, Ask{Client: bob, Token: name, Capacity: 1_000_000})
	}
	var list []Order
	put := func(i int, s Stage) {
		list[i].Stage = s
		d.g.Put(d.now, list[i])
	}
	for i := range 2 {
		if v := ask("shop"); v.Refusal != "" {
			t.Fatal(v.Refusal)
		}
		list = append(list, Order{ID: fmt.Sprint(i), Client: [33]byte{2, byte(i)}, Token: "shop"})
		put(i, Waiting)
	}
	for i := range list {
		list[i].OpenedAt, list[i].OwedAt, list[i].Capacity = d.now, d.now, 1_000_000
		put(i, Owed)
	}
	if v := ask("shop"); !strings.Contains(v.Refusal, "unpaid channels of this token") {
		t.Errorf("at risk: %q", v.Refusal)
	}
	if v := ask("other"); v.Refusal != "" || v.ClientTrustsLSP {
		t.Errorf("another token: %+v", v)
	}
	put(0, Lost)
	if v := ask("shop"); !v.ClientTrustsLSP || !strings.Contains(v.Why, "of this token") {
		t.Errorf("unpaid: %+v", v)
	}
	list = append(list, Order{ID: "2", Client: eve, Token: "shop", OpenedAt: d.now})
	put(2, Paid)
	if v := ask("shop"); !strings.Contains(v.Refusal, "of this token were opened within a day") {
		t.Errorf("opens: %q", v.Refusal)
	}
	if r := d.g.Report(d.now, 9); len(r.Tokens) != 1 || r.Tokens[0].Token != "shop" ||
		r.Tokens[0].Unpaid != 2 || r.Tokens[0].OpensToday != 3 {
		t.Errorf("%+v", r.Tokens)
	}
	put(1, Paid)
	d.after(day)
	d.wantEmpty()
}

// TestClockGoesBack: time that has passed has passed.
func TestClockGoesBack(t *testing.T) {
	d := newDesk(t, nil)
	d.put(d.leave(bob), Lost)
	d.put(d.leave(bob), Lost)
	d.after(day)
	d.wantTrust(bob, false)
	d.after(-2 * day)
	d.wantTrust(bob, false)
	d.leave(bob)
	d.leave(bob)
	d.wantTrust(bob, true)
}

// TestThrowaways: LSPS2-25. Ten thousand ids that only buy, and whose orders run out, leave nothing;
// those that make us withhold and drop a funding leave no more than maxOver.
func TestThrowaways(t *testing.T) {
	d := newDesk(t, func(l *Limits) { l.All = Quota{} })
	id := func(i int) [33]byte { return [33]byte{2, byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 10_000 {
		d.put(d.sell(id(i)), Ended)
	}
	d.wantEmpty()

	lost := d.put(d.leave(bob), Lost)
	d.g.SetPolicy(Client)
	for i := range maxOver + 500 {
		o, _ := d.open(d.sell(id(i)))
		d.put(o, Ended)
		if i%1000 == 0 && len(d.g.orders) > maxOver {
			t.Fatalf("%d orders are remembered", len(d.g.orders))
		}
	}
	if n := len(d.g.orders); n > maxOver || n != len(d.g.due) || len(d.g.clients) > maxOver {
		t.Errorf("%d orders, %d due, %d clients", n, len(d.g.due), len(d.g.clients))
	}
	if d.g.orders[lost.ID] == nil {
		t.Error("what was lost is forgotten for what cost nothing")
	}
}

func TestValidate(t *testing.T) {
	for what, change := range map[string]func(*Limits){
		"window":      func(l *Limits) { l.Window = 0 },
		"long window": func(l *Limits) { l.Window = 91 * day },
		"negative":    func(l *Limits) { l.Client.Unpaid = -1 },
		"risk":        func(l *Limits) { l.All.AtRisk = btcutil.Amount(-1) },
		"token":       func(l *Limits) { l.Token.OpensPerDay = -1 },
		"trust":       func(l *Limits) { l.TrustAfter = -1 },
		"never":       func(l *Limits) { l.TrustAfter, l.All.Unpaid = 10, 9 },
	} {
		l := DefaultLimits()
		change(&l)
		if l.Validate() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
