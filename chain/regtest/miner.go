package regtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

const (
	coinbaseMaturity = 100 // blocks
	feeRateSatPerB   = 20  // of the miner's own payments
	inputBytes       = 149 // of a pay-to-pubkey-hash input
	maxInputs        = 500 // keeps a payment under the standard size
	changeDust       = btcutil.Amount(1000)
)

// errNoCoins means that the miner's mature coins don't cover a payment.
var errNoCoins = errors.New("the miner has too few mature coins")

type coin struct {
	amount   btcutil.Amount
	height   int
	coinbase bool
}

// miner is the key that blocks are mined to, and the coins that it holds in the main chain.
type miner struct {
	key    *btcec.PrivateKey
	addr   btcutil.Address
	script []byte

	mu    sync.Mutex
	chain []chainhash.Hash       // guarded by mu; the blocks that coins was read from
	coins map[wire.OutPoint]coin // guarded by mu
	spent map[wire.OutPoint]bool // guarded by mu; by payments not yet seen in a block
}

// newMiner takes a fixed secret, so that a chain found in an old directory has money, too.
func newMiner(secret byte) (*miner, error) {
	key, pub := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{secret}, 32))
	addr, err := btcutil.NewAddressPubKeyHash(
		btcutil.Hash160(pub.SerializeCompressed()), &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, fmt.Errorf("regtest: make the miner's address: %w", err)
	}
	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		return nil, fmt.Errorf("regtest: make the miner's script: %w", err)
	}
	m := &miner{key: key, addr: addr, script: script}
	m.forget()
	return m, nil
}

func (m *miner) forget() {
	m.chain = nil
	m.coins = make(map[wire.OutPoint]coin)
	m.spent = make(map[wire.OutPoint]bool)
}

// follow reads the blocks that are new since the last call; after a reorganisation all of them.
func (m *miner) follow(ctx context.Context, node rpc.Node) error {
	info, err := node.ChainInfo(ctx)
	if err != nil {
		return err
	}
	tip := int(info.Blocks)
	if known := len(m.chain) - 1; known >= 0 {
		same := known <= tip
		if same {
			hash, err := node.BlockHash(ctx, int64(known))
			if err != nil {
				return err
			}
			same = hash == m.chain[known]
		}
		if !same {
			m.forget()
		}
	}
	for height := len(m.chain); height <= tip; height++ {
		hash, err := node.BlockHash(ctx, int64(height))
		if err != nil {
			return err
		}
		block, err := node.Block(ctx, hash)
		if err != nil {
			return err
		}
		m.connect(block, height)
		m.chain = append(m.chain, hash)
	}
	return nil
}

func (m *miner) connect(block *wire.MsgBlock, height int) {
	for i, tx := range block.Transactions {
		for _, in := range tx.TxIn {
			delete(m.coins, in.PreviousOutPoint)
			delete(m.spent, in.PreviousOutPoint)
		}
		for index, out := range tx.TxOut {
			if !bytes.Equal(out.PkScript, m.script) {
				continue
			}
			op := wire.OutPoint{Hash: tx.TxHash(), Index: uint32(index)}
			m.coins[op] = coin{btcutil.Amount(out.Value), height, i == 0}
		}
	}
}

// pay makes a transaction with these outputs and the change, or fails with errNoCoins.
func (m *miner) pay(outs []*wire.TxOut) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	var need btcutil.Amount
	for _, out := range outs {
		tx.AddTxOut(out)
		need += btcutil.Amount(out.Value)
	}
	tx.AddTxOut(wire.NewTxOut(0, m.script)) // the change, filled in below
	need += btcutil.Amount(feeRateSatPerB * tx.SerializeSize())

	var have btcutil.Amount
	for _, op := range m.mature() {
		if have >= need+changeDust || len(tx.TxIn) == maxInputs {
			break
		}
		tx.AddTxIn(wire.NewTxIn(&op, nil, nil))
		have += m.coins[op].amount
		need += feeRateSatPerB * inputBytes
	}
	if have < need+changeDust {
		return nil, fmt.Errorf("regtest: pay %v: %w", need, errNoCoins)
	}
	tx.TxOut[len(outs)].Value = int64(have - need)
	for i := range tx.TxIn {
		sig, err := txscript.SignatureScript(tx, i, m.script, txscript.SigHashAll, m.key, true)
		if err != nil {
			return nil, fmt.Errorf("regtest: sign: %w", err)
		}
		tx.TxIn[i].SignatureScript = sig
	}
	return tx, nil
}

// mature lists the coins that the next block may spend, the largest first.
func (m *miner) mature() []wire.OutPoint {
	next := len(m.chain)
	var list []wire.OutPoint
	for op, c := range m.coins {
		if m.spent[op] {
			continue
		}
		if c.coinbase && next-c.height < coinbaseMaturity {
			continue
		}
		list = append(list, op)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := m.coins[list[i]], m.coins[list[j]]
		if a.amount != b.amount {
			return a.amount > b.amount
		}
		return list[i].String() < list[j].String()
	})
	return list
}

// sent remembers that tx uses coins of ours until a block shows it.
func (m *miner) sent(tx *wire.MsgTx) {
	for _, in := range tx.TxIn {
		m.spent[in.PreviousOutPoint] = true
	}
}
