package chain

import (
	"context"
	"log/slog"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
)

// notifier implements lnd's interface over its TxNotifier, which keeps the books of registered
// confirmations and spends. Unlike lnd's own notifiers it never needs the backend to accept a
// registration, and searches of the past are repeated until the backend has answered.
type notifier struct {
	txs    *chainntnfs.TxNotifier
	view   *view
	conn   *connection
	blocks *blockReader
	log    *slog.Logger

	scans chan struct{} // one slot for each search that may run at a time

	// life is that of the Source. Interface methods that begin searches have no context.
	life context.Context
	wg   sync.WaitGroup

	mu      sync.Mutex
	stopped bool // guarded by mu; nothing is added to wg any more
	// searches are those of confirmations that have not ended, or failed; guarded by mu
	searches map[chainntnfs.ConfRequest]bool
}

var _ chainntnfs.ChainNotifier = (*notifier)(nil)

// begin runs f in a goroutine that stop waits for.
func (n *notifier) begin(f func()) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return chainntnfs.ErrChainNotifierShuttingDown
	}
	n.wg.Go(f)
	return nil
}

// stop closes all notification channels. The context life must have ended.
func (n *notifier) stop() {
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	n.wg.Wait()
	n.txs.TearDown()
}

// Start implements chainntnfs.ChainNotifier.
func (n *notifier) Start() error { return nil }

// Stop implements chainntnfs.ChainNotifier.
func (n *notifier) Stop() error { return nil }

// Started implements chainntnfs.ChainNotifier.
func (n *notifier) Started() bool { return true }

// RegisterConfirmationsNtfn implements chainntnfs.ChainNotifier.
func (n *notifier) RegisterConfirmationsNtfn(txid *chainhash.Hash, script []byte,
	confs, heightHint uint32,
	opts ...chainntnfs.NotifierOption) (*chainntnfs.ConfirmationEvent, error) {

	reg, err := n.txs.RegisterConf(txid, script, confs, heightHint, opts...)
	if err != nil {
		return nil, err
	}
	if search := reg.HistoricalDispatch; search != nil {
		n.setSearch(search.ConfRequest, true)
		if err := n.begin(func() { n.routineFindConf(search) }); err != nil {
			return nil, err
		}
	}
	return reg.Event, nil
}

// setSearch notes that the past is to be searched for a confirmation, or was.
func (n *notifier) setSearch(req chainntnfs.ConfRequest, under bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if under {
		n.searches[req] = true
		return
	}
	delete(n.searches, req)
}

// searched says that a search for a confirmation has ended, or none was needed.
func (n *notifier) searched(txid *chainhash.Hash, script []byte) bool {
	req, err := chainntnfs.NewConfRequest(txid, script)
	n.mu.Lock()
	defer n.mu.Unlock()
	return err == nil && !n.searches[req]
}

// RegisterSpendNtfn implements chainntnfs.ChainNotifier.
func (n *notifier) RegisterSpendNtfn(op *wire.OutPoint, script []byte,
	heightHint uint32) (*chainntnfs.SpendEvent, error) {

	reg, err := n.txs.RegisterSpend(op, script, heightHint)
	if err != nil {
		return nil, err
	}
	if search := reg.HistoricalDispatch; search != nil {
		if err := n.begin(func() { n.routineFindSpend(search) }); err != nil {
			return nil, err
		}
	}
	return reg.Event, nil
}

// epochBuffer is how many blocks a subscriber may leave unread without any effect on its goroutine.
const epochBuffer = 20

// RegisterBlockEpochNtfn implements chainntnfs.ChainNotifier. A subscriber that leaves more than
// maxSteps blocks unread is cut off: its channel is closed.
func (n *notifier) RegisterBlockEpochNtfn(
	best *chainntnfs.BlockEpoch) (*chainntnfs.BlockEpochEvent, error) {

	epochs := make(chan *chainntnfs.BlockEpoch, epochBuffer)
	ctx, cancel := context.WithCancel(n.life)
	ended := make(chan struct{})
	at, tip := n.view.follow()
	err := n.begin(func() {
		defer close(ended)
		defer close(epochs)
		defer cancel()
		n.routineEpochs(ctx, epochs, best, at, tip)
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &chainntnfs.BlockEpochEvent{
		Epochs: epochs,
		Cancel: func() {
			cancel()
			<-ended
		},
	}, nil
}

// routineEpochs tells one subscriber of blocks; stop and the subscriber's Cancel wait for it.
func (n *notifier) routineEpochs(ctx context.Context, epochs chan<- *chainntnfs.BlockEpoch,
	best *chainntnfs.BlockEpoch, at cursor, tip block) {

	send := func(b block) bool {
		hash := b.hash
		select {
		case epochs <- &chainntnfs.BlockEpoch{Hash: &hash, Height: b.height,
			BlockHeader: b.header}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	missed := []block{tip}
	if best != nil {
		var err error
		if missed, err = n.missed(ctx, best, tip); err != nil {
			if ctx.Err() == nil {
				n.log.Error("block subscriber misses blocks", "height", best.Height,
					"hash", best.Hash, "err", err)
			}
			missed = []block{tip}
		}
	}
	for _, b := range missed {
		if !send(b) {
			return
		}
	}
	for {
		s, wait, lost := n.view.read(&at)
		switch {
		case lost:
			n.log.Error("block subscriber does not read, it is cut off",
				"blocks", maxSteps)
			return
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return
			}
		case s.connected:
			if !send(s.block) {
				return
			}
		}
	}
}
