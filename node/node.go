package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/court"
	"github.com/inletlsp/inlet/node/forward"
	"github.com/inletlsp/inlet/node/metrics"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/peer"
	"github.com/inletlsp/inlet/wallet"
)

// Errors of Run and of calls.
var (
	// ErrNoWallet: the directory holds no wallet yet; Create makes one.
	ErrNoWallet = errors.New("node: there is no wallet in this directory: " +
		"make one with `inlet create`, or node.Create")
	// ErrNotRunning: a call came before Run was ready or after it ended.
	ErrNotRunning = errors.New("node: the node is not running")
	// ErrDisk: a write to the store failed. What is in memory is ahead of what is
	// on disk, so the node stopped; start it again once the disk is well.
	ErrDisk = errors.New("node: the store can't be written (is the disk full?): " +
		"the node stopped so that nothing is signed that is not on disk")
)

// Node is one Lightning node. Make it with New, then call Run.
type Node struct {
	opts  Options
	log   *slog.Logger
	clock clock.Clock
	store *store.DB

	parts   // set while Run composes, before ready is closed
	events  *eventLog
	metrics *metrics.Metrics
	openers openers
	// anchorChannels is how many channels the wallet's reserve is for; counting lets one count
	// at a time, or an older one could be the last that is stored.
	anchorChannels atomic.Int64
	counting       sync.Mutex
	apiServer      *api.Server   // nil: no admin API
	ready          chan struct{} // closed when calls may be made
	stop           context.CancelFunc
	runMu          sync.Mutex
	ran            bool // guarded by runMu
}

// parts are what Run composes.
type parts struct {
	source   chain.Source
	channels *channeldb.DB
	aliases  *aliasmgr.Manager
	wallet   *wallet.Wallet
	engine   *forward.Engine
	links    *forward.Links
	beacon   *court.Beacon
	court    *court.Court
	registry *pay.Registry
	invoices *pay.Invoices
	payments *pay.Payments
	factory  *chanfactory.Factory
	orders   *orders.Desk
	lsps     *lspDesk
	coins    *coinCount
	// admission is the gate of buys and openings.
	admission *admissions
	buyer     *buyer
	peers     *peer.Manager
	backups   *backup.Keeper
}

// New checks the options, opens the store and starts nothing. The directory is
// this process's alone from here on, until Run has returned or Close is called.
// Errors: store.ErrLocked, store.ErrNewer, ErrNoWallet.
func New(opts Options) (*Node, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	db, err := store.Open(store.Options{
		Dir: opts.Dir, Log: opts.Log, MaxGroup: opts.storeGroup, Watch: opts.seams.onCommit,
		WarnSize: opts.WarnStoreBytes,
	})
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*Node, error) { return nil, errors.Join(err, db.Close()) }
	exists, err := wallet.Exists(db)
	if err != nil {
		return fail(err)
	}
	if !exists {
		return fail(ErrNoWallet)
	}
	n := &Node{
		opts: opts, log: opts.Log, clock: opts.clock, store: db, metrics: metrics.New(),
		ready: make(chan struct{}), stop: func() {},
	}
	if n.events, err = newEventLog(db, n.clock, opts.NoEvents); err != nil {
		return fail(err)
	}
	return n, nil
}

// Close gives the directory back if Run was never called. After Run it does
// nothing.
func (n *Node) Close() error {
	n.runMu.Lock()
	defer n.runMu.Unlock()
	if n.ran {
		return nil
	}
	n.ran = true
	return n.store.Close()
}

// Ready is closed when the node serves calls: the chain is followed, all stored
// state is taken up, and its listeners are open.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Metrics are the node's measurements, for an embedder's own registry or page; the
// admin API shows them at /metrics. It may be called at any time.
func (n *Node) Metrics() prometheus.Gatherer { return n.metrics.Gatherer() }

// Stop asks Run to end and returns at once.
func (n *Node) Stop() { n.stop() }

// Run starts the node and works until ctx ends, Stop is called or something fails
// that it can't go on without. It returns with no goroutine left and the store
// closed; nil means that it was asked to end. A Node runs once.
func (n *Node) Run(ctx context.Context) error {
	n.runMu.Lock()
	if n.ran {
		n.runMu.Unlock()
		return errors.New("node: Run was called before, or the node is closed")
	}
	n.ran = true
	ctx, n.stop = context.WithCancel(ctx)
	n.runMu.Unlock()
	defer n.stop()

	err := n.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, n.store.Close())
	if n.apiServer != nil {
		n.apiServer.Close() // callers of stop now know that the directory is free
	}
	return err
}

// run composes, starts, waits, and takes everything down again in reverse.
func (n *Node) run(ctx context.Context) (err error) {
	var down teardown
	defer func() { err = errors.Join(err, down.run()) }()

	if err := n.startChain(ctx, &down); err != nil {
		return err
	}
	if err := n.startWallet(ctx, &down); err != nil {
		return err
	}
	if err := n.compose(); err != nil {
		return err
	}
	if err := n.startEngine(&down); err != nil {
		return err
	}
	return n.serve(ctx, &down)
}

// serve runs what has a loop of its own until ctx ends or one of them fails.
func (n *Node) serve(ctx context.Context, down *teardown) error {
	// Peers go first and everything below them last, so each layer has its own
	// context, ended by the teardown in that order.
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	run := func(name string, f func(context.Context) error) (stop func() error) {
		layer, end := context.WithCancel(failed)
		done := make(chan struct{})
		group.Go(func() error {
			defer close(done)
			if err := f(layer); err != nil && layer.Err() == nil {
				return fmt.Errorf("node: %s: %w", name, err)
			}
			return nil
		})
		stop = func() error { end(); <-done; return nil }
		down.add(name, stop)
		return stop
	}
	run("events", n.events.routineWrite)
	run("channel factory", n.factory.Run)
	select {
	case <-n.factory.Settled():
	case <-failed.Done():
		return group.Wait()
	case <-ctx.Done():
		return nil
	}
	n.admission.restore()
	if err := n.orders.Resume(n.source.Status().Height); err != nil {
		return err
	}
	if err := n.openShop(); err != nil {
		return err
	}
	run("settled invoices", n.routineSettled)
	stopOrders := run("orders", n.orders.Run)
	run("lifetimes of channels", n.routineLifetimes)
	run("ready coins", n.routineStock)
	if _, err := n.payments.Prune(time.Time{}); err != nil {
		return err
	}
	run("payments", n.payments.Run)
	if err := n.publishRestored(); err != nil {
		return err
	}
	run("channel backup", n.backups.Run)
	down.add("links", func() error { n.links.Stop(); return nil })
	down.add("LSPS calls", func() error { n.lsps.wg.Wait(); n.admission.wg.Wait(); return nil })
	run("peers", n.peers.Run)
	// The orders see none of the connections end: a client that is gone because we stop
	// is no reason to fail its payment, which the next start takes up.
	down.add("orders", stopOrders)
	if err := n.serveAdmin(run); err != nil {
		return err
	}
	select {
	case <-n.peers.Started():
		if err := n.keepPeers(); err != nil {
			return err
		}
		close(n.ready)
		n.log.Info("ready", "node_id", nodeID(n.wallet), "listen", fmt.Sprint(n.peers.Addrs()))
	case <-failed.Done():
	case <-ctx.Done():
	}
	return n.wait(ctx, failed, group)
}

// wait returns when the node should end, and why.
func (n *Node) wait(ctx, failed context.Context, group *errgroup.Group) error {
	select {
	case <-ctx.Done():
		n.log.Info("stopping")
		return nil
	case <-failed.Done():
		return group.Wait()
	case <-n.store.Failed():
		return ErrDisk
	}
}

// teardown is the list of what to end, last started first.
type teardown struct{ steps []teardownStep }

type teardownStep struct {
	name string
	stop func() error
}

func (t *teardown) add(name string, stop func() error) {
	t.steps = append(t.steps, teardownStep{name, stop})
}

func (t *teardown) run() error {
	var errs []error
	for i := len(t.steps) - 1; i >= 0; i-- {
		if err := t.steps[i].stop(); err != nil {
			errs = append(errs, fmt.Errorf("node: stop %s: %w", t.steps[i].name, err))
		}
	}
	t.steps = nil
	return errors.Join(errs...)
}
