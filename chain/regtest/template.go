package regtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

// mineFromTemplate makes blocks for a program that can't be told where the subsidy goes, or what to
// leave out.
func mineFromTemplate(ctx context.Context, node rpc.Node, n int, addr btcutil.Address,
	empty bool) ([]chainhash.Hash, error) {

	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		return nil, fmt.Errorf("regtest: mine to %s: %w", addr, err)
	}
	var hashes []chainhash.Hash
	for range n {
		hash, err := mineOne(ctx, node, script, empty)
		if err != nil {
			return nil, fmt.Errorf("regtest: mine to %s: %w", addr, err)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

func mineOne(ctx context.Context, node rpc.Node, script []byte,
	empty bool) (chainhash.Hash, error) {

	var template btcjson.GetBlockTemplateResult
	err := node.Call(ctx, "getblocktemplate", &template, map[string]any{
		"mode": "template", "capabilities": []string{"coinbasevalue"},
		"rules": []string{"segwit"},
	})
	if err != nil {
		return chainhash.Hash{}, err
	}
	if template.CoinbaseValue == nil {
		return chainhash.Hash{}, errors.New("the template has no coinbase value")
	}
	if empty {
		leaveOut(&template)
	}
	block, err := buildBlock(&template, script)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return block.BlockHash(), submitBlock(ctx, node, block)
}

// leaveOut takes all transactions and their fees out of a template.
func leaveOut(t *btcjson.GetBlockTemplateResult) {
	for _, tx := range t.Transactions {
		*t.CoinbaseValue -= tx.Fee
	}
	t.Transactions, t.DefaultWitnessCommitment = nil, ""
}

// buildBlock fills a block and finds its nonce, on regtest at about the second try.
func buildBlock(t *btcjson.GetBlockTemplateResult, script []byte) (*wire.MsgBlock, error) {
	prev, err := chainhash.NewHashFromStr(t.PreviousHash)
	if err != nil {
		return nil, err
	}
	bits, err := strconv.ParseUint(t.Bits, 16, 32)
	if err != nil {
		return nil, err
	}
	heightScript, err := txscript.NewScriptBuilder().AddInt64(t.Height).AddInt64(0).Script()
	if err != nil {
		return nil, err
	}
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex),
		heightScript, nil))
	coinbase.AddTxOut(wire.NewTxOut(*t.CoinbaseValue, script))
	txs := []*btcutil.Tx{btcutil.NewTx(coinbase)}
	for _, raw := range t.Transactions {
		tx, err := rpc.ParseTx(raw.Data)
		if err != nil {
			return nil, err
		}
		txs = append(txs, btcutil.NewTx(tx))
	}
	if t.DefaultWitnessCommitment != "" || hasWitness(txs) {
		commitWitness(coinbase, txs)
	}

	block := wire.NewMsgBlock(wire.NewBlockHeader(t.Version, prev, &chainhash.Hash{},
		uint32(bits), 0))
	block.Header.Timestamp = time.Unix(t.CurTime, 0)
	for _, tx := range txs {
		if err := block.AddTransaction(tx.MsgTx()); err != nil {
			return nil, err
		}
	}
	// a new Tx for the coinbase, whose cached hash is from before its last change
	txs[0] = btcutil.NewTx(coinbase)
	block.Header.MerkleRoot = blockchain.CalcMerkleRoot(txs, false)
	target := blockchain.CompactToBig(uint32(bits))
	for {
		hash := block.BlockHash()
		if blockchain.HashToBig(&hash).Cmp(target) <= 0 {
			return block, nil
		}
		block.Header.Nonce++
	}
}

func hasWitness(txs []*btcutil.Tx) bool {
	for _, tx := range txs {
		if tx.MsgTx().HasWitness() {
			return true
		}
	}
	return false
}

// commitWitness adds BIP 141's commitment to the coinbase.
func commitWitness(coinbase *wire.MsgTx, txs []*btcutil.Tx) {
	var reserved [32]byte
	coinbase.TxIn[0].Witness = wire.TxWitness{reserved[:]}
	root := blockchain.CalcMerkleRoot(txs, true)
	commitment := chainhash.DoubleHashB(append(root[:], reserved[:]...))
	script := append(bytes.Clone(blockchain.WitnessMagicBytes), commitment...)
	coinbase.AddTxOut(wire.NewTxOut(0, script))
}
