package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"

	"github.com/inletlsp/inlet/chain/rpc"
)

// maxScans bounds the searches that run at a time; the others wait. They mostly read the same
// blocks, and the backend has other work, too.
const maxScans = 2

// slot waits until a search may run.
func (n *notifier) slot() (release func(), ok bool) {
	select {
	case n.scans <- struct{}{}:
		return func() { <-n.scans }, true
	case <-n.life.Done():
		return nil, false
	}
}

// report logs how a search failed; those that end with the Source have not.
func (n *notifier) report(what string, err error) {
	switch {
	case err == nil, n.life.Err() != nil:
	case errPruned(err):
		n.log.Error("search needs blocks that the backend has pruned; give it the whole chain",
			"search", what, "err", err)
	default:
		n.log.Error("search of the chain failed", "search", what, "err", err)
	}
}

// routineFindConf looks in the past for a transaction whose confirmation somebody waits for; stop
// waits for it.
func (n *notifier) routineFindConf(search *chainntnfs.HistoricalConfDispatch) {
	release, ok := n.slot()
	if !ok {
		return
	}
	defer release()
	found, err := n.findConf(search)
	if err == nil {
		// nil, too: it says that the past was searched and only new blocks matter
		err = n.txs.UpdateConfDetails(search.ConfRequest, found)
	}
	if err == nil {
		n.setSearch(search.ConfRequest, false) // after it was told
	}
	n.report(search.ConfRequest.String(), err)
}

func (n *notifier) findConf(
	search *chainntnfs.HistoricalConfDispatch) (*chainntnfs.TxConfirmation, error) {

	if search.TxID != chainntnfs.ZeroHash {
		hash, known, err := n.lookUp(search.TxID)
		switch {
		case err != nil:
			return nil, err
		case known && hash == nil:
			return nil, nil // in the mempool
		case known:
			conf, err := n.confIn(search.ConfRequest, *hash)
			if !errors.Is(err, errNotMain) {
				return conf, err
			}
		}
	}
	// Without an index of transactions, or of scripts, the blocks themselves have to be read.
	for height := search.EndHeight; height >= search.StartHeight && height > 0; height-- {
		full, hash, err := n.blockAt(height)
		if err != nil {
			return nil, err
		}
		if conf := matchConf(search.ConfRequest, full, hash, height); conf != nil {
			return conf, nil
		}
	}
	return nil, nil
}

// lookUp asks the backend's index for the block of a transaction. The hash of one in the mempool is
// nil. Not known can also mean that there is no index.
func (n *notifier) lookUp(txid chainhash.Hash) (hash *chainhash.Hash, known bool, err error) {
	var tx *btcjson.TxRawResult
	err = n.conn.persist(n.life, func(ctx context.Context, node *link) (err error) {
		tx, err = node.TxVerbose(ctx, txid)
		return err
	})
	if isRefusal(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if tx.BlockHash == "" {
		return nil, true, nil
	}
	hash, err = chainhash.NewHashFromStr(tx.BlockHash)
	return hash, true, err
}

// confIn finds the transaction in the block that the index has named.
func (n *notifier) confIn(req chainntnfs.ConfRequest,
	hash chainhash.Hash) (*chainntnfs.TxConfirmation, error) {

	height, err := n.height(hash)
	if err != nil {
		return nil, err
	}
	full, hash, err := n.blockAt(height)
	if err != nil {
		return nil, err
	}
	conf := matchConf(req, full, hash, height)
	if conf == nil {
		return nil, fmt.Errorf("chain: transaction %s with this script is not in block %s",
			req.TxID, hash)
	}
	return conf, nil
}

func matchConf(req chainntnfs.ConfRequest, full *wire.MsgBlock, hash chainhash.Hash,
	height uint32) *chainntnfs.TxConfirmation {

	for i, tx := range full.Transactions {
		if req.MatchesTx(tx) {
			return &chainntnfs.TxConfirmation{
				Tx:          tx.Copy(),
				BlockHash:   &hash,
				BlockHeight: height,
				TxIndex:     uint32(i),
				Block:       full,
			}
		}
	}
	return nil
}

// routineFindSpend looks in the past for the spend of an output; stop waits for it.
func (n *notifier) routineFindSpend(search *chainntnfs.HistoricalSpendDispatch) {
	release, ok := n.slot()
	if !ok {
		return
	}
	defer release()
	found, err := n.findSpend(search)
	if err == nil {
		err = n.txs.UpdateSpendDetails(search.SpendRequest, found)
	}
	n.report(search.SpendRequest.String(), err)
}

func (n *notifier) findSpend(
	search *chainntnfs.HistoricalSpendDispatch) (*chainntnfs.SpendDetail, error) {

	start := search.StartHeight
	if search.OutPoint != chainntnfs.ZeroOutPoint {
		unspent, err := n.unspent(search.OutPoint)
		if err != nil || unspent {
			return nil, err
		}
		// The index can tell from which block on the output may be spent.
		hash, known, err := n.lookUp(search.OutPoint.Hash)
		switch {
		case err != nil:
			return nil, err
		case known && hash == nil:
			return nil, nil // not even made by a block
		case known:
			height, err := n.height(*hash)
			if err == nil {
				start = max(start, height)
			} else if !errors.Is(err, errNotMain) {
				return nil, err
			}
		}
	}
	for height := search.EndHeight; height >= start && height > 0; height-- {
		full, _, err := n.blockAt(height)
		if err != nil {
			return nil, err
		}
		for _, tx := range full.Transactions {
			spends, index, err := search.MatchesTx(tx)
			if err != nil {
				return nil, err
			}
			if spends {
				return spendDetail(tx, index, height), nil
			}
		}
	}
	return nil, nil
}

func spendDetail(tx *wire.MsgTx, index, height uint32) *chainntnfs.SpendDetail {
	tx = tx.Copy()
	txid := tx.TxHash()
	return &chainntnfs.SpendDetail{
		SpentOutPoint:     &tx.TxIn[index].PreviousOutPoint,
		SpenderTxHash:     &txid,
		SpendingTx:        tx,
		SpenderInputIndex: index,
		SpendingHeight:    int32(height),
	}
}

func (n *notifier) unspent(op wire.OutPoint) (bool, error) {
	var out *wire.TxOut
	err := n.conn.persist(n.life, func(ctx context.Context, node *link) (err error) {
		out, err = node.TxOut(ctx, op)
		return err
	})
	return out != nil, err
}

// errNotMain means that a block is not in the main chain. An index may still name one that was.
var errNotMain = errors.New("chain: the block is not in the main chain")

// height is that of a block of the main chain.
func (n *notifier) height(hash chainhash.Hash) (uint32, error) {
	var height int32
	err := n.conn.persist(n.life, func(ctx context.Context, node *link) error {
		header, err := node.HeaderVerbose(ctx, hash)
		if isRefusal(err) {
			return errNotMain // what btcd says of a block that was left
		}
		if err != nil {
			return err
		}
		main, err := node.BlockHash(ctx, int64(header.Height))
		if err == nil && main != hash {
			return errNotMain
		}
		height = header.Height
		return err
	})
	return uint32(height), err
}

func (n *notifier) blockAt(height uint32) (*wire.MsgBlock, chainhash.Hash, error) {
	var full *wire.MsgBlock
	var hash chainhash.Hash
	err := n.conn.persist(n.life, func(ctx context.Context, node *link) (err error) {
		if hash, err = node.BlockHash(ctx, int64(height)); err != nil {
			return err
		}
		full, err = n.blocks.fetch(ctx, node.Node, hash)
		return err
	})
	return full, hash, err
}

// missed lists the blocks from behind the one that a subscriber saw last up to tip. When that one
// was left since, it begins where the branches part.
func (n *notifier) missed(ctx context.Context, last *chainntnfs.BlockEpoch,
	tip block) ([]block, error) {

	if last.Hash == nil {
		return nil, errors.New("chain: the subscriber's best block has no hash")
	}
	var list []block
	err := n.conn.persist(ctx, func(ctx context.Context, node *link) (err error) {
		list, err = missedBlocks(ctx, node.Node, last, tip)
		return err
	})
	return list, err
}

func missedBlocks(ctx context.Context, node rpc.Node, last *chainntnfs.BlockEpoch,
	tip block) ([]block, error) {

	fork, hash := last.Height, *last.Hash
	for {
		if fork <= tip.height {
			main, err := node.BlockHash(ctx, int64(fork))
			if err != nil {
				return nil, err
			}
			if main == hash {
				break
			}
		}
		header, err := node.Header(ctx, hash)
		if err != nil {
			return nil, err
		}
		fork, hash = fork-1, header.PrevBlock
	}
	var list []block
	for height := fork + 1; height <= tip.height; height++ {
		hash, err := node.BlockHash(ctx, int64(height))
		if err != nil {
			return nil, err
		}
		header, err := node.Header(ctx, hash)
		if err != nil {
			return nil, err
		}
		list = append(list, block{height, hash, header})
	}
	return list, nil
}
