package chain

import (
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
)

// maxWatched bounds what is watched for the wallet: its addresses and its coins.
const maxWatched = 1 << 20

// watchList is what makes a transaction worth telling: to the wallet, or to those who wait for a
// spend in the mempool.
type watchList struct {
	limit int // maxWatched, but for tests

	mu      sync.Mutex
	scripts map[string]btcutil.Address // guarded by mu; the wallet's, by output script
	coins   map[wire.OutPoint]bool     // guarded by mu; the wallet's
	spent   map[int32][]wire.OutPoint  // guarded by mu; coins by the height of their spend
	inputs  map[wire.OutPoint]bool     // guarded by mu; those with subscribers to the mempool
}

func newWatchList() *watchList {
	return &watchList{
		limit:   maxWatched,
		scripts: make(map[string]btcutil.Address),
		coins:   make(map[wire.OutPoint]bool),
		spent:   make(map[int32][]wire.OutPoint),
		inputs:  make(map[wire.OutPoint]bool),
	}
}

// addAddresses watches payments to the wallet.
func (w *watchList) addAddresses(addrs []btcutil.Address) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, addr := range addrs {
		script, err := txscript.PayToAddrScript(addr)
		if err != nil {
			return fmt.Errorf("chain: watch %s: %w", addr, err)
		}
		if err := w.room(); err != nil {
			return err
		}
		w.scripts[string(script)] = addr
	}
	return nil
}

// addCoins watches spends of the wallet's outputs.
func (w *watchList) addCoins(ops []wire.OutPoint) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, op := range ops {
		if err := w.room(); err != nil {
			return err
		}
		w.coins[op] = true
	}
	return nil
}

func (w *watchList) room() error {
	if len(w.scripts)+len(w.coins) >= w.limit {
		return fmt.Errorf("chain: the wallet has over %d addresses and coins", w.limit)
	}
	return nil
}

// wants tells whether tx concerns the wallet or a subscriber to the mempool.
func (w *watchList) wants(tx *wire.MsgTx) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range tx.TxIn {
		if w.coins[in.PreviousOutPoint] || w.inputs[in.PreviousOutPoint] {
			return true
		}
	}
	for _, out := range tx.TxOut {
		if _, ours := w.scripts[string(out.PkScript)]; ours {
			return true
		}
	}
	return false
}

// matches tells whether the wallet wants to know of tx. Outputs that pay it are watched from then
// on. A height of -1 means that tx is in no block.
func (w *watchList) matches(tx *wire.MsgTx, height int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := false
	for _, in := range tx.TxIn {
		if !w.coins[in.PreviousOutPoint] {
			continue
		}
		found = true
		if height >= 0 {
			w.spent[height] = append(w.spent[height], in.PreviousOutPoint)
		}
	}
	var txid chainhash.Hash
	for i, out := range tx.TxOut {
		if _, ours := w.scripts[string(out.PkScript)]; !ours {
			continue
		}
		found = true
		if txid == (chainhash.Hash{}) {
			txid = tx.TxHash()
		}
		if w.room() == nil {
			w.coins[wire.OutPoint{Hash: txid, Index: uint32(i)}] = true
		}
	}
	return found
}

// settle forgets coins whose spend no reorganisation will undo.
func (w *watchList) settle(tip int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for height, ops := range w.spent {
		if height > tip-chainntnfs.ReorgSafetyLimit {
			continue
		}
		for _, op := range ops {
			delete(w.coins, op)
		}
		delete(w.spent, height)
	}
}

// setInput says whether somebody waits for the spend of op in the mempool.
func (w *watchList) setInput(op wire.OutPoint, wanted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wanted {
		w.inputs[op] = true
	} else {
		delete(w.inputs, op)
	}
}

// all lists what is watched, for the filter of the backend.
func (w *watchList) all() (addrs []btcutil.Address, ops []wire.OutPoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, addr := range w.scripts {
		addrs = append(addrs, addr)
	}
	for op := range w.coins {
		ops = append(ops, op)
	}
	for op := range w.inputs {
		if !w.coins[op] {
			ops = append(ops, op)
		}
	}
	return addrs, ops
}
