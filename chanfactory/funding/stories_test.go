package funding

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// story plays events into a machine and writes down what it does.
type story struct {
	strings.Builder
	now time.Time
}

func (s *story) opening(title string, o Opening, out []Command, events ...Event) {
	fmt.Fprintf(s, "# %s\n  %s: %s\n", title, name(o.State), commands(out))
	for _, ev := range events {
		next, out, err := o.Step(s.now, ev)
		if err != nil {
			fmt.Fprintf(s, "  %s: %v\n", name(ev), err)
			continue
		}
		fmt.Fprintf(s, "  %s -> %s: %s\n", name(ev), name(next.State), commands(out))
		for _, c := range out {
			if tell, ok := c.(Tell); ok {
				if f, ok := tell.What.(ToldFailed); ok {
					fmt.Fprintf(s, "    because: %s; without anchors: %v\n", f.Reason,
						f.CanRetryWithoutAnchors)
				}
			}
		}
		o = next
	}
	s.WriteString("\n")
}

func (s *story) channel(title string, c Channel, out []Command, events ...ChannelEvent) {
	fmt.Fprintf(s, "# %s\n  %s %s: %s\n", title, name(c.Tx), name(c.Use), commands(out))
	for _, ev := range events {
		next, out, err := c.Step(s.now, ev)
		if err != nil {
			fmt.Fprintf(s, "  %s: %v\n", name(ev), err)
			continue
		}
		fmt.Fprintf(s, "  %s -> %s %s: %s\n", name(ev), name(next.Tx), name(next.Use),
			commands(out))
		c = next
	}
	s.WriteString("\n")
}

func TestOpeningStories(t *testing.T) {
	s := story{now: start}
	opener := func() (Opening, []Command) { return NewOpener(params()) }
	acceptor := func() (Opening, []Command) { return NewAcceptor(params(), open()) }
	judged := Judged{ZeroConf: true, Demands: demands()}
	sign, stored := Signed{Point: point(1)}, ChannelStored{}

	o, out := opener()
	s.opening("an opener's zero-conf channel", o, out, Reserved{keys(10)},
		RecvAcceptChannel{accept()}, sign, IntentStored{}, RecvFundingSigned{signed(1)}, stored)
	o, out = acceptor()
	s.opening("an acceptor's zero-conf channel", o, out, judged, Reserved{keys(20)},
		RecvFundingCreated{created()}, stored)
	o, out = opener()
	s.opening("the peer refuses anchors", o, out, Reserved{keys(10)}, RecvError{"rejected"})
	p := params()
	p.Type.Anchors = false
	o, out = NewOpener(p)
	s.opening("the peer refuses without anchors", o, out, Reserved{keys(10)}, RecvError{"rejected"})
	o, out = opener()
	slow := accept()
	slow.MinAcceptDepth = 3
	s.opening("the peer wants confirmations", o, out, Reserved{keys(10)}, RecvAcceptChannel{slow})
	o, out = opener()
	s.opening("no coins", o, out, CommandFailed{Ours, "not enough"})
	o, out = opener()
	s.opening("the peer leaves before funding_signed", o, out, Reserved{keys(10)},
		RecvAcceptChannel{accept()}, sign, IntentStored{}, Disconnected{})
	o, out = opener()
	s.opening("funding_signed for another channel", o, out, Reserved{keys(10)},
		RecvAcceptChannel{accept()}, sign, IntentStored{}, RecvFundingSigned{signed(2)})
	o, out = opener()
	s.opening("a wrong signature", o, out, Reserved{keys(10)}, RecvAcceptChannel{accept()}, sign,
		IntentStored{}, RecvFundingSigned{signed(1)}, CommandFailed{PeerTerms, "wrong"})
	o, out = opener()
	s.opening("accept_channel twice", o, out, Reserved{keys(10)}, RecvAcceptChannel{accept()}, sign,
		IntentStored{}, RecvAcceptChannel{accept()})
	o, out = opener()
	s.opening("the tag is used", o, out, Reserved{keys(10)}, RecvAcceptChannel{accept()}, sign,
		CommandFailed{Ours, "used"})
	o, out = acceptor()
	s.opening("nobody trusts this opener", o, out, Judged{Demands: demands()})
	o, out = acceptor()
	s.opening("the same temporary_channel_id again", o, out, judged, Reserved{keys(20)},
		RecvDuplicateOpen{})
	s.now = late
	o, out = opener()
	s.opening("a silent peer", o, out, Reserved{keys(10)}, Tick{})
	o, out = acceptor()
	s.opening("a silent opener", o, out, judged, Reserved{keys(20)}, Tick{})
	golden(t, "opening_stories.golden", s.String())
}

func TestChannelStories(t *testing.T) {
	s := story{now: start}
	scid := lnwire.NewShortChanIDFromInt(9)
	renew := start.Add(RenewEvery)
	jit := Facts{Point: point(1), Opener: true, ZeroConf: true}
	ordinary := Facts{Point: point(1), Opener: true}
	fundee := Facts{Point: point(1), GiveUpAt: 2516}

	c, out := Begin(jit, Leaving{renew})
	s.channel("zero-conf, broadcast at once", c, out, Opened{}, Published{},
		RecvChannelReady{ready(5)}, Linked{}, Block{501}, Confirmed{scid})
	c, out = Begin(jit, Withheld{renew})
	s.channel("withheld, released by the preimage", c, out, Opened{}, RecvChannelReady{ready(5)},
		Linked{}, Block{501}, Release{}, ReleaseKept{}, Published{}, Release{}, Drop{"late"},
		Confirmed{scid}, Release{})
	c, out = Begin(jit, Withheld{renew})
	s.channel("withheld, the client restarts and the order drops it", c, out, Opened{},
		RecvChannelReady{ready(5)}, Linked{}, Drop{"another one is opened"},
		DropKept{"another one is opened"}, Release{})
	c, out = Begin(jit, Withheld{renew})
	s.channel("withheld, the peer fails it", c, out, Opened{}, RecvChannelError{"no"},
		Worthless{"no"}, DropKept{"no"})
	c, out = Begin(ordinary, Leaving{renew})
	s.channel("ordinary, the peer sees the depth first", c, out, Published{},
		RecvChannelReady{ready(0)}, Confirmed{scid}, Opened{}, Linked{})
	c, out = Begin(fundee, Theirs{})
	s.channel("an acceptor whose opener never funds", c, out, Block{2515}, Block{2516},
		Worthless{"not confirmed"})
	c, out = Begin(fundee, Theirs{})
	s.channel("an acceptor that was away and finds the funding late", c, out, Block{2516}, Block{2517},
		Confirmed{scid}, Opened{})
	c, out = Begin(fundee, Theirs{})
	s.channel("an acceptor whose opener forgot the channel", c, out, RecvChannelError{"unknown"},
		Worthless{"unknown"})
	c, out = Begin(fundee, Theirs{})
	s.channel("the opener funds something else", c, out, BadFunding{"amount"})
	c, out = Begin(jit, Leaving{renew})
	s.channel("the court can't watch: nothing is broadcast", c, out, StoreFailed{"disk"}, Block{501})
	c, out = Resume(jit, Withheld{renew}, AwaitOpen{})
	s.channel("restart between storing and marking", c, out, Opened{}, PeerOnline{Linked: true},
		RecvChannelReady{ready(5)}, Linked{})
	c, out = Resume(ordinary, Leaving{renew}, AwaitDepth{})
	s.channel("restart while unconfirmed", c, out, PeerOnline{}, Confirmed{scid}, Opened{},
		PeerOnline{}, RecvChannelReady{ready(0)}, LinkFailed{}, RecvChannelReady{ready(0)}, Linked{})
	s.now = renew
	c, out = Begin(jit, Withheld{renew})
	s.channel("the leases are renewed", c, out, Opened{}, RenewTick{})
	golden(t, "channel_stories.golden", s.String())
}
