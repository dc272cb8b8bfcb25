package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/btcsuite/btcwallet/wtxmgr"
)

// walletSource is the chain as btcwallet wants to see it. One goroutine tells the wallet
// everything, so that it hears of blocks in order and of none that a rescan has covered. The wallet
// never notices that the backend is away: news come late, that is all.
type walletSource struct {
	*blockReader
	watched *watchList
	params  *chaincfg.Params
	name    string
	synced  func() bool
	log     *slog.Logger

	out  chan any
	wake chan struct{} // there is work

	mu        sync.Mutex
	cancel    context.CancelFunc // guarded by mu; nil before Start
	ended     chan struct{}      // guarded by mu; closed by the goroutine's end
	following bool               // guarded by mu; the wallet wants blocks
	at        cursor             // guarded by mu
	told      block              // guarded by mu; the block that the wallet is at
	rescans   []chainhash.Hash   // guarded by mu; at most maxRescans
	txs       []*wtxmgr.TxRecord // guarded by mu; at most maxNews
}

// maxRescans bounds the rescans that wait. btcwallet begins one at a time.
const maxRescans = 16

var _ btcwchain.Interface = (*walletSource)(nil)

// Start implements btcwallet's chain.Interface. The Source must have been started.
func (w *walletSource) Start(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		return nil
	}
	if w.view == nil {
		return fmt.Errorf("chain: start the wallet's view: %w", ErrStopped)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.ended = cancel, make(chan struct{})
	w.at, w.told = w.view.follow()
	go w.routineTell(ctx, w.ended) //nolint:contextcheck // it lives until Stop
	return nil
}

// Stop implements btcwallet's chain.Interface.
func (w *walletSource) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
	}
}

// WaitForShutdown implements btcwallet's chain.Interface.
func (w *walletSource) WaitForShutdown() {
	w.mu.Lock()
	ended := w.ended
	w.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// BackEnd implements btcwallet's chain.Interface.
func (w *walletSource) BackEnd() string { return w.name }

// IsCurrent implements btcwallet's chain.Interface.
func (w *walletSource) IsCurrent() bool { return w.synced() }

// Notifications implements btcwallet's chain.Interface.
func (w *walletSource) Notifications() <-chan any { return w.out }

// BlockStamp implements btcwallet's chain.Interface: the block that the wallet was told of last.
func (w *walletSource) BlockStamp() (*waddrmgr.BlockStamp, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stamp := &waddrmgr.BlockStamp{Height: w.told.height, Hash: w.told.hash}
	if w.told.header != nil {
		stamp.Timestamp = w.told.header.Timestamp
	}
	return stamp, nil
}

// NotifyBlocks implements btcwallet's chain.Interface: blocks are told from now on.
func (w *walletSource) NotifyBlocks() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.following {
		w.following = true
		w.at, w.told = w.view.follow()
		w.signal()
	}
	return nil
}

// NotifyReceived implements btcwallet's chain.Interface. It works without the backend, since a new
// address must not depend on it.
func (w *walletSource) NotifyReceived(addrs []btcutil.Address) error {
	if err := w.watched.addAddresses(addrs); err != nil {
		return err
	}
	w.filter(addrs, nil)
	return nil
}

// filter tells the backend what else is news. When that fails, the next link does it.
func (w *walletSource) filter(addrs []btcutil.Address, ops []wire.OutPoint) {
	err := w.conn.do(func(ctx context.Context, node *link) error {
		if node.watch == nil {
			return nil
		}
		return node.watch(ctx, addrs, ops)
	})
	if err != nil {
		w.log.Debug("extend the filter of the backend", "err", err)
	}
}

// Rescan implements btcwallet's chain.Interface: blocks behind start are searched, and from then on
// addresses and outputs are watched.
func (w *walletSource) Rescan(start *chainhash.Hash, addrs []btcutil.Address,
	coins map[wire.OutPoint]btcutil.Address) error {

	if start == nil {
		return errors.New("chain: rescan from no block")
	}
	ops := make([]wire.OutPoint, 0, len(coins))
	for op := range coins {
		ops = append(ops, op)
	}
	if err := w.watched.addAddresses(addrs); err != nil {
		return err
	}
	if err := w.watched.addCoins(ops); err != nil {
		return err
	}
	w.filter(addrs, ops)

	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rescans) == maxRescans {
		return fmt.Errorf("chain: more than %d rescans wait", maxRescans)
	}
	w.rescans = append(w.rescans, *start)
	w.signal()
	return nil
}

// hear takes a transaction from the mempool.
func (w *walletSource) hear(tx *wire.MsgTx) {
	if !w.watched.matches(tx, noHeight) {
		return
	}
	rec, err := wtxmgr.NewTxRecordFromMsgTx(tx, time.Now())
	if err != nil {
		w.log.Warn("read a transaction of the wallet", "hash", tx.TxHash(), "err", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel == nil || len(w.txs) == maxNews {
		return // a block will bring it
	}
	w.txs = append(w.txs, rec)
	w.signal()
}

func (w *walletSource) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
