package funding

import (
	"fmt"
	"math/rand/v2"
	"testing"
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
	// A peer may name a channel that there is already; lnwallet refuses it.
	if _, exists := w.channels[c.Point]; exists || w.fails() {
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

func (w *world) carryOn(p wire.OutPoint) {
	ch := w.channels[p]
	var tx TxState = Theirs{}
	if ch.ours {
		tx = Leaving{w.now.Add(RenewEvery)}
		if w.records[ch.tag].hold {
			tx = Withheld{w.now.Add(RenewEvery)}
		}
	}
	c, out := Begin(w.facts(p), tx)
	w.follow(p, c, out)
}

func (w *world) facts(p wire.OutPoint) Facts {
	ch := w.channels[p]
	f := Facts{Point: p, Opener: ch.ours, ZeroConf: ch.zeroConf}
	if !ch.ours && !ch.zeroConf {
		f.GiveUpAt = 2516
	}
	return f
}

// follow runs a channel's commands and its answers.
func (w *world) follow(p wire.OutPoint, next Channel, out []Command) {
	w.machines[p] = &next
	for _, c := range out {
		w.maybeCrash()
		ev := w.channelCommand(p, c)
		if ev != nil {
			w.stepChannel(p, ev)
			break
		}
	}
	if m := w.machines[p]; m != nil && m.Done() {
		delete(w.machines, p)
	}
}

func (w *world) stepChannel(p wire.OutPoint, ev ChannelEvent) {
	m := w.machines[p]
	if m == nil {
		return
	}
	next, out, err := m.Step(w.now, ev)
	w.note("%v %s+%s -> %s %s: %s", p.Hash[:1], short{m.Tx}, short{ev}, short{next.Tx},
		short{next.Use}, short{out})
	if err != nil {
		return
	}
	w.follow(p, next, out)
}

func (w *world) channelCommand(p wire.OutPoint, c Command) ChannelEvent {
	ch := w.channels[p]
	switch c := c.(type) {
	case Watch:
		if w.fails() {
			return StoreFailed{"injected"}
		}
		w.watched[p] = true
	case MarkOpen:
		if w.fails() {
			return StoreFailed{"injected"}
		}
		ch.open = true
		return Opened{}
	case SendReady:
		if !ch.open {
			w.never("channel_ready before the channel was open")
		}
	case Link:
		if !ch.open || c.Msg == nil {
			w.never("a link before both channel_ready")
		}
		if w.fails() || !w.online {
			return LinkFailed{}
		}
		ch.ready = true
		return Linked{}
	case Publish:
		w.publish(p, ch)
	case KeepReleased:
		if w.fails() {
			return nil
		}
		w.records[ch.tag].state = "released"
		return ReleaseKept{}
	case KeepDropped:
		if w.fails() {
			return nil
		}
		if r := w.records[ch.tag]; r.state != "intended" || !r.hold {
			w.never("dropped a funding that may be out: %+v", *r)
		}
		w.records[ch.tag].state = "dropped"
		return DropKept(c)
	case KeepConfirmed:
		w.records[ch.tag].state = "confirmed"
		ch.deep = true
	case WeighLoss:
		if !ch.used {
			return Worthless(c)
		}
	case CloseUnfunded:
		if w.out[p] {
			w.never("cancelled a channel whose funding is out")
		}
		ch.cancelled = true
	case FreeCoins:
		if !ch.cancelled {
			w.never("freed the coins of a channel that lives")
		}
		delete(w.leased, w.records[ch.tag].coin)
	}
	return nil
}

// publish is where money is lost.
func (w *world) publish(p wire.OutPoint, ch *stored) {
	r := w.records[ch.tag]
	switch {
	case ch.cancelled || r == nil || r.point != p || r.state == "dropped":
		w.never("broadcast a funding that was given up")
	case r.hold && r.state == "intended":
		w.never("broadcast a withheld funding")
	case !w.watched[p]:
		w.never("broadcast the funding of a channel that nobody watches")
	case !w.leased[r.coin]:
		w.never("broadcast a funding whose coin is free")
	}
	w.out[p] = true
}

// restart loses the memory and settles the disk, as the shell does.
func (w *world) restart() {
	w.note("restart")
	if w.res != nil {
		w.ended[w.res.id] = "lost"
	}
	w.opening, w.res, w.online = nil, nil, false
	w.machines = map[wire.OutPoint]*Channel{}
	held := map[int]bool{}
	for tag, r := range w.records {
		ch := w.channels[r.point]
		if ch == nil && r.state == "intended" {
			delete(w.records, tag)
		}
		if ch != nil && r.state != "dropped" {
			held[r.coin] = true
		}
	}
	for coin := range w.leased {
		if !held[coin] {
			delete(w.leased, coin)
		}
	}
	for p, ch := range w.channels {
		if ch.cancelled {
			continue
		}
		w.watched[p] = true // the court loads every channel
		w.resume(p, ch)
	}
}

func (w *world) resume(p wire.OutPoint, ch *stored) {
	renew := w.now.Add(RenewEvery)
	var tx TxState = Theirs{}
	if ch.ours {
		r := w.records[ch.tag]
		switch {
		case r.state == "dropped":
			m := Channel{Facts: w.facts(p), Tx: Withheld{renew}, Use: AwaitChannelReady{}}
			w.machines[p] = &m
			w.stepChannel(p, DropKept{"again"})
			return
		case r.state == "confirmed":
			tx = Deep{lnwire.NewShortChanIDFromInt(9)}
		case r.hold && r.state == "intended":
			tx = Withheld{renew}
		default:
			tx = Leaving{renew}
		}
	}
	var use UseState = Usable{}
	switch {
	case !ch.open && ch.zeroConf:
		use = AwaitOpen{}
	case !ch.open:
		use = AwaitDepth{}
		if _, deep := tx.(Deep); deep {
			tx = Leaving{renew}
		}
	case !ch.ready:
		use = AwaitChannelReady{}
	}
	c, out := Resume(w.facts(p), tx, use)
	w.follow(p, c, out)
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

// act does one random thing.
func (w *world) act() {
	if w.opening == nil && w.rnd.IntN(3) == 0 {
		w.begin()
		return
	}
	if w.rnd.IntN(2) == 0 && w.opening != nil {
		w.drive(w.peerEvent())
		return
	}
	if w.rnd.IntN(10) == 0 {
		w.online = !w.online
	}
	w.now = w.now.Add(time.Duration(w.rnd.IntN(60)) * time.Second)
	for p, ch := range w.channels {
		if w.machines[p] != nil && w.rnd.IntN(2) == 0 {
			w.stepChannel(p, w.channelEvent(p, ch))
		}
	}
}

func (w *world) begin() {
	p := params()
	p.Deadline = w.now.Add(15 * time.Second)
	p.ZeroConf = w.rnd.IntN(3) > 0
	p.Type.ZeroConf = p.ZeroConf
	w.acceptor = w.rnd.IntN(3) == 0
	w.tag = fmt.Sprint("order", w.rnd.IntN(3))
	if r := w.records[w.tag]; !w.acceptor && r != nil && r.state != "dropped" {
		return // Open refuses it
	}
	var o Opening
	var out []Command
	if w.acceptor {
		m := openChannel(p, keys(10))
		o, out = NewAcceptor(p, m)
	} else {
		o, out = NewOpener(p)
	}
	w.opening = &o
	w.drive(w.run(out))
}

// peerEvent is mostly what is awaited, sometimes anything.
func (w *world) peerEvent() Event {
	if w.rnd.IntN(6) == 0 {
		return []Event{
			RecvAcceptChannel{accept()}, RecvFundingCreated{created()}, RecvFundingSigned{signed(1)},
			RecvDuplicateOpen{}, RecvError{"no"}, Disconnected{}, Cancelled{"no"}, Tick{},
		}[w.rnd.IntN(8)]
	}
	switch s := w.opening.State.(type) {
	case AwaitAcceptChannel:
		m := accept()
		m.ChannelType = w.opening.Params.Type.Wire()
		return RecvAcceptChannel{m}
	case AwaitFundingSigned:
		m := &lnwire.FundingSigned{ChanID: lnwire.NewChanIDFromOutPoint(s.Point)}
		return RecvFundingSigned{m}
	case AwaitFundingCreated:
		w.points++
		return RecvFundingCreated{&lnwire.FundingCreated{FundingPoint: point(w.points)}}
	}
	return Tick{}
}

func (w *world) channelEvent(p wire.OutPoint, ch *stored) ChannelEvent {
	switch w.rnd.IntN(9) {
	case 0:
		return Release{}
	case 1:
		return Drop{"no"}
	case 2:
		return RecvChannelError{"no"}
	case 3:
		return Block{uint32(500 + w.rnd.IntN(2500))}
	case 4:
		return PeerOnline{Linked: w.rnd.IntN(2) == 0}
	case 5:
		return RenewTick{}
	case 6:
		if w.out[p] || !ch.ours {
			return Confirmed{lnwire.NewShortChanIDFromInt(9)}
		}
		return Block{500}
	case 7:
		ch.used = ch.used || ch.ready
		return Published{}
	}
	return RecvChannelReady{ready(5)}
}

// Random histories with failures and crashes: the invariants are checked at each command.
func TestRandomHistories(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	steps, crashes := 0, 0
	for n := range 4000 {
		w := &world{
			rnd: rand.New(rand.NewPCG(seed, uint64(n))), now: start, online: true,
			records: map[string]*intent{}, channels: map[wire.OutPoint]*stored{},
			watched: map[wire.OutPoint]bool{}, leased: map[int]bool{},
			sent: map[wire.OutPoint]bool{}, out: map[wire.OutPoint]bool{},
			machines: map[wire.OutPoint]*Channel{}, ended: map[int]string{},
		}
		for range 120 {
			steps++
			for do := w.act; w.survives(t, do); do = w.restart {
				crashes++
			}
		}
		w.settle(t)
	}
	t.Logf("%d steps, %d crashes", steps, crashes)
}

// survives is true when the world crashed.
func (w *world) survives(t *testing.T, do func()) (crashed bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			crashed = true
		default:
			t.Fatalf("history: %v", r)
		}
	}()
	do()
	return false
}

// settle lets everything end and looks at what is left.
func (w *world) settle(t *testing.T) {
	for w.survives(t, func() {
		if w.opening != nil {
			w.drive(Disconnected{})
		}
	}) {
		for w.survives(t, w.restart) {
			continue
		}
	}
	held := map[int]string{}
	for tag, r := range w.records {
		if ch := w.channels[r.point]; ch != nil && !ch.cancelled {
			if other, twice := held[r.coin]; twice {
				t.Fatalf("orders %s and %s hold the same coin", tag, other)
			}
			held[r.coin] = tag
		}
	}
	for coin := range w.leased {
		if _, ok := held[coin]; !ok {
			t.Fatalf("coin %d stays leased for nothing\n%s%v", coin, w.dump(), w.log)
		}
	}
	for id := 1; id <= w.nextRes; id++ {
		if w.ended[id] == "" {
			t.Fatalf("reservation %d has no end\n%v", id, w.log)
		}
	}
}

// dump shows the disk.
func (w *world) dump() string {
	s := ""
	for tag, r := range w.records {
		s += fmt.Sprintf("%s %+v\n", tag, *r)
	}
	for p, ch := range w.channels {
		s += fmt.Sprintf("%v %+v\n", p, *ch)
	}
	return s
}
