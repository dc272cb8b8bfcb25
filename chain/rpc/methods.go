package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Node is a Client with the requests that btcd and bitcoind have in common.
type Node struct {
	Client
}

// ChainInfo is the part of getblockchaininfo that both programs fill.
type ChainInfo struct {
	Chain                string `json:"chain"`
	Blocks               int32  `json:"blocks"`
	Headers              int32  `json:"headers"`
	BestBlockHash        string `json:"bestblockhash"`
	InitialBlockDownload bool   `json:"initialblockdownload"` // bitcoind only
	Pruned               bool   `json:"pruned"`
}

// ChainInfo asks where the node's chain stands.
func (n Node) ChainInfo(ctx context.Context) (*ChainInfo, error) {
	info := new(ChainInfo)
	if err := n.Call(ctx, "getblockchaininfo", info); err != nil {
		return nil, fmt.Errorf("rpc: get chain info: %w", err)
	}
	return info, nil
}

// BestBlock asks for the hash of the best block.
func (n Node) BestBlock(ctx context.Context) (chainhash.Hash, error) {
	return n.hash(ctx, "getbestblockhash")
}

// BlockHash asks for the hash of the main chain's block at height.
func (n Node) BlockHash(ctx context.Context, height int64) (chainhash.Hash, error) {
	return n.hash(ctx, "getblockhash", height)
}

// Block asks for a whole block.
func (n Node) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	block := new(wire.MsgBlock)
	raw, err := n.bytes(ctx, "getblock", hash.String(), 0)
	if err == nil {
		err = block.Deserialize(bytes.NewReader(raw))
	}
	if err != nil {
		return nil, fmt.Errorf("rpc: get block %s: %w", hash, err)
	}
	return block, nil
}

// Header asks for a block's header, also of a block that is not in the main chain.
func (n Node) Header(ctx context.Context, hash chainhash.Hash) (*wire.BlockHeader, error) {
	header := new(wire.BlockHeader)
	raw, err := n.bytes(ctx, "getblockheader", hash.String(), false)
	if err == nil {
		err = header.Deserialize(bytes.NewReader(raw))
	}
	if err != nil {
		return nil, fmt.Errorf("rpc: get header %s: %w", hash, err)
	}
	return header, nil
}

// HeaderVerbose asks for a header with its height.
func (n Node) HeaderVerbose(ctx context.Context,
	hash chainhash.Hash) (*btcjson.GetBlockHeaderVerboseResult, error) {

	header := new(btcjson.GetBlockHeaderVerboseResult)
	if err := n.Call(ctx, "getblockheader", header, hash.String(), true); err != nil {
		return nil, fmt.Errorf("rpc: get header %s: %w", hash, err)
	}
	return header, nil
}

// TxVerbose asks for a transaction in the mempool or, where the node keeps an index of
// transactions, in a block.
func (n Node) TxVerbose(ctx context.Context, txid chainhash.Hash) (*btcjson.TxRawResult, error) {
	tx := new(btcjson.TxRawResult)
	if err := n.Call(ctx, "getrawtransaction", tx, txid.String(), 1); err != nil {
		return nil, fmt.Errorf("rpc: get transaction %s: %w", txid, err)
	}
	return tx, nil
}

// TxOut asks for an output that no block has spent; nil when one has, or when it is unknown.
func (n Node) TxOut(ctx context.Context, op wire.OutPoint) (*wire.TxOut, error) {
	var out *struct {
		Value        Amount `json:"value"`
		ScriptPubKey struct {
			Hex string `json:"hex"`
		} `json:"scriptPubKey"`
	}
	err := n.Call(ctx, "gettxout", &out, op.Hash.String(), op.Index, false)
	if err != nil {
		return nil, fmt.Errorf("rpc: get output %s: %w", op, err)
	}
	if out == nil {
		return nil, nil
	}
	script, err := hex.DecodeString(out.ScriptPubKey.Hex)
	if err != nil {
		return nil, fmt.Errorf("rpc: get output %s: %w", op, err)
	}
	return wire.NewTxOut(int64(out.Value), script), nil
}

// Spenders asks which transactions in the mempool spend the outputs.
func (n Node) Spenders(ctx context.Context,
	ops []wire.OutPoint) (map[wire.OutPoint]chainhash.Hash, error) {

	type outpoint struct {
		Txid string `json:"txid"`
		Vout uint32 `json:"vout"`
	}
	asked := make([]outpoint, len(ops))
	for i, op := range ops {
		asked[i] = outpoint{op.Hash.String(), op.Index}
	}
	var found []struct {
		outpoint
		SpendingTxid string `json:"spendingtxid"`
	}
	if err := n.Call(ctx, "gettxspendingprevout", &found, asked); err != nil {
		return nil, fmt.Errorf("rpc: get spenders: %w", err)
	}
	spenders := make(map[wire.OutPoint]chainhash.Hash)
	for i, f := range found {
		if f.SpendingTxid == "" || i >= len(ops) {
			continue
		}
		hash, err := chainhash.NewHashFromStr(f.SpendingTxid)
		if err != nil {
			return nil, fmt.Errorf("rpc: get spenders: %w", err)
		}
		spenders[ops[i]] = *hash
	}
	return spenders, nil
}

// Tx asks for a transaction in the mempool or, where the node keeps an index, in a block.
func (n Node) Tx(ctx context.Context, txid chainhash.Hash) (*wire.MsgTx, error) {
	var s string
	if err := n.Call(ctx, "getrawtransaction", &s, txid.String(), 0); err != nil {
		return nil, fmt.Errorf("rpc: get transaction %s: %w", txid, err)
	}
	return ParseTx(s)
}

// Mempool asks for the transactions that wait for a block.
func (n Node) Mempool(ctx context.Context) ([]chainhash.Hash, error) {
	return n.Hashes(ctx, "getrawmempool")
}

// SendTx hands over a transaction. The node's fee limit stays in force.
func (n Node) SendTx(ctx context.Context, tx *wire.MsgTx) (chainhash.Hash, error) {
	raw, err := TxHex(tx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return n.hash(ctx, "sendrawtransaction", raw)
}

// TxHex is a transaction as requests carry it.
func TxHex(tx *wire.MsgTx) (string, error) {
	var buf bytes.Buffer
	if err := tx.Serialize(&buf); err != nil {
		return "", fmt.Errorf("rpc: serialize transaction: %w", err)
	}
	return hex.EncodeToString(buf.Bytes()), nil
}

// ParseTx reads a transaction as answers carry it.
func ParseTx(s string) (*wire.MsgTx, error) {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("rpc: parse transaction: %w", err)
	}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("rpc: parse transaction: %w", err)
	}
	return tx, nil
}

func (n Node) hash(ctx context.Context, method string, params ...any) (chainhash.Hash, error) {
	var s string
	if err := n.Call(ctx, method, &s, params...); err != nil {
		return chainhash.Hash{}, fmt.Errorf("rpc: %s: %w", method, err)
	}
	hash, err := chainhash.NewHashFromStr(s)
	if err != nil {
		return chainhash.Hash{}, fmt.Errorf("rpc: answer to %s: %w", method, err)
	}
	return *hash, nil
}

// Hashes sends a request that is answered with a list of hashes.
func (n Node) Hashes(ctx context.Context, method string,
	params ...any) ([]chainhash.Hash, error) {

	var list []string
	if err := n.Call(ctx, method, &list, params...); err != nil {
		return nil, fmt.Errorf("rpc: %s: %w", method, err)
	}
	hashes := make([]chainhash.Hash, 0, len(list))
	for _, s := range list {
		hash, err := chainhash.NewHashFromStr(s)
		if err != nil {
			return nil, fmt.Errorf("rpc: answer to %s: %w", method, err)
		}
		hashes = append(hashes, *hash)
	}
	return hashes, nil
}

func (n Node) bytes(ctx context.Context, method string, params ...any) ([]byte, error) {
	var s string
	if err := n.Call(ctx, method, &s, params...); err != nil {
		return nil, err
	}
	return hex.DecodeString(s)
}
