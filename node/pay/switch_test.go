package pay

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// fakeSwitch keeps circuits and results as lnd's does: a circuit from the moment that an HTLC is
// taken until its result is on disk.
type fakeSwitch struct {
	mu       sync.Mutex
	height   uint32
	nextID   uint64
	circuits map[uint64]*fakeCircuit
	results  map[uint64]*htlcswitch.PaymentResult
	dropped  []uint64
	cleaned  []map[uint64]struct{}
	sends    chan sent
	quit     chan struct{}

	// refuse, unless nil, may refuse an HTLC before there is a circuit; limbo errors come with one.
	refuse func(sent) (err error, limbo bool)

	// before and after, unless nil, are called around each SendHTLC.
	before, after func(sent)
}

// sent is an HTLC that was handed to the switch.
type sent struct {
	id   uint64
	scid lnwire.ShortChannelID
	add  *lnwire.UpdateAddHTLC
}

type fakeCircuit struct {
	sent   sent
	onWire bool // in a commitment; else in a mailbox, which a restart empties
	dead   bool
	waits  []chan *htlcswitch.PaymentResult
}

func newFakeSwitch() *fakeSwitch {
	return &fakeSwitch{
		height:   800_000,
		circuits: make(map[uint64]*fakeCircuit),
		results:  make(map[uint64]*htlcswitch.PaymentResult),
		sends:    make(chan sent, 1000),
		quit:     make(chan struct{}),
	}
}

// restarted is the switch as a new process finds it.
func (s *fakeSwitch) restarted() *fakeSwitch {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := newFakeSwitch()
	next.nextID = (s.nextID/1000 + 1) * 1000
	next.results = maps.Clone(s.results)
	for id, c := range s.circuits {
		next.circuits[id] = &fakeCircuit{sent: c.sent, onWire: c.onWire, dead: !c.onWire}
	}
	return next
}

func (s *fakeSwitch) NextID() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	return s.nextID, nil
}

func (s *fakeSwitch) BestHeight() uint32 { return s.height }

func (s *fakeSwitch) SendHTLC(first lnwire.ShortChannelID, id uint64,
	add *lnwire.UpdateAddHTLC) error {

	msg := sent{id: id, scid: first, add: add}
	if s.before != nil {
		s.before(msg)
	}
	err := s.take(msg)
	if s.after != nil {
		s.after(msg)
	}
	s.sends <- msg
	return err
}

func (s *fakeSwitch) take(msg sent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.circuits[msg.id] != nil || s.results[msg.id] != nil {
		return htlcswitch.ErrDuplicateAdd
	}
	if s.refuse != nil {
		if err, limbo := s.refuse(msg); err != nil {
			if limbo {
				s.circuits[msg.id] = &fakeCircuit{sent: msg}
			}
			return err
		}
	}
	s.circuits[msg.id] = &fakeCircuit{sent: msg, onWire: true}
	return nil
}

func (s *fakeSwitch) GetAttemptResult(id uint64, _ lntypes.Hash, _ htlcswitch.ErrorDecrypter) (
	<-chan *htlcswitch.PaymentResult, error) {

	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan *htlcswitch.PaymentResult, 1)
	switch {
	case s.circuits[id] != nil:
		s.circuits[id].waits = append(s.circuits[id].waits, ch)
	case s.results[id] != nil:
		ch <- s.results[id]
	default:
		return nil, htlcswitch.ErrPaymentIDNotFound
	}
	return ch, nil
}

func (s *fakeSwitch) Circuit(id uint64) Circuit {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := s.circuits[id]; {
	case c == nil:
		return NoCircuit
	case c.dead:
		return DeadCircuit
	default:
		return LiveCircuit
	}
}

func (s *fakeSwitch) DropCircuit(id uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.circuits[id] == nil || !s.circuits[id].dead {
		return errors.New("only a dead circuit may be dropped")
	}
	delete(s.circuits, id)
	s.dropped = append(s.dropped, id)
	return nil
}

func (s *fakeSwitch) CleanStore(keep map[uint64]struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleaned = append(s.cleaned, keep)
	maps.DeleteFunc(s.results, func(id uint64, _ *htlcswitch.PaymentResult) bool {
		_, ok := keep[id]
		return !ok
	})
	return nil
}

// live are the ids of the HTLCs that are out, in order.
func (s *fakeSwitch) live() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.circuits))
}

// resolve gives an HTLC its result: with nil it is settled.
func (s *fakeSwitch) resolve(id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := &htlcswitch.PaymentResult{Error: err}
	if err == nil {
		result.Preimage = testPreimage
	}
	c := s.circuits[id]
	s.results[id] = result
	delete(s.circuits, id)
	for _, ch := range c.waits {
		ch <- result
	}
}

// next is the next HTLC that was handed over.
func (s *fakeSwitch) next(t *testing.T) sent {
	t.Helper()
	select {
	case msg := <-s.sends:
		return msg
	case <-t.Context().Done():
		require.FailNow(t, "no HTLC was sent")
		return sent{}
	}
}

func forwarding(source int, msg lnwire.FailureMessage) error {
	return htlcswitch.NewForwardingError(msg, source)
}
