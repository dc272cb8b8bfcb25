package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/channeldb"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
)

// minCloseUnpaidAfter is more than any payment is held after its offer has run out: by then nobody
// can pay for the channel any more.
const minCloseUnpaidAfter = time.Hour

// ending says how a channel is to be ended that nobody has paid for.
type ending uint8

const (
	stays    ending = iota
	byAgreed        // the client is asked
	byForce         // the client has not been there for as long again
)

// unpaidEnding says whether an order's channel is to be closed at this time: so long after its offer
// has run out, for until then it can be paid for.
func unpaidEnding(r orders.Record, now time.Time, after time.Duration) ending {
	_, owed := r.Order.State.(jit.Owed)
	since := now.Sub(r.Order.Terms.ValidUntil)
	switch {
	case after == 0 || !owed || len(r.Order.Held()) > 0 || since < after:
		return stays
	case since < 2*after:
		return byAgreed
	}
	return byForce
}

// routineUnpaid closes channels that nobody has paid for, when blocks come: nothing depends on the
// minute.
func (n *Node) routineUnpaid(ctx context.Context) error {
	if n.opts.LSP == nil || n.opts.LSP.CloseUnpaidAfter == 0 {
		<-ctx.Done()
		return nil
	}
	epochs, err := n.source.Notifier().RegisterBlockEpochNtfn(nil)
	if err != nil {
		return fmt.Errorf("node: subscribe to blocks: %w", err)
	}
	defer epochs.Cancel()
	for {
		select {
		case _, ok := <-epochs.Epochs:
			if !ok {
				return errors.New("node: the chain backend stopped")
			}
			n.closeUnpaid(ctx, n.clock.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) closeUnpaid(ctx context.Context, now time.Time) {
	for _, r := range n.orders.List() {
		how := unpaidEnding(r, now, n.opts.LSP.CloseUnpaidAfter)
		if how == stays {
			continue
		}
		if err := n.endUnpaid(ctx, r, how); err != nil {
			n.log.Info("cannot close a channel that nobody has paid for; tried again with the next "+
				"block", "order", r.Order.ID, "chan", r.Point.String(), "err", err)
		}
	}
}

// endUnpaid begins to close a channel, unless that has begun.
func (n *Node) endUnpaid(ctx context.Context, r orders.Record, how ending) error {
	ch, err := n.channels.ChannelStateDB().FetchChannel(*r.Point)
	if err != nil || ch.ChanStatus() != channeldb.ChanStatusDefault {
		return nil //nolint:nilerr // it is closed, or being closed
	}
	if how == byForce {
		_, err := n.forceClose(*r.Point)
		return err
	}
	if closes(ch) {
		return nil
	}
	rate, err := n.feeRate(0, n.opts.Onchain.CloseConfTarget)
	if err != nil {
		return err
	}
	// Its progress is the factory's to log; the updates have their places and need no reader.
	_, err = n.factory.Close(ctx, chanfactory.CloseRequest{Point: *r.Point, FeeRate: rate})
	if err == nil {
		n.log.Info("closing a channel that nobody has paid for", "order", r.Order.ID,
			"chan", r.Point.String())
	}
	return err
}
