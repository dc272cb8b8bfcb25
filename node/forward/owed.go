package forward

import (
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/ticker"
)

// owedTicker is the batch ticker of a link that may begin with a signature to give.
//
// A process that dies between the revocation of its old commitment and the signature
// of the peer's new one owes that signature when it comes back. lnd's link makes up for
// it only where the peer missed the revocation too; else it signs with the next update
// of its own, and until one comes the peer's HTLC is in one commitment and not in the
// other: nobody can settle it, fail it or forward it, and at its expiry the channel
// goes on chain. A tick makes the link sign.
//
// The link asks for the channel of ticks each time that it waits, in its own goroutine.
type owedTicker struct {
	ticker.Ticker

	owes func() bool // whether the link owes a signature

	mu    sync.Mutex
	first chan time.Time
	over  bool // guarded by mu; the link owes nothing from before any more
}

func newOwedTicker(owes func() bool) *owedTicker {
	t := &owedTicker{
		Ticker: ticker.New(batchTick), owes: owes, first: make(chan time.Time, 1),
	}
	t.first <- time.Time{}
	return t
}

// Ticks implements ticker.Ticker.
func (t *owedTicker) Ticks() <-chan time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Taken, the tick was acted on: from then on a revocation makes the link sign. BOLT 2
	// forbids a signature without a change, so it is withdrawn when another has come first.
	if t.over = t.over || len(t.first) == 0 || !t.owes(); t.over {
		return t.Ticker.Ticks()
	}
	return t.first
}

// again gives another tick to a link that owes a signature. The link sees it when it
// waits the next time.
func (t *owedTicker) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case t.first <- time.Time{}:
	default:
	}
	t.over = false
}
