package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"

	"github.com/inletlsp/inlet/chain/rpc"
)

// SendRawTransaction implements btcwallet's chain.Interface, with btcwallet's own errors. The
// backend's limit on fees stays in force.
func (w *walletSource) SendRawTransaction(tx *wire.MsgTx, _ bool) (*chainhash.Hash, error) {
	var txid chainhash.Hash
	err := w.conn.do(func(ctx context.Context, node *link) (err error) {
		txid, err = node.SendTx(ctx, tx)
		return err
	})
	if err != nil {
		return nil, w.MapRPCErr(err)
	}
	return &txid, nil
}

// MapRPCErr implements btcwallet's chain.Interface.
func (w *walletSource) MapRPCErr(err error) error { return walletError(err) }

// TestMempoolAccept implements btcwallet's chain.Interface. While the backend does not answer it is
// as if it had no such request: lnd's sweeper would take any other error for the end of the
// sweep, where a broadcast that fails is tried again with the next block.
func (w *walletSource) TestMempoolAccept(txs []*wire.MsgTx,
	maxFeeRate float64) ([]*btcjson.TestMempoolAcceptResult, error) {

	raw, err := hexes(txs)
	if err != nil {
		return nil, err
	}
	var results []*btcjson.TestMempoolAcceptResult
	err = w.conn.do(func(ctx context.Context, node *link) error {
		return node.Call(ctx, "testmempoolaccept", &results, raw, maxFeeRate)
	})
	if errors.Is(err, ErrUnreachable) {
		return nil, fmt.Errorf("chain: test transactions: %w, %w", btcwchain.ErrUnimplemented, err)
	}
	if err != nil {
		return nil, fmt.Errorf("chain: test transactions: %w", err)
	}
	return results, nil
}

// SubmitPackage implements btcwallet's chain.Interface. btcd has no such request.
func (w *walletSource) SubmitPackage(txs []*wire.MsgTx,
	maxFeeRate *float64) (*btcjson.SubmitPackageResult, error) {

	if w.name == nameBtcd {
		return nil, btcwchain.ErrUnimplemented
	}
	raw, err := hexes(txs)
	if err != nil {
		return nil, err
	}
	params := []any{raw}
	if maxFeeRate != nil {
		params = append(params, *maxFeeRate)
	}
	result := new(btcjson.SubmitPackageResult)
	err = w.conn.do(func(ctx context.Context, node *link) error {
		return node.Call(ctx, "submitpackage", result, params...)
	})
	if err != nil {
		return nil, w.MapRPCErr(err)
	}
	return result, nil
}

func hexes(txs []*wire.MsgTx) ([]string, error) {
	raw := make([]string, 0, len(txs))
	for _, tx := range txs {
		s, err := rpc.TxHex(tx)
		if err != nil {
			return nil, err
		}
		raw = append(raw, s)
	}
	return raw, nil
}

// FilterBlocks implements btcwallet's chain.Interface: it finds the first of the blocks that
// concerns a wallet that is being restored.
func (w *walletSource) FilterBlocks(
	req *btcwchain.FilterBlocksRequest) (*btcwchain.FilterBlocksResponse, error) {

	filter := btcwchain.NewBlockFilterer(w.params, req)
	for i, meta := range req.Blocks {
		full, err := w.GetBlock(&meta.Hash)
		if err != nil {
			return nil, err
		}
		if !filter.FilterBlock(full) {
			continue
		}
		return &btcwchain.FilterBlocksResponse{
			BatchIndex:         uint32(i),
			BlockMeta:          meta,
			FoundExternalAddrs: filter.FoundExternal,
			FoundInternalAddrs: filter.FoundInternal,
			FoundOutPoints:     filter.FoundOutPoints,
			RelevantTxns:       filter.RelevantTxns,
		}, nil
	}
	return nil, nil
}
