package lsp

import (
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// QuoteRequest asks what a channel for a payment would cost.
type QuoteRequest struct {
	Amount  lnwire.MilliSatoshi
	FeeRate SatPerKWeight // 0: the present one
	Parts   int           // in which the payment comes; 0: 1
	Token   string        // name of a token; "": the menu of everybody
}

// Quote explains a price part by part.
type Quote struct {
	Amount  lnwire.MilliSatoshi
	Parts   int
	FeeRate SatPerKWeight

	// Item is the cheapest item for the payment, without a promise. Its MinFee is the
	// larger of ConfiguredMinFee and, if FollowsChain, ChainMinFee: FundingWeight times
	// FeeRate times MarginPPM.
	Item             OpeningFeeParams
	ConfiguredMinFee lnwire.MilliSatoshi
	ChainMinFee      lnwire.MilliSatoshi
	FollowsChain     bool
	MarginPPM        uint32

	// Proportional is the fee without the minimum, Fee with it.
	Proportional, Fee lnwire.MilliSatoshi

	// Receives is what the client gets.
	Receives lnwire.MilliSatoshi

	Channel    Channel
	FundingFee btcutil.Amount

	// Result is what the sale brings in millisatoshis: Fee less FundingFee.
	Result int64

	// Code and Refusal are what buy would answer now; 0 and "": it would sell.
	Code    int
	Refusal string
}

// AtRisk is what leaves our wallet before the client has claimed the payment.
func (q Quote) AtRisk() btcutil.Amount { return q.Channel.Capacity + q.FundingFee }

// Reasons for which there is no quote.
var (
	ErrNoQuote      = errors.New("lsp: nothing on the menu is for this payment")
	ErrUnknownToken = errors.New("lsp: there is no token of this name")
)

// Quote says what a payment would cost now. It asks and changes nothing.
func (s *Service) Quote(now time.Time, r QuoteRequest) (Quote, error) {
	menu, m := s.sold.Load(), s.market(r.FeeRate)
	var token *Token
	for i := range menu.tokens {
		if menu.tokens[i].Name == r.Token {
			token = &menu.tokens[i]
		}
	}
	if r.Token != "" && token == nil {
		return Quote{}, ErrUnknownToken
	}
	q, err := menu.quote(now, menu.items(token), m, r)
	if err != nil {
		return Quote{}, err
	}
	if e := s.refusal(now, q, token); e != nil {
		q.Code, q.Refusal = e.Code, e.Message
	}
	return q, nil
}

// refusal is what stands in the way of the sale at this moment.
func (s *Service) refusal(now time.Time, q Quote, token *Token) *rpcError {
	rules, can, m := s.sold.Load().offer.rules(), s.liquidity([33]byte{}), s.market(q.FeeRate)
	if token != nil && (!token.stands(now) || s.spent(token)) {
		return fault(CodeUnrecognizedToken, "unrecognized or stale token")
	}
	if e := m.possible(can, q.Amount, q.Fee, rules); e != nil {
		return e
	}
	p := Purchase{Params: q.Item, PaymentSize: q.Amount, OpeningFee: q.Fee, Rules: rules}
	return s.room(now, order{Purchase: &p, token: token, claim: m.claim(p), coins: can.Coins})
}

// quote chooses the cheapest item for the payment and does the sums.
func (c *catalogue) quote(now time.Time, items []namedItem, m market, r QuoteRequest) (Quote, error) {
	q := Quote{
		Amount: r.Amount, Parts: max(r.Parts, 1), FeeRate: m.rate,
		FollowsChain: c.offer.ChainFee.Follow, MarginPPM: c.offer.ChainFee.margin(),
		ChainMinFee: ChainFee{Follow: true, MarginPPM: c.offer.ChainFee.MarginPPM}.minFee(m.rate),
		FundingFee:  FundingFee(m.rate),
	}
	menu, found := c.shown(now, items, m), false
	var why *rpcError
	for _, item := range menu {
		fee, e := price(item.OpeningFeeParams, r.Amount, c.offer.rules())
		switch {
		case r.Amount == 0:
		case e != nil:
			why = e
		case !found || fee < q.Fee:
			q.Item, q.ConfiguredMinFee, q.Fee, found = item.OpeningFeeParams, item.configured, fee, true
		}
	}
	switch {
	case !found && why != nil && len(menu) == 1:
		return q, fmt.Errorf("%w: %s", ErrNoQuote, why.Message)
	case !found:
		return q, fmt.Errorf("%w%s", ErrNoQuote, paramSizes(menu))
	}
	q.Proportional, _ = jit.OpeningFee(r.Amount, 0, q.Item.Proportional)
	q.Receives = r.Amount - q.Fee
	q.Channel = m.channel(q.Receives, q.Parts)
	q.Result = int64(q.Fee) - int64(lnwire.NewMSatFromSatoshis(q.FundingFee))
	return q, nil
}

// paramSizes says what the items would take.
func paramSizes(menu []shownItem) string {
	var items []Item
	for _, p := range menu {
		items = append(items, Item{OpeningFeeParams: p.OpeningFeeParams})
	}
	return sizes(items)
}
