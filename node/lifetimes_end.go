package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/orders"
)

// routineLifetimes marks which channels are idle and closes those that the policy wants closed, when
// blocks come: nothing depends on the minute.
func (n *Node) routineLifetimes(ctx context.Context) error {
	if n.opts.LSP == nil {
		<-ctx.Done()
		return nil
	}
	return n.eachBlock(ctx, func(*chainntnfs.BlockEpoch) (bool, error) {
		// A mark that can't be read is no reason to end a node that holds payments.
		if err := n.endLifetimes(ctx, n.clock.Now()); err != nil {
			n.log.Error("cannot look which channels are to be closed: none is", "err", err)
		}
		return false, nil
	})
}

// lifetimes is the configured policy.
func (n *Node) lifetimes() lifetimePolicy {
	return lifetimePolicy{unpaidAfter: n.opts.LSP.CloseUnpaidAfter, idleAfter: n.opts.LSP.CloseIdleAfter}
}

// soldChannels are the open channels that were sold, the oldest order first. Blocks that come while
// one is handled count for the next time.
func (n *Node) soldChannels() ([]soldChannel, error) {
	height := n.source.Status().Height
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return nil, fmt.Errorf("node: load channels: %w", err)
	}
	open := map[wire.OutPoint]*channeldb.OpenChannel{}
	sold := slices.DeleteFunc(n.orders.List(), func(r orders.Record) bool { return r.Point == nil })
	points := map[wire.OutPoint]bool{}
	for _, r := range sold {
		points[*r.Point] = true
	}
	chans = slices.DeleteFunc(chans, func(ch *channeldb.OpenChannel) bool {
		return !points[ch.FundingOutpoint] || ch.ChanStatus() != channeldb.ChanStatusDefault
	})
	for _, ch := range chans {
		open[ch.FundingOutpoint] = ch
	}
	since, err := markIdle(n.store, chans, height)
	if err != nil {
		return nil, err
	}
	var list []soldChannel
	for _, r := range slices.Backward(sold) {
		ch := open[*r.Point]
		if ch == nil {
			continue
		}
		s := soldChannel{rec: r, depth: n.depth(ch)}
		if at := since[*r.Point]; height > at {
			s.idle = height - at
		}
		list = append(list, s)
	}
	return list, nil
}

func (n *Node) endLifetimes(ctx context.Context, now time.Time) error {
	list, err := n.soldChannels()
	if err != nil {
		return err
	}
	for _, s := range list {
		how, why := n.lifetimes().ending(s, now)
		if how == stays {
			continue
		}
		if err := n.end(ctx, s.rec, how, why); err != nil {
			n.log.Info("cannot close a channel at the end of its life; tried again with the next "+
				"block", "order", s.rec.Order.ID, "chan", s.rec.Point.String(), "why", why, "err", err)
		}
	}
	return nil
}

// end begins to close a channel, unless that has begun.
func (n *Node) end(ctx context.Context, r orders.Record, how ending, why string) error {
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
		n.log.Info("closing a channel at the end of its life", "order", r.Order.ID,
			"chan", r.Point.String(), "why", why)
	}
	return err
}
