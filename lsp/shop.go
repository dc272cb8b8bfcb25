package lsp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Reasons for which nothing is bought.
var (
	// ErrNoItem is for a menu on which nothing fits the payment.
	ErrNoItem = errors.New("lsp: the LSP has no offer for this payment")

	// ErrFeeTooHigh is for offers that all cost more than the user allows.
	ErrFeeTooHigh = errors.New("lsp: the LSP asks for a higher fee than allowed")

	// ErrMustTrust is for an LSP that funds the channel only after it was paid.
	ErrMustTrust = errors.New("lsp: the LSP wants to be trusted with the payment: not allowed")
)

// Item is a menu item as the LSP sent it.
type Item struct {
	OpeningFeeParams
	Raw json.RawMessage // for buy, unchanged
}

// UnmarshalJSON reads the item and keeps its text.
func (i *Item) UnmarshalJSON(raw []byte) error {
	i.Raw = append(json.RawMessage(nil), raw...)
	return i.OpeningFeeParams.UnmarshalJSON(raw)
}

// MarshalJSON writes the item back as it came.
//
// bLIP-52: the client "MUST" pass the object verbatim.
func (i Item) MarshalJSON() ([]byte, error) { return i.Raw, nil }

// GetInfo asks for the menu; token "" is none. A menu with an item that breaks
// bLIP-52 is an error: the whole flow ends then.
func (c *Client) GetInfo(ctx context.Context, lsp [33]byte, token string) ([]Item, error) {
	params := struct {
		Token string `json:"token,omitempty"`
	}{token}
	var result struct {
		Menu []Item `json:"opening_fee_params_menu"`
	}
	if err := c.Call(ctx, lsp, "lsps2.get_info", params, &result); err != nil {
		return nil, err
	}
	return result.Menu, nil
}

// ListProtocols asks which LSPS the LSP speaks.
func (c *Client) ListProtocols(ctx context.Context, lsp [33]byte) ([]int, error) {
	var result struct {
		Protocols []int `json:"protocols"`
	}
	err := c.Call(ctx, lsp, "lsps0.list_protocols", struct{}{}, &result)
	return result.Protocols, err
}

// Want is what the user wants to buy.
type Want struct {
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	MaxFee          lnwire.MilliSatoshi // 0: no limit; of a fixed amount
	MaxPPM          uint32              // 0: no limit; of a variable amount
	ClientTrustsLSP bool                // accept an LSP that broadcasts after the claim
}

// minLeft is what an item must still be good for: time to hand out the invoice.
const minLeft = time.Minute

// Choose picks the cheapest item that fits, and gives its fee (0 when variable: it
// depends on the payment). The error says what is in the way.
func Choose(now time.Time, menu []Item, w Want) (Item, lnwire.MilliSatoshi, error) {
	var best, tooDear *priced
	for _, item := range menu {
		p, ok := w.price(now, item)
		switch {
		case !ok:
		case w.tooDear(p):
			tooDear = cheaper(tooDear, &p)
		default:
			best = cheaper(best, &p)
		}
	}
	switch {
	case best != nil:
		return best.Item, best.fee, nil
	case tooDear == nil:
		return Item{}, 0, fmt.Errorf("%w%s", ErrNoItem, sizes(menu))
	case w.PaymentSize == 0:
		return Item{}, 0, fmt.Errorf("%w: %d parts per million, allowed are %d; allow more or try "+
			"another LSP", ErrFeeTooHigh, tooDear.Proportional, w.MaxPPM)
	}
	return Item{}, 0, fmt.Errorf("%w: %d msat, allowed are %d; allow more or try another LSP",
		ErrFeeTooHigh, uint64(tooDear.fee), uint64(w.MaxFee))
}

// priced is an item that fits the payment, with its fee; 0 when variable.
type priced struct {
	Item
	fee lnwire.MilliSatoshi
}

// price is not ok when the item cannot be used for the payment.
func (w Want) price(now time.Time, item Item) (priced, bool) {
	size := w.PaymentSize
	if size == 0 {
		size = item.MaxPaymentSize // the one that bears the fee best
	}
	if item.ValidUntil.Sub(now) < minLeft || size < item.MinPaymentSize || size > item.MaxPaymentSize {
		return priced{}, false
	}
	// With a shorter to_self_delay the LSP could close with an old state unseen.
	if item.MaxClientToSelfDelay < minSelfDelay {
		return priced{}, false
	}
	fee, ok := jit.OpeningFee(size, item.MinFee, item.Proportional)
	if !ok || fee >= size {
		return priced{}, false
	}
	if w.PaymentSize == 0 {
		fee = 0
	}
	return priced{item, fee}, true
}

func (w Want) tooDear(p priced) bool {
	if w.PaymentSize == 0 {
		return w.MaxPPM != 0 && p.Proportional > w.MaxPPM
	}
	return w.MaxFee != 0 && p.fee > w.MaxFee
}

// cheaper is the better of two items; a is nil when b is the first.
func cheaper(a, b *priced) *priced {
	if a == nil {
		return b
	}
	order := cmp.Or(
		cmp.Compare(a.fee, b.fee),
		cmp.Compare(a.Proportional, b.Proportional),
		cmp.Compare(a.MinFee, b.MinFee),
		b.ValidUntil.Compare(a.ValidUntil),
	)
	if order <= 0 {
		return a
	}
	return b
}

// sizes tells the user what the LSP would take.
func sizes(menu []Item) string {
	if len(menu) == 0 {
		return ": its menu is empty; try again later"
	}
	lo, hi := menu[0].MinPaymentSize, menu[0].MaxPaymentSize
	for _, i := range menu {
		lo, hi = min(lo, i.MinPaymentSize), max(hi, i.MaxPaymentSize)
	}
	return fmt.Sprintf(": it takes payments from %d to %d msat, of which more than its fee is left",
		uint64(lo), uint64(hi))
}

// maxCLTVDelta is the most that an LSP may add to the route: payers take no more.
const maxCLTVDelta = 2016

// Buy buys the item.
func (c *Client) Buy(ctx context.Context, lsp [33]byte, item Item, w Want) (Bought, error) {
	params := struct {
		Item Item   `json:"opening_fee_params"`
		Size string `json:"payment_size_msat,omitempty"`
	}{Item: item}
	b := Bought{LSP: lsp, Params: item.OpeningFeeParams, PaymentSize: w.PaymentSize}
	if w.PaymentSize != 0 {
		var ok bool
		params.Size = formatAmount(w.PaymentSize)
		b.OpeningFee, ok = jit.OpeningFee(w.PaymentSize, item.MinFee, item.Proportional)
		if !ok {
			// bLIP-52: "Arithmetic overflow MUST cause the computation to fail and abort this flow"
			return Bought{}, fmt.Errorf("%w: its fee overflows", ErrNoItem)
		}
	}
	var result struct {
		SCID   string `json:"jit_channel_scid"`
		Delta  uint32 `json:"lsp_cltv_expiry_delta"`
		Trusts bool   `json:"client_trusts_lsp"`
	}
	if err := c.Call(ctx, lsp, "lsps2.buy", params, &result); err != nil {
		return Bought{}, err
	}
	var err error
	if b.SCID, err = ParseSCID(result.SCID); err != nil {
		return Bought{}, fmt.Errorf("lsp: read the answer to lsps2.buy: jit_channel_scid: %w", err)
	}
	if result.Delta == 0 || result.Delta > maxCLTVDelta {
		return Bought{}, fmt.Errorf("lsp: the LSP asks for an lsp_cltv_expiry_delta of %d blocks: "+
			"no payer takes more than %d", result.Delta, maxCLTVDelta)
	}
	if result.Trusts && !w.ClientTrustsLSP {
		return Bought{}, ErrMustTrust
	}
	b.CLTVExpiryDelta, b.ClientTrustsLSP = uint16(result.Delta), result.Trusts
	return b, nil
}
