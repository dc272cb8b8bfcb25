package jit

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// The open and the forward, bLIP-52 sections 5 and 6.

// split is the payment in two parts, 400,000 and 600,000, up to the open.
func (p *play) split() *play {
	p.Helper()
	return p.do(arrive(1, 1, 400_000), arrive(1, 2, 600_000), ClientOnline{7}).
		state("awaiting_channel")
}

func TestClientRefusesTheChannel(t *testing.T) {
	checklist.Shows(t, "LSPS2-84", "AwaitChannel.failed: FaultRefused fails with later")
	p := playing(t, fixed()).split().
		do(OpenFailed{FaultRefused, "no", false}).fails(never, 1, 2).state("awaiting_parts")
	// Another payment may try again until valid_until.
	p.at(59*time.Minute).do(arrive(2, 3, 1_000_000), ClientOnline{7}).state("awaiting_channel")
	p.opens(2)
}

func TestClientRefusesTheTerms(t *testing.T) {
	checklist.Shows(t, "LSPS2-82", "AwaitChannel.failed: FaultTerms fails with later")
	p := playing(t, fixed()).split().
		do(OpenFailed{FaultTerms, "to_self_delay 2017", false}).fails(never, 1, 2)
	p.opens(1)
}

func TestClientLeavesBeforeFundingSigned(t *testing.T) {
	checklist.Shows(t, "LSPS2-85", "AwaitChannel.left keeps the parts")
	p := playing(t, fixed()).split().do(ClientGone{}).fails(later, 1, 2).state("awaiting_parts")
	if len(commands[CancelOpen](p.last)) != 1 {
		t.Fatal("the open goes on: its coins stay leased")
	}
	// The retry waits until the first open has ended, then opens one channel.
	p.do(arrive(2, 3, 1_000_000), ClientOnline{8})
	p.opens(1)
	p.do(OpenFailed{Fault: FaultGone})
	if open := p.opens(2); open.Conn != 8 {
		t.Errorf("the second open goes over connection %d", open.Conn)
	}
	p.do(OpenSigned{first}, usable(first, 8)).forwards([2]lnwire.MilliSatoshi{980_000, 20_000})
}

func TestOurFailureBeforeTheBroadcast(t *testing.T) {
	checklist.Shows(t, "LSPS2-86", "AwaitChannel.failed: FaultTimeout gives up; FaultOurs fails with never")
	p := playing(t, fixed()).split().at(15 * time.Second).do(Tick{})
	if len(commands[CancelOpen](p.last)) != 1 {
		t.Fatal("an open that takes too long is not cancelled")
	}
	p.do(OpenFailed{Fault: FaultTimeout}).failsNone().state("awaiting_channel")
	p.opens(2) // in the same hold
	p.do(OpenFailed{FaultOurs, "no coins", false}).fails(later, 1, 2)

	// The opener's own timeout may come first.
	p = playing(t, fixed()).split().do(OpenFailed{Fault: FaultTimeout}).failsNone()
	p.opens(2)
}

func TestNothingBeforeTheChannelIsUsable(t *testing.T) {
	checklist.Shows(t, "LSPS2-91", "AwaitChannel.step: OpenSigned forwards")
	p := playing(t, fixed()).split().do(OpenSigned{first}).forwards()
	p.do(ClientOnline{7}, Height{tip + 1}, Tick{}).forwards()
	p.do(usable(first, 7))
	p.forwards([2]lnwire.MilliSatoshi{380_000, 20_000}, [2]lnwire.MilliSatoshi{600_000, 0})
}

func TestTrustOnlyWhenSold(t *testing.T) {
	checklist.Shows(t, "LSPS2-90", "AwaitClient.open withholds always")
	if playing(t, fixed()).split().opens(1).Withhold {
		t.Error("a funding is withheld without the client's consent")
	}
	if !playing(t, trusting(fixed())).split().opens(1).Withhold {
		t.Error("a funding is not withheld although it was sold so")
	}
}

func TestDeductions(t *testing.T) {
	checklist.Shows(t, "LSPS2-93", "skim leaves htlcMin on the first part only; skim takes one msat less")
	p := playing(t, fixed()).do(arrive(1, 1, 5000), arrive(1, 2, 12_000), arrive(1, 3, 983_000),
		ClientOnline{7}, OpenSigned{first}, usable(first, 7))
	p.forwards([2]lnwire.MilliSatoshi{1000, 4000}, [2]lnwire.MilliSatoshi{1000, 11_000},
		[2]lnwire.MilliSatoshi{978_000, 5000})
}

func TestClientFailsThePayment(t *testing.T) {
	checklist.Shows(t, "LSPS2-96", "AwaitClaim.settle ends in Paid")
	p := playing(t, fixed()).sold().do(PartFailed{Key: key(1)}).state("owed").failsNone()
	// The next payment pays the fee, on the same channel.
	p.do(arrive(2, 2, 1_000_000))
	p.forwards([2]lnwire.MilliSatoshi{980_000, 20_000}, [2]lnwire.MilliSatoshi{980_000, 20_000})
	p.do(PartClaimed{key(2)}).state("paid").opens(1)
}

func TestOnePartFails(t *testing.T) {
	checklist.Shows(t, "LSPS2-97", "AwaitClaim.another takes the fee again")
	// The part without the fee fails and comes again: no second fee.
	p := playing(t, fixed()).split().do(OpenSigned{first}, usable(first, 7)).
		do(PartFailed{Key: key(2)}, arrive(1, 3, 600_000))
	p.forwards([2]lnwire.MilliSatoshi{380_000, 20_000}, [2]lnwire.MilliSatoshi{600_000, 0},
		[2]lnwire.MilliSatoshi{600_000, 0})
	p.do(PartClaimed{key(1)}).state("paid").do(PartClaimed{key(3)}, PartClaimed{key(3)})
	if paid := p.o.State.(Paid); paid.Collected != 20_000 {
		t.Errorf("collected %v", paid.Collected)
	}
}

func TestOneChannelAnOrder(t *testing.T) {
	checklist.Shows(t, "LSPS2-99", "AwaitParts.step: OpenSigned of a cancelled open is forgotten")
	// The client leaves, the open succeeds all the same, a second payment comes.
	p := playing(t, fixed()).split().do(ClientGone{}, OpenSigned{first}).state("owed")
	p.do(arrive(2, 3, 1_000_000), ClientOnline{8}, usable(first, 8)).state("awaiting_claim")
	p.opens(1)
	// The same with a restart that finds the channel.
	p = playing(t, fixed()).split().do(outstanding(live(first)), arrive(2, 3, 1_000_000),
		ClientOnline{1}, usable(first, 1))
	p.opens(1)
}

func TestClientLeavesAfterFundingSigned(t *testing.T) {
	checklist.Shows(t, "LSPS2-100", "AwaitChannel.stepSigned: ClientGone fails the parts")
	p := playing(t, fixed()).split().do(OpenSigned{first}, ClientGone{}).failsNone().holds(2)
	p.at(60*time.Second).do(ClientOnline{8}, usable(first, 8)).state("awaiting_claim")
	p.opens(1)

	p = playing(t, fixed()).split().do(OpenSigned{first}, ClientGone{}).
		at(90*time.Second).do(Tick{}).fails(later, 1, 2).state("owed")
	if ch, ok := p.o.Channel(); !ok || ch.Point != first {
		t.Error("the channel is not kept")
	}
}

func TestPartsThatComeAgain(t *testing.T) {
	checklist.Shows(t, "LSPS2-103", "turn.arrived does not look for parts that it knows")
	// Held: counted once. Forwarded: forwarded the same. Failed: failed the same.
	p := playing(t, fixed()).do(arrive(1, 1, 400_000), arrive(1, 1, 400_000)).holds(1)
	p.do(arrive(1, 2, 600_000), ClientOnline{7}, OpenSigned{first}, usable(first, 7)).
		do(arrive(1, 1, 400_000))
	again := commands[ResumePart](p.last)
	if len(again) != 1 || again[0].Amount != 380_000 || again[0].ExtraFee != 20_000 {
		t.Errorf("a forwarded part that comes again: %+v", p.last)
	}
	p = playing(t, fixed()).do(arrive(1, 1, 400_000)).at(90*time.Second).do(Tick{}).
		do(arrive(1, 1, 400_000)).fails(later, 1).holds(0)
	// Another HTLC of the same hash and amount is another part.
	p.do(arrive(1, 2, 400_000)).holds(1)
}

func TestAnchorsRefused(t *testing.T) {
	checklist.Shows(t, "LSPS2-105", "AwaitChannel.failed does not retry without anchors")
	p := playing(t, fixed()).split().do(OpenFailed{FaultRefused, "no coins", true}).failsNone()
	if open := p.opens(2); !open.WithoutAnchors {
		t.Errorf("the second open %+v", open)
	}
	p.do(OpenFailed{FaultRefused, "no", true}).fails(never, 1, 2)
	p.opens(2)
}

// A client may claim the part that bears a millisatoshi of the fee and fail the one that bears the
// rest. The order is paid when all of the fee is, and what was paid is not asked for again.
func TestClaimOfALittleOfTheFee(t *testing.T) {
	p := playing(t, fixed()).do(arrive(1, 1, 1001), arrive(1, 2, 998_999), ClientOnline{7},
		OpenSigned{first}, usable(first, 7))
	p.forwards([2]lnwire.MilliSatoshi{1000, 1}, [2]lnwire.MilliSatoshi{979_000, 19_999})
	p.do(PartClaimed{key(1)}).state("awaiting_claim").do(PartFailed{Key: key(2)}).state("owed")
	p.do(arrive(2, 3, 1_000_000), PartClaimed{key(3)}).state("paid")
	if f := commands[ForwardPart](p.all)[2]; f.ExtraFee != 19_999 {
		t.Errorf("the next payment bears %v", f.ExtraFee)
	}
	if paid := p.o.State.(Paid); paid.Fee != 20_000 || paid.Collected != 20_000 {
		t.Errorf("charged %v, collected %v", paid.Fee, paid.Collected)
	}

	// In both orders, and when all is claimed.
	p = playing(t, fixed()).do(arrive(1, 1, 1001), arrive(1, 2, 998_999), ClientOnline{7},
		OpenSigned{first}, usable(first, 7), PartFailed{Key: key(2)}, PartClaimed{key(1)})
	p.state("owed")
	p = playing(t, fixed()).do(arrive(1, 1, 1001), arrive(1, 2, 998_999), ClientOnline{7},
		OpenSigned{first}, usable(first, 7), PartClaimed{key(2)}, PartClaimed{key(1)})
	p.state("paid")

	// A part that comes again for one that failed bears what is left of the fee, and no less counts.
	p = playing(t, fixed()).do(arrive(1, 1, 500_000), arrive(1, 2, 500_000), ClientOnline{7},
		OpenSigned{first}, usable(first, 7), PartFailed{Key: key(1)}, arrive(1, 3, 1002))
	p.do(PartClaimed{key(3)}).state("awaiting_claim").do(PartFailed{Key: key(2)}).state("owed")
}

// What was let out in the order's record is let out, also when the factory has not heard of it: the
// client has claimed on the channel, and has nothing but that funding.
func TestReleasedBeforeTheCrash(t *testing.T) {
	p := playing(t, trusting(fixed())).split().do(OpenSigned{first}, usable(first, 7),
		PreimageKnown{part(1, 1, 1).Hash}, PartClaimed{key(2)}, PartFailed{Key: key(1)}).state("owed")
	p.do(Restarted{Funding: &Funding{Point: first, Withheld: true}, Height: tip})
	if n := len(commands[DropChannel](p.all)); n != 0 {
		t.Fatalf("the channel is dropped: %+v", p.last)
	}
	if n := len(commands[BroadcastFunding](p.last)); n != 1 {
		t.Fatalf("%d broadcasts after the restart", n)
	}
	p.state("owed")
}

func TestAfterTheFee(t *testing.T) {
	checklist.Shows(t, "LSPS2-110", "Paid.arrived takes the fee again")
	checklist.Shows(t, "LSPS2-113", "turn.aliasEnded looks at valid_until only")
	p := playing(t, fixed()).sold().do(PartClaimed{key(1)}).state("paid")
	p.do(arrive(2, 2, 5000))
	free := commands[ResumePart](p.last)
	if len(free) != 1 || free[0].Amount != 5000 || free[0].ExtraFee != 0 {
		t.Fatalf("a second payment: %+v", p.last)
	}
	p.at(2*time.Hour - time.Millisecond).do(arrive(3, 3, 5000))
	if len(commands[ResumePart](p.last)) != 1 {
		t.Errorf("before the end of the alias: %+v", p.last)
	}
	p.at(2*time.Hour).do(arrive(4, 4, 5000)).fails(never, 4)
	// Without prolonging the scid ends with the offer.
	short := with(fixed(), func(t *Terms) { t.AliasUntil = t.ValidUntil })
	playing(t, short).sold().do(PartClaimed{key(1)}).at(time.Hour).do(arrive(2, 2, 5000)).fails(never, 2)
}

func TestWithheldFundingIsReleasedByTheClaim(t *testing.T) {
	checklist.Shows(t, "LSPS2-88", "AwaitClaim.claimed does not broadcast")
	checklist.Shows(t, "LSPS2-89", "turn.rest leaves a withheld channel in Owed")
	p := playing(t, trusting(fixed())).split().do(OpenSigned{first}, usable(first, 7))
	if n := len(commands[BroadcastFunding](p.all)); n != 0 {
		t.Fatalf("%d broadcasts before the claim", n)
	}
	p.do(PartClaimed{key(1)})
	if n := len(commands[BroadcastFunding](p.last)); n != 1 {
		t.Fatalf("%d broadcasts after the claim", n)
	}

	p = playing(t, trusting(fixed())).sold().do(PartFailed{Key: key(1)})
	if drop := commands[DropChannel](p.last); len(drop) != 1 || drop[0].Point != first {
		t.Fatalf("no claim, and the channel stays: %+v", p.last)
	}
	p.do(ChannelGone{Point: first}).state("awaiting_parts")
	if n := len(commands[BroadcastFunding](p.all)); n != 0 {
		t.Fatalf("%d broadcasts without a claim", n)
	}
}
