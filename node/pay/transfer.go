package pay

import (
	"errors"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// maxAttempts bounds the parts of one payment, failed ones included.
const maxAttempts = 64

// transfer is one payment as a value: everything that it is, knows and has tried.
type transfer struct {
	index    uint64 // given by the store
	bill     bill
	amount   lnwire.MilliSatoshi // for the recipient
	maxFee   lnwire.MilliSatoshi
	maxParts int
	created  time.Time
	deadline time.Time // no new attempts from then on

	state    state
	attempts []attempt
	ended    time.Time // when the outcome was known
	notes    notes     // not stored: after a restart nothing new is tried
}

// state is what a payment awaits, or its outcome.
type state interface{ state() }

type (
	// sending: parts are out, and failed ones are tried again.
	sending struct{}

	// draining: the payment has failed for the reason given, and ends when no part is out any
	// more. Until then a part may still settle.
	draining struct{ why Failure }

	// paid: the preimage is known. Parts may still be out.
	paid struct{ preimage lntypes.Preimage }

	// failed: nothing is out and nothing was paid.
	failed struct{ why Failure }
)

func (sending) state()  {}
func (draining) state() {}
func (paid) state()     {}
func (failed) state()   {}

// event is what happens to a payment.
type event interface{ event() }

type (
	// begin is the first event.
	begin struct{ view view }

	// partSettled: the HTLC of an attempt was settled.
	partSettled struct {
		attempt  int
		preimage lntypes.Preimage
	}

	// partFailed: the HTLC of an attempt was failed or was never sent. The view serves for trying
	// another way.
	partFailed struct {
		attempt int
		fault   fault
		view    view
	}

	// tick: time has passed.
	tick struct{}

	// resumed: the node has restarted.
	resumed struct{}
)

func (begin) event()       {}
func (partSettled) event() {}
func (partFailed) event()  {}
func (tick) event()        {}
func (resumed) event()     {}

// view is what a plan needs to know of the world.
type view struct {
	height uint32
	ways   []way
}

// attempt is one part.
type attempt struct {
	// id and key are given after the step that makes the attempt, and stored with it before the
	// HTLC is sent: the switch's number and the onion's session key.
	id  uint64
	key [32]byte

	amount  lnwire.MilliSatoshi // for the recipient
	hops    []routeHop
	status  Status
	failure *Failure
}

// fee is what the route costs above the amount.
func (a attempt) fee() lnwire.MilliSatoshi { return a.hops[0].amount - a.amount }

// errUnexpected: the event does not belong to the payment as it stands, which is as it was.
var errUnexpected = errors.New("pay: unexpected event")

// out is what parts that did not fail carry and cost, and how many of them are still in flight.
func (t transfer) out() (amount, fee lnwire.MilliSatoshi, inFlight int) {
	for _, a := range t.attempts {
		if a.status == Failed {
			continue
		}
		amount += a.amount
		fee += a.fee()
		if a.status == InFlight {
			inFlight++
		}
	}
	return amount, fee, inFlight
}

// over says whether nothing more will happen to the payment.
func (t transfer) over() bool {
	_, _, inFlight := t.out()
	switch t.state.(type) {
	case paid, failed:
		return inFlight == 0
	default:
		return false
	}
}

// known says whether the outcome is known.
func (t transfer) known() bool {
	switch t.state.(type) {
	case paid, failed:
		return true
	default:
		return false
	}
}

// view is the payment as this package shows it.
func (t transfer) view() Payment {
	p := Payment{
		Index:       t.index,
		Hash:        t.bill.hash,
		Bolt11:      t.bill.bolt11,
		Status:      InFlight,
		Amount:      t.amount,
		Destination: t.bill.dest,
		Created:     t.created,
		Ended:       t.ended,
		Parts:       make([]Part, len(t.attempts)),
	}
	_, p.Fee, _ = t.out()
	for n, a := range t.attempts {
		p.Parts[n] = Part{Status: a.status, Amount: a.amount, Fee: a.fee(),
			Channel: a.hops[0].scid, Failure: a.failure}
	}
	switch s := t.state.(type) {
	case paid:
		p.Status, p.Preimage = Succeeded, &s.preimage
	case failed:
		p.Status, p.Failure = Failed, &s.why
	case draining:
		p.Failure = &s.why
	}
	return p
}

// withAttempt gives the transfer with one attempt changed.
func (t transfer) withAttempt(n int, change func(*attempt)) transfer {
	t.attempts = slices.Clone(t.attempts)
	change(&t.attempts[n])
	return t
}
