package admission

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

// Account is what a client, a token or all together have.
type Account struct {
	Waiting    int // orders without a channel
	UnderWay   int // channels whose payment is under way
	Unpaid     int // channels that nobody has paid for
	OpensToday int // channels opened in the last 24 hours
	AtRisk     btcutil.Amount
}

func (w weight) account() Account {
	return Account{
		Waiting: w.waiting, UnderWay: w.hopeful, Unpaid: w.unpaid, OpensToday: w.opens,
		AtRisk: w.atRisk,
	}
}

// ClientAccount is a client's, TokenAccount a token's.
type (
	ClientAccount struct {
		Client [33]byte
		Account
		// MustTrust says why the client must trust us when it buys now, Refused why it can't
		// buy even the smallest channel; "" is no.
		MustTrust, Refused string
	}
	TokenAccount struct {
		Token string
		Account
	}
)

// Report is how it stands, for the operator.
type Report struct {
	Policy Policy

	// ClientsTrust says that every client must trust us now; Recent is how many channels of late
	// are unpaid, and From and Until at which numbers that begins and ends with the policy Auto.
	ClientsTrust        bool
	Recent, From, Until int
	All                 Account
	Clients             []ClientAccount // the most costly first
	Tokens              []TokenAccount  // by name
}

// Report tells how it stands, of at most so many clients.
func (g *Gate) Report(now time.Time, clients int) Report {
	g.advance(now)
	r := Report{
		Policy: g.policy, ClientsTrust: g.policy == Client || g.policy == Auto && g.alarm,
		Recent: g.all.recent, From: g.limits.TrustAfter, Until: g.limits.TrustAfter / 2,
		All: g.all.account(),
	}
	for id, w := range g.clients {
		r.Clients = append(r.Clients, ClientAccount{Client: id, Account: w.account()})
	}
	slices.SortFunc(r.Clients, func(a, b ClientAccount) int {
		return cmp.Or(
			cmp.Compare(b.Unpaid, a.Unpaid), cmp.Compare(b.AtRisk, a.AtRisk),
			cmp.Compare(b.Waiting, a.Waiting), bytes.Compare(a.Client[:], b.Client[:]),
		)
	})
	r.Clients = slices.Clip(r.Clients[:min(clients, len(r.Clients))])
	for i := range r.Clients {
		v := g.Judge(now, Ask{Client: r.Clients[i].Client})
		r.Clients[i].MustTrust, r.Clients[i].Refused = v.Why, v.Refusal
	}
	for _, name := range slices.SortedFunc(maps.Keys(g.tokens), strings.Compare) {
		r.Tokens = append(r.Tokens, TokenAccount{name, g.tokens[name].account()})
	}
	return r
}
