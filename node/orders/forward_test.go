package orders

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// TestForwardWaitsForThePayer: lnd's switch fails a forward whose incoming link is
// down, and the channel that was opened for it would be owed for.
func TestForwardWaitsForThePayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.signed()
		w.payer(false)
		w.usable(3)
		w.want("alias " + jitScid.String())
		w.usable(3) // some other link
		w.want()
		w.payer(true)
		w.usable(3)
		w.want("forward 1: 980000 msat, extra_fee 0000000000004e20")
		w.usable(3)
		w.want()
	})
}

func (w *world) payer(there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.payerGone = !there
}

func (w *world) client(there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clientGone = !there
}

// TestForwardIsStuck: a link that stays down does not hold the payment for ever.
func TestForwardIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.signed()
		w.client(false)
		time.Sleep(60 * time.Second) // virtual: the hold began with the part
		w.usable(3)
		w.want("alias " + jitScid.String())
		time.Sleep(29 * time.Second)
		w.want()
		time.Sleep(2 * time.Second)
		w.want("fail 1: TemporaryChannelFailure")
		w.state("owed")
		w.client(true)
		w.usable(3)
		w.want()
	})
}

// TestCrashBeforeTheForwardLeft: the record says forwarded and the switch knows
// nothing. The part waits for the client again and leaves once.
func TestCrashBeforeTheForwardLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.signed()
		w.usable(3)
		w.want("alias "+jitScid.String(), "forward 1: 980000 msat, extra_fee 0000000000004e20")
		w.stop()

		w.forwarded = map[models.CircuitKey]bool{}
		w.fundings["o1"] = jit.Funding{Point: funding}
		w.clientGone = true
		w.start()
		w.part(1, 1_000_000)
		w.want("alias " + jitScid.String()) // the client is not there
		w.client(true)
		w.desk.ClientOnline(client, 1)
		w.usable(1)
		w.want("forward 1: 980000 msat, extra_fee 0000000000004e20")
	})
}

// TestClientBackBeforeThePayer: after a restart the channel can be used before the
// payer's link has offered the part again. Nothing is held in the switch yet, and that
// is no failure of the part.
func TestClientBackBeforeThePayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.signed()
		w.stop()

		w.fundings["o1"] = jit.Funding{Point: funding}
		w.start()
		w.desk.ClientOnline(client, 1)
		w.usable(1)
		w.want("alias " + jitScid.String())
		w.part(1, 1_000_000)
		w.want("forward 1: 980000 msat, extra_fee 0000000000004e20")
	})
}

// TestPayerBackTooLate: the payers are away when the node has started. What was to be sent on
// ends with its hold, and is failed when it is offered again at last: a part that leaves hours
// later would be held by the client, which waits for the others.
func TestPayerBackTooLate(t *testing.T) {
	for name, forwarded := range map[string]bool{
		"the record said so, and nothing left": true, "the channel was to be used": false,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer func() { w.close() }()
				w.sell(1_000_000)
				w.desk.ClientOnline(client, 3)
				w.part(1, 400_000)
				w.part(2, 600_000)
				w.want("open for 980000 msat in 2 parts, attempt 1")
				w.desk.Funding("o1", jit.OpenSigned{Point: funding})
				if forwarded {
					w.usable(3)
				}
				synctest.Wait()
				w.stop()

				w.log, w.forwarded = nil, map[models.CircuitKey]bool{}
				w.fundings["o1"] = jit.Funding{Point: funding}
				w.start()
				w.desk.ClientOnline(client, 1)
				w.usable(1)
				w.want("alias " + jitScid.String())
				time.Sleep(2 * time.Hour) // virtual
				w.want("fail 1: TemporaryChannelFailure", "fail 2: TemporaryChannelFailure")
				w.state("owed")
				w.part(1, 400_000)
				w.want("fail 1: TemporaryChannelFailure")
			})
		})
	}
}

// TestOfferedAgainAtTheEnd: the process comes back after the hold, and the part is offered
// before anything else happens.
func TestOfferedAgainAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.signed()
		w.usable(3)
		synctest.Wait()
		w.stop()
		w.log, w.forwarded = nil, map[models.CircuitKey]bool{}
		w.fundings["o1"] = jit.Funding{Point: funding}
		time.Sleep(2 * time.Hour) // virtual
		w.start()
		w.part(1, 1_000_000)
		w.desk.ClientOnline(client, 1)
		w.usable(1)
		synctest.Wait()
		for _, line := range w.log {
			if strings.HasPrefix(line, "forward") {
				t.Errorf("after two hours the desk did: %s", line)
			}
		}
		w.state("owed")
	})
}

// TestPayerClosesBeforeTheStart: the payer's channel is being closed on chain when the node
// starts, so that its HTLCs are in no open channel. The one that the client has can still be
// claimed and paid for; the one that is held can't be forwarded any more.
func TestPayerClosesBeforeTheStart(t *testing.T) {
	for _, claimed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer func() { w.close() }()
			w.signed()
			w.usable(3)
			w.want("alias "+jitScid.String(), "forward 1: 980000 msat, extra_fee 0000000000004e20")
			w.incoming[key(2)] = true
			w.offerAny(htlcswitch.InterceptedPacket{
				IncomingCircuit: key(2), OutgoingChanID: jitScid, Hash: lntypes.Hash{6},
				IncomingAmount: 500_000, OutgoingAmount: 500_000,
				IncomingExpiry: 1100, OutgoingExpiry: 900,
			})
			w.want()
			w.stop()

			clear(w.incoming)
			w.unresolved = map[models.CircuitKey]bool{key(1): true}
			w.fundings["o1"] = jit.Funding{Point: funding}
			w.start()
			w.want("alias " + jitScid.String())
			w.state("awaiting_claim")
			if held := w.record().Order.Held(); len(held) != 0 {
				t.Errorf("%d parts are held of a channel that is being closed", len(held))
			}
			if claimed {
				w.settled(1)
				w.state("paid")
				return
			}
			w.htlcs.NotifyFinalHtlcEvent(key(1), channeldb.FinalHtlcInfo{})
			w.state("owed")
		})
	}
}

// TestOfferWhileStopping: an HTLC of an order is never passed on to the switch.
func TestOfferWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.stop()
		w.part(1, 1_000_000)
		w.want()
		w.start()
	})
}

// TestStopWaitsForTheLink: a forward that the switch has and no link has taken would be
// failed by the switch once the client's link is gone.
func TestStopWaitsForTheLink(t *testing.T) {
	for _, taken := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer func() { w.close() }()
			w.signed()
			w.usable(3)
			w.want("alias "+jitScid.String(), "forward 1: 980000 msat, extra_fee 0000000000004e20")
			if taken {
				w.htlcs.NotifyForwardingEvent(htlcswitch.HtlcKey{IncomingCircuit: key(1)},
					htlcswitch.HtlcInfo{}, htlcswitch.HtlcEventTypeForward)
			}
			began := time.Now()
			w.stop()
			if waited := time.Since(began) > 0; waited == taken {
				t.Errorf("the link has it: %v, the stop waits: %v", taken, waited)
			}
			w.start()
		})
	}
}

// TestNoHalfPayment: the client's link goes while the parts of a payment are on their way
// to it. The switch has failed one; the others are failed too, before it or after it, and
// not sent on when the link is back: the client would hold them and wait for that one.
func TestNoHalfPayment(t *testing.T) {
	for _, failsFirst := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			w.sell(1_000_000)
			w.desk.ClientOnline(client, 3)
			w.part(1, 500_000)
			w.part(2, 500_000)
			w.want("open for 980000 msat in 2 parts, attempt 1")
			w.desk.Funding("o1", jit.OpenSigned{Point: funding})
			failed := func() {
				w.htlcs.NotifyLinkFailEvent(htlcswitch.HtlcKey{IncomingCircuit: key(1)},
					htlcswitch.HtlcInfo{}, htlcswitch.HtlcEventTypeForward,
					htlcswitch.NewLinkError(&lnwire.FailTemporaryChannelFailure{}), false)
				time.Sleep(time.Second) // virtual: the desk gets to it
			}
			// The first leaves, and the link is gone when the second is to leave.
			w.onForward = func() {
				w.client(false)
				if failsFirst {
					failed()
				}
			}
			w.usable(3)
			time.Sleep(2 * time.Second)
			if !failsFirst {
				failed()
			}
			w.want("alias "+jitScid.String(), "forward 1: 480000 msat, extra_fee 0000000000004e20",
				"fail 2: TemporaryChannelFailure")
			w.state("owed")
			w.onForward = nil
			w.client(true)
			w.usable(3)
			w.want()

			// The payer tries again, and all of it goes.
			w.part(3, 500_000)
			w.part(4, 500_000)
			w.want("forward 3: 480000 msat, extra_fee 0000000000004e20",
				"forward 4: 500000 msat")
		})
	}
}
