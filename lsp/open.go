package lsp

import (
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// slot is an open order. It ends with the offer, if not earlier.
type slot struct {
	client [33]byte
	token  string         // name; "": none
	until  time.Time      // zero: only with Ended
	claim  btcutil.Amount // what its channel will cost; 0 once that is spent
}

// openOrders are the orders that are neither paid nor dead, and what they have claimed.
// Guarded by Service.mu.
type openOrders struct {
	open    map[string]slot
	ofOne   map[[33]byte]int // by client
	ofToken map[string]int
	paid    func(token string) int // for ever
	claimed btcutil.Amount
	next    time.Time // no slot ends earlier
}

func newOpenOrders(paid func(token string) int) openOrders {
	if paid == nil {
		paid = func(string) int { return 0 }
	}
	return openOrders{
		open: map[string]slot{}, ofOne: map[[33]byte]int{}, ofToken: map[string]int{}, paid: paid,
	}
}

func (o *openOrders) add(p Purchase, claim btcutil.Amount) {
	until := p.Params.ValidUntil
	o.open[p.ID] = slot{p.Client, p.Token, until, claim}
	o.ofOne[p.Client]++
	o.claimed += claim
	if p.Token != "" {
		o.ofToken[p.Token]++
	}
	if !until.IsZero() && until.Before(o.next) {
		o.next = until
	}
}

func (o *openOrders) release(id string) {
	s, ok := o.open[id]
	if !ok {
		return
	}
	delete(o.open, id)
	o.claimed -= s.claim
	if o.ofOne[s.client]--; o.ofOne[s.client] == 0 {
		delete(o.ofOne, s.client)
	}
	if s.token == "" {
		return
	}
	if o.ofToken[s.token]--; o.ofToken[s.token] == 0 {
		delete(o.ofToken, s.token)
	}
}

func (o *openOrders) funded(id string) {
	if s, ok := o.open[id]; ok {
		o.claimed -= s.claim
		s.claim = 0
		o.open[id] = s
	}
}

// expire frees the places of orders whose offer has ended. It looks through them when
// one has, and at most once a second.
func (o *openOrders) expire(now time.Time) {
	if now.Before(o.next) {
		return
	}
	o.next = now.Add(maxValidFor)
	for id, s := range o.open {
		switch {
		case s.until.IsZero():
		case !now.Before(s.until):
			o.release(id)
		case s.until.Before(o.next):
			o.next = s.until
		}
	}
	if soon := now.Add(time.Second); o.next.Before(soon) {
		o.next = soon
	}
}

// full says why nothing more is sold by the token, "" when it is.
func (o *openOrders) full(t *Token) string {
	switch {
	case t == nil:
		return ""
	case t.MaxOpen != 0 && o.ofToken[t.Name] >= t.MaxOpen:
		return "your token has too many open orders: let one be paid or run out"
	case t.MaxOrders != 0 && o.ofToken[t.Name]+o.paid(t.Name) >= t.MaxOrders:
		return "your token is used up"
	}
	return ""
}

// free is what is left of the coins for one more order.
func (o *openOrders) free(coins btcutil.Amount, p ChannelPolicy) btcutil.Amount {
	const million = 1_000_000
	over := btcutil.Amount(p.OverbookPPM)
	room := coins + coins/million*over + coins%million*over/million
	return min(coins, room-o.claimed)
}

// claim is what the channel of an order will cost. A variable order claims what its
// smallest payment needs: what it will be is not known.
func (m market) claim(p Purchase) btcutil.Amount {
	size, fee, parts := p.PaymentSize, p.OpeningFee, p.Rules.MaxParts
	if size == 0 {
		var ok bool
		if size, ok = minVariable(p.Params, p.Rules); !ok {
			size = p.Params.MinPaymentSize
		}
		fee, _ = jit.OpeningFee(size, p.Params.MinFee, p.Params.Proportional)
		parts = 1
	}
	return m.cost(size-min(fee, size), parts)
}

// cost is what a channel takes from our coins.
func (m market) cost(forward lnwire.MilliSatoshi, parts int) btcutil.Amount {
	return m.channel(forward, parts).Capacity + FundingFee(m.rate)
}

// cheapest is the least that an order of this item can claim.
func (m market) cheapest(item OpeningFeeParams, r jit.Rules) btcutil.Amount {
	fixed := m.cost(itemOf(item).leastForward(), r.MaxParts)
	if _, ok := minVariable(item, r); !ok {
		return fixed
	}
	return min(fixed, m.claim(Purchase{Params: item, Rules: r}))
}

func itemOf(p OpeningFeeParams) MenuItem {
	return MenuItem{MinFee: p.MinFee, ProportionalPPM: p.Proportional, MinPaymentSize: p.MinPaymentSize}
}
