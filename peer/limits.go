package peer

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// strangerIdle is how long a stranger must have been idle to be evicted, and
	// strangerTurn how long it may keep its place by being busy: some hundred that are
	// busy for ever must not keep all others out for ever.
	strangerIdle = 10 * time.Second
	strangerTurn = 6 * time.Second
	// askAgainStranger and askAgainKnown are how long an answer of Config.KnownPeer
	// holds. It may cost a look into a database, and a newcomer has all of the connected
	// counted: without this a flood of newcomers would keep the node busy with that.
	askAgainStranger = 2 * time.Second
	askAgainKnown    = time.Minute
	// readBurst is how many seconds' worth of Limits.ReadRate may come at once.
	readBurst = 4
)

// Limits bounds what peers can make us spend. A zero field takes its default.
type Limits struct {
	// Strangers is how many inbound peers without channels may be connected
	// (those for which Config.KnownPeer is false). Default 100. When they are
	// all there, the one that has been idle for longest makes room if it has
	// been idle for 10 seconds at least, else the one that has been connected for
	// longest after 6 seconds at least; else the newcomer is refused. Peers with
	// channels, and peers that we dialled, are neither counted nor evicted.
	Strangers int
	// Handshakes is how many inbound connections may be between TCP accept and
	// Connected. Default 200. A newer one takes the room of the oldest, so that
	// silent sockets cannot keep honest nodes out.
	Handshakes int
	// Dials is how many reconnects may be dialling at once. Default 32.
	Dials int
	// QueueBytes and QueueMessages bound what waits to be written to one peer.
	// Defaults 4 MiB and 4096. Who sends more waits for room, at most Write.
	QueueBytes, QueueMessages int
	// ReadRate is how many bytes a second a stranger may send us for long, with
	// bursts of four times as many. Default 128 KiB. We read no faster than that.
	ReadRate int

	// Handshake is the time from TCP connect to the end of both init. Default 15 s.
	Handshake time.Duration
	// Write is the time in which a peer must take one message. Default 5 s.
	Write time.Duration
	// Idle is the time without any message after which a peer is gone. Default 5 min.
	Idle time.Duration
	// Ping is the time between two pings, Pong the time to answer one. Defaults
	// 30 s and 20 s: a silent peer is found within a minute.
	Ping, Pong time.Duration
	// BackoffMin and BackoffMax are the first and the longest wait between two
	// attempts to reconnect. Defaults 1 s and 5 min.
	BackoffMin, BackoffMax time.Duration
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Strangers:     cmp.Or(l.Strangers, 100),
		Handshakes:    cmp.Or(l.Handshakes, 200),
		Dials:         cmp.Or(l.Dials, 32),
		QueueBytes:    cmp.Or(l.QueueBytes, 4<<20),
		QueueMessages: cmp.Or(l.QueueMessages, 4096),
		ReadRate:      cmp.Or(l.ReadRate, 128<<10),
		Handshake:     cmp.Or(l.Handshake, 15*time.Second),
		Write:         cmp.Or(l.Write, 5*time.Second),
		Idle:          cmp.Or(l.Idle, 5*time.Minute),
		Ping:          cmp.Or(l.Ping, 30*time.Second),
		Pong:          cmp.Or(l.Pong, 20*time.Second),
		BackoffMin:    cmp.Or(l.BackoffMin, time.Second),
		BackoffMax:    cmp.Or(l.BackoffMax, 5*time.Minute),
	}
}

// valid says that no limit is negative or contradicts another.
func (l Limits) valid() bool {
	for _, n := range []int{
		l.Strangers, l.Handshakes, l.Dials, l.QueueBytes, l.QueueMessages, l.ReadRate,
	} {
		if n <= 0 {
			return false
		}
	}
	for _, d := range []time.Duration{
		l.Handshake, l.Write, l.Idle, l.Ping, l.Pong, l.BackoffMin,
	} {
		if d <= 0 {
			return false
		}
	}
	return l.BackoffMax >= l.BackoffMin
}

// handshakes are the inbound connections between TCP accept and Connected.
type handshakes struct {
	limit int

	mu  sync.Mutex
	all list.List // of context.CancelCauseFunc, oldest first; guarded by mu
}

// enter adds one, at the cost of the oldest when there are too many: an honest
// handshake takes a few round trips, so the oldest is the one that stalls.
func (h *handshakes) enter(cancel context.CancelCauseFunc) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all.Len() >= h.limit {
		oldest := h.all.Remove(h.all.Front()).(context.CancelCauseFunc)
		oldest(ErrTooManyHandshakes)
	}
	entry := h.all.PushBack(cancel)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all.Remove(entry) // no-op for one that has made room
	}
}

// standing is what Config.KnownPeer said of a connection's node, and when.
type standing struct {
	known bool
	asked time.Time
}

// ask asks KnownPeer, unless the last answer is younger than age. The caller holds
// Manager.admission.
func (c *Conn) ask(now time.Time, known func([33]byte) bool, age time.Duration) bool {
	if s := c.standing; s.asked.IsZero() || now.Sub(s.asked) >= age {
		c.standing = standing{known(c.pub), now}
	}
	return c.standing.known
}

// evict picks the stranger to make room for one more: nil if there is room. It
// returns ErrTooManyPeers when all are in use. The caller holds Manager.admission.
func evict(inbound []*Conn, known func([33]byte) bool, limit int) (*Conn, error) {
	now := time.Now()
	strangers := slices.DeleteFunc(inbound, func(c *Conn) bool {
		age := askAgainStranger
		if c.standing.known {
			age = askAgainKnown
		}
		return c.ended() || c.ask(now, known, age)
	})
	for len(strangers) >= limit {
		victim := choose(now, strangers)
		switch {
		case victim == nil:
			return nil, ErrTooManyPeers
		case !victim.ask(now, known, 0):
			return victim, nil
		}
		// It became known since it was asked.
		strangers = slices.DeleteFunc(strangers, func(c *Conn) bool { return c == victim })
	}
	return nil, nil
}

// choose picks who has to go: the idlest, or else the one that was here first.
func choose(now time.Time, strangers []*Conn) *Conn {
	idlest := slices.MinFunc(strangers, func(a, b *Conn) int {
		return cmp.Compare(a.active.Load(), b.active.Load())
	})
	first := slices.MinFunc(strangers, func(a, b *Conn) int { return cmp.Compare(a.id, b.id) })
	switch {
	case idlest.idle() >= strangerIdle:
		return idlest
	case now.Sub(first.since) >= strangerTurn:
		return first
	}
	return nil
}
