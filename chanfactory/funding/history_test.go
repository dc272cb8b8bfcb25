package funding

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

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
	for _, p := range w.known() {
		if w.machines[p] != nil && w.rnd.IntN(2) == 0 {
			w.stepChannel(p, w.channelEvent(p, w.channels[p]))
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
			RecvAcceptChannel{accept()}, RecvFundingSigned{signed(1)}, RecvDuplicateOpen{},
			RecvFundingCreated{&lnwire.FundingCreated{FundingPoint: point(255)}},
			RecvError{"no"}, Disconnected{}, Cancelled{"no"}, Tick{},
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
		for _, r := range w.records {
			if w.rnd.IntN(4) == 0 {
				return RecvFundingCreated{&lnwire.FundingCreated{FundingPoint: r.point}}
			}
			break
		}
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
	for n := range 2000 {
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
				t.Fatalf("orders %s and %s hold the same coin\n%s%v", tag, other, w.dump(), w.log)
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
