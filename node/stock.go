package node

import (
	"context"
	"errors"

	"github.com/lightningnetwork/lnd/chainntnfs"

	"github.com/inletlsp/inlet/wallet"
)

// routineStock keeps the wallet's coins in pieces that openings can use, when blocks come: a coin
// is of use for that only once it is in one.
func (n *Node) routineStock(ctx context.Context) error {
	stock := n.opts.Onchain.Stock
	if stock.Ready == 0 && stock.MergeBelow == 0 {
		<-ctx.Done()
		return nil
	}
	return n.eachBlock(ctx, func(*chainntnfs.BlockEpoch) (bool, error) {
		n.tidy(ctx, stock)
		return false, nil
	})
}

func (n *Node) tidy(ctx context.Context, stock wallet.Stock) {
	if !n.source.Status().Synced {
		return // the blocks of an outage come all at once
	}
	var short *wallet.FundsError
	switch txid, did, err := n.wallet.Tidy(ctx, stock, n.orders.Busy()); {
	case errors.As(err, &short):
		n.log.Debug("the coins stay as they are: a fee would come out of the reserve", "err", err)
	case err != nil:
		n.log.Warn("cannot bring the coins in order; tried again with the next block", "err", err)
	case did:
		n.log.Info("coins are split or merged for the openings to come", "tx", txid.String())
	}
}
