// Package court is the safety net under every channel: what watches the chain
// for a channel's funding output and, when it is spent, brings home what is ours.
//
// All of it is lnd's: the chain arbitrator and its resolvers, the breach
// arbitrator, the nursery and the sweeper. This package composes them, in the
// order they depend on each other, and stops them in the reverse.
package court

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainio"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/sweep"
)

const (
	// incomingBroadcastDelta is how many blocks before an incoming HTLC expires
	// its channel is closed by force if we know the preimage. lnd's own value:
	// fewer blocks and the claim may lose the race against the payer's refund.
	incomingBroadcastDelta = 16

	// outgoingBroadcastDelta is how many blocks before an outgoing HTLC expires
	// its channel is closed by force: none, as lnd has it.
	outgoingBroadcastDelta = 0

	// noDeadlineConfTarget is the confirmation target in blocks of a sweep that
	// nothing hurries.
	noDeadlineConfTarget = 1008
)

// ErrStopping says that the node went down before the answer came.
var ErrStopping = errors.New("court: node is stopping")

// Parts are what the court is composed over. All are required but
// CustomHTLCs and the notification functions.
type Parts struct {
	Params   *chaincfg.Params
	Backend  kvdb.Backend
	Channels *channeldb.DB
	Wallet   *lnwallet.LightningWallet
	Notifier chainntnfs.ChainNotifier
	Mempool  chainntnfs.MempoolWatcher
	Fees     chainfee.Estimator
	Beacon   *Beacon
	Switch   *htlcswitch.Switch
	Registry *invoices.InvoiceRegistry
	Onions   *hop.OnionProcessor
	Htlcs    *htlcswitch.HtlcNotifier
	// CustomHTLCs says which HTLCs carry an extra_fee: their amount on chain is
	// less than the onion's, and the resolver must not take that for fraud.
	CustomHTLCs contractcourt.CustomHtlcChecker
	// Withholds says that an incoming HTLC was forwarded over a channel whose funding is
	// withheld. Such a channel is never closed by force when the HTLC expires: its owner ends it.
	Withholds func(incoming models.CircuitKey) bool
	// MaxFeeRate caps what a sweep pays.
	MaxFeeRate chainfee.SatPerVByte
	Publish    func(*wire.MsgTx, string) error
	Notify     Notify
	Log        *slog.Logger
}

// Notify is told of endings. Each function may be nil and must not block.
type Notify struct {
	// Closed: the funding output is spent, in a transaction that confirmed.
	Closed func(wire.OutPoint)
	// Resolved: everything that was ours has come home.
	Resolved func(wire.OutPoint)
}

// Court is the running composition.
type Court struct {
	parts     Parts
	publisher *sweep.TxPublisher
	sweeper   *sweep.UtxoSweeper
	nursery   *contractcourt.UtxoNursery
	breach    *contractcourt.BreachArbitrator
	arb       *contractcourt.ChainArbitrator
	beats     *chainio.BlockbeatDispatcher
	breaches  chan *contractcourt.ContractBreachEvent
	quit      chan struct{}
	started   []func() error // what to stop, last started first
}

// New composes the court and starts nothing.
func New(p Parts) (*Court, error) {
	c := &Court{
		parts: p, quit: make(chan struct{}),
		breaches: make(chan *contractcourt.ContractBreachEvent, 1),
	}
	if err := c.composeSweeper(); err != nil {
		return nil, err
	}
	budget := contractcourt.DefaultBudgetConfig()
	if err := c.composeNursery(budget); err != nil {
		return nil, err
	}
	c.composeBreach()
	c.arb = contractcourt.NewChainArbitrator(c.arbConfig(budget), p.Channels)
	c.beats = chainio.NewBlockbeatDispatcher(p.Notifier)
	c.beats.RegisterQueue([]chainio.Consumer{c.arb, c.sweeper, c.publisher})
	return c, nil
}

// Arbitrator is lnd's chain arbitrator: links report to it, channels are put
// under its watch, and a force-close goes through it.
func (c *Court) Arbitrator() *contractcourt.ChainArbitrator { return c.arb }

// Sweeper is lnd's sweeper, which also bumps anchors.
func (c *Court) Sweeper() *sweep.UtxoSweeper { return c.sweeper }

// Height is the last block that everything here has dealt with, 0 before the first one and after
// Stop. It waits for a block that is being dealt with.
func (c *Court) Height() uint32 { return uint32(max(c.beats.CurrentHeight(), 0)) }

// Start begins watching at the given block. It must run before any link exists,
// or a channel could move while nobody watches it.
func (c *Court) Start(tip *chainntnfs.BlockEpoch) error {
	beat := chainio.NewBeat(*tip)
	steps := []struct {
		name  string
		start func() error
		stop  func() error
	}{
		{"transaction publisher", func() error { return c.publisher.Start(beat) }, c.publisher.Stop},
		{"sweeper", func() error { return c.sweeper.Start(beat) }, c.sweeper.Stop},
		{"nursery", c.nursery.Start, c.nursery.Stop},
		{"breach arbitrator", c.breach.Start, c.breach.Stop},
		{"chain arbitrator", func() error { return c.arb.Start(beat) }, c.arb.Stop},
		{"block dispatcher", c.beats.Start, func() error { c.beats.Stop(); return nil }},
	}
	for _, s := range steps {
		if err := s.start(); err != nil {
			return errors.Join(fmt.Errorf("court: start %s: %w", s.name, err), c.Stop())
		}
		c.started = append(c.started, s.stop)
	}
	return nil
}

// Stop ends everything Start began. It is safe to call more than once.
func (c *Court) Stop() error {
	select {
	case <-c.quit:
	default:
		close(c.quit)
	}
	var errs []error
	for i := len(c.started) - 1; i >= 0; i-- {
		errs = append(errs, c.started[i]())
	}
	c.started = nil
	return errors.Join(errs...)
}

// ForceClose publishes our commitment transaction of the channel. Never call it
// for a channel whose funding transaction has not been seen: its commitment
// would spend an output that may never exist.
func (c *Court) ForceClose(point wire.OutPoint) (*wire.MsgTx, error) {
	tx, err := c.arb.ForceCloseContract(point)
	if err != nil {
		return nil, fmt.Errorf("court: force-close %v: %w", point, err)
	}
	return tx, nil
}

func (c *Court) sweepScript() fn.Result[lnwallet.AddrWithKey] {
	addr, err := c.parts.Wallet.NewAddress(
		lnwallet.TaprootPubkey, false, lnwallet.DefaultAccountName)
	if err != nil {
		return fn.Err[lnwallet.AddrWithKey](err)
	}
	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		return fn.Err[lnwallet.AddrWithKey](err)
	}
	return fn.Ok(lnwallet.AddrWithKey{DeliveryAddress: script})
}
