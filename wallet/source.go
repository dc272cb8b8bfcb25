package wallet

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"

	"github.com/inletlsp/inlet/chain"
)

// source stands between btcwallet and the chain. It changes three things:
//
//   - Transactions go out through Chain.Broadcast, and only a refusal makes btcwallet forget one.
//     btcwallet by itself forgets a transaction after any error, a lost connection included; the
//     transaction might be out, its inputs would be spent a second time.
//   - Watching an address while the chain cannot be reached is no error: the rescan after the
//     next connect covers every address.
//   - It knows when a notification has been processed to its end.
type source struct {
	btcwchain.Interface

	chain Chain
	log   *slog.Logger

	// ours says whether all inputs of a stored transaction are the wallet's.
	ours func(chainhash.Hash) bool

	// done is called when btcwallet has processed a notification, its writes included; in order.
	done func(note any)

	// repeat broadcasts the stored transactions again.
	repeat func()
	again  chan struct{} // a block has come

	notes chan any // what btcwallet reads

	mu      sync.Mutex
	running map[chainhash.Hash]*attempt // guarded by mu; as many as Publish calls at work

	started sync.Once
	stopped sync.Once
	quit    chan struct{}
	wg      sync.WaitGroup
}

// attempt is a Publish at work.
type attempt struct {
	label string
	calls int
	err   error // why the outcome is not known
}

// processed follows each notification: btcwallet takes it only when it is through with that one,
// and ignores it.
type processed struct{}

func newSource(c Chain, log *slog.Logger) *source {
	return &source{
		Interface: c.WalletSource(), chain: c, log: log,
		again: make(chan struct{}, 1),
		notes: make(chan any), running: make(map[chainhash.Hash]*attempt),
		quit: make(chan struct{}),
	}
}

// Start starts the wallet's view of the chain.
func (s *source) Start(ctx context.Context) error {
	if err := s.Interface.Start(ctx); err != nil {
		return err
	}
	s.started.Do(func() {
		s.wg.Go(s.routineForward)
		s.wg.Go(s.routineRepeat)
	})

	return nil
}

// Stop ends the view. It is idempotent, since btcwallet stops it too.
func (s *source) Stop() {
	s.stopped.Do(func() {
		close(s.quit)
		s.Interface.Stop()
	})
}

// WaitForShutdown returns once everything has ended.
func (s *source) WaitForShutdown() {
	s.wg.Wait()
	s.Interface.WaitForShutdown()
}

// Notifications is what btcwallet reads.
func (s *source) Notifications() <-chan any { return s.notes }

// routineForward passes the chain's notifications on; WaitForShutdown waits for it.
func (s *source) routineForward() {
	defer close(s.notes)
	for {
		var note any
		select {
		case n, ok := <-s.Interface.Notifications():
			if !ok {
				return
			}
			note = n
		case <-s.quit:
			return
		}
		if !s.pass(note) || !s.pass(processed{}) {
			return
		}
		s.done(note)
	}
}

// routineRepeat broadcasts the stored transactions again after each block: one may have been
// dropped by the mempools, or made while the chain was away. WaitForShutdown waits for it.
func (s *source) routineRepeat() {
	for {
		select {
		case <-s.again:
			s.repeat()
		case <-s.quit:
			return
		}
	}
}

// repeatSoon never waits: blocks that come together are one reason.
func (s *source) repeatSoon() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// stopping says whether Stop was called.
func (s *source) stopping() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (s *source) pass(note any) bool {
	select {
	case s.notes <- note:
		return true
	case <-s.quit:
		return false
	}
}

// NotifyReceived watches addresses.
func (s *source) NotifyReceived(addrs []btcutil.Address) error {
	err := s.Interface.NotifyReceived(addrs)
	if errors.Is(err, chain.ErrUnreachable) {
		s.log.Debug("addresses are watched from the next connect on", "err", err)
		return nil
	}

	return err
}

// begin announces a Publish of the transaction. The function that it returns ends it and tells
// why the outcome is not known, if so.
func (s *source) begin(txid chainhash.Hash, label string) func() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.running[txid]
	if a == nil {
		a = &attempt{label: label}
		s.running[txid] = a
	}
	a.calls++

	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.calls--; a.calls == 0 {
			delete(s.running, txid)
		}

		return a.err
	}
}

// SendRawTransaction is how btcwallet broadcasts: in a Publish, and again after each sync. An
// error makes btcwallet forget the transaction.
func (s *source) SendRawTransaction(tx *wire.MsgTx, _ bool) (*chainhash.Hash, error) {
	txid := tx.TxHash()
	s.mu.Lock()
	a, label := s.running[txid], "repeated"
	if a != nil {
		label = a.label
	}
	s.mu.Unlock()

	err := s.chain.Broadcast(tx, label)
	if err == nil {
		return &txid, nil
	}

	var refused *chain.RejectedError
	if !errors.As(err, &refused) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a != nil {
			a.err = err
		}

		return &txid, nil
	}
	if a == nil && s.keep(refused) {
		s.log.Warn("a stored transaction is refused for now", "txid", txid, "err", err)
		return &txid, nil
	}

	return nil, err
}

// keep says whether a stored transaction that was refused on a repeat may still confirm. To
// forget it too early would let its inputs be spent again, under a channel that stands on it.
func (s *source) keep(refused *chain.RejectedError) bool {
	switch {
	case errors.Is(refused, chain.ErrDoubleSpend), errors.Is(refused, chain.ErrInvalid):
		return false

	case errors.Is(refused, chain.ErrMissingInputs):
		// A parent may have left the mempool. When a block spends a coin of ours otherwise,
		// btcwallet sees it and forgets the transaction by itself; with the coins of others
		// it would not.
		return s.ours(refused.Txid)
	}

	return true
}
