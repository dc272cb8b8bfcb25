// Package orders is the shell around the machines of lsp/jit: one per order.
//
//	HTLCs (Offer) ----+                        +--> switch: forward, fail
//	channel factory --+--> inbox -> Step -> disk +--> channel factory: open, drop
//	links, peers -----+     (one goroutine)    +--> aliases, broadcast, wake-up
//	blocks, clock ----+
//
// One goroutine takes what happened, in order, steps the machines, and writes
// every order that changed in one transaction. Only then do the commands leave,
// each order's one after the other. So an effect never runs ahead of its state,
// and two events of one order never race.
package orders

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

const (
	// maxBatch is how many events are stepped before their orders are written.
	maxBatch = 256

	// maxFinished is how many paid and dead orders are kept to look at. The oldest
	// go first.
	maxFinished = 10_000
)

// Errors of calls.
var (
	// ErrStopped: the desk is not running.
	ErrStopped = errors.New("orders: the node is stopping")
	// ErrUnknown: there is no order with that id.
	ErrUnknown = errors.New("orders: no such order")
)

// Opening is what an order needs of a new channel.
type Opening struct {
	OrderID string
	Client  [33]byte
	Conn    uint64
	jit.OpenChannel
	MaxToSelfDelay uint16
	Timeout        time.Duration
}

// Opener makes channels. Each call returns when it is queued; the outcome comes
// through Desk.Funding and Desk.Stage.
type Opener interface {
	Open(Opening) error
	Cancel(orderID string)
	Release(wire.OutPoint) error
	Drop(point wire.OutPoint, reason string) error
}

// Switch moves held HTLCs on. The calls wait for the switch's disk.
type Switch interface {
	Resume(models.CircuitKey) error
	ResumeWith(models.CircuitKey, lnwire.MilliSatoshi, lnwire.CustomRecords) error
	Fail(models.CircuitKey, lnwire.FailureMessage) error
	// Forwarded reports whether the HTLC's circuit is in the switch.
	Forwarded(models.CircuitKey) bool
	// Unresolved reports whether the HTLC has left for the client and its outcome is not yet
	// with the payer's channel, also when that one is on chain.
	Unresolved(models.CircuitKey) bool
	// TakeBack sees to it that an HTLC whose forward was decided and never left is
	// offered again. It is for the start.
	TakeBack(models.CircuitKey) error
	// Live reports whether HTLCs can move on the channel, which may be named by an
	// alias. If not, a ChannelUsable of that channel follows when they can.
	Live(lnwire.ShortChannelID) bool
}

// Aliases makes a jit_channel_scid an alias of a channel.
type Aliases interface {
	// Register is idempotent.
	Register(alias lnwire.ShortChannelID, point wire.OutPoint) error
	// UpdateFor is our channel_update for a failure.
	UpdateFor(lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error)
}

// Facts is what the node knows from before it was started.
type Facts interface {
	// Fundings are the stored channels by order id.
	Fundings() (map[string]jit.Funding, error)
	// Incoming are the HTLCs that are in the commitments of our open channels and not from us.
	Incoming() (map[models.CircuitKey]bool, error)
	// Preimage finds a preimage that was learned.
	Preimage(lntypes.Hash) (lntypes.Preimage, bool)
}

// Ports are what the desk works on. They are given to Load, after New, because the
// parts that fill them need the desk.
type Ports struct {
	Opener  Opener
	Switch  Switch
	Aliases Aliases
	Facts   Facts
	Blocks  chainntnfs.ChainNotifier
	Htlcs   *htlcswitch.HtlcNotifier
	// Wake is told that a payment waits for a client that is not connected. It may
	// be nil and must not block.
	Wake func(client [33]byte)
	// Finished is told that an order became paid or dead. It must not block.
	Finished func(Record)
	// Changed is told of each order as it was written, before anything that follows from it
	// leaves. It may be nil and must not block.
	Changed func(Record)
	// Reached is told of each stage that an order has reached. It may be nil and must
	// not block.
	Reached func(orderID string, m Moment)
	// Holds counts holds. It may be nil.
	Holds Holds
}

// Holds is told of each held HTLC that is held no more, once that is on disk.
type Holds interface {
	// HoldEnded is told for how long the HTLC was held and how that ended: "forwarded",
	// "gone", or the BOLT 4 name of the failure. A forward that could not leave is told of
	// again when it fails. It must not block.
	HoldEnded(held time.Duration, how string)
}

// Limits bound what is held for clients.
type Limits struct {
	// ClientParts and Parts are how many HTLCs are held for one client and in all.
	ClientParts, Parts int
}

// Config is what a desk is made of.
type Config struct {
	DB     kvdb.Backend
	Limits Limits
	Clock  clock.Clock
	Log    *slog.Logger
}

// Desk owns all orders.
type Desk struct {
	cfg   Config
	ports Ports

	mu     sync.Mutex
	inbox  []input       // guarded by mu
	closed bool          // guarded by mu
	poke   chan struct{} // something is in the inbox

	// The core goroutine's own (routineCore, and Load before it starts).
	orders map[string]*entry
	points map[wire.OutPoint]*entry
	awake  awake
	height uint32
	latest time.Time // the clock at the last turn

	routes  routes
	views   views
	tokens  tokenCounts
	parked  parked
	replays replays
	leaving leaving
	wg      sync.WaitGroup
}

// New opens the orders' bucket and starts nothing.
func New(cfg Config) (*Desk, error) {
	d := &Desk{
		cfg: cfg, poke: make(chan struct{}, 1),
		orders: map[string]*entry{}, points: map[wire.OutPoint]*entry{},
		awake: awake{},
	}
	if err := createBucket(cfg.DB); err != nil {
		return nil, err
	}
	return d, nil
}

// entry is one order in memory.
type entry struct {
	order jit.Order
	rec   Record
	point wire.OutPoint // of its last channel; zero: it had none
	dirty bool          // the record changed since it was written
	// counted says that it is among the paid orders of its token.
	counted bool
	told    int    // how many moments of the timeline Reached was told of
	ended   []Part // whose holds have ended and Holds was not told of
	queued  []jit.Command

	effects effects
}

// input is one thing that happened.
type input struct {
	// One of these says whom it concerns: an order, its channel, its client, or
	// (none set) every order.
	id     string
	point  *wire.OutPoint
	client *[33]byte
	hash   *lntypes.Hash

	event jit.Event
	stage Stage
	at    time.Time

	// add is a new order; done is told when it is on disk.
	add  *Record
	done chan error
}

func (d *Desk) post(in input) bool { return d.postAt(in, d.cfg.Clock.Now()) }

func (d *Desk) postAt(in input, at time.Time) bool {
	in.at = at
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return false
	}
	d.inbox = append(d.inbox, in)
	d.mu.Unlock()
	d.nudge()
	return true
}

// nudge has the core look at its inbox and its deadlines.
func (d *Desk) nudge() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// take empties up to maxBatch inputs out of the inbox. The inbox needs no limit of
// its own: HTLCs are bounded by the slots of our channels, and everything else by
// the number of orders and connections.
func (d *Desk) take() []input {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.inbox), maxBatch)
	batch := d.inbox[:n:n]
	d.inbox = d.inbox[n:]
	if len(d.inbox) == 0 {
		d.inbox = nil
	}
	return batch
}
