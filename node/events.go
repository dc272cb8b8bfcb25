package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
)

// eventsBucket holds what happened and was not yet handled, by sequence number.
var eventsBucket = []byte("inlet-events")

// maxStoredEvents is how many events wait for an embedder that does not read. Past
// it the oldest make room; a gap in Seq shows it.
const maxStoredEvents = 10_000

// EventKind says what an Event is about.
type EventKind string

// The kinds of events, with the fields that are set.
const (
	// ChannelOpened: both channel_ready are exchanged. ChannelPoint, Peer, OrderID.
	ChannelOpened EventKind = "channel_opened"
	// ChannelConfirmed: the funding transaction has its confirmations.
	// ChannelPoint, Peer, OrderID.
	ChannelConfirmed EventKind = "channel_confirmed"
	// ChannelClosed: the funding output is spent on chain. ChannelPoint.
	ChannelClosed EventKind = "channel_closed"
	// InvoiceSettled: an invoice of ours is paid. PaymentHash, Amount (what came in).
	InvoiceSettled EventKind = "invoice_settled"
	// PaymentSettled: a payment of ours arrived. PaymentHash, Amount, Fee.
	PaymentSettled EventKind = "payment_settled"
	// PaymentFailed: a payment of ours came to nothing. PaymentHash, Reason.
	PaymentFailed EventKind = "payment_failed"
	// OrderPaid: a client's channel is paid for. OrderID, PaymentHash, Fee.
	OrderPaid EventKind = "order_paid"
	// OrderFailed: the parts of an order were failed back. OrderID, Reason.
	OrderFailed EventKind = "order_failed"
)

// Event is something that happened to this node. It is stored until it was
// handled, so a program that was away learns of it later; after a crash the last
// one may come twice.
type Event struct {
	// Seq grows by one with each event.
	Seq uint64 `json:"seq"`
	// At is when it happened.
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`

	ChannelPoint string              `json:"channel_point,omitempty"`
	Peer         string              `json:"peer,omitempty"`
	OrderID      string              `json:"order_id,omitempty"`
	PaymentHash  string              `json:"payment_hash,omitempty"`
	Amount       lnwire.MilliSatoshi `json:"amount_msat,omitempty"`
	Fee          lnwire.MilliSatoshi `json:"fee_msat,omitempty"`
	Reason       string              `json:"reason,omitempty"`

	// settled is the registry's settle index of the invoice, stored together with the
	// event: after a restart the registry tells of what was settled past it.
	settled uint64
}

// eventLog is the durable queue behind Events. One goroutine writes what others
// tell it, in batches, so that nothing on a payment's path waits for it.
type eventLog struct {
	db    kvdb.Backend
	clock clock.Clock
	off   bool

	mu      sync.Mutex
	waiting []Event       // guarded by mu
	changed chan struct{} // closed and replaced when events were stored; guarded by mu
	poke    chan struct{}
}

func newEventLog(db kvdb.Backend, clk clock.Clock, off bool) (*eventLog, error) {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		_, err := tx.CreateTopLevelBucket(eventsBucket)
		return err
	}, func() {})
	if err != nil {
		return nil, fmt.Errorf("node: create events bucket: %w", err)
	}
	return &eventLog{
		db: db, clock: clk, off: off,
		changed: make(chan struct{}), poke: make(chan struct{}, 1),
	}, nil
}

// add queues an event and never blocks. Past maxStoredEvents unwritten ones the
// oldest is dropped: the store would drop it next.
func (l *eventLog) add(e Event) {
	if l.off {
		return
	}
	e.At = l.clock.Now().UTC()
	l.mu.Lock()
	if len(l.waiting) == maxStoredEvents {
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, e)
	l.mu.Unlock()
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// routineWrite stores what add queued, until ctx ends; then it stores the rest.
func (l *eventLog) routineWrite(ctx context.Context) error {
	for {
		select {
		case <-l.poke:
			if err := l.write(); err != nil {
				return err
			}
		case <-ctx.Done():
			return l.write()
		}
	}
}

func (l *eventLog) write() error {
	l.mu.Lock()
	batch := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := kvdb.Update(l.db, func(tx kvdb.RwTx) error {
		b := tx.ReadWriteBucket(eventsBucket)
		for _, e := range batch {
			if err := appendEvent(b, e); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: store events: %w", err)
	}
	l.mu.Lock()
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	return nil
}

func appendEvent(b kvdb.RwBucket, e Event) error {
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	e.Seq = seq
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := b.Put(eventKey(seq), raw); err != nil {
		return err
	}
	if e.settled > 0 {
		marks, err := b.CreateBucketIfNotExists(marksKey)
		if err != nil {
			return err
		}
		if err := marks.Put(settledKey, eventKey(e.settled)); err != nil {
			return err
		}
	}
	if seq > maxStoredEvents {
		return b.Delete(eventKey(seq - maxStoredEvents))
	}
	return nil
}

// marksKey is a bucket inside the events': how far other logs were followed. Its
// name sorts after every sequence number.
var (
	marksKey   = []byte("\xffmarks---")
	settledKey = []byte("settled")
)

// settledMark is the settle index of the last invoice that there is an event for.
func (l *eventLog) settledMark() (mark uint64, err error) {
	err = kvdb.View(l.db, func(tx kvdb.RTx) error {
		if marks := tx.ReadBucket(eventsBucket).NestedReadBucket(marksKey); marks != nil {
			if v := marks.Get(settledKey); len(v) == 8 {
				mark = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	}, func() { mark = 0 })
	return mark, err
}

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// next reads the first event after seq; ok is false when there is none yet, and
// then changed is closed when there may be.
func (l *eventLog) next(seq uint64) (e Event, changed <-chan struct{}, ok bool, err error) {
	l.mu.Lock()
	changed = l.changed
	l.mu.Unlock()
	err = kvdb.View(l.db, func(tx kvdb.RTx) error {
		k, v := tx.ReadBucket(eventsBucket).ReadCursor().Seek(eventKey(seq + 1))
		if k == nil || v == nil { // v is nil for the bucket of marks
			return nil
		}
		ok = true
		return json.Unmarshal(v, &e)
	}, func() { e, ok = Event{}, false })
	if err != nil {
		err = fmt.Errorf("node: read event: %w", err)
	}
	return e, changed, ok, err
}

// handled removes all events up to seq.
func (l *eventLog) handled(seq uint64) error {
	err := kvdb.Update(l.db, func(tx kvdb.RwTx) error {
		b := tx.ReadWriteBucket(eventsBucket)
		c := b.ReadWriteCursor()
		for k, v := c.First(); v != nil && binary.BigEndian.Uint64(k) <= seq; k, v = c.First() {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: mark events as handled: %w", err)
	}
	return nil
}

// routineSettled turns settled invoices into events, those settled while nobody
// listened included.
func (n *Node) routineSettled(ctx context.Context) error {
	if n.events.off {
		<-ctx.Done()
		return nil
	}
	mark, err := n.events.settledMark()
	if err != nil {
		return fmt.Errorf("node: read mark of settled invoices: %w", err)
	}
	sub, err := n.registry.SubscribeNotifications(ctx, 0, mark)
	if err != nil {
		return fmt.Errorf("node: subscribe to invoices: %w", err)
	}
	defer sub.Cancel()
	for {
		select {
		case <-sub.NewInvoices:
		case inv := <-sub.SettledInvoices:
			e := Event{Kind: InvoiceSettled, Amount: inv.AmtPaid, settled: inv.SettleIndex}
			if p := inv.Terms.PaymentPreimage; p != nil {
				e.PaymentHash = p.Hash().String()
				if view, err := n.invoices.Lookup(ctx, p.Hash()); err == nil {
					e.Amount = view.Received()
				}
			}
			n.events.add(e)
		case <-ctx.Done():
			return nil
		}
	}
}

// errNoEvents says that the node was made without events.
var errNoEvents = errors.New("node: events are switched off (Options.NoEvents)")

// Events yields what happened to the node, in order, from the first event that
// was not handled. Asking for the next event marks the last one as handled; a
// program that stops in the middle gets it again. It ends when ctx does, with
// ctx's error. Only one loop at a time makes sense: the mark is shared.
func (n *Node) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if n.events.off {
			yield(Event{}, errNoEvents)
			return
		}
		var last uint64
		for {
			e, changed, ok, err := n.events.next(last)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !ok {
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					yield(Event{}, ctx.Err())
					return
				}
			}
			if !yield(e, nil) {
				return
			}
			last = e.Seq
			if err := n.events.handled(last); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}
