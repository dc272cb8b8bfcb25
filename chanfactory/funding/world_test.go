package funding

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

// world is a model of the shell and of all that it touches: wallet, store, network. What it
// calls disk outlives a crash. Everything that must never happen panics.
type world struct {
	rnd *rand.Rand
	now time.Time
	log []fmt.Stringer

	// disk
	records  map[string]*intent
	channels map[wire.OutPoint]*stored
	watched  map[wire.OutPoint]bool
	leased   map[int]bool // coins

	// network
	sent map[wire.OutPoint]bool // funding_created left
	out  map[wire.OutPoint]bool // the transaction was broadcast

	// memory
	opening  *Opening
	acceptor bool
	tag      string
	res      *reserved
	machines map[wire.OutPoint]*Channel
	online   bool
	points   byte
	ended    map[int]string // how each reservation ended
	nextRes  int
}

type intent struct {
	point wire.OutPoint
	coin  int
	hold  bool // to be withheld
	state string
}

type stored struct {
	ours, zeroConf, open, ready, used, deep, cancelled bool
	tag                                                string
}

type reserved struct{ id, coin int }

func (w *world) never(format string, args ...any) {
	panic(fmt.Sprintf(format, args...) + "\n" + fmt.Sprint(w.log))
}

func (w *world) note(format string, args ...any) {
	if len(w.log) > 60 {
		w.log = w.log[1:]
	}
	w.log = append(w.log, line{format, args})
}

// line is formatted only when something went wrong.
type line struct {
	format string
	args   []any
}

func (l line) String() string { return fmt.Sprintf(l.format, l.args...) + "\n" }

// short formats commands and type names late.
type short struct{ v any }

func (s short) String() string {
	if out, ok := s.v.([]Command); ok {
		return commands(out)
	}
	return name(s.v)
}

// fails says that something that can fail does so now.
func (w *world) fails() bool { return w.rnd.IntN(12) == 0 }

// crash is thrown between any two commands.
type crash struct{}

func (w *world) maybeCrash() {
	if w.rnd.IntN(150) == 0 {
		panic(crash{})
	}
}

// run does commands as the shell does: in order, until one fails.
func (w *world) run(out []Command) Event {
	var answer Event
	for _, c := range out {
		w.maybeCrash()
		ev := w.command(c)
		if _, failed := ev.(CommandFailed); failed {
			return ev
		}
		if ev != nil {
			answer = ev
		}
	}
	return answer
}

func (w *world) failed() Event {
	return CommandFailed{Fault: []Fault{Ours, PeerTerms}[w.rnd.IntN(2)], Reason: "injected"}
}

func (w *world) command(c Command) Event {
	switch c := c.(type) {
	case Judge:
		if w.fails() {
			return Refused{"no"}
		}
		return Judged{ZeroConf: w.opening == nil || w.opening.Params.Type.ZeroConf, Demands: demands()}
	case Reserve:
		if w.fails() {
			return w.failed()
		}
		w.nextRes++
		w.res = &reserved{id: w.nextRes, coin: -1}
		if !w.acceptor {
			w.res.coin = w.pickCoin()
		}
		return Reserved{keys(10)}
	case TakeAlias, TakeTerms:
		if w.res == nil {
			w.never("%T without a reservation", c)
		}
		if w.fails() {
			return w.failed()
		}
	case Sign:
		if w.fails() {
			return w.failed()
		}
		w.points++
		return Signed{Point: point(w.points)}
	case StoreIntent:
		if w.fails() {
			return w.failed()
		}
		if old := w.records[w.tag]; old != nil && old.state != "dropped" {
			return w.failed() // the tag is used
		}
		w.records[w.tag] = &intent{
			point: c.Point, coin: w.res.coin, hold: w.rnd.IntN(2) == 0, state: "intended",
		}
		return IntentStored{}
	case StoreChannel:
		return w.storeChannel(c)
	case Send:
		w.send(c.Msg)
	case CancelReservation:
		w.endReservation("cancelled")
	case DropIntent:
		if r := w.records[w.tag]; r != nil && r.point == c.Point {
			delete(w.records, w.tag)
		}
	case CarryOn:
		w.carryOn(c.Point)
	}
	return nil
}

func (w *world) pickCoin() int {
	for coin := 0; ; coin++ {
		if !w.leased[coin] {
			w.leased[coin] = true
			return coin
		}
	}
}

// endReservation checks that a reservation ends once.
func (w *world) endReservation(how string) {
	if w.res == nil {
		return // it failed in StoreChannel, which ended it
	}
	if before, twice := w.ended[w.res.id]; twice {
		w.never("reservation %d was %s and then %s", w.res.id, before, how)
	}
	w.ended[w.res.id] = how
	if how == "cancelled" && w.res.coin >= 0 {
		delete(w.leased, w.res.coin)
	}
	w.res = nil
}

func (w *world) storeChannel(c StoreChannel) Event {
	// A peer may name a channel that there is already, which lnwallet refuses, or the output that
	// we are about to fund, which the shell refuses: it would take our channel's place.
	_, taken := w.channels[c.Point]
	for _, r := range w.records {
		taken = taken || w.acceptor && r.point == c.Point
	}
	if taken || w.fails() {
		w.endReservation("cancelled")
		return w.failed()
	}
	if !w.acceptor {
		for _, ch := range w.channels {
			if ch.tag == w.tag && !ch.cancelled {
				w.never("order %s funds a second channel", w.tag)
			}
		}
	}
	ch := &stored{ours: !w.acceptor, zeroConf: w.opening.Params.ZeroConf}
	if ch.ours {
		ch.tag = w.tag
	}
	w.channels[c.Point] = ch
	w.endReservation("completed")
	return ChannelStored{}
}

func (w *world) send(m lnwire.Message) {
	switch m := m.(type) {
	case *lnwire.FundingCreated:
		if r := w.records[w.tag]; r == nil || r.point != m.FundingPoint {
			w.never("funding_created left before the intent was stored")
		}
		w.sent[m.FundingPoint] = true
	case *lnwire.FundingSigned:
		found := false
		for p := range w.channels {
			found = found || lnwire.NewChanIDFromOutPoint(p) == m.ChanID
		}
		if !found {
			w.never("funding_signed left before the channel was stored")
		}
	}
}

// drive moves the opening on.
func (w *world) drive(ev Event) {
	for ev != nil && w.opening != nil {
		next, out, err := w.opening.Step(w.now, ev)
		if err != nil {
			w.never("%v", err)
		}
		w.note("%s %s -> %s: %s", short{w.opening.State}, short{ev}, short{next.State}, short{out})
		*w.opening = next
		ev = w.run(out)
	}
	if w.opening != nil && w.opening.Ended() {
		if w.res != nil {
			w.never("an ended opening holds a reservation: %s", name(w.opening.State))
		}
		w.opening = nil
	}
}
