package jit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
)

// at is an event so many seconds after the purchase.
type at struct {
	sec int
	ev  Event
}

type story struct {
	title string
	terms Terms
	steps []at
}

// opened is a payment of two parts up to the open: 400,000 and 600,000.
func opened(more ...at) []at {
	return append([]at{
		{0, arrive(1, 1, 400_000)}, {1, arrive(1, 2, 600_000)}, {1, ClientOnline{7}},
	}, more...)
}

// forwarded is the same up to the forward.
func forwarded(more ...at) []at {
	return opened(append([]at{{2, OpenSigned{first}}, {2, usable(first, 7)}}, more...)...)
}

// owed is the same, and the client failed it.
func owed(more ...at) []at {
	return forwarded(append([]at{{3, PartFailed{Key: key(1)}}, {3, PartFailed{Key: key(2)}}}, more...)...)
}

func outstanding(f *Funding, keys ...uint64) Restarted {
	r := Restarted{Height: tip, Funding: f}
	for _, k := range keys {
		r.Outstanding = append(r.Outstanding, key(k))
	}
	return r
}

func live(p wire.OutPoint) *Funding { return &Funding{Point: p} }

func with(t Terms, change func(*Terms)) Terms {
	change(&t)
	return t
}

func TestStories(t *testing.T) {
	refuse := with(fixed(), func(t *Terms) { t.Rules.LostSkim = Refuse })
	stories := []story{
		{"two parts pay for the channel, and the next payment is free", fixed(), forwarded(
			at{3, PartClaimed{key(1)}}, at{3, PartClaimed{key(2)}}, at{9, arrive(2, 3, 5_000)},
			at{10, PartClaimed{key(3)}}, at{7199, arrive(3, 4, 5_000)}, at{7200, arrive(3, 5, 5_000)})},
		{"one part of variable amount", variable(), []at{
			{0, arrive(1, 1, 2_000_000)}, {0, ClientOnline{7}}, {0, arrive(1, 2, 9_000)},
			{1, OpenSigned{first}}, {1, usable(first, 7)}, {2, PartClaimed{key(1)}}}},
		{"variable amounts out of range", variable(), []at{
			{0, arrive(1, 1, 99_999)}, {0, arrive(2, 2, 4_000_001)}}},
		{"the fee is spread when the first part cannot bear it", fixed(), []at{
			{0, arrive(1, 1, 5_000)}, {0, arrive(1, 2, 12_000)}, {0, arrive(1, 3, 983_000)},
			{0, ClientOnline{7}}, {1, OpenSigned{first}}, {1, usable(first, 7)}}},
		{"a part is missing for 90 seconds", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {89, Tick{}}, {90, Tick{}}, {95, arrive(1, 2, 600_000)},
			{96, arrive(1, 1, 400_000)}}},
		{"the tick is late and the next part early", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {91, arrive(1, 2, 600_000)}}},
		{"the offer runs out with a part held", fixed(), []at{
			{3590, arrive(1, 1, 400_000)}, {3600, arrive(1, 2, 600_000)}}},
		{"a complete payment outlives the offer", fixed(), []at{
			{3590, arrive(1, 1, 1_000_000)}, {3601, ClientOnline{7}}, {3602, OpenSigned{first}},
			{3602, usable(first, 7)}, {3603, PartClaimed{key(1)}}}},
		{"the payment is overpaid", fixed(), []at{
			{0, arrive(1, 1, 700_000)}, {0, arrive(1, 2, 700_000)}, {0, arrive(1, 3, 700_000)},
			{0, ClientOnline{7}}, {1, arrive(1, 4, 100_000)}, {1, OpenSigned{first}},
			{1, usable(first, 7)}, {2, arrive(1, 5, 50_000)}, {2, PartClaimed{key(1)}}}},
		{"two payments for one scid", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {1, arrive(2, 2, 400_000)}, {2, arrive(2, 3, 600_000)},
			{2, ClientOnline{7}}, {3, OpenSigned{first}}, {3, usable(first, 7)},
			{4, arrive(1, 4, 600_000)}, {5, PartClaimed{key(2)}}}},
		{"the second payment takes over when the first fails", fixed(), owed(
			at{4, arrive(2, 3, 1_000_000)}, at{5, PartClaimed{key(3)}})},
		{"and when it waited meanwhile", fixed(), forwarded(
			at{3, arrive(2, 3, 1_000_000)}, at{3, PartFailed{Key: key(1)}}, at{4, PartFailed{Key: key(2)}})},
		{"the client is away and comes", fixed(), []at{
			{0, arrive(1, 1, 1_000_000)}, {60, ClientOnline{7}}, {61, OpenSigned{first}},
			{61, usable(first, 7)}}},
		{"the client stays away", fixed(), []at{{0, arrive(1, 1, 1_000_000)}, {90, Tick{}}}},
		{"the client leaves before funding_signed", fixed(), opened(
			at{2, ClientGone{}}, at{3, arrive(2, 3, 1_000_000)}, at{3, ClientOnline{8}},
			at{4, OpenFailed{Fault: FaultGone}}, at{5, OpenSigned{first}})},
		{"the client leaves, yet the channel was signed", fixed(), opened(
			at{2, ClientGone{}}, at{3, OpenSigned{first}}, at{4, arrive(2, 3, 1_000_000)},
			at{9, ClientOnline{8}}, at{9, usable(first, 8)}, at{10, PartClaimed{key(3)}})},
		{"the client leaves after funding_signed and comes back", fixed(), opened(
			at{2, OpenSigned{first}}, at{2, ClientGone{}}, at{40, ClientOnline{8}},
			at{41, usable(first, 8)}, at{41, PartClaimed{key(1)}})},
		{"the client leaves after funding_signed for good", fixed(), opened(
			at{2, OpenSigned{first}}, at{2, ClientGone{}}, at{90, Tick{}})},
		{"the client refuses anchors", fixed(), opened(
			at{2, OpenFailed{FaultRefused, "no coins", true}}, at{2, OpenSigned{first}})},
		{"the client refuses anchors and the rest", fixed(), opened(
			at{2, OpenFailed{FaultRefused, "no coins", true}},
			at{2, OpenFailed{FaultRefused, "no", true}})},
		{"the client's terms do not fit", fixed(), opened(
			at{2, OpenFailed{FaultTerms, "to_self_delay 9999", false}})},
		{"the client refuses the channel that it has signed", fixed(), opened(
			at{2, OpenSigned{first}}, at{3, ChannelRefused{first, "no"}}, at{4, ClientGone{}},
			at{5, ClientOnline{8}}, at{5, usable(first, 8)}, at{9, arrive(2, 3, 1_000_000)})},
		{"the client refuses a channel that is withheld", trusting(fixed()), opened(
			at{2, OpenSigned{first}}, at{3, ChannelRefused{first, "no"}}, at{4, ChannelGone{Point: first}},
			at{9, arrive(2, 3, 1_000_000)})},
		{"we have no coins", fixed(), opened(at{2, OpenFailed{FaultOurs, "no coins", false}})},
		{"the client is silent, three times", fixed(), opened(
			at{16, Tick{}}, at{16, OpenFailed{Fault: FaultTimeout}}, at{31, Tick{}},
			at{32, OpenFailed{Fault: FaultTimeout}}, at{47, Tick{}},
			at{48, OpenFailed{Fault: FaultTimeout}})},
		{"the silent open ends well after we gave it up", fixed(), opened(
			at{16, Tick{}}, at{17, OpenSigned{first}}, at{17, usable(first, 7)})},
		{"the open succeeds long after we gave up", fixed(), opened(
			at{16, Tick{}}, at{91, Tick{}}, at{200, OpenSigned{first}}, at{201, usable(first, 7)},
			at{300, arrive(2, 3, 1_000_000)})},
		{"the payment was a probe", fixed(), owed(at{9, arrive(2, 3, 1_000_000)})},
		{"the client fails one part and claims the other", fixed(), forwarded(
			at{3, PartFailed{Key: key(2)}}, at{3, PartClaimed{key(1)}})},
		{"the client claims only what bears no fee", fixed(), forwarded(
			at{3, PartClaimed{key(2)}}, at{3, PartFailed{Key: key(1)}}, at{9, arrive(2, 3, 1_000_000)})},
		{"the client reconnected before it claimed: waived", fixed(), owed(
			at{4, ClientGone{}}, at{5, usable(first, 8)}, at{9, arrive(2, 3, 1_000_000)},
			at{9, PartClaimed{key(3)}})},
		{"the client reconnected before it claimed: refused", refuse, owed(
			at{4, ClientGone{}}, at{5, usable(first, 8)}, at{9, arrive(2, 3, 1_000_000)})},
		{"the channel closes before it is used", fixed(), opened(
			at{2, OpenSigned{first}}, at{3, ChannelGone{Point: first}}, at{4, arrive(2, 3, 1_000_000)})},
		{"the channel closes with the payment on it", fixed(), forwarded(
			at{3, arrive(2, 3, 400_000)}, at{3, ChannelGone{Point: first}}, at{4, arrive(1, 1, 400_000)},
			at{600, PartClaimed{key(1)}}, at{601, arrive(2, 4, 400_000)})},
		{"the funding is withheld until the claim", trusting(fixed()), forwarded(
			at{3, PartClaimed{key(2)}}, at{3, PartClaimed{key(1)}})},
		{"the withheld channel is dropped when the client fails", trusting(fixed()), owed(
			at{4, arrive(2, 3, 1_000_000)}, at{4, ClientOnline{7}}, at{5, ChannelGone{Point: first}},
			at{6, OpenSigned{second}}, at{6, usable(second, 7)}, at{7, PartClaimed{key(3)}})},
		{"the client reconnected: a withheld channel is made anew in the same hold",
			trusting(fixed()), opened(at{2, OpenSigned{first}}, at{2, ClientGone{}},
				at{5, ClientOnline{8}}, at{5, usable(first, 8)}, at{5, ChannelGone{Point: first}},
				at{6, OpenSigned{second}}, at{6, usable(second, 8)}, at{7, PartClaimed{key(1)}})},
		{"a withheld channel that is lost is made anew", trusting(fixed()), opened(
			at{2, OpenSigned{first}}, at{3, ChannelGone{Point: first}}, at{4, OpenSigned{second}})},
		{"an expiry comes near while parts are held", fixed(), []at{
			{0, PartArrived{Part: part(1, 1, 400_000), Height: tip}}, {10, Height{tip + 6}},
			{20, Height{tip + 7}}}},
		{"an expiry comes near while the channel is opened", fixed(), opened(
			at{2, Height{tip + 7}}, at{3, OpenFailed{Fault: FaultOurs}})},
		{"parts that cannot be taken", fixed(), []at{
			{0, badPart(1, func(p *Part) { p.IncomingAmount-- })},
			{0, badPart(2, func(p *Part) { p.IncomingExpiry-- })},
			{0, badPart(3, func(p *Part) { p.OutgoingExpiry = tip + 43 })},
			{0, badPart(4, func(p *Part) { p.Amount = 999 })},
			{0, PartArrived{part(1, 5, 9_000), tip + 200, 0}},
			{0, PartArrived{part(1, 6, 9_000), tip, later}},
			{0, arrive(1, 6, 9_000)}}},
		{"the client's own htlc_minimum is too high", fixed(), opened(
			at{2, OpenSigned{first}}, at{2, ChannelUsable{first, 7, 395_000, 50}})},
		{"the client takes fewer parts than came", fixed(), opened(
			at{2, OpenSigned{first}}, at{2, ChannelUsable{first, 7, 1000, 1}})},
		{"the client is away when a free payment comes", fixed(), forwarded(
			at{3, PartClaimed{key(1)}}, at{4, ClientGone{}}, at{5, arrive(2, 3, 5_000)},
			at{6, arrive(2, 4, 5_000)}, at{30, usable(first, 8)}, at{31, ClientGone{}},
			at{40, arrive(3, 5, 5_000)}, at{130, Tick{}})},
		{"an incoming channel closes with a part held", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {1, arrive(1, 2, 600_000)}, {2, PartGone{key(2)}},
			{3, ClientOnline{7}}, {4, arrive(1, 3, 600_000)}, {4, ClientOnline{7}},
			{5, PartGone{key(3)}}, {6, OpenSigned{first}}}},
	}
	stories = append(stories, restarts()...)
	golden(t, "stories.golden", tell(stories))
}

func badPart(i uint64, change func(*Part)) PartArrived {
	p := arrive(1, i, 9_000)
	change(&p.Part)
	return p
}

func restarts() []story {
	claimed := outstanding(live(first), 1, 2)
	claimed.Claimed = []CircuitKey{key(1)}
	withheld := &Funding{Point: first, Withheld: true}
	dropped := &Funding{Point: first, Withheld: true, Gone: true}
	closed := &Funding{Point: first, Gone: true}
	return []story{
		{"restart while collecting: replayed parts count once", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {5, outstanding(nil, 1)}, {6, arrive(1, 1, 400_000)},
			{7, arrive(1, 2, 600_000)}, {90, Tick{}}, {91, arrive(1, 1, 400_000)}}},
		{"restart while collecting: a part is lost", fixed(), []at{
			{0, arrive(1, 1, 400_000)}, {1, arrive(1, 2, 600_000)}, {5, outstanding(nil, 2)}}},
		{"restart while opening: the open left nothing", fixed(), opened(
			at{5, outstanding(nil, 1, 2)}, at{6, arrive(1, 1, 400_000)}, at{20, ClientOnline{1}})},
		{"restart while opening: the channel was signed", fixed(), opened(
			at{5, outstanding(live(first), 1, 2)}, at{20, ClientOnline{1}}, at{20, usable(first, 1)})},
		{"restart while opening, the payer gave up, the channel was signed", fixed(), opened(
			at{5, outstanding(live(first))}, at{20, ClientOnline{1}}, at{20, usable(first, 1)})},
		{"restart after the forward: the parts are handed on again", fixed(), forwarded(
			at{5, outstanding(live(first), 1, 2)}, at{6, arrive(1, 1, 400_000)},
			at{6, arrive(1, 2, 600_000)}, at{7, PartClaimed{key(1)}})},
		{"a forward is stuck: its payment fails and the next one pays", fixed(), forwarded(
			at{90, PartStuck{key(1)}}, at{90, PartStuck{key(2)}}, at{91, arrive(1, 1, 400_000)},
			at{92, arrive(2, 3, 1_000_000)})},
		{"the part with the fee is stuck and comes again, with the fee", fixed(), forwarded(
			at{90, PartStuck{key(1)}}, at{92, arrive(1, 3, 400_000)}, at{93, PartClaimed{key(2)}},
			at{93, PartClaimed{key(3)}})},
		{"restart after the forward: it was claimed", fixed(), forwarded(at{5, claimed})},
		{"restart after the forward: it had failed", fixed(), forwarded(at{5, outstanding(live(first))})},
		{"restart when paid", fixed(), forwarded(
			at{3, PartClaimed{key(1)}}, at{5, outstanding(live(first), 2)}, at{6, arrive(1, 2, 600_000)},
			at{7, arrive(2, 3, 5_000)}, at{9, usable(first, 1)})},
		{"restart when paid, before the broadcast", trusting(fixed()), forwarded(
			at{3, PartClaimed{key(1)}}, at{5, outstanding(withheld, 1, 2)})},
		{"a withheld payment is left lying, and its channel given up", trusting(fixed()), forwarded(
			at{5, Height{tip + 49}}, at{6, Height{tip + 50}}, at{6, arrive(1, 3, 400_000)},
			at{7, ChannelGone{Point: first}}, at{8, arrive(1, 1, 400_000)})},
		{"the preimage comes while the channel is given up", trusting(fixed()), forwarded(
			at{6, Height{tip + 50}}, at{7, PreimageKnown{part(1, 1, 1).Hash}},
			at{8, PartClaimed{key(1)}})},
		{"the preimage comes when the channel is given up", trusting(fixed()), forwarded(
			at{6, Height{tip + 50}}, at{7, PreimageKnown{part(1, 1, 1).Hash}},
			at{8, ChannelGone{first, true}})},
		{"restart while a withheld channel is given up", trusting(fixed()), forwarded(
			at{6, Height{tip + 50}}, at{7, restartAt(withheld, tip+50)}, at{8, ChannelGone{Point: first}})},
		{"restart after a withheld channel was given up", trusting(fixed()), forwarded(
			at{6, Height{tip + 50}}, at{7, restartAt(dropped, tip+50)},
			at{8, arrive(1, 1, 400_000)})},
		{"restart while dropping", trusting(fixed()), owed(
			at{5, outstanding(withheld)}, at{6, arrive(2, 3, 1_000_000)}, at{6, ClientOnline{1}},
			at{7, ChannelGone{Point: first}})},
		{"restart after dropping", trusting(fixed()), owed(
			at{5, outstanding(dropped)}, at{6, arrive(2, 3, 1_000_000)}, at{6, ClientOnline{1}})},
		{"restart, and the channel was closed", fixed(), owed(
			at{5, outstanding(closed)}, at{6, arrive(2, 3, 1_000_000)})},
		{"restart when owed: the first connection may skim", fixed(), opened(
			at{2, OpenSigned{first}}, at{91, Tick{}}, at{95, outstanding(live(first))},
			at{96, usable(first, 1)}, at{97, arrive(2, 3, 1_000_000)})},
		{"restart when owed, the client has not seen the try: the fee can be taken", fixed(),
			forwarded(at{3, PartFailed{key(1), true}}, at{3, PartFailed{key(2), true}},
				at{5, outstanding(live(first))}, at{6, usable(first, 1)},
				at{7, arrive(2, 3, 1_000_000)})},
		{"restart when owed after a try: the fee cannot be taken", fixed(), owed(
			at{5, outstanding(live(first))}, at{6, usable(first, 1)},
			at{7, arrive(2, 3, 1_000_000)})},
	}
}

// restartAt is a restart at a height, with both parts there.
func restartAt(f *Funding, height uint32) Restarted {
	ev := outstanding(f, 1, 2)
	ev.Height = height
	return ev
}

func tell(stories []story) string {
	var b strings.Builder
	for _, s := range stories {
		fmt.Fprintf(&b, "# %s\n", s.title)
		o := New("order", s.terms)
		for _, step := range s.steps {
			var text string
			o, text = render(o, t0.Add(time.Duration(step.sec)*time.Second), step.ev)
			b.WriteString(text)
		}
		b.WriteString("\n")
	}
	return b.String()
}
