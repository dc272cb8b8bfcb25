package chanfactory

import (
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// maxQueued limits the messages of a peer that wait for its worker. The peer's read loop waits
// for a place, so that a peer can't make us store more.
const maxQueued = 32

// worker does everything that concerns one peer's channels, one thing after the other: it may
// wait for the disk, the peer's read loop may not. It lives while there is something to do.
type worker struct {
	f   *Factory
	key [33]byte
	log *slog.Logger

	queue []task        // guarded by f.mu
	wake  chan struct{} // one place; a task has come
	slots chan struct{} // a place for each message in the queue
	block bool          // guarded by f.mu; a block is in the queue

	// The rest belongs to the worker's goroutine.
	conn     Peer // nil while the peer is away
	openings map[[32]byte]*opening
	channels map[lnwire.ChannelID]*channel
	closings map[lnwire.ChannelID]*closing
	inbound  int // what it has in f.inbound
	timerAt  time.Time
	timer    <-chan time.Time
}

// task is one thing to do, in the worker's goroutine.
type task func(*worker)

func newWorker(f *Factory, key [33]byte) *worker {
	return &worker{
		f: f, key: key, log: f.log.With("peer", hex.EncodeToString(key[:])),
		wake: make(chan struct{}, 1), slots: make(chan struct{}, maxQueued),
		openings: map[[32]byte]*opening{},
		channels: map[lnwire.ChannelID]*channel{},
		closings: map[lnwire.ChannelID]*closing{},
	}
}

// post gives a peer's worker a task; false when the factory is not running. It never blocks: what
// posts is limited by what exists. Messages, which are not, go through Handle.
func (f *Factory) post(key [33]byte, t task) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.workerFor(key)
	if w == nil {
		return false
	}
	w.add(t)
	return true
}

// workerFor finds or starts a worker; nil when the factory is not running. The caller holds f.mu.
func (f *Factory) workerFor(key [33]byte) *worker {
	if !f.running {
		return nil
	}
	w, ok := f.workers[key]
	if !ok {
		w = newWorker(f, key)
		f.workers[key] = w
		f.wg.Go(w.routineWork)
	}
	return w
}

// add queues a task. The caller holds f.mu.
func (w *worker) add(t task) {
	w.queue = append(w.queue, t)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Handle takes a message that is not a link's: open_channel, accept_channel, funding_created,
// funding_signed, channel_ready, shutdown, closing_signed, error and warning. It returns at once
// unless many messages of this peer are waiting; then it waits for a place, which holds up the
// reading from this peer.
func (f *Factory) Handle(p Peer, m lnwire.Message) {
	f.mu.Lock()
	w := f.workerFor(p.PubKey())
	f.mu.Unlock()
	if w == nil {
		return
	}
	select {
	case w.slots <- struct{}{}:
	case <-p.QuitSignal():
		return
	case <-f.quit:
		return
	}
	// The worker may have ended meanwhile, and another one have begun.
	f.post(p.PubKey(), func(now *worker) {
		<-w.slots
		now.message(p, m)
	})
}

// routineWork runs until there is nothing left to do, or the factory stops. Run waits for it.
func (w *worker) routineWork() {
	for {
		t, ok := w.next()
		if !ok {
			return
		}
		t(w)
		w.count()
	}
}

// next waits for a task or a deadline. It is false when the worker is to end.
func (w *worker) next() (task, bool) {
	for {
		w.f.mu.Lock()
		if len(w.queue) > 0 {
			t := w.queue[0]
			w.queue = w.queue[1:]
			w.f.mu.Unlock()
			return t, true
		}
		if w.idle() || !w.f.running {
			delete(w.f.workers, w.key)
			w.f.mu.Unlock()
			w.stop()
			return nil, false
		}
		w.f.mu.Unlock()

		select {
		case <-w.wake:
		case <-w.f.quit:
		case now := <-w.deadline():
			w.timerAt = time.Time{}
			return func(w *worker) { w.tick(now) }, true
		}
	}
}

// idle says that the worker can be forgotten.
func (w *worker) idle() bool {
	return w.conn == nil && len(w.openings) == 0 && len(w.channels) == 0 && len(w.closings) == 0
}

// deadline is a channel that fires at the earliest deadline of all that the worker does.
func (w *worker) deadline() <-chan time.Time {
	var first time.Time
	earliest := func(at time.Time, ok bool) {
		if ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, o := range w.openings {
		earliest(o.machine.Deadline())
	}
	for _, c := range w.channels {
		earliest(c.machine.Deadline())
	}
	switch {
	case first.IsZero():
		w.timer = nil
	case !first.Equal(w.timerAt):
		w.timer = w.f.clock.TickAfter(first.Sub(w.f.clock.Now()))
	}
	w.timerAt = first
	return w.timer
}

// tick tells every machine that time has passed.
func (w *worker) tick(now time.Time) {
	for _, o := range w.openings {
		if at, ok := o.machine.Deadline(); ok && !now.Before(at) {
			w.drive(o, funding.Tick{})
		}
	}
	for _, c := range w.channels {
		if at, ok := c.machine.Deadline(); ok && !now.Before(at) {
			w.step(c, funding.RenewTick{})
		}
	}
}

// count keeps the number of the peers' unconfirmed channels up to date.
func (w *worker) count() {
	n := 0
	for _, o := range w.openings {
		if !o.ours() {
			n++
		}
	}
	for _, c := range w.channels {
		if c.counts() {
			n++
		}
	}
	w.f.inbound.Add(int64(n - w.inbound))
	w.inbound = n
}

// stop ends what can't outlive the process: openings that the peer has not signed.
func (w *worker) stop() {
	for _, o := range w.openings {
		w.drive(o, funding.Cancelled{Reason: "the node is stopping"})
	}
	w.count()
}

// online takes a new connection.
func (w *worker) online(p Peer) {
	if w.conn != nil {
		w.gone(w.conn)
	}
	w.conn = p
	for _, c := range w.channels {
		_, _, linked := w.f.cfg.Links.Find(c.id)
		w.step(c, funding.PeerOnline{Linked: linked})
		w.markReal(c)
	}
	w.resumeCloses()
}

// gone ends what a connection carried.
func (w *worker) gone(p Peer) {
	if w.conn == nil || w.conn.ID() != p.ID() {
		return
	}
	w.conn = nil
	for _, o := range w.openings {
		w.drive(o, funding.Disconnected{})
	}
	for _, c := range w.closings {
		c.suspend()
	}
	for _, c := range w.channels {
		w.markReal(c)
	}
}

// send sends to the peer if it is there; a message that is lost with the connection is made again
// after the next one is up, or was for something that the connection's end has ended.
func (w *worker) send(m lnwire.Message) {
	if w.conn == nil {
		return
	}
	if err := w.conn.SendMessage(false, m); err != nil {
		w.log.Debug("cannot send", "msg", m.MsgType().String(), "err", err)
	}
}

func (w *worker) sendError(id lnwire.ChannelID, text string) {
	w.send(&lnwire.Error{ChanID: id, Data: lnwire.ErrorData(text)})
}

// emit reports to our caller.
func (w *worker) emit(e Event) { w.f.cfg.Events(e) }
