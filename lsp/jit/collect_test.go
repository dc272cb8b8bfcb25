package jit

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// The collection of a payment's parts, bLIP-52 section 4.

func TestOnePartOpens(t *testing.T) {
	checklist.Shows(t, "LSPS2-51", "AwaitClient.step: ClientOnline only notes the connection")
	p := playing(t, fixed()).do(arrive(1, 1, 1_000_000), ClientOnline{7}).state("awaiting_channel")
	if open := p.opens(1); open.Receives != 980_000 || open.Parts != 1 || open.Conn != 7 {
		t.Errorf("open %+v", open)
	}
}

func TestOneMsatShort(t *testing.T) {
	checklist.Shows(t, "LSPS2-52", "Set.complete takes one msat less")
	// So that even a part of one msat can be forwarded.
	terms := with(fixed(), func(t *Terms) { t.Rules.HTLCMin = 1 })
	p := playing(t, terms).do(ClientOnline{7}, arrive(1, 1, 400_000), arrive(1, 2, 599_999)).
		state("awaiting_parts").failsNone().holds(2)
	p.opens(0)
	p.do(arrive(1, 3, 1), ClientOnline{7}).state("awaiting_channel").failsNone()
	p.opens(1)
}

func TestOverpaid(t *testing.T) {
	checklist.Shows(t, "LSPS2-53", "turn.price: the fee is of set.Total() in fixed mode too")
	p := playing(t, fixed()).do(arrive(1, 1, 900_000), arrive(1, 2, 700_000), ClientOnline{7},
		OpenSigned{first}, usable(first, 7))
	p.forwards([2]lnwire.MilliSatoshi{880_000, 20_000}, [2]lnwire.MilliSatoshi{700_000, 0})
}

func TestHold(t *testing.T) {
	checklist.Shows(t, "LSPS2-54", "Set.until counts from the last part; overdue fails with never")
	checklist.Shows(t, "LSPS2-55", "turn.add: Since of a new set is that of the set before")
	p := playing(t, fixed()).at(0).do(arrive(1, 1, 400_000)).
		at(30 * time.Second).do(arrive(1, 2, 300_000)).
		at(90*time.Second - time.Millisecond).do(Tick{}).failsNone().holds(2)
	if at, ok := p.o.Deadline(); !ok || !at.Equal(t0.Add(90*time.Second)) {
		t.Fatalf("the deadline is %v", at)
	}
	p.at(90*time.Second).do(Tick{}).fails(later, 1, 2).holds(0)

	p.at(100 * time.Second).do(arrive(1, 3, 400_000)).holds(1)
	if at, _ := p.o.Deadline(); !at.Equal(t0.Add(190 * time.Second)) {
		t.Fatalf("the deadline of the new set is %v", at)
	}
	p.at(189 * time.Second).do(Tick{}).holds(1)
	p.at(190*time.Second).do(Tick{}).fails(later, 3)
	p.opens(0)
}

func TestOfferEndsWhileCollecting(t *testing.T) {
	checklist.Shows(t, "LSPS2-57", "overdue fails with later when the offer has run out")
	checklist.Shows(t, "LSPS2-58", "turn.runOut acts only after a deadline, not at it")
	end := time.Hour
	playing(t, fixed()).at(end-30*time.Second).do(arrive(1, 1, 400_000)).
		at(end).do(Tick{}).fails(never, 1).state("dead")

	p := playing(t, fixed()).at(end-30*time.Second).do(arrive(1, 1, 400_000)).
		at(end).do(arrive(1, 2, 600_000)).fails(never, 1, 2)
	p.opens(0)
	p = playing(t, fixed()).at(end-time.Millisecond).do(arrive(1, 1, 1_000_000), ClientOnline{7})
	p.opens(1) // in time
}

func TestSetsByHash(t *testing.T) {
	checklist.Shows(t, "LSPS2-59", "turn.add: every part goes to the first set")
	p := playing(t, fixed()).do(arrive(1, 1, 600_000), arrive(2, 2, 600_000), ClientOnline{7}).
		state("awaiting_parts").holds(2).failsNone()
	p.opens(0)
	p.at(10*time.Second).do(arrive(2, 3, 400_000), ClientOnline{7}).state("awaiting_channel")
	// The other payment keeps its own 90 seconds.
	p.at(90 * time.Second).do(Tick{})
	for _, f := range commands[FailPart](p.last) {
		if f.Key.Index != 1 && f.Key.Index != 2 && f.Key.Index != 3 {
			t.Errorf("failed %+v", f)
		}
	}
}

func TestTooManyParts(t *testing.T) {
	checklist.Shows(t, "LSPS2-62", "turn.add: the part too many fails alone, with later")
	terms := with(fixed(), func(t *Terms) { t.Rules.MaxParts = 3 })
	playing(t, terms).do(arrive(1, 1, 2000), arrive(1, 2, 2000), arrive(1, 3, 2000)).failsNone().
		do(arrive(1, 4, 2000)).fails(never, 1, 2, 3, 4).holds(0)

	// What the client takes at once decides too: here it takes one HTLC.
	p := playing(t, fixed()).do(arrive(1, 1, 400_000), arrive(1, 2, 600_000), ClientOnline{7},
		OpenSigned{first})
	one := usable(first, 7)
	one.MaxHTLCs = 1
	p.do(one).fails(never, 1, 2)

	// A set whose parts cannot each bring htlc_minimum_msat after the fee.
	terms = with(fixed(), func(t *Terms) { t.Rules.HTLCMin = 490_001 })
	playing(t, terms).do(arrive(1, 1, 500_000), arrive(1, 2, 500_000)).fails(never, 1, 2)
}

func TestClientIsAway(t *testing.T) {
	checklist.Shows(t, "LSPS2-63", "turn.collect does not ask for the client")
	checklist.Shows(t, "LSPS2-64", "overdue fails with never")
	p := playing(t, fixed()).do(arrive(1, 1, 1_000_000)).state("awaiting_client").holds(1)
	if len(commands[WakeClient](p.all)) == 0 {
		t.Error("nobody asked for the client")
	}
	p.at(80 * time.Second).do(ClientOnline{7}).state("awaiting_channel").failsNone()
	p.opens(1)

	p = playing(t, fixed()).do(arrive(1, 1, 1_000_000)).
		at(89*time.Second).do(Tick{}).holds(1).
		at(90*time.Second).do(Tick{}).fails(later, 1).state("awaiting_parts")
	p.opens(0)
}

func TestExpiryIsNear(t *testing.T) {
	checklist.Shows(t, "LSPS2-65", "Set.untilHeight leaves out the incoming expiry")
	// The incoming expiry alone: a client that takes what is about to expire.
	terms := with(fixed(), func(t *Terms) { t.Rules.MinFinalExpiryDelta = 0 })
	near := arrive(1, 1, 400_000)
	near.Part.IncomingExpiry, near.Part.OutgoingExpiry = tip+200, tip+56
	p := playing(t, terms).do(near)
	if at, ok := p.o.DeadlineHeight(); !ok || at != tip+57 {
		t.Fatalf("the deadline is height %d", at)
	}
	near.Part.OutgoingExpiry = tip + 200
	near.Part.IncomingExpiry = tip + 344
	p = playing(t, terms).do(near)
	if at, ok := p.o.DeadlineHeight(); !ok || at != tip+201 {
		t.Fatalf("the deadline is height %d", at)
	}
	terms.CLTVExpiryDelta = 10
	near.Part.IncomingExpiry, near.Part.OutgoingExpiry = tip+60, tip+50
	playing(t, terms).do(near).do(Height{tip + 35}).failsNone().
		do(Height{tip + 36}).fails(later, 1)
}

func TestTimeLockDelta(t *testing.T) {
	checklist.Shows(t, "LSPS2-66", "turn.judge does not look at the delta")
	short := arrive(1, 1, 1_000_000)
	short.Part.IncomingExpiry--
	playing(t, fixed()).do(ClientOnline{7}, short).
		fails(lnwire.CodeIncorrectCltvExpiry, 1).opens(0)
	playing(t, fixed()).do(arrive(1, 1, 1_000_000), ClientOnline{7}).failsNone().opens(1)
}

// plainVariable charges what bLIP-52 says.
func plainVariable() Terms {
	return with(variable(), func(t *Terms) { t.Rules.VariableCompatFee = false })
}

func TestVariableFee(t *testing.T) {
	checklist.Shows(t, "LSPS2-67", "fits: the fee may leave one msat less than htlc_minimum_msat")
	checklist.Shows(t, "LSPS2-68", "OpeningFee: a product of up to 65 bits is taken")
	terms := with(plainVariable(), func(t *Terms) { t.MinPayment, t.MinFee = 1, 10_000 })
	playing(t, terms).do(arrive(1, 1, 11_000)).failsNone().state("awaiting_client")
	playing(t, terms).do(arrive(1, 1, 10_999)).fails(never, 1).opens(0)

	terms = with(plainVariable(), func(t *Terms) {
		t.PPM, t.MaxPayment = 1<<31, ^lnwire.MilliSatoshi(0)
	})
	// The product is 2^64: cut to 64 bits it would be no fee at all.
	playing(t, terms).do(arrive(1, 1, 1<<33)).fails(never, 1).opens(0)
}

func TestVariableSize(t *testing.T) {
	checklist.Shows(t, "LSPS2-69", "turn.price does not look at the sizes of the offer")
	for _, c := range []struct {
		size lnwire.MilliSatoshi
		ok   bool
	}{{99_999, false}, {100_000, true}, {4_000_000, true}, {4_000_001, false}} {
		p := playing(t, plainVariable()).do(arrive(1, 1, c.size))
		if c.ok {
			p.failsNone().state("awaiting_client")
			continue
		}
		p.fails(never, 1).opens(0)
	}
}

func TestVariableInParts(t *testing.T) {
	checklist.Shows(t, "LSPS2-70", "AwaitClaim.another takes more parts of a variable amount")
	p := playing(t, variable()).do(arrive(1, 1, 2_000_000), ClientOnline{7}).
		do(arrive(1, 2, 500_000)).fails(never, 2).holds(1)
	p.do(OpenSigned{first}, usable(first, 7)).state("awaiting_claim")
	p.do(arrive(1, 3, 500_000)).fails(never, 3)
	p.do(PartClaimed{key(1)}).state("paid")
}

func TestVariableAfterTheOffer(t *testing.T) {
	checklist.Shows(t, "LSPS2-71", "turn.expired and AwaitParts.due: the offer never ends")
	p := playing(t, variable()).at(time.Hour).do(arrive(1, 1, 2_000_000)).fails(never, 1).state("dead")
	p.opens(0)
}

func TestNeverMPPTimeout(t *testing.T) {
	checklist.Shows(t, "LSPS2-56", "later is CodeMPPTimeout")
	p := playing(t, fixed()).do(arrive(1, 1, 400_000)).at(90 * time.Second).do(Tick{})
	for _, f := range commands[FailPart](p.all) {
		if f.Code == lnwire.CodeMPPTimeout {
			t.Errorf("part %d failed with mpp_timeout", f.Key.Index)
		}
	}
	p.fails(lnwire.CodeTemporaryChannelFailure, 1)
}
