package lsp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// MenuItem is one item of a menu, as the operator sets it.
type MenuItem struct {
	MinFee               lnwire.MilliSatoshi
	ProportionalPPM      uint32
	ValidFor             time.Duration // how long the item can be bought and paid
	MinLifetime          uint32        // blocks
	MaxClientToSelfDelay uint32        // blocks
	MinPaymentSize       lnwire.MilliSatoshi
	MaxPaymentSize       lnwire.MilliSatoshi
}

// maxItems bounds a menu: more would not help a client to choose, and the answer to
// get_info must fit into one message.
const maxItems = 20

// namedItem is an item with the place in the configuration where it stands.
type namedItem struct {
	MenuItem
	name string
}

// price names the item by what the ordering rule looks at.
func (i namedItem) price() string {
	return fmt.Sprintf("%s (min_fee_msat %d, proportional_ppm %d)", i.name, uint64(i.MinFee),
		i.ProportionalPPM)
}

// Item is the offer's first item.
func (o Offer) Item() MenuItem {
	return MenuItem{
		MinFee: o.MinFee, ProportionalPPM: o.ProportionalPPM, ValidFor: o.ValidFor,
		MinLifetime: o.MinLifetime, MaxClientToSelfDelay: o.MaxClientToSelfDelay,
		MinPaymentSize: o.MinPaymentSize, MaxPaymentSize: o.MaxPaymentSize,
	}
}

// named are the offer's items by their places in the configuration.
func (o Offer) named() []namedItem {
	return append([]namedItem{{o.Item(), "lsp.lsps2"}}, nameItems("lsp.lsps2.menu", o.More)...)
}

func nameItems(list string, items []MenuItem) []namedItem {
	var named []namedItem
	for i, item := range items {
		named = append(named, namedItem{item, fmt.Sprintf("%s item %d", list, i+1)})
	}
	return named
}

// inOrder sorts the items as bLIP-52 wants them, the cheapest first.
func inOrder(items []namedItem) []namedItem {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b namedItem) int {
		return cmp.Or(cmp.Compare(a.MinFee, b.MinFee),
			cmp.Compare(a.ProportionalPPM, b.ProportionalPPM))
	})
	return items
}

// checkMenu refuses a menu with an item that nobody could use, and one that cannot be
// put in order.
func checkMenu(items []namedItem, channels ChannelPolicy) error {
	if len(items) > maxItems {
		return fmt.Errorf("%s: a menu has at most %d items", items[maxItems].name, maxItems)
	}
	for _, item := range items {
		if err := item.check(channels); err != nil {
			return fmt.Errorf("%s: %w", item.name, err)
		}
	}
	sorted := inOrder(items)
	for i := 1; i < len(sorted); i++ {
		if err := neighbours(sorted[i-1], sorted[i]); err != nil {
			return err
		}
	}
	return nil
}

// neighbours checks an item against the one before it; a.MinFee is not over b.MinFee.
//
// bLIP-52: of two neighbours either min_fee_msat or proportional is larger and the
// other equal, or both are larger.
func neighbours(a, b namedItem) error {
	switch {
	case a.MinFee == b.MinFee && a.ProportionalPPM == b.ProportionalPPM:
		return fmt.Errorf("%s and %s have the same price, which bLIP-52 allows to no two items: "+
			"raise min_fee_msat or proportional_ppm of one", a.price(), b.price())
	case a.ProportionalPPM > b.ProportionalPPM:
		return fmt.Errorf("%s and %s cannot be in one menu, since bLIP-52 wants the item with the "+
			"larger min_fee_msat to have no smaller proportional_ppm: raise proportional_ppm of %s "+
			"to at least %d, or lower that of %s to at most %d", a.price(), b.price(),
			b.name, a.ProportionalPPM, a.name, b.ProportionalPPM)
	}
	return nil
}

func (i MenuItem) check(channels ChannelPolicy) error {
	switch {
	case i.ValidFor < minValidFor || i.ValidFor > maxValidFor:
		return fmt.Errorf("valid_for_seconds is %d: at least %d (10 minutes), at most %d (30 days)",
			int(i.ValidFor.Seconds()), int(minValidFor.Seconds()), int(maxValidFor.Seconds()))

	case i.MaxClientToSelfDelay < minSelfDelay || i.MaxClientToSelfDelay > 65535:
		return fmt.Errorf("max_client_to_self_delay_blocks is %d: at least %d, which LDK clients "+
			"want, at most 65535", i.MaxClientToSelfDelay, minSelfDelay)

	case i.MinPaymentSize == 0:
		return errors.New("min_payment_size_msat is 0: set it to the smallest payment to sell for")

	case i.MinPaymentSize > i.MaxPaymentSize:
		return fmt.Errorf("min_payment_size_msat is %d, over max_payment_size_msat %d",
			uint64(i.MinPaymentSize), uint64(i.MaxPaymentSize))
	}
	if err := i.checkFee(); err != nil {
		return err
	}
	// What is forwarded of the smallest payment that leaves something, through a channel
	// that costs nothing itself: no fee rate makes that fit.
	if least := i.leastForward(); ceilSat(least) > channels.orDefault().Max {
		return fmt.Errorf("min_payment_size_msat is %d, of which %d msat are forwarded: no channel "+
			"of at most max_channel_size_sat (%d) carries that: lower it, or raise "+
			"max_channel_size_sat", uint64(i.MinPaymentSize), uint64(least),
			int64(channels.orDefault().Max))
	}
	return nil
}

// checkFee refuses an item that nobody could buy: the larger the payment, the more is
// left after the fee, so the largest decides.
func (i MenuItem) checkFee() error {
	fee, ok := jit.OpeningFee(i.MaxPaymentSize, i.MinFee, i.ProportionalPPM)
	switch {
	case !ok:
		return errors.New("the fee of max_payment_size_msat overflows: lower it or proportional_ppm")
	case fee >= i.MaxPaymentSize:
		return fmt.Errorf("the fee of a payment of max_payment_size_msat is %d, no less than the "+
			"payment: lower min_fee_msat or proportional_ppm, or sell for larger payments", uint64(fee))
	}
	return nil
}

func (i MenuItem) leastForward() lnwire.MilliSatoshi {
	fee, ok := jit.OpeningFee(i.MinPaymentSize, i.MinFee, i.ProportionalPPM)
	if !ok || fee >= i.MinPaymentSize {
		return 1
	}
	return i.MinPaymentSize - fee
}

// params is the item as a client gets it, without its promise.
func (i MenuItem) params(now time.Time) OpeningFeeParams {
	return OpeningFeeParams{
		MinFee:               i.MinFee,
		Proportional:         i.ProportionalPPM,
		ValidUntil:           now.Add(i.ValidFor).UTC().Truncate(time.Millisecond),
		MinLifetime:          i.MinLifetime,
		MaxClientToSelfDelay: i.MaxClientToSelfDelay,
		MinPaymentSize:       i.MinPaymentSize,
		MaxPaymentSize:       i.MaxPaymentSize,
	}
}

// shownItem is an item of the menu of this moment, and what it was made from.
type shownItem struct {
	OpeningFeeParams
	configured lnwire.MilliSatoshi // min_fee_msat of the configuration
}

// shown is the menu of this moment: what the chain costs raises the minimum fees, and
// an item that is good for no payment then is left out. max_payment_size_msat is
// lowered to what the largest channel carries.
func (c *catalogue) shown(now time.Time, items []namedItem, m market) []shownItem {
	var menu []shownItem
	for _, item := range items {
		p := shownItem{item.params(now), item.MinFee}
		p.MinFee = max(p.MinFee, c.offer.ChainFee.minFee(m.rate))
		if n := len(menu); n > 0 {
			p.MinFee = max(p.MinFee, menu[n-1].MinFee)
			if p.MinFee == menu[n-1].MinFee && p.Proportional == menu[n-1].Proportional {
				// Both are at the price of the chain: one msat keeps both on the menu.
				p.MinFee++
			}
		}
		if m.clamp(&p.OpeningFeeParams, c.offer.rules().MaxParts) {
			menu = append(menu, p)
		}
	}
	return menu
}
