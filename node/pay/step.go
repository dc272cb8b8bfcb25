package pay

import (
	"fmt"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// step gives the payment after an event, and which of its attempts are new and must be sent, by
// their places in attempts. It has no effects of its own. The error is errUnexpected.
func (t transfer) step(now time.Time, ev event) (next transfer, send []int, err error) {
	switch e := ev.(type) {
	case begin:
		if _, ok := t.state.(sending); !ok || len(t.attempts) > 0 {
			return t, nil, errUnexpected
		}
		next, send = t.plan(now, e.view, nil)

	case partSettled:
		if !t.awaits(e.attempt) {
			return t, nil, errUnexpected
		}
		next = t.settle(now, e)

	case partFailed:
		if !t.awaits(e.attempt) {
			return t, nil, errUnexpected
		}
		next, send = t.fail(now, e)

	case tick:
		if _, ok := t.state.(sending); !ok || now.Before(t.deadline) {
			return t, nil, errUnexpected
		}
		next = t.drain(now, t.timedOut())

	case resumed:
		if _, ok := t.state.(sending); !ok {
			return t, nil, errUnexpected
		}
		// Whoever asked for the payment is gone with the last run, so nothing new is tried.
		next = t.drain(now, Failure{Source: sourceUs, Text: "the node was restarted before " +
			"the payment had ended: pay again if it fails"})

	default:
		return t, nil, errUnexpected
	}
	return next, send, nil
}

// awaits says whether an attempt's result is still to come.
func (t transfer) awaits(n int) bool {
	return n >= 0 && n < len(t.attempts) && t.attempts[n].status == InFlight
}

// settle: one preimage proves the whole payment. A recipient that settles a part has given away the
// right to call the payment unpaid, so parts that are still out don't matter for the outcome.
func (t transfer) settle(now time.Time, e partSettled) transfer {
	t = t.withAttempt(e.attempt, func(a *attempt) { a.status = Succeeded })
	if _, ok := t.state.(paid); !ok {
		t.state = paid{preimage: e.preimage}
		t.ended = now
	}
	return t
}

// fail: the part is tried again by another plan, as long as that makes sense.
func (t transfer) fail(now time.Time, e partFailed) (transfer, []int) {
	part := t.attempts[e.attempt]
	why := e.fault.failure(part.hops)
	t = t.withAttempt(e.attempt, func(a *attempt) { a.status, a.failure = Failed, why })
	switch s := t.state.(type) {
	case sending:
		var final bool
		t.notes, final = t.notes.learn(lesson{
			fault: e.fault,
			part:  part,
			index: e.attempt,
			next:  len(t.attempts),
			mpp:   t.bill.mpp,
		})
		switch {
		case final:
			return t.drain(now, *why), nil

		case !now.Before(t.deadline):
			return t.drain(now, t.timedOut()), nil
		}
		return t.plan(now, e.view, why)

	case draining:
		return t.drain(now, s.why), nil

	default: // paid: the recipient has given up part of its money.
		return t, nil
	}
}

// plan splits what is not under way over the ways there are. If that can't be done the payment has
// failed: because of last, if a part has failed before.
func (t transfer) plan(now time.Time, v view, last *Failure) (transfer, []int) {
	amount, fee, _ := t.out()
	slots := min(t.maxParts-t.live(), maxAttempts-len(t.attempts))
	legs, problem := split(task{
		amount: t.amount - amount,
		budget: t.maxFee - min(fee, t.maxFee),
		parts:  slots,
		mpp:    t.bill.mpp,
		ways:   v.ways,
		notes:  t.notes,
	})
	if problem != "" {
		why := Failure{Source: sourceUs, Text: problem}
		if last != nil {
			why = *last
			why.Text = fmt.Sprintf("%s; then: %s", last.Text, problem)
		}
		return t.drain(now, why), nil
	}
	t.attempts = slices.Clone(t.attempts)
	send := make([]int, len(legs))
	for n, l := range legs {
		send[n] = len(t.attempts)
		t.attempts = append(t.attempts, attempt{
			amount: l.amount,
			hops:   l.way.hops(l.amount, v.height, t.bill.delta, t.bill.dest),
			status: InFlight,
		})
	}
	return t, send
}

// live counts the parts that did not fail.
func (t transfer) live() int {
	n := 0
	for _, a := range t.attempts {
		if a.status != Failed {
			n++
		}
	}
	return n
}

// drain ends the payment: at once if nothing is out, else with its last part.
func (t transfer) drain(now time.Time, why Failure) transfer {
	if _, _, inFlight := t.out(); inFlight > 0 {
		t.state = draining{why: why}
		return t
	}
	t.state = failed{why: why}
	t.ended = now
	return t
}

// timedOut is the failure of a payment whose deadline has passed.
func (t transfer) timedOut() Failure {
	why := Failure{Source: sourceUs, Text: fmt.Sprintf("no success within %s",
		t.deadline.Sub(t.created).Round(time.Second))}
	for _, a := range slices.Backward(t.attempts) {
		if a.failure != nil {
			why.Code, why.Source = a.failure.Code, a.failure.Source
			why.Text += "; before: " + a.failure.Text
			break
		}
	}
	return why
}

// limits are how much a payment may cost, in how many parts it may go, and for how
// long new attempts are made.
type limits struct {
	maxFee   lnwire.MilliSatoshi
	maxParts int
	timeout  time.Duration
}

// newTransfer is a payment that has not begun.
func newTransfer(b bill, amount lnwire.MilliSatoshi, l limits, now time.Time) transfer {
	return transfer{
		bill:     b,
		amount:   amount,
		maxFee:   l.maxFee,
		maxParts: l.maxParts,
		created:  now,
		deadline: now.Add(l.timeout),
		state:    sending{},
	}
}
