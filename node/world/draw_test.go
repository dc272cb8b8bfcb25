package world

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/inletlsp/inlet/lsp/jit"
)

// drawer makes the lines of a random history. What it draws fits the world as it
// stands, most of the time.
type drawer struct {
	*rand.Rand
	hash int
	wild bool // threads are held, and the process dies between two writes
	plan []string
}

// choice is a line with its weight.
type choice struct {
	weight int
	line   func(d *drawer, w *world) string
}

func (d *drawer) oneOf(words ...string) string { return words[d.IntN(len(words))] }

func (d *drawer) anyone(w *world) *client { return w.clients[d.IntN(len(w.clients))] }

var choices = []choice{
	{5, (*drawer).buy},
	{30, (*drawer).part},
	{10, (*drawer).connection},
	{8, (*drawer).time},
	{5, (*drawer).blocks},
	{4, (*drawer).mode},
	{8, (*drawer).answer},
	{4, (*drawer).payer},
	{6, (*drawer).chain},
	{14, (*drawer).thread},
	{5, (*drawer).death},
	{10, (*drawer).race},
}

// line draws the next line.
func (d *drawer) line(w *world) string {
	if len(d.plan) > 0 {
		next := d.plan[0]
		d.plan = d.plan[1:]
		return next
	}
	if w.lsp == nil && d.IntN(3) > 0 {
		return "start"
	}
	if len(w.orders) == 0 {
		return d.buy(w)
	}
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	for n := d.IntN(total); ; {
		for _, c := range choices {
			if n -= c.weight; n < 0 {
				if line := c.line(d, w); line != "" {
					return line
				}
				n = d.IntN(total)
				break
			}
		}
	}
}

func (d *drawer) buy(w *world) string {
	if len(w.orders) >= 6 || w.lsp == nil || w.held["desk"] {
		return ""
	}
	s := fmt.Sprintf("buy %s fixed %d as o%d", d.anyone(w).name, d.amount(), len(w.orders)+1)
	if d.IntN(4) == 0 {
		s = fmt.Sprintf("buy %s variable 0 as o%d", d.anyone(w).name, len(w.orders)+1)
	}
	if d.IntN(2) == 0 {
		s += " withheld"
	}
	if d.IntN(4) == 0 {
		s += " refuse"
	}
	if d.IntN(2) == 0 {
		s += fmt.Sprintf(" valid %ds", 60+d.IntN(300))
	}
	return s
}

func (d *drawer) amount() int { return []int{50_000_000, 20_000_000, 3_000_000}[d.IntN(3)] }

// part pays: all at once, the rest, one more part, or something odd.
func (d *drawer) part(w *world) string {
	if w.lsp == nil || !w.payerUp || len(w.htlcs) >= 200 {
		return ""
	}
	b := w.orders[d.IntN(len(w.orders))]
	size := int(b.terms.PaymentSize)
	if size == 0 {
		size = d.amount()
	}
	hash := d.payment(w, b)
	amount := size
	switch d.IntN(6) {
	case 0, 1:
		amount = size / 2
	case 2:
		amount = size/3 + d.IntN(3)
	case 3:
		amount = 1 + d.IntN(size*5/4)
	}
	s := fmt.Sprintf("part %s %d hash %d", b.id, amount, hash)
	switch d.IntN(12) {
	case 0:
		s += fmt.Sprintf(" exp %d", 43+d.IntN(6))
	case 1:
		s += fmt.Sprintf(" in %d", d.IntN(5)-1)
	case 2:
		s += fmt.Sprintf(" cltv %d", d.IntN(3)-1)
	}
	return s
}

// payment is one that is under way for the order, a new one, or one of another order.
func (d *drawer) payment(w *world, b *bought) int {
	if d.IntN(15) == 0 {
		if other := w.orders[d.IntN(len(w.orders))]; len(other.hashes) > 0 {
			return int(other.hashes[d.IntN(len(other.hashes))])
		}
	}
	if n := len(b.hashes); n > 0 && d.IntN(3) > 0 {
		return int(b.hashes[n-1])
	}
	if d.hash < 250 {
		d.hash++
	}
	return d.hash
}

func (d *drawer) connection(w *world) string {
	c := d.anyone(w)
	switch {
	case w.lsp == nil:
		return ""
	case c.conn == 0:
		return "online " + c.name
	case d.IntN(3) == 0:
		return d.oneOf("offline ", "restart ") + c.name
	}
	return ""
}

func (d *drawer) time(*world) string {
	if d.IntN(8) == 0 {
		return "t+" + d.oneOf("300s", "700s", "3700s")
	}
	return fmt.Sprintf("t+%ds", 1+d.IntN(40))
}

func (d *drawer) blocks(*world) string {
	if d.IntN(8) == 0 {
		return fmt.Sprintf("block %d", 10+d.IntN(60))
	}
	return fmt.Sprintf("block %d", 1+d.IntN(3))
}

// mode makes a client behave badly, or well again.
func (d *drawer) mode(w *world) string {
	c := d.anyone(w)
	if d.IntN(2) == 0 {
		return fmt.Sprintf("mode %s pay %s", c.name, d.oneOf("claim", "claim", "fail", "hold", "one"))
	}
	switch d.IntN(8) {
	case 0:
		return fmt.Sprintf("mode %s open %s", c.name, d.oneOf("refuse", "noanchors", "terms", "silent"))
	case 1:
		return fmt.Sprintf("mode %s sign %s", c.name, d.oneOf("error", "badsig", "silent"))
	case 2:
		return fmt.Sprintf("mode %s up silent", c.name)
	case 3:
		return fmt.Sprintf("mode %s slots %d", c.name, []int{5, 50}[d.IntN(2)])
	}
	switch {
	case c.open != "accept":
		return fmt.Sprintf("mode %s open accept", c.name)
	case c.sign != "sign":
		return fmt.Sprintf("mode %s sign sign", c.name)
	case c.up != "ready":
		return fmt.Sprintf("mode %s up ready", c.name)
	}
	return ""
}

func (d *drawer) answer(w *world) string {
	c := d.anyone(w)
	if len(c.holding(0)) > 0 {
		return d.oneOf("claim ", "claim ", "fail ") + c.name
	}
	for _, p := range sortedPoints(c.chans) {
		if !c.chans[p].sentReady && c.conn != 0 {
			return "ready " + c.name
		}
	}
	if d.IntN(12) == 0 && c.conn != 0 {
		return "error " + c.name
	}
	return ""
}

func (d *drawer) payer(w *world) string {
	switch {
	case w.lsp == nil:
		return ""
	case !w.payerUp:
		return "payer up"
	case d.IntN(2) == 0:
		return "payer down"
	}
	return ""
}

func (d *drawer) chain(w *world) string {
	b := w.orders[d.IntN(len(w.orders))]
	switch d.IntN(6) {
	case 0:
		if w.chain.mining {
			return "mining off"
		}
		return "mining on"
	case 1:
		if w.chain.up {
			return "backend off"
		}
		return "backend on"
	case 2, 3:
		if len(w.live(b.id)) > 0 {
			return "evict " + b.id
		}
	case 4:
		if p := w.live(b.id); len(p) > 0 && w.chain.confirmed[p[0]] != 0 {
			return "close " + b.id
		}
	default:
		if w.freeCoin() < 0 && d.IntN(3) == 0 {
			return "coin"
		}
	}
	return ""
}

// race begins a payment, holds one thread back on the way, and then something happens
// before it goes on: the client leaves, the offer ends, or the process dies.
func (d *drawer) race(w *world) string {
	b := w.orders[d.IntN(len(w.orders))]
	_, waits := w.lspState(b.id).(jit.AwaitParts)
	if !d.wild || !waits || !w.payerUp || d.hash >= 250 {
		return ""
	}
	d.hash++
	size := max(int(b.terms.PaymentSize), 3_000_000)
	held := d.oneOf("workers", "workers", "effects")
	d.plan = nil
	for _, name := range slices.Sorted(keysOf(w.held)) {
		d.plan = append(d.plan, "free "+name)
	}
	d.plan = append(d.plan, "mode "+b.client.name+" open accept", "mode "+b.client.name+" sign sign",
		"online "+b.client.name, "hold "+held,
		fmt.Sprintf("part %s %d hash %d", b.id, size, d.hash))
	moves := 1 + d.IntN(5)
	if held == "workers" {
		moves = 1 + d.IntN(3) // the second one sends funding_created
	}
	for range moves {
		d.plan = append(d.plan, "step "+held)
	}
	if held == "effects" {
		d.plan = append(d.plan, "crash", "start")
	} else {
		d.plan = append(d.plan, "offline "+b.client.name)
		for range d.IntN(8) { // less than a lease
			d.plan = append(d.plan, "t+55s")
		}
	}
	d.plan = append(d.plan, "free "+held)
	next := d.plan[0]
	d.plan = d.plan[1:]
	return next
}

// lspState is where the LSP's order stands; nil while the LSP is down.
func (w *world) lspState(id string) jit.State {
	if w.lsp == nil {
		return nil
	}
	return w.lsp.desk.orders[id].order.State
}

// thread holds threads back, and moves them one by one.
func (d *drawer) thread(w *world) string {
	if !d.wild {
		return ""
	}
	if len(w.held) > 0 {
		name := slices.Sorted(keysOf(w.held))[d.IntN(len(w.held))]
		return d.oneOf("step ", "step ", "free ") + name
	}
	switch n := d.IntN(4); n {
	case 0:
		return fmt.Sprintf("rotate %d", d.IntN(len(threads)))
	case 1:
		return "hold " + d.anyone(w).name
	case 2:
		return ""
	}
	return "hold " + threads[d.IntN(len(threads))].name
}

func keysOf(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (d *drawer) death(w *world) string {
	switch {
	case w.lsp == nil:
		return ""
	case d.wild && w.crashIn == 0 && d.IntN(2) == 0:
		return fmt.Sprintf("crash %d", 1+d.IntN(30))
	case d.IntN(4) == 0:
		return "crash"
	}
	return ""
}
