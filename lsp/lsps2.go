package lsp

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

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
	// An LDK client without a token says "token":null.
	if raw, ok := params["token"]; ok && !isNull(raw) {
		token, err := parseString(raw)
		if err != nil {
			return nil, fault(CodeInvalidParams, "token is not a string")
		}
		if !s.knows(token) {
			return nil, fault(CodeUnrecognizedToken, "unrecognized or stale token")
		}
	}
	menu := menuJSON{[]OpeningFeeParams{}}
	for _, item := range s.Menu(now) {
		item.Promise = s.cfg.Keys[0].promise(client, item)
		menu.Menu = append(menu.Menu, item)
	}
	return menu, nil
}

// knows compares in constant time, so that a token cannot be felt out.
func (s *Service) knows(token string) bool {
	got, known := sha256.Sum256([]byte(token)), 0
	for _, t := range s.cfg.Tokens {
		want := sha256.Sum256([]byte(t))
		known |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return known == 1
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
	// The promise first: nothing in an item that is not ours may steer the answer.
	if !promised(s.cfg.Keys, client, item) {
		return nil, fault(CodeInvalidFeeParams, "opening_fee_params were not offered to you")
	}
	if !now.Before(item.ValidUntil) {
		return nil, fault(CodeInvalidFeeParams, "opening_fee_params have run out: get_info again")
	}
	fee, e := s.price(item, size)
	if e != nil {
		return nil, e
	}
	may := s.verdict(now, newAsk(client, item, size))
	if may.Refusal != "" {
		return nil, fault(CodeClientRejected, "%s", may.Refusal)
	}
	offer := s.currentOffer()
	p := Purchase{
		Client:          client,
		Params:          item,
		PaymentSize:     size,
		OpeningFee:      fee,
		CLTVExpiryDelta: offer.CLTVExpiryDelta,
		ClientTrustsLSP: offer.ClientTrustsLSP || may.ClientTrustsLSP,
		AliasUntil:      item.ValidUntil.Add(offer.AliasFor),
		Rules:           offer.rules(),
		CreatedAt:       now.UTC().Round(0),
	}
	if e := s.sell(now, &p); e != nil {
		return nil, e
	}
	return buyJSON{FormatSCID(p.SCID), p.CLTVExpiryDelta, p.ClientTrustsLSP}, nil
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

// price checks the size and gives the fee; 0 for a variable amount.
func (s *Service) price(item OpeningFeeParams, size lnwire.MilliSatoshi) (
	lnwire.MilliSatoshi, *rpcError) {

	can := s.liquidity()
	if !can.CanOpen {
		return 0, fault(CodeClientRejected, "no channel can be opened now: try again later")
	}
	if size == 0 {
		if _, ok := minVariable(item, s.currentOffer().rules()); !ok {
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
	if can.Inbound != 0 && size > can.Inbound {
		return 0, fault(CodePaymentSizeTooLarge, "a payment of this size cannot reach us now")
	}
	return fee, nil
}

// sell draws an id and books the purchase under it.
func (s *Service) sell(now time.Time, p *Purchase) *rpcError {
	const draws = 4 // of 2^57 ids: a second draw is for a broken book
	for range draws {
		scid, err := s.draw()
		if err != nil {
			return fault(CodeInternal, "internal error")
		}
		p.SCID, p.ID = scid, FormatSCID(scid)
		why, taken := s.reserve(now, p.ID, p.Client, p.Params.ValidUntil)
		if why != "" {
			return fault(CodeClientRejected, "%s", why)
		}
		if taken {
			continue
		}
		err = s.cfg.Book.Add(*p)
		if err == nil {
			return nil
		}
		s.Ended(p.ID)
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
