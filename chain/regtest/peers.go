package regtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// ConnectTo implements Regtest.
func (n *node) ConnectTo(ctx context.Context, peer Regtest) error {
	if err := n.program.connect(ctx, peer.PeerAddr()); err != nil {
		return fmt.Errorf("regtest: connect to %s: %w", peer.PeerAddr(), err)
	}
	err := await(ctx, func() (bool, error) {
		var list []struct {
			Addr    string `json:"addr"`
			Version uint32 `json:"version"` // 0 until the handshake is done
		}
		if err := n.RPC().Call(ctx, "getpeerinfo", &list); err != nil {
			return false, err
		}
		for _, p := range list {
			if p.Addr == peer.PeerAddr() && p.Version != 0 {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("regtest: wait for peer %s: %w", peer.PeerAddr(), err)
	}
	return nil
}

// WaitSynced implements Regtest.
func (n *node) WaitSynced(ctx context.Context, peer Regtest) error {
	var ours, theirs chainhash.Hash
	err := await(ctx, func() (done bool, err error) {
		if ours, err = n.RPC().BestBlock(ctx); err != nil {
			return false, err
		}
		theirs, err = peer.RPC().BestBlock(ctx)
		return ours == theirs, err
	})
	if err != nil {
		return fmt.Errorf("regtest: wait until %s and %s are at the same block: %w", ours,
			theirs, err)
	}
	return nil
}

// WaitTx implements Regtest.
func (n *node) WaitTx(ctx context.Context, txid chainhash.Hash) error {
	err := await(ctx, func() (bool, error) {
		_, err := n.tx(ctx, txid)
		if errors.Is(err, ErrNoTx) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("regtest: wait for transaction %s: %w", txid, err)
	}
	return nil
}
