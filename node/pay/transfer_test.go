package pay

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

const testAmount = lnwire.MilliSatoshi(100_000_000)

// testTransfer pays D in full over two channels of 60,000 sat.
func testTransfer() (transfer, view) {
	b := testBill(testAmount)
	v := view{height: 100, ways: findWays(b, []Channel{
		channel(1, 'P', 60_000_000), channel(2, 'Q', 60_000_000),
	}, node('U'))}
	return newTransfer(b, testAmount, limits{1_000_000, 10, time.Minute}, testNow), v
}

// netFault is a failure of the nth node of a route.
func netFault(source int, code lnwire.FailCode) fault {
	return fault{source: source, code: code}
}

func (t transfer) mustStep(tb testing.TB, now time.Time, ev event) (transfer, []int) {
	tb.Helper()
	next, send, err := t.step(now, ev)
	require.NoError(tb, err)
	return next, send
}

// describe is a payment in one line.
func (t transfer) describe() string {
	var parts []string
	for _, a := range t.attempts {
		parts = append(parts, fmt.Sprintf("%s %d over %d", a.status, a.amount,
			a.hops[0].scid.ToUint64()))
	}
	out := strings.TrimPrefix(fmt.Sprintf("%T", t.state), "pay.")
	switch s := t.state.(type) {
	case draining:
		out += fmt.Sprintf(" (%s: %s)", s.why.Code, s.why.Text)
	case failed:
		out += fmt.Sprintf(" (%s: %s)", s.why.Code, s.why.Text)
	}
	return out + " [" + strings.Join(parts, "; ") + "]"
}

// states are a payment in each of its states, with two parts of which the first has failed or
// settled where the state allows it.
func states(tb testing.TB) []transfer {
	fresh, v := testTransfer()
	sent, _ := fresh.mustStep(tb, testNow, begin{view: v})
	final := netFault(9, lnwire.CodeIncorrectOrUnknownPaymentDetails)
	drains, _ := sent.mustStep(tb, testNow, partFailed{attempt: 0, fault: final, view: v})
	isPaid, _ := sent.mustStep(tb, testNow, partSettled{attempt: 0, preimage: testPreimage})
	isFailed, _ := drains.mustStep(tb, testNow, partFailed{attempt: 1, fault: final, view: v})
	return []transfer{fresh, sent, drains, isPaid, isFailed}
}

// Every state meets every event; the golden file is the list of what happens.
func TestMatrix(t *testing.T) {
	_, v := testTransfer()
	late := testNow.Add(time.Hour)
	events := []struct {
		name string
		now  time.Time
		ev   event
	}{
		{"begin", testNow, begin{view: v}},
		{"begin without ways", testNow, begin{}},
		{"first part settled", testNow, partSettled{attempt: 0, preimage: testPreimage}},
		{"last part settled", testNow, partSettled{attempt: 1, preimage: testPreimage}},
		{"unknown part settled", testNow, partSettled{attempt: 2, preimage: testPreimage}},
		{"last part failed for now", testNow, partFailed{attempt: 1, view: v,
			fault: netFault(0, lnwire.CodeTemporaryChannelFailure)}},
		{"last part failed late", late, partFailed{attempt: 1, view: v,
			fault: netFault(1, lnwire.CodeTemporaryChannelFailure)}},
		{"last part failed for good", testNow, partFailed{attempt: 1, view: v,
			fault: netFault(9, lnwire.CodeIncorrectOrUnknownPaymentDetails)}},
		{"last part lost", testNow, partFailed{attempt: 1, view: v,
			fault: fault{kind: faultLost}}},
		{"tick", testNow, tick{}},
		{"tick at the deadline", testNow.Add(time.Minute), tick{}},
		{"resumed", testNow, resumed{}},
	}
	var out strings.Builder
	for _, state := range states(t) {
		fmt.Fprintf(&out, "%s\n", state.describe())
		for _, e := range events {
			before := state.describe()
			next, send, err := state.step(e.now, e.ev)
			require.Equal(t, before, state.describe(), "a step must not change the payment")
			if err != nil {
				require.ErrorIs(t, err, errUnexpected)
				require.Equal(t, before, next.describe())
				fmt.Fprintf(&out, "  %s: unexpected\n", e.name)
				continue
			}
			fmt.Fprintf(&out, "  %s: %s, send %v\n", e.name, next.describe(), send)
		}
	}
	golden(t, "matrix.golden", out.String())
}

// Each BOLT 4 failure, given by us, by the peer and by the recipient, for a payment with a second
// way: what is tried next, and what the person reads.
func TestFaults(t *testing.T) {
	b := testBill(10_000_000)
	v := view{height: 100, ways: findWays(b, []Channel{
		channel(1, 'P', 60_000_000), channel(2, 'Q', 60_000_000),
	}, node('U'))}
	fresh := newTransfer(b, 10_000_000, limits{1_000_000, 10, time.Minute}, testNow)
	sent, _ := fresh.mustStep(t, testNow, begin{view: v})
	codes := make([]lnwire.FailCode, 0, len(codeNames)+1)
	for code := range codeNames {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	faults := []fault{{kind: faultUnreadable}, {kind: faultLost},
		{kind: faultOurs, text: "no onion"}}
	for _, code := range append(codes, 999) {
		for source := range 4 {
			faults = append(faults, netFault(source, code))
		}
	}
	changed := netFault(1, lnwire.CodeFeeInsufficient)
	changed.update, changed.updated = &policy{base: 5000, delta: 40}, scid(1003)
	faults = append(faults, changed)

	var out strings.Builder
	for _, f := range faults {
		next, send := sent.mustStep(t, testNow, partFailed{attempt: 0, fault: f, view: v})
		name := codeNames[f.code]
		if name == "" {
			name = fmt.Sprintf("kind %d code %d", f.kind, f.code)
		}
		fmt.Fprintf(&out, "%s from %d: %s\n", name, f.source, next.attempts[0].failure.Text)
		for _, n := range send {
			a := next.attempts[n]
			fmt.Fprintf(&out, "  then %d over %d, %d hops, fee %d\n", a.amount,
				a.hops[0].scid.ToUint64(), len(a.hops), a.fee())
		}
		if len(send) == 0 {
			fmt.Fprintf(&out, "  then nothing\n")
		}
	}
	golden(t, "faults.golden", strings.ReplaceAll(strings.ReplaceAll(out.String(),
		node('P').String(), "P"), node('M').String(), "M"))
}

// The parts of one plan that fail for one reason count as one failure, or a set of four parts that
// an LSP gives back would bar the only way.
func TestPartsOfOnePlanCountOnce(t *testing.T) {
	b := testBill(100_000_000)
	var channels []Channel
	for n := range uint64(4) {
		channels = append(channels, channel(n+1, 'Q', 30_000_000))
	}
	v := view{height: 100, ways: findWays(b, channels, node('U'))}
	for _, f := range []fault{
		netFault(1, lnwire.CodeTemporaryChannelFailure),
		netFault(2, lnwire.CodeMPPTimeout),
		netFault(1, lnwire.CodeExpiryTooSoon),
	} {
		tr := newTransfer(b, 100_000_000, limits{5_000_000, 30, time.Minute}, testNow)
		tr, sent := tr.mustStep(t, testNow, begin{view: v})
		require.Len(t, sent, 4)
		for n := range 4 {
			tr, _ = tr.mustStep(t, testNow, partFailed{attempt: n, view: v, fault: f})
			require.IsType(t, sending{}, tr.state)
			require.Equal(t, 1, tr.notes.about(scid(1002)).fails)
		}
	}
}

// history drives a payment through random events and checks the promises after each step.
type history struct {
	t    *testing.T
	rng  *rand.Rand
	tr   transfer
	now  time.Time
	view view
	next uint64
}

func (h *history) check(before transfer, send []int) {
	t, tr := h.t, h.tr
	amount, fee, inFlight := tr.out()
	require.LessOrEqual(t, fee, tr.maxFee)
	require.LessOrEqual(t, amount, tr.amount)
	require.LessOrEqual(t, len(tr.attempts), maxAttempts)
	require.LessOrEqual(t, tr.live(), tr.maxParts)
	if !tr.bill.mpp {
		require.LessOrEqual(t, tr.live(), 1)
	}
	switch s := tr.state.(type) {
	case sending:
		require.Equal(t, tr.amount, amount, "what is out adds up to the amount")
		require.Positive(t, inFlight)
	case draining:
		require.Positive(t, inFlight, "a payment with nothing out has ended")
		require.Empty(t, send)
	case failed:
		require.Zero(t, amount, "a failed payment has paid nothing")
		require.Empty(t, send)
		require.NotEmpty(t, s.why.Text)
	case paid:
		require.Equal(t, testPreimage, s.preimage)
		require.Empty(t, send, "nothing is sent after the preimage")
	}
	require.Equal(t, tr.known(), !tr.ended.IsZero())
	if before.known() {
		require.IsType(t, before.state, tr.state, "an outcome is final")
		require.Equal(t, before.ended, tr.ended)
	}
	for n, a := range before.attempts {
		if a.status != InFlight {
			require.Equal(t, a, tr.attempts[n], "a resolved part stays as it is")
		}
		require.Equal(t, a.id, tr.attempts[n].id, "no attempt is lost")
	}
	raw, err := tr.encode()
	require.NoError(t, err)
	back, err := decodeTransfer(tr.index, raw)
	require.NoError(t, err)
	again, err := back.encode()
	require.NoError(t, err)
	require.Equal(t, string(raw), string(again))
	require.Equal(t, tr.over(), back.over())
}

func (h *history) apply(ev event) {
	before := h.tr
	next, send, err := h.tr.step(h.now, ev)
	require.NoError(h.t, err)
	for _, n := range send {
		require.GreaterOrEqual(h.t, n, len(before.attempts), "only new attempts are sent")
		h.next++
		next.attempts[n].id = h.next
		next.attempts[n].key = [32]byte{1}
	}
	require.Len(h.t, next.attempts, len(before.attempts)+len(send), "each new attempt is sent")
	h.tr = next
	h.check(before, send)
}

func (h *history) fault() fault {
	codes := []lnwire.FailCode{lnwire.CodeTemporaryChannelFailure,
		lnwire.CodeTemporaryChannelFailure, lnwire.CodeTemporaryChannelFailure,
		lnwire.CodeFeeInsufficient, lnwire.CodeUnknownNextPeer, lnwire.CodeTemporaryNodeFailure,
		lnwire.CodeExpiryTooSoon, lnwire.CodeMPPTimeout, lnwire.CodePermanentChannelFailure}
	f := netFault(h.rng.Intn(4), codes[h.rng.Intn(len(codes))])
	if h.rng.Intn(3) == 0 {
		f.updated = scid(1001 + uint64(h.rng.Intn(4)))
		f.update = &policy{base: lnwire.MilliSatoshi(h.rng.Intn(9000)),
			ppm: uint32(h.rng.Intn(9000)), delta: 40}
	}
	switch h.rng.Intn(20) {
	case 0:
		f.kind = faultUnreadable
	case 1:
		f.kind = faultLost
	case 2:
		f = netFault(9, lnwire.CodeIncorrectOrUnknownPaymentDetails)
	}
	return f
}

func TestRandomHistories(t *testing.T) {
	outcomes := make(map[string]int)
	retried := 0
	for seed := range int64(4000) {
		rng := rand.New(rand.NewSource(seed))
		c := randomCase(rng)
		b := testBill(c.amount)
		b.mpp = !c.noMPP
		h := &history{t: t, rng: rng, now: testNow,
			view: view{height: 100, ways: findWays(b, c.channels, node('U'))}}
		h.tr = newTransfer(b, c.amount,
			limits{c.budget, 1 + rng.Intn(MaxParts), time.Minute}, testNow)
		h.apply(begin{view: h.view})
		for steps := 0; !h.tr.over(); steps++ {
			require.Less(t, steps, 3*maxAttempts, "seed %d: the payment does not end", seed)
			h.now = h.now.Add(time.Duration(rng.Intn(3000)) * time.Millisecond)
			h.random()
		}
		outcomes[fmt.Sprintf("%T", h.tr.state)]++
		if len(h.tr.attempts) > h.tr.live()+3 {
			retried++
		}
		_, _, err := h.tr.step(h.now, partSettled{attempt: 0, preimage: testPreimage})
		require.ErrorIs(t, err, errUnexpected, "seed %d: settled after its end", seed)
	}
	require.Greater(t, outcomes["pay.paid"], 500)
	require.Greater(t, outcomes["pay.failed"], 500)
	require.Greater(t, retried, 100)
}

// random lets something happen.
func (h *history) random() {
	var inFlight []int
	for n, a := range h.tr.attempts {
		if a.status == InFlight {
			inFlight = append(inFlight, n)
		}
	}
	_, isSending := h.tr.state.(sending)
	switch {
	case isSending && h.rng.Intn(60) == 0:
		h.apply(resumed{})
	case isSending && !h.now.Before(h.tr.deadline):
		h.apply(tick{})
	case h.rng.Intn(6) == 0:
		h.apply(partSettled{attempt: inFlight[h.rng.Intn(len(inFlight))], preimage: testPreimage})
	default:
		h.apply(partFailed{attempt: inFlight[h.rng.Intn(len(inFlight))], fault: h.fault(),
			view: h.view})
	}
}
