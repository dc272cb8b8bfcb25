package admission

import (
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

// Ask is what a client wants to buy.
type Ask struct {
	Client [33]byte
	Token  string // its name; "": none

	// Capacity is how large its channel could become.
	Capacity btcutil.Amount
}

// Verdict is the answer to an Ask.
type Verdict struct {
	// Refusal says in plain words why the client may not buy now; it reads them. "": it may.
	Refusal string

	// ClientTrustsLSP sells only to a client that lets us broadcast the funding after its claim,
	// and Why says in the operator's words what is behind it.
	ClientTrustsLSP bool
	Why             string
}

// Judge says on which terms the client may buy.
func (g *Gate) Judge(now time.Time, a Ask) Verdict {
	g.advance(now)
	scopes := g.scopes(a.Client, a.Token)
	for _, s := range scopes {
		if why := s.full(a.Capacity); why != "" {
			return Verdict{Refusal: why}
		}
	}
	switch {
	case g.policy == Client:
		return Verdict{ClientTrustsLSP: true, Why: "the policy is that clients trust us"}
	case g.policy == Auto && g.alarm:
		return Verdict{ClientTrustsLSP: true, Why: "too many channels were left unpaid of late"}
	}
	for _, s := range scopes {
		switch why := s.unpaid(0); {
		case why == "":
		case g.policy == LSP:
			return Verdict{Refusal: why + ": let one be paid, or try again later"}
		default:
			return Verdict{ClientTrustsLSP: true, Why: why}
		}
	}
	return Verdict{}
}

// Reserve says whether the order's channel may be opened now; if so it counts from here on, until
// a Put says how it went, and why is "". With wait it may be opened when the payment of another
// order has come to its end.
//
// How many channels can be lost at the same time is decided here and not in Judge: what was sold
// while nothing was owed could be paid for all at once.
func (g *Gate) Reserve(now time.Time, id string, capacity btcutil.Amount) (why string, wait bool) {
	g.advance(now)
	e := g.orders[id]
	if e == nil {
		return "the order is not known", false
	}
	g.leave(e)
	e.reserved = false
	for _, s := range g.scopes(e.order.Client, e.order.Token) {
		if !e.order.Trusting {
			why = s.unpaid(s.has.underWay)
		}
		if why == "" {
			why = s.full(capacity)
		}
		if why != "" {
			wait = s.has.hopeful > 0
			break
		}
	}
	if why == "" {
		e.reserved, e.order.Capacity, e.order.Stage = true, capacity, Opening
	}
	g.weigh(e)
	return why, wait
}

// scope is an account with its quota.
type scope struct {
	whose string
	has   weight
	opens int // those that its quota is about
	quota Quota
}

// scopes are those that an order counts in.
func (g *Gate) scopes(client [33]byte, token string) []scope {
	var own, by weight
	if w := g.clients[client]; w != nil {
		own = *w
	}
	list := []scope{
		{"of yours", own, own.opens, g.limits.Client},
		{"of all clients", g.all, g.all.broadcast, g.limits.All},
	}
	if token == "" {
		return list
	}
	if w := g.tokens[token]; w != nil {
		by = *w
	}
	return append(list, scope{"of this token", by, by.opens, g.limits.Token})
}

// full says why one more channel of this size is too much, whoever trusts whom.
func (s scope) full(capacity btcutil.Amount) string {
	switch {
	case over(s.opens, s.quota.OpensPerDay):
		return "too many channels " + s.whose + " were opened within a day: try again later"
	case s.quota.AtRisk != 0 && s.has.atRisk+capacity > s.quota.AtRisk:
		return "too much is in unpaid channels " + s.whose + ": let one be paid, or ask for less"
	}
	return ""
}

// unpaid says why one more channel is too much that we could lose, with so many more than those
// that are owed for.
func (s scope) unpaid(more int) string {
	if over(s.has.unpaid+more, s.quota.Unpaid) {
		return "too many unpaid channels " + s.whose
	}
	return ""
}

// over says that one more would be too many; a limit of 0 is none.
func over(has, limit int) bool { return limit != 0 && has >= limit }
