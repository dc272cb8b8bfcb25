package funding

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

func allStates() []State {
	return []State{
		AwaitReservation{}, AwaitAcceptChannel{}, AwaitSignature{}, AwaitIntent{Signed{Point: point(1)}},
		AwaitFundingSigned{point(1)}, AwaitChannel{point(1)},
		AwaitVerdict{open()}, AwaitKeys{Open: open()}, AwaitFundingCreated{},
		AwaitAcceptedChannel{point(1)}, Stored{point(1)}, Failed{Fault: Ours},
	}
}

func allEvents() []Event {
	return []Event{
		RecvAcceptChannel{accept()}, RecvFundingCreated{created()}, RecvFundingSigned{signed(1)},
		RecvDuplicateOpen{}, RecvError{"no"}, Disconnected{},
		Judged{ZeroConf: true, Demands: demands()}, Refused{"no"}, Reserved{keys(10)},
		Signed{Point: point(1)}, IntentStored{}, ChannelStored{},
		CommandFailed{Fault: Ours, Reason: "no"}, Cancelled{"no"}, Tick{},
	}
}

// Each cell of what an opening does. The clock is past the deadline.
func TestOpeningMatrix(t *testing.T) {
	var b strings.Builder
	for _, s := range allStates() {
		fmt.Fprintf(&b, "%s\n", name(s))
		for _, ev := range allEvents() {
			o := Opening{Params: params(), State: s}
			next, out, err := o.Step(late, ev)
			switch {
			case err != nil:
				fmt.Fprintf(&b, "  %-20s unexpected\n", name(ev))
				if next != o || out != nil {
					t.Errorf("%s in %s: an unexpected event changed something", name(ev), name(s))
				}
			default:
				fmt.Fprintf(&b, "  %-20s %s: %s\n", name(ev), name(next.State), commands(out))
			}
		}
	}
	golden(t, "opening_matrix.golden", b.String())
}

func allTx() []TxState {
	return []TxState{
		Withheld{start}, Leaving{start}, Out{start}, Theirs{},
		Deep{lnwire.NewShortChanIDFromInt(9)}, Abandoned{"no"},
	}
}

func allUses() []UseState {
	return []UseState{
		AwaitDepth{}, AwaitDepth{Early: ready(5)}, AwaitOpen{}, AwaitOpen{Early: ready(5)},
		AwaitChannelReady{}, AwaitLink{}, Usable{}, Stuck{"no"},
	}
}

func allChannelEvents() []ChannelEvent {
	return []ChannelEvent{
		RecvChannelReady{ready(5)}, RecvChannelError{"no"}, PeerOnline{}, PeerOnline{Linked: true},
		Opened{}, Linked{}, LinkFailed{}, StoreFailed{"no"}, Published{},
		Confirmed{lnwire.NewShortChanIDFromInt(9)}, BadFunding{"no"}, Block{2500}, Release{},
		ReleaseKept{}, Drop{"no"}, DropKept{"no"}, Worthless{"no"}, RenewTick{},
	}
}

// Each cell of what a stored channel does; a cell without a change is left out.
func TestChannelMatrix(t *testing.T) {
	var b strings.Builder
	for _, tx := range allTx() {
		for _, use := range allUses() {
			_, theirs := tx.(Theirs)
			c := Channel{Facts: Facts{Point: point(1), Opener: !theirs, GiveUpAt: 2016}, Tx: tx, Use: use}
			if theirs {
				c.Facts.GiveUpAt = 2016
			}
			early := ""
			switch use := use.(type) {
			case AwaitDepth:
				early = kept(use.Early)
			case AwaitOpen:
				early = kept(use.Early)
			}
			fmt.Fprintf(&b, "%s %s%s\n", name(tx), name(use), early)
			for _, ev := range allChannelEvents() {
				next, out, err := c.Step(late, ev)
				label := name(ev)
				if online, ok := ev.(PeerOnline); ok && online.Linked {
					label += " linked"
				}
				switch {
				case err != nil:
					fmt.Fprintf(&b, "  %-17s %v\n", label, err)
				case next != c || len(out) > 0:
					fmt.Fprintf(&b, "  %-17s %s %s: %s\n", label, name(next.Tx), name(next.Use),
						commands(out))
				}
			}
		}
	}
	golden(t, "channel_matrix.golden", b.String())
}

func kept(early *lnwire.ChannelReady) string {
	if early != nil {
		return " early"
	}
	return ""
}
