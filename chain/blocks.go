package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/blockcache"

	"github.com/inletlsp/inlet/chain/rpc"
)

// blockCacheBytes is enough for the last dozen blocks of the main network, so that notifications,
// wallet and scans that read the same ones fetch each once.
const blockCacheBytes = 20 << 20

// blockReader implements Blocks.
type blockReader struct {
	conn  *connection
	cache *blockcache.BlockCache
	view  *view // set by Start
}

var _ Blocks = (*blockReader)(nil)

func newBlockReader(conn *connection) *blockReader {
	return &blockReader{conn: conn, cache: blockcache.NewBlockCache(blockCacheBytes)}
}

// fetch reads a block over a known link.
func (r *blockReader) fetch(ctx context.Context, node rpc.Node,
	hash chainhash.Hash) (*wire.MsgBlock, error) {

	return r.cache.GetBlock(&hash, func(hash *chainhash.Hash) (*wire.MsgBlock, error) {
		return node.Block(ctx, *hash)
	})
}

// GetBestBlock implements Blocks.
func (r *blockReader) GetBestBlock() (*chainhash.Hash, int32, error) {
	tip := r.view.best()
	return &tip.hash, tip.height, nil
}

// GetBlockHash implements Blocks.
func (r *blockReader) GetBlockHash(height int64) (*chainhash.Hash, error) {
	if b, ok := r.view.at(int32(height)); ok {
		return &b.hash, nil
	}
	var hash chainhash.Hash
	err := r.conn.do(func(ctx context.Context, node *link) (err error) {
		hash, err = node.BlockHash(ctx, height)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chain: get hash of block %d: %w", height, err)
	}
	return &hash, nil
}

// GetBlock implements Blocks.
func (r *blockReader) GetBlock(hash *chainhash.Hash) (*wire.MsgBlock, error) {
	var full *wire.MsgBlock
	err := r.conn.do(func(ctx context.Context, node *link) (err error) {
		full, err = r.fetch(ctx, node.Node, *hash)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chain: get block %s: %w", hash, err)
	}
	return full, nil
}

// GetBlockHeader implements Blocks.
func (r *blockReader) GetBlockHeader(hash *chainhash.Hash) (*wire.BlockHeader, error) {
	if header, ok := r.view.header(*hash); ok {
		return header, nil
	}
	var header *wire.BlockHeader
	err := r.conn.do(func(ctx context.Context, node *link) (err error) {
		header, err = node.Header(ctx, *hash)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chain: get header %s: %w", hash, err)
	}
	return header, nil
}

// GetUtxo implements Blocks. Both programs look an output up in their set of unspent ones, for
// which they need neither its script nor a height.
func (r *blockReader) GetUtxo(op *wire.OutPoint, _ []byte, _ uint32,
	_ <-chan struct{}) (*wire.TxOut, error) {

	var out *wire.TxOut
	err := r.conn.do(func(ctx context.Context, node *link) (err error) {
		out, err = node.TxOut(ctx, *op)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chain: get output %s: %w", op, err)
	}
	if out == nil {
		return nil, fmt.Errorf("chain: get output %s: %w", op, ErrOutputSpent)
	}
	return out, nil
}

// errPruned tells the refusal of a block that the backend has deleted.
func errPruned(err error) bool {
	var refusal *rpc.Error
	return errors.As(err, &refusal) && refusal.Message == "Block not available (pruned data)"
}
