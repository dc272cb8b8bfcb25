package chain

import (
	"context"
	"log/slog"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/fn/v2"

	"github.com/inletlsp/inlet/chain/rpc"
)

// mempoolWatch implements lnd's interface over its MempoolNotifier.
type mempoolWatch struct {
	notes    *chainntnfs.MempoolNotifier
	notifier *notifier // for goroutines
	conn     *connection
	watched  *watchList
	log      *slog.Logger

	mu     sync.Mutex
	inputs map[wire.OutPoint]*mempoolInput                 // guarded by mu
	events map[*chainntnfs.MempoolSpendEvent]wire.OutPoint // guarded by mu
}

// mempoolInput is an output whose spend in the mempool somebody waits for.
type mempoolInput struct {
	events map[*chainntnfs.MempoolSpendEvent]bool
	told   chainhash.Hash // the spend that they know of
}

var _ chainntnfs.MempoolWatcher = (*mempoolWatch)(nil)

func newMempoolWatch(n *notifier, watched *watchList) *mempoolWatch {
	return &mempoolWatch{
		notes:    chainntnfs.NewMempoolNotifier(),
		notifier: n,
		conn:     n.conn,
		watched:  watched,
		log:      n.log,
		inputs:   make(map[wire.OutPoint]*mempoolInput),
		events:   make(map[*chainntnfs.MempoolSpendEvent]wire.OutPoint),
	}
}

// SubscribeMempoolSpent implements chainntnfs.MempoolWatcher. A spend that is already in the
// mempool is told, too.
func (m *mempoolWatch) SubscribeMempoolSpent(
	op wire.OutPoint) (*chainntnfs.MempoolSpendEvent, error) {

	m.mu.Lock()
	event := m.notes.SubscribeInput(op)
	in := m.inputs[op]
	if in == nil {
		in = &mempoolInput{events: make(map[*chainntnfs.MempoolSpendEvent]bool)}
		m.inputs[op] = in
	}
	in.events[event] = true
	in.told = chainhash.Hash{} // the new one knows of nothing
	m.events[event] = op
	m.watched.setInput(op, true)
	m.mu.Unlock()

	err := m.notifier.begin(func() {
		err := m.conn.persist(m.notifier.life, func(ctx context.Context, node *link) error {
			if node.watch != nil {
				if err := node.watch(ctx, nil, []wire.OutPoint{op}); err != nil {
					return err
				}
			}
			return m.find(ctx, node.Node, []wire.OutPoint{op}, m.tell)
		})
		if err != nil && m.notifier.life.Err() == nil {
			m.log.Warn("look for a spend in the mempool", "outpoint", op, "err", err)
		}
	})
	if err != nil {
		m.CancelMempoolSpendEvent(event)
		return nil, err
	}
	return event, nil
}

// CancelMempoolSpendEvent implements chainntnfs.MempoolWatcher.
func (m *mempoolWatch) CancelMempoolSpendEvent(event *chainntnfs.MempoolSpendEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes.UnsubscribeEvent(event)
	op, ok := m.events[event]
	if !ok {
		return
	}
	delete(m.events, event)
	delete(m.inputs[op].events, event)
	if len(m.inputs[op].events) == 0 {
		delete(m.inputs, op)
		m.watched.setInput(op, false)
	}
}

// LookupInputMempoolSpend implements chainntnfs.MempoolWatcher.
func (m *mempoolWatch) LookupInputMempoolSpend(op wire.OutPoint) fn.Option[wire.MsgTx] {
	found := fn.None[wire.MsgTx]()
	err := m.conn.do(func(ctx context.Context, node *link) error {
		return m.find(ctx, node.Node, []wire.OutPoint{op}, func(tx *wire.MsgTx) {
			found = fn.Some(*tx)
		})
	})
	if err != nil {
		m.log.Warn("look up a spend in the mempool", "outpoint", op, "err", err)
	}
	return found
}

// maxAsked bounds the outputs that one request asks about.
const maxAsked = 500

// find gives the transactions in the mempool that spend the outputs.
func (m *mempoolWatch) find(ctx context.Context, node rpc.Node, ops []wire.OutPoint,
	found func(*wire.MsgTx)) error {

	seen := make(map[chainhash.Hash]bool)
	for len(ops) > 0 {
		part := ops[:min(len(ops), maxAsked)]
		ops = ops[len(part):]
		spenders, err := node.Spenders(ctx, part)
		if err != nil {
			return err
		}
		for _, txid := range spenders {
			if seen[txid] {
				continue
			}
			seen[txid] = true
			tx, err := node.Tx(ctx, txid)
			if isRefusal(err) {
				continue // just mined or replaced
			}
			if err != nil {
				return err
			}
			found(tx)
		}
	}
	return nil
}

// tell passes a mempool transaction on to those who wait for one of its inputs, once.
func (m *mempoolWatch) tell(tx *wire.MsgTx) {
	m.mu.Lock()
	defer m.mu.Unlock()
	txid := tx.TxHash()
	news := false
	for _, in := range tx.TxIn {
		known := m.inputs[in.PreviousOutPoint]
		if known != nil && known.told != txid {
			known.told, news = txid, true
		}
	}
	if !news {
		return
	}
	if err := m.notes.ProcessRelevantSpendTx(btcutil.NewTx(tx)); err != nil {
		m.log.Warn("tell of a spend in the mempool", "txid", txid, "err", err)
	}
}

// connected ends the subscriptions to what a block has spent.
func (m *mempoolWatch) connected(full *wire.MsgBlock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.inputs) == 0 {
		return
	}
	for _, tx := range full.Transactions {
		for _, in := range tx.TxIn {
			op := in.PreviousOutPoint
			known := m.inputs[op]
			if known == nil {
				continue
			}
			m.notes.UnsubscribeInput(op)
			for event := range known.events {
				delete(m.events, event)
			}
			delete(m.inputs, op)
			m.watched.setInput(op, false)
		}
	}
}
