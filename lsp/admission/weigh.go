package admission

import (
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

const (
	day = 24 * time.Hour

	// overdue is when a payment that is under way counts as not made. One takes less than a
	// second, unless the client leaves it lying: it may for as long as the HTLCs last.
	overdue = 10 * time.Minute
)

// weight is what an order counts for, and what an account has together.
type weight struct {
	waiting   int            // without a channel
	underWay  int            // funded, or about to be, and its payment is under way
	hopeful   int            // a payment is under way, whoever trusts whom
	unpaid    int            // funded and not paid for
	recent    int            // unpaid within the window
	opens     int            // of the last 24 hours
	broadcast int            // opens that were not withheld and dropped
	atRisk    btcutil.Amount // in channels that are not paid for
}

func (w *weight) add(o weight, sign int) {
	w.waiting += sign * o.waiting
	w.underWay += sign * o.underWay
	w.hopeful += sign * o.hopeful
	w.unpaid += sign * o.unpaid
	w.recent += sign * o.recent
	w.opens += sign * o.opens
	w.broadcast += sign * o.broadcast
	w.atRisk += btcutil.Amount(sign) * o.atRisk
}

// weigh says what the order counts for at this time, and when that changes by itself; zero: never.
func (e *entry) weigh(now time.Time, window time.Duration) (w weight, next time.Time) {
	o := e.order
	until := func(end time.Time) bool {
		if !now.Before(end) {
			return false
		}
		if next.IsZero() || end.Before(next) {
			next = end
		}
		return true
	}
	if o.Stage == Waiting || o.Stage == Opening && !e.reserved {
		w.waiting = 1
	}
	if !o.OpenedAt.IsZero() && until(o.OpenedAt.Add(day)) {
		w.opens = e.opens
		// What waits again has lost its channel, which was withheld.
		if o.Stage != Ended && o.Stage != Waiting && o.Stage != Opening && !o.Withheld {
			w.broadcast = 1
		}
	}
	switch o.Stage {
	case Opening:
		if e.reserved {
			w.atRisk, w.hopeful = o.Capacity, 1
			w.underWay = unless(o.Trusting)
		}

	case Opened:
		w.atRisk = o.Capacity
		switch {
		case until(o.OpenedAt.Add(overdue)):
			w.hopeful, w.underWay = 1, unless(o.Withheld)
		case o.Withheld:
		default:
			w.unpaid = 1
			if until(o.OpenedAt.Add(overdue + window)) {
				w.recent = 1
			}
		}

	case Owed:
		w.atRisk, w.unpaid = o.Capacity, 1
		if until(o.OwedAt.Add(window)) {
			w.recent = 1
		}

	case Lost, Waived:
		if until(o.OwedAt.Add(window)) {
			w.unpaid, w.recent = 1, 1
		}

	case Waiting, Paid, Ended:
	}
	return w, next
}

func unless(b bool) int {
	if b {
		return 0
	}
	return 1
}
