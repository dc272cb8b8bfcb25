package conform

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

// inFull pays an invoice, all of which must arrive.
func (p *paidRun) inFull(ctx context.Context, id string, inv Invoice, amount lnwire.MilliSatoshi) error {
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: inv.Bolt11})
	if err != nil {
		return err
	}
	if !pay.Paid {
		p.bad(id, "%s", pay.text())
		return nil
	}
	got, err := p.first.Received(ctx, inv.Hash)
	if err != nil {
		return err
	}
	p.holds(id, got == amount, "%d of %d msat arrived", got, amount)
	return nil
}

// again is how much can be paid over the channel of the first scene.
func (p *paidRun) again(ctx context.Context) (lnwire.MilliSatoshi, error) {
	if p.first == nil {
		return 0, errNoFirst
	}
	channel, err := p.only(ctx, p.first, 0)
	if err != nil {
		return 0, err
	}
	room, err := channel.carries()
	return min(room, usual), err
}

var errNoFirst = errors.New("needs the channel of the first payment")

// playSecond pays once more over the scid that the first payment went over.
func playSecond(ctx context.Context, p *paidRun) error {
	amount, err := p.again(ctx)
	if err != nil {
		return err
	}
	inv, err := p.first.Invoice(ctx, amount, &p.first.deal.Over)
	if err != nil {
		return err
	}
	return p.inFull(ctx, "LSPS2-110", inv, amount)
}

// playOrdinary pays an invoice whose hint is of the channel_update that the client has.
func playOrdinary(ctx context.Context, p *paidRun) error {
	amount, err := p.again(ctx)
	if err != nil {
		return err
	}
	inv, err := p.first.Invoice(ctx, amount, nil)
	if errors.Is(err, ErrNoHint) {
		p.bad("LSPS2-114", "%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	return p.inFull(ctx, "LSPS2-114", inv, amount)
}

// ErrNoHint is of a Client that knows nothing to write into an invoice of its channel.
var ErrNoHint = errors.New("no channel_update came with which a payer could be told of the channel")

// playTooMuch pays more than there is in the whole channel.
func playTooMuch(ctx context.Context, p *paidRun) error {
	if p.first == nil {
		return errNoFirst
	}
	channel, err := p.only(ctx, p.first, 0)
	if err != nil {
		return err
	}
	amount := channel.Capacity + smallest
	most, _, err := p.troupe.Sendable(ctx)
	if err != nil {
		return err
	}
	if amount >= most {
		return fmt.Errorf("the channel has %d msat, more than the payer can send", channel.Capacity)
	}
	inv, err := p.first.Invoice(ctx, amount, &p.first.deal.Over)
	if err != nil {
		return err
	}
	pay, err := p.troupe.Pay(ctx, Bill{Bolt11: inv.Bolt11, Once: true})
	if err != nil {
		return err
	}
	p.holds("LSPS2-112", !pay.Paid && !pay.Pending, "%d msat for a channel of %d: %s", amount,
		channel.Capacity, pay.text())
	after, err := p.first.Channels(ctx, 0)
	if err != nil {
		return err
	}
	p.holds("LSPS2-112", len(after) == 1, "the client has %d channels then", len(after))
	return nil
}
