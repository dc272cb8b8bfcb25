package lsp

import (
	"errors"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

type menuJSON struct {
	Menu []OpeningFeeParams `json:"opening_fee_params_menu"`
}

// getInfo serves the menu.
func (s *Service) getInfo(now time.Time, client [33]byte, params object) (any, *rpcError) {
	if e := params.unrecognized("token"); e != nil {
		return nil, e
	}
	menu := s.sold.Load()
	var token *Token
	// An LDK client without a token says "token":null.
	if raw, ok := params["token"]; ok && !isNull(raw) {
		secret, err := parseString(raw)
		if err != nil {
			return nil, fault(CodeInvalidParams, "token is not a string")
		}
		if token = menu.known(secret); token == nil || !token.stands(now) || s.spent(token) {
			return nil, fault(CodeUnrecognizedToken, "unrecognized or stale token")
		}
	}
	id := ""
	if token != nil {
		id = token.id()
	}
	answer, key := menuJSON{[]OpeningFeeParams{}}, s.cfg.Keys.signer(now)
	for _, item := range s.onSale(now, client, menu, token) {
		item.Promise = key.promise(client, item, id)
		answer.Menu = append(answer.Menu, item)
	}
	return answer, nil
}

// spent says that the token can never sell anything again.
func (s *Service) spent(t *Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.MaxOrders != 0 && s.orders.paid(t.Name) >= t.MaxOrders
}

type buyJSON struct {
	SCID            string `json:"jit_channel_scid"`
	CLTVExpiryDelta uint16 `json:"lsp_cltv_expiry_delta"`
	ClientTrustsLSP bool   `json:"client_trusts_lsp,omitempty"`
}

// buy sells an item.
func (s *Service) buy(now time.Time, client [33]byte, params object) (any, *rpcError) {
	item, size, e := readBuy(params)
	if e != nil {
		return nil, e
	}
	menu := s.sold.Load()
	token, e := s.offered(now, client, menu, item)
	if e != nil {
		return nil, e
	}
	can, m, rules := s.liquidity(client), s.market(0), menu.offer.rules()
	fee, e := price(item, size, rules)
	if e == nil {
		e = m.possible(can, size, fee, rules)
	}
	if e != nil {
		return nil, e
	}
	p := Purchase{
		Client:          client,
		Token:           token.name(),
		Params:          item,
		PaymentSize:     size,
		OpeningFee:      fee,
		CLTVExpiryDelta: menu.offer.CLTVExpiryDelta,
		AliasUntil:      item.ValidUntil.Add(menu.offer.AliasFor),
		Rules:           rules,
		CreatedAt:       now.UTC().Round(0),
	}
	o := order{Purchase: &p, token: token, claim: m.claim(p), coins: can.Coins}
	if e := s.room(now, o); e != nil {
		return nil, e
	}
	may := s.verdict(now, newAsk(p))
	if may.Refusal != "" {
		return nil, fault(CodeClientRejected, "%s", may.Refusal)
	}
	p.ClientTrustsLSP = menu.offer.ClientTrustsLSP || may.ClientTrustsLSP
	if e := s.sell(now, o); e != nil {
		return nil, e
	}
	return buyJSON{FormatSCID(p.SCID), p.CLTVExpiryDelta, p.ClientTrustsLSP}, nil
}

// offered checks that the item is one of ours for this client, and finds the token that
// it was served for; nil is none. It comes first: nothing in an item that is not ours may
// steer the answer.
func (s *Service) offered(now time.Time, client [33]byte, menu *catalogue, item OpeningFeeParams) (
	*Token, *rpcError) {

	id, ok := s.cfg.Keys.promised(now, client, item)
	if !ok {
		return nil, fault(CodeInvalidFeeParams, "opening_fee_params were not offered to you")
	}
	if !now.Before(item.ValidUntil) {
		return nil, fault(CodeInvalidFeeParams, "opening_fee_params have run out: get_info again")
	}
	if id == "" {
		return nil, nil
	}
	token := menu.ids[id]
	if token == nil || !token.stands(now) {
		return nil, fault(CodeInvalidFeeParams, "the token of opening_fee_params is no longer good")
	}
	return token, nil
}

// readBuy reads the parameters; size 0 is a variable amount.
func readBuy(params object) (item OpeningFeeParams, size lnwire.MilliSatoshi, _ *rpcError) {
	if e := params.unrecognized("opening_fee_params", "payment_size_msat"); e != nil {
		return item, 0, e
	}
	fields, err := members(params["opening_fee_params"])
	if err != nil {
		return item, 0, fault(CodeInvalidParams, "opening_fee_params is missing or no object")
	}
	item, err = parseParams(fields)
	switch {
	case errors.Is(err, ErrUnknownField):
		return item, 0, fault(CodeInvalidFeeParams, "unknown field in opening_fee_params")
	case err != nil:
		return item, 0, fault(CodeInvalidParams, "malformed opening_fee_params")
	}
	raw, ok := params["payment_size_msat"]
	if !ok || isNull(raw) {
		return item, 0, nil
	}
	size, err = parseAmount(raw)
	if err != nil {
		return item, 0, fault(CodeInvalidParams, "payment_size_msat is no amount")
	}
	if size == 0 {
		return item, 0, fault(CodePaymentSizeTooSmall, "payment_size_msat is 0")
	}
	return item, size, nil
}

// price checks the size against the item and gives the fee; 0 for a variable amount.
func price(item OpeningFeeParams, size lnwire.MilliSatoshi, r jit.Rules) (
	lnwire.MilliSatoshi, *rpcError) {

	if size == 0 {
		if _, ok := minVariable(item, r); !ok {
			return 0, fault(CodeClientRejected, "channels for variable amounts are not sold")
		}
		return 0, nil
	}
	if size < item.MinPaymentSize {
		return 0, fault(CodePaymentSizeTooSmall, "the payment is under min_payment_size_msat")
	}
	if size > item.MaxPaymentSize {
		return 0, fault(CodePaymentSizeTooLarge, "the payment is over max_payment_size_msat")
	}
	// bLIP-52: overflow fails with payment_size_too_large; a fee that is not below the
	// payment with payment_size_too_small.
	fee, ok := jit.OpeningFee(size, item.MinFee, item.Proportional)
	if !ok {
		return 0, fault(CodePaymentSizeTooLarge, "the opening fee overflows")
	}
	if fee >= size {
		return 0, fault(CodePaymentSizeTooSmall, "the opening fee is no less than the payment")
	}
	return fee, nil
}

// possible says why the payment could not arrive, or not be forwarded. A variable one
// can be small enough for whatever there is, but for nothing at all.
func (m market) possible(can Liquidity, size, fee lnwire.MilliSatoshi, r jit.Rules) *rpcError {
	switch {
	case !can.CanOpen:
		return fault(CodeClientRejected, "no channel can be opened now: try again later")
	case can.Inbound == 0 || size > can.Inbound:
		return fault(CodePaymentSizeTooLarge, "a payment of this size cannot reach us now")
	case size > 0 && !m.carries(size-fee, r.MaxParts):
		return fault(CodePaymentSizeTooLarge, "no channel that we open carries a payment of this size")
	}
	return nil
}

// order is a purchase on its way into the book.
type order struct {
	*Purchase
	token *Token
	claim btcutil.Amount // what its channel will cost
	coins btcutil.Amount // what there is, before the claims of others
}

// room says why the order cannot have a place.
func (s *Service) room(now time.Time, o order) *rpcError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomFor(now, o)
}

// roomFor is room; the caller holds mu.
func (s *Service) roomFor(now time.Time, o order) *rpcError {
	s.orders.expire(now)
	full := s.orders.full(o.token)
	switch {
	case s.orders.ofOne[o.Client] >= s.limits.ClientOpen:
		return fault(CodeClientRejected, "you have too many open orders: let one be paid or run out")
	case len(s.orders.open) >= s.limits.Open:
		return fault(CodeClientRejected, "too many open orders: try again later")
	case full != "":
		return fault(CodeClientRejected, "%s", full)
	case o.claim <= s.orders.free(o.coins, s.cfg.Channels):
		return nil
	case o.PaymentSize == 0:
		return fault(CodeClientRejected, "no channel can be funded now: try again later")
	}
	return fault(CodePaymentSizeTooLarge, "a channel for a payment of this size cannot be funded now")
}

// take gives the order its place under its id; taken is an id that an open order has.
func (s *Service) take(now time.Time, o order) (taken bool, _ *rpcError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.roomFor(now, o); e != nil {
		return false, e
	}
	if _, taken := s.orders.open[o.ID]; taken {
		return true, nil
	}
	s.orders.add(*o.Purchase, o.claim)
	return false, nil
}

// sell draws an id and books the purchase under it.
func (s *Service) sell(now time.Time, o order) *rpcError {
	const draws = 4 // of 2^57 ids: a second draw is for a broken book
	for range draws {
		scid, err := s.draw()
		if err != nil {
			return fault(CodeInternal, "internal error")
		}
		o.SCID, o.ID = scid, FormatSCID(scid)
		taken, e := s.take(now, o)
		if e != nil {
			return e
		}
		if taken {
			continue
		}
		err = s.cfg.Book.Add(*o.Purchase)
		if err == nil {
			return nil
		}
		s.Ended(o.ID)
		if !errors.Is(err, ErrTaken) {
			break
		}
	}
	return fault(CodeInternal, "internal error")
}

// draw reads the random source from one goroutine at a time.
func (s *Service) draw() (lnwire.ShortChannelID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return drawSCID(s.rand)
}
