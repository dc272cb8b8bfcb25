package regtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

// remember reads the chain before the program ends. btcd deletes its regtest chain at each start,
// and both lose their last blocks when they are killed.
func (n *node) remember() error {
	ctx, cancel := requestContext()
	defer cancel()
	client := n.RPC()
	info, err := client.ChainInfo(ctx)
	if err != nil {
		return err
	}
	blocks := make([]*wire.MsgBlock, 0, info.Blocks)
	for height := int64(1); height <= int64(info.Blocks); height++ {
		hash, err := client.BlockHash(ctx, height)
		if err != nil {
			return err
		}
		// most of the chain is that of the last time
		if i := len(blocks); i < len(n.blocks) && n.blocks[i].BlockHash() == hash {
			blocks = append(blocks, n.blocks[i])
			continue
		}
		block, err := client.Block(ctx, hash)
		if err != nil {
			return err
		}
		blocks = append(blocks, block)
	}
	n.blocks = blocks
	return nil
}

// restore gives the program the blocks that it has lost.
func (n *node) restore(ctx context.Context) error {
	info, err := n.RPC().ChainInfo(ctx)
	if err != nil {
		return err
	}
	for i := int(info.Blocks); i < len(n.blocks); i++ {
		if err := submitBlock(ctx, n.RPC(), n.blocks[i]); err != nil {
			return err
		}
	}
	return nil
}

func submitBlock(ctx context.Context, node rpc.Node, block *wire.MsgBlock) error {
	var buf bytes.Buffer
	if err := block.Serialize(&buf); err != nil {
		return fmt.Errorf("regtest: serialize block: %w", err)
	}
	var verdict string
	err := node.Call(ctx, "submitblock", &verdict, hex.EncodeToString(buf.Bytes()))
	if err == nil && verdict != "" {
		err = errors.New(verdict)
	}
	if err != nil {
		return fmt.Errorf("regtest: submit block %s: %w", block.BlockHash(), err)
	}
	return nil
}
