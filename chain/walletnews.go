package chain

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/wtxmgr"
)

const (
	// noHeight is that of a transaction in the mempool.
	noHeight = -1

	// rescanReport is how many blocks a rescan goes between two reports.
	rescanReport = 10_000
)

// routineTell tells the wallet what happens; WaitForShutdown waits for it.
func (w *walletSource) routineTell(ctx context.Context, ended chan<- struct{}) {
	defer close(ended)
	defer close(w.out)
	w.send(ctx, btcwchain.ClientConnected{})
	for ctx.Err() == nil && !w.conn.ended() {
		do, wait := w.next()
		if do != nil {
			do(ctx)
			continue
		}
		select {
		case <-wait:
		case <-w.wake:
		case <-ctx.Done():
		}
	}
}

func (w *walletSource) send(ctx context.Context, news any) {
	select {
	case w.out <- news:
	case <-ctx.Done():
	}
}

// next picks what to do. When there is nothing it returns what to wait for, aside from wake.
func (w *walletSource) next() (do func(context.Context), wait <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rescans) > 0 {
		start, end := w.rescans[0], w.told
		w.rescans = w.rescans[1:]
		return func(ctx context.Context) { w.rescan(ctx, start, end) }, nil
	}
	if w.following {
		s, changed, lost := w.view.read(&w.at)
		switch {
		case lost:
			w.at, w.told = w.view.follow()
			return w.startOver, nil
		case changed == nil:
			return func(ctx context.Context) { w.tell(ctx, s) }, nil
		}
		wait = changed
	}
	if len(w.txs) > 0 {
		rec := w.txs[0]
		w.txs = w.txs[1:]
		return func(ctx context.Context) {
			w.send(ctx, btcwchain.RelevantTx{TxRecord: rec})
		}, nil
	}
	return nil, wait
}

// startOver lets the wallet find out by itself where it is, after it has not listened for maxSteps
// blocks.
func (w *walletSource) startOver(ctx context.Context) {
	w.log.Error("the wallet has missed blocks and starts over", "blocks", maxSteps)
	w.send(ctx, btcwchain.ClientConnected{})
}

// tell passes one step on.
func (w *walletSource) tell(ctx context.Context, s step) {
	meta := wtxmgr.BlockMeta{
		Block: wtxmgr.Block{Hash: s.hash, Height: s.height},
		Time:  s.header.Timestamp,
	}
	if !s.connected {
		w.send(ctx, btcwchain.BlockDisconnected(meta))
		header, _ := w.view.header(s.header.PrevBlock)
		w.isAt(block{s.height - 1, s.header.PrevBlock, header})
		return
	}
	full, err := w.read(ctx, s.hash)
	switch {
	case ctx.Err() != nil || w.conn.ended():
		return
	case err != nil:
		// It can only have been left again; the step that says so comes.
		w.log.Warn("read a block for the wallet", "height", s.height, "hash", s.hash,
			"err", err)
	default:
		w.tellTxs(ctx, full, meta)
	}
	w.send(ctx, btcwchain.BlockConnected(meta))
	w.isAt(s.block)
}

// isAt notes what the wallet was told of last.
func (w *walletSource) isAt(b block) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = b
}

// read fetches a block, however long the backend is away.
func (w *walletSource) read(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	var full *wire.MsgBlock
	err := w.conn.persist(ctx, func(ctx context.Context, node *link) (err error) {
		full, err = w.fetch(ctx, node.Node, hash)
		return err
	})
	return full, err
}

// tellTxs tells of the wallet's transactions in a block, all at once: the wallet stores them with
// one write.
func (w *walletSource) tellTxs(ctx context.Context, full *wire.MsgBlock,
	meta wtxmgr.BlockMeta) {

	var relevant []*wtxmgr.TxRecord
	for _, tx := range full.Transactions {
		if !w.watched.matches(tx, meta.Height) {
			continue
		}
		rec, err := wtxmgr.NewTxRecordFromMsgTx(tx, meta.Time)
		if err != nil {
			w.log.Warn("read a transaction of the wallet", "hash", tx.TxHash(), "err", err)
			continue
		}
		relevant = append(relevant, rec)
	}
	w.watched.settle(meta.Height)
	if len(relevant) > 0 {
		w.send(ctx, btcwchain.FilteredBlockConnected{Block: &meta, RelevantTxs: relevant})
	}
}

// rescan searches the blocks behind start up to end, the block that the wallet is at. It always
// reports an end: btcwallet begins no other rescan before, and never says that it is synced.
func (w *walletSource) rescan(ctx context.Context, start chainhash.Hash, end block) {
	height, err := w.mainHeight(ctx, start)
	for ; err == nil && height < end.height; height++ {
		var at block
		if at, err = w.rescanBlock(ctx, height+1); err != nil {
			break
		}
		if at.height%rescanReport == 0 {
			w.send(ctx, &btcwchain.RescanProgress{Hash: at.hash, Height: at.height,
				Time: at.header.Timestamp})
		}
	}
	if ctx.Err() != nil || w.conn.ended() {
		return
	}
	if err != nil {
		w.log.Error("the wallet's rescan is incomplete: coins may be missing; use a backend "+
			"that has all blocks and restart", "height", height+1, "err", err)
	}
	finished := &btcwchain.RescanFinished{Hash: &end.hash, Height: end.height, Time: time.Now()}
	if end.header != nil {
		finished.Time = end.header.Timestamp
	}
	w.send(ctx, finished)
}

func (w *walletSource) rescanBlock(ctx context.Context, height int32) (block, error) {
	var full *wire.MsgBlock
	var hash chainhash.Hash
	err := w.conn.persist(ctx, func(ctx context.Context, node *link) (err error) {
		if hash, err = node.BlockHash(ctx, int64(height)); err != nil {
			return err
		}
		full, err = w.fetch(ctx, node.Node, hash)
		return err
	})
	if err != nil {
		return block{}, err
	}
	w.tellTxs(ctx, full, wtxmgr.BlockMeta{
		Block: wtxmgr.Block{Hash: hash, Height: height},
		Time:  full.Header.Timestamp,
	})
	return block{height, hash, &full.Header}, nil
}

// mainHeight is the height of a block, or of where its branch leaves the main chain.
func (w *walletSource) mainHeight(ctx context.Context, hash chainhash.Hash) (int32, error) {
	var height int32
	err := w.conn.persist(ctx, func(ctx context.Context, node *link) error {
		for {
			header, err := node.HeaderVerbose(ctx, hash)
			if err == nil {
				height = header.Height
				main, err := node.BlockHash(ctx, int64(height))
				if err == nil && main == hash {
					return nil
				}
				if err != nil && !isRefusal(err) {
					return err
				}
			} else if !isRefusal(err) {
				return err
			}
			left, err := node.Header(ctx, hash)
			if err != nil {
				return err
			}
			hash = left.PrevBlock
		}
	})
	return height, err
}
