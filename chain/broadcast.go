package chain

import (
	"context"
	"errors"
	"log/slog"

	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

// broadcast implements Source.Broadcast.
func broadcast(conn *connection, tx *wire.MsgTx, label string, log *slog.Logger) error {
	txid := tx.TxHash()
	err := conn.do(func(ctx context.Context, node *link) error {
		_, err := node.SendTx(ctx, tx)
		if !errors.Is(err, ErrUnreachable) && isRefusal(err) && !isKnown(err) {
			// A backend that has the transaction in a block whose outputs are spent again
			// answers that its inputs are missing.
			if have, askErr := node.TxVerbose(ctx, txid); askErr == nil && have != nil {
				return nil
			}
		}
		return err
	})
	var refusal *rpc.Error
	switch {
	case err == nil, isKnown(err):
		log.Info("transaction broadcast", "hash", txid, "label", label)
		return nil
	case errors.As(err, &refusal):
		rejected := &RejectedError{Txid: txid, Kind: kindOf(refusal), Reason: refusal.Message}
		log.Warn("transaction refused", "hash", txid, "label", label, "err", rejected)
		return rejected
	}
	return err
}
