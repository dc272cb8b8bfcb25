package conform

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

// The failures that are looked for, by their names in BOLT 4.
const (
	unknownNextPeer     = "unknown_next_peer"
	incorrectCltvExpiry = "incorrect_cltv_expiry"
)

// playFixed sells a channel for one payment of a fixed amount in one part.
func playFixed(ctx context.Context, p *paidRun) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	c, err := p.buy(ctx, size)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11})
	if err != nil {
		return err
	}
	got, err := c.Received(ctx, c.deal.Hash)
	if err != nil {
		return err
	}
	p.holds("LSPS2-51", got > 0, "a payment of the whole size: %s", pay.text())
	if got == 0 {
		return errors.New("the first payment did not arrive")
	}
	p.holds("LSPS2-98", pay.Paid, "the client has it, and of the payment %s", pay.text())
	channel, err := p.only(ctx, c, got)
	if err != nil {
		return err
	}
	p.first = c
	if err := p.withheld(ctx, c, size, "LSPS2-16", "LSPS2-92", "LSPS2-93"); err != nil {
		return err
	}
	p.holds("LSPS2-81", channel.Local >= got, "%d msat of %d are in the channel", channel.Local, got)
	p.holds("LSPS2-80", channel.Private, "the channel is announced")
	p.holds("LSPS2-80", channel.HasAlias && channel.ZeroConf, "the channel is not zero-conf with an alias")
	p.holds("LSPS2-80", channel.Local <= got, "%d msat were pushed", channel.Local-min(got, channel.Local))
	return p.broadcast(ctx, c.deal, channel)
}

// broadcast sees whether the funding transaction is out after the payment.
func (p *paidRun) broadcast(ctx context.Context, deal Deal, channel Channel) error {
	out, err := p.troupe.Broadcast(ctx, channel.Point)
	if err != nil {
		return err
	}
	if !deal.TrustsLSP {
		p.holds("LSPS2-87", out, "the funding transaction is not with the network")
	} else {
		p.notShown("LSPS2-87", "the offer was client_trusts_lsp")
		if !out {
			p.bad("LSPS2-88", "the payment is claimed, the funding transaction is not with the network")
		}
	}
	return p.troupe.Mine(ctx)
}

// withheld sees whether exactly the opening fee was kept from a payment of that size.
func (p *paidRun) withheld(ctx context.Context, c *customer, size lnwire.MilliSatoshi, ids ...string) error {
	got, err := c.Received(ctx, c.deal.Hash)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p.holds(id, got+c.deal.fee(size) == size, "%d of %d msat arrived, with a fee of %d",
			got, size, c.deal.fee(size))
	}
	return nil
}

// playParts pays more than one of the payer's channels can carry.
func playParts(ctx context.Context, p *paidRun) error {
	most, all, err := p.troupe.Sendable(ctx)
	if err != nil {
		return err
	}
	size := most + (all-most)/8
	switch fee, ok := p.item.fee(uint64(size)); {
	case size == most:
		return errors.New("the payer has one channel to the LSP")
	case uint64(size) > p.item.maxSize:
		return fmt.Errorf("needs a payment of %d msat, over the item's maximum", size)
	case uint64(size) < p.item.minSize || !ok || fee >= uint64(size):
		return fmt.Errorf("needs a larger payment than of %d msat", size)
	}
	c, err := p.buy(ctx, size)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11})
	if err != nil {
		return err
	}
	if !pay.Paid {
		p.bad("LSPS2-52", "a payment in parts: %s", pay.text())
		return errors.New("the payment did not arrive")
	}
	if pay.Parts < 2 {
		return errors.New("the payer paid in one part")
	}
	p.pass("LSPS2-52")
	if _, err := p.only(ctx, c, 0); err != nil {
		return err
	}
	if err := p.withheld(ctx, c, size, "LSPS2-16", "LSPS2-93", "LSPS2-94"); err != nil {
		return err
	}
	return p.troupe.Mine(ctx)
}

// playVariable pays an invoice without an amount: too little at first, which must open
// nothing, and then, for another, enough.
func playVariable(ctx context.Context, p *paidRun) error {
	c, err := p.buy(ctx, 0)
	if err != nil {
		return err
	}
	if least := c.deal.MinSize; least > 1 {
		pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11, Amount: least - 1, Once: true})
		if err != nil {
			return err
		}
		p.refused("LSPS2-69", pay, unknownNextPeer)
		channels, err := c.Channels(ctx, 0)
		if err != nil {
			return err
		}
		p.holds("LSPS2-69", len(channels) == 0, "a channel is opened for it")
		if c, err = p.buy(ctx, 0); err != nil {
			return err
		}
	}
	size, err := p.variableSize(ctx, c.deal)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11, Amount: size})
	if err != nil {
		return err
	}
	if !pay.Paid {
		p.bad("LSPS2-67", "a payment of %d msat: %s", size, pay.text())
		return nil
	}
	if _, err := p.only(ctx, c, 0); err != nil {
		return err
	}
	got, err := c.Received(ctx, c.deal.Hash)
	if err != nil {
		return err
	}
	// An LSP may take less, as for clients that reckon the fee from what arrives.
	p.holds("LSPS2-67", got < size && got+c.deal.fee(size) >= size, "%d of %d msat arrived, with a fee of %d",
		got, size, c.deal.fee(size))
	return p.troupe.Mine(ctx)
}

// variableSize is a size whose proportional fee is more than the minimum fee, where the
// menu and the payer allow it: an LSP that takes no more than LDK clients let it take
// (ldk-node#1095) serves no smaller payment.
func (p *paidRun) variableSize(ctx context.Context, deal Deal) (lnwire.MilliSatoshi, error) {
	size, err := p.size()
	if err != nil || deal.PPM == 0 {
		return size, err
	}
	most, _, err := p.troupe.Sendable(ctx)
	if err != nil {
		return 0, err
	}
	const million = 1_000_000
	ppm := lnwire.MilliSatoshi(deal.PPM)
	if deal.MinFee > most {
		return size, nil
	}
	if large := deal.MinFee*(million+ppm)/ppm + million; large <= min(most, deal.MaxSize) {
		size = max(size, large)
	}
	return size, nil
}

// playUnknown pays over an scid like those that are sold, which nobody has bought.
func playUnknown(ctx context.Context, p *paidRun) error {
	if p.first == nil {
		return errNoFirst
	}
	over := p.first.deal.Over
	over.SCID.TxIndex ^= 0x155555 // of its 24 bits
	inv, err := p.first.Invoice(ctx, smallest, &over)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: inv.Bolt11, Once: true})
	if err != nil {
		return err
	}
	p.refused("LSPS2-50", pay, unknownNextPeer)
	return nil
}

// playMore pays more than the invoice asks for.
func playMore(ctx context.Context, p *paidRun) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	c, err := p.buy(ctx, size)
	if err != nil {
		return err
	}
	paid := size + smallest
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11, Amount: paid})
	if err != nil {
		return err
	}
	if !pay.Paid {
		p.bad("LSPS2-53", "%d msat for an order of %d: %s", paid, size, pay.text())
		return nil
	}
	if _, err := p.only(ctx, c, 0); err != nil {
		return err
	}
	got, err := c.Received(ctx, c.deal.Hash)
	if err != nil {
		return err
	}
	p.holds("LSPS2-53", got+c.deal.fee(size) == paid, "%d of %d msat arrived, with a fee of %d", got, paid,
		c.deal.fee(size))
	return p.troupe.Mine(ctx)
}

// playAway pays while the client is not there.
func playAway(ctx context.Context, p *paidRun) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	c, err := p.buy(ctx, size)
	if err != nil {
		return err
	}
	if err := c.Leave(ctx); err != nil {
		return err
	}
	type outcome struct {
		Payment
		error
	}
	paid := make(chan outcome, 1)
	go func() {
		pay, err := p.troupe.Pay(ctx, Bill{Bolt11: c.deal.Bolt11, Once: true})
		paid <- outcome{pay, err}
	}()
	// Return takes long enough for the payer's HTLC to come to the LSP.
	err = c.Return(ctx)
	o := <-paid
	if err := errors.Join(err, o.error); err != nil {
		return err
	}
	p.holds("LSPS2-63", o.Paid, "%s", o.text())
	if !o.Paid {
		return nil
	}
	if _, err := p.only(ctx, c, 0); err != nil {
		return err
	}
	if err := p.withheld(ctx, c, size, "LSPS2-63"); err != nil {
		return err
	}
	return p.troupe.Mine(ctx)
}

// playShort pays with a block less between the HTLCs than the LSP wants.
func playShort(ctx context.Context, p *paidRun) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	c, err := p.buy(ctx, size)
	if err != nil {
		return err
	}
	over := c.deal.Over
	if over.Delta == 0 {
		return errors.New("the LSP wants no blocks between the HTLCs")
	}
	over.Delta--
	inv, err := c.Invoice(ctx, size, &over)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: inv.Bolt11, Once: true})
	if err != nil {
		return err
	}
	p.refused("LSPS2-66", pay, incorrectCltvExpiry)
	return nil
}
