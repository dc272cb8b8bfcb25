package peer

import (
	"sync"
	"time"
)

// outgoing is one encoded message. done, if any, gets nil when its bytes, and
// all before them, were handed to the network.
type outgoing struct {
	raw  []byte
	done chan<- error
}

// queue is what waits to be written to one peer: two lanes in memory, each with
// a limit. The lazy one moves only while the urgent one is empty.
type queue struct {
	more chan struct{} // tells the writer, capacity 1

	mu           sync.Mutex
	urgent, lazy lane // guarded by mu
}

type lane struct {
	items    []outgoing
	bytes    int
	maxItems int
	maxBytes int
	room     chan struct{} // not nil while somebody waits for room
}

// lazyShare is the part of the queue's room that the lazy lane has.
const lazyShare = 8

func newQueue(maxItems, maxBytes int) *queue {
	return &queue{
		more:   make(chan struct{}, 1),
		urgent: lane{maxItems: maxItems, maxBytes: maxBytes},
		lazy:   lane{maxItems: max(1, maxItems/lazyShare), maxBytes: maxBytes / lazyShare},
	}
}

// push queues messages together, in this order. It waits for room until quit or
// timeout (nil: for ever), and says whether they were queued. A group that is
// larger than the lane is let in when the lane is empty.
func (q *queue) push(
	l *lane, items []outgoing, quit <-chan struct{}, timeout <-chan time.Time,
) bool {
	for {
		room := q.tryPush(l, items)
		if room == nil {
			return true
		}
		select {
		case <-room:
		case <-quit:
			return false
		case <-timeout:
			return false
		}
	}
}

// tryPush queues messages, or returns a channel that is closed when it is worth
// trying again.
func (q *queue) tryPush(l *lane, items []outgoing) (room <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(l.items) > 0 && !l.fits(items) {
		if l.room == nil {
			l.room = make(chan struct{})
		}
		return l.room
	}
	q.add(l, items)
	return nil
}

// force queues one message of ours without a look at the limit. Callers have one
// such message at a time.
func (q *queue) force(item outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(&q.urgent, []outgoing{item})
}

func (q *queue) add(l *lane, items []outgoing) {
	for _, item := range items {
		l.items = append(l.items, item)
		l.bytes += len(item.raw)
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// pop takes the next message to write.
func (q *queue) pop() (outgoing, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range []*lane{&q.urgent, &q.lazy} {
		if len(l.items) > 0 {
			return l.pop(), true
		}
	}
	return outgoing{}, false
}

func (l *lane) fits(items []outgoing) bool {
	bytes := l.bytes
	for _, item := range items {
		bytes += len(item.raw)
	}
	return len(l.items)+len(items) <= l.maxItems && bytes <= l.maxBytes
}

func (l *lane) pop() outgoing {
	item := l.items[0]
	l.items[0] = outgoing{} // else the array keeps its bytes
	l.items = l.items[1:]
	l.bytes -= len(item.raw)
	if len(l.items) == 0 {
		l.items = nil
	}
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	return item
}
