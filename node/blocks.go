package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/chainntnfs"
)

// eachBlock calls f with the tip and with each block that comes, until f says that it is enough or
// gives an error. When ctx ends it returns that error.
func (n *Node) eachBlock(ctx context.Context, f func(*chainntnfs.BlockEpoch) (enough bool, err error)) error {
	epochs, err := n.source.Notifier().RegisterBlockEpochNtfn(nil)
	if err != nil {
		return fmt.Errorf("node: subscribe to blocks: %w", err)
	}
	defer epochs.Cancel()
	for {
		select {
		case block, ok := <-epochs.Epochs:
			if !ok {
				return errors.New("node: the chain backend stopped")
			}
			if enough, err := f(block); enough || err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
