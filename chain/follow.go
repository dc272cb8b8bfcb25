package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"

	"github.com/inletlsp/inlet/chain/rpc"
)

// errMoved means that the backend's chain changed while it was being read.
var errMoved = errors.New("chain: the best block changed meanwhile")

// follower keeps view and notifications at the backend's best block. Only the goroutine that
// serves the link uses it.
type follower struct {
	view   *view
	txs    *chainntnfs.TxNotifier
	onTip  func(*wire.MsgBlock) // called after each block that was connected
	blocks *blockReader
	log    *slog.Logger
}

// newFollower starts at the backend's best block.
func newFollower(ctx context.Context, node rpc.Node, hints HintCache) (*follower, error) {
	info, err := node.ChainInfo(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := chainhash.NewHashFromStr(info.BestBlockHash)
	if err != nil {
		return nil, fmt.Errorf("chain: best block: %w", err)
	}
	header, err := node.Header(ctx, *hash)
	if err != nil {
		return nil, err
	}
	return &follower{
		view: newView(block{info.Blocks, *hash, header}),
		txs: chainntnfs.NewTxNotifier(uint32(info.Blocks), chainntnfs.ReorgSafetyLimit,
			hints, hints),
	}, nil
}

// maxAhead is how many headers a backend may have that it has no blocks for yet, and count as
// synced: a header comes a moment before its block.
const maxAhead = 2

// progress is how far the backend is.
type progress struct {
	loading bool // it knows that it has not all blocks
	behind  bool // we have seen more blocks than it has now
}

// catchUp follows the chain to the backend's best block.
func (f *follower) catchUp(ctx context.Context, node rpc.Node) (progress, error) {
	for {
		info, err := node.ChainInfo(ctx)
		if err != nil {
			return progress{}, err
		}
		p := progress{
			loading: info.InitialBlockDownload || info.Headers > info.Blocks+maxAhead,
		}
		if info.BestBlockHash == f.view.best().hash.String() {
			return p, nil
		}
		behind, err := f.behind(ctx, node, info.Blocks)
		if err != nil {
			return p, err
		}
		if behind {
			p.behind = true
			return p, nil
		}
		err = f.walk(ctx, node, info.Blocks)
		if err != nil && !errors.Is(err, errMoved) {
			return p, err
		}
	}
}

// behind tells whether the backend has fewer blocks than we have seen, but no other ones. A crash,
// or a new data directory, does that. It will get them back; to follow it down would undo
// confirmations for nothing.
func (f *follower) behind(ctx context.Context, node rpc.Node, height int32) (bool, error) {
	if height >= f.view.best().height {
		return false, nil
	}
	ours, err := f.hashAt(ctx, node, height)
	if isRefusal(err) {
		return true, nil // it knows nothing of our blocks
	}
	if err != nil {
		return false, err
	}
	theirs, err := node.BlockHash(ctx, int64(height))
	if err != nil {
		return false, err
	}
	return ours == theirs, nil
}

// hashAt is the hash of our block at height, from the backend when it is not remembered.
func (f *follower) hashAt(ctx context.Context, node rpc.Node,
	height int32) (chainhash.Hash, error) {

	at := f.view.best()
	for at.height > height {
		if b, ok := f.view.at(at.height - 1); ok {
			at = b
			continue
		}
		if at.header == nil {
			header, err := node.Header(ctx, at.hash)
			if err != nil {
				return chainhash.Hash{}, err
			}
			at.header = header
		}
		at = block{height: at.height - 1, hash: at.header.PrevBlock}
	}
	return at.hash, nil
}

// walk goes back to the last block that the backend has, too, and from there up to height.
func (f *follower) walk(ctx context.Context, node rpc.Node, height int32) error {
	for {
		tip := f.view.best()
		if tip.height <= height {
			hash, err := node.BlockHash(ctx, int64(tip.height))
			if isRefusal(err) {
				return errMoved
			}
			if err != nil {
				return err
			}
			if hash == tip.hash {
				break
			}
		}
		if err := f.disconnect(ctx, node, tip); err != nil {
			return err
		}
	}
	for next := f.view.best().height + 1; next <= height; next++ {
		if err := f.connect(ctx, node, next); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) disconnect(ctx context.Context, node rpc.Node, tip block) error {
	if tip.height == 0 {
		return errors.New("chain: the backend has another genesis block")
	}
	prev, ok := f.view.at(tip.height - 1)
	if !ok {
		header, err := node.Header(ctx, tip.header.PrevBlock)
		if err != nil {
			return fmt.Errorf("chain: leave block %d: %w", tip.height, err)
		}
		prev = block{tip.height - 1, tip.header.PrevBlock, header}
	}
	if err := f.txs.DisconnectTip(uint32(tip.height)); err != nil {
		return fmt.Errorf("chain: disconnect block %d: %w", tip.height, err)
	}
	f.view.disconnect(prev)
	f.log.Info("block disconnected", "height", tip.height, "hash", tip.hash)
	return nil
}

func (f *follower) connect(ctx context.Context, node rpc.Node, height int32) error {
	hash, err := node.BlockHash(ctx, int64(height))
	if isRefusal(err) {
		return errMoved
	}
	if err != nil {
		return err
	}
	full, err := f.blocks.fetch(ctx, node, hash)
	if err != nil {
		return err
	}
	if full.Header.PrevBlock != f.view.best().hash {
		return errMoved
	}
	if err := f.txs.ConnectTip(btcutil.NewBlock(full), uint32(height)); err != nil {
		return fmt.Errorf("chain: connect block %d: %w", height, err)
	}
	f.view.advance(block{height, hash, &full.Header})
	// Confirmations and spends are in their channels before the block is announced: lnd's
	// arbitrators look for them when they hear of the block, and would miss them.
	if err := f.txs.NotifyHeight(uint32(height)); err != nil {
		return fmt.Errorf("chain: notify block %d: %w", height, err)
	}
	f.onTip(full)
	f.view.announce()
	f.log.Debug("block connected", "height", height, "hash", hash,
		"age_seconds", int(time.Since(full.Header.Timestamp).Seconds()))
	return nil
}

// isRefusal tells the backend's "no" from the lack of an answer.
func isRefusal(err error) bool {
	var refusal *rpc.Error
	return errors.As(err, &refusal) && refusal.Code != rpc.CodeInWarmup
}
