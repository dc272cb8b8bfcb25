package world

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
	"github.com/inletlsp/inlet/lsp/jit"
)

const (
	rate     = 2500 // sat/kw
	leaseFor = 10 * time.Minute
	deep     = 6 // confirmations of a zero-conf channel
)

// recordState is what the journal says of a funding.
type recordState string

const (
	intended  recordState = "intended"
	released  recordState = "released"
	confirmed recordState = "confirmed"
	dropped   recordState = "dropped"
)

// record is a funding in the journal, one for each order.
type record struct {
	tag      string
	client   *client
	point    wire.OutPoint
	coin     int
	withhold bool
	state    recordState
}

func (r *record) mayBeOut() bool {
	switch r.state {
	case intended:
		return !r.withhold
	case released, confirmed:
		return true
	}
	return false
}

// stored is a channel on disk.
type stored struct {
	tag      string
	client   *client
	point    wire.OutPoint
	capacity btcutil.Amount
	watched  bool
	open     bool // marked as open
	ready    bool // their channel_ready is there
	real     bool // has its confirmed scid
	closed   bool // not among the channels any more
	out      map[uint64]*outgoing
}

// worker is chanfactory's worker for one peer: one thing after the other.
type worker struct {
	w        *world
	c        *client
	conn     jit.Conn // 0: away
	queue    []func()
	ticking  bool
	blocking bool
	openings []*opening
	tags     map[string]bool // of openings, from the request on
	channels map[wire.OutPoint]*channel
}

// opening is one funding machine with what its commands made so far.
type opening struct {
	machine  funding.Opening
	tag      string
	conn     jit.Conn
	withhold bool
	coin     int // leased for it; -1: none
	point    wire.OutPoint
}

// channel is one channel machine.
type channel struct {
	machine    funding.Channel
	tag        string
	coin       int
	publishing bool
	asked      []func(error) // who waits for the first broadcast
}

type publication struct {
	k     *worker
	point wire.OutPoint
}

func (w *world) worker(c *client) *worker {
	i := w.at(c)
	if w.lsp.workers[i] == nil {
		w.lsp.workers[i] = &worker{
			w: w, c: c, tags: map[string]bool{}, channels: map[wire.OutPoint]*channel{},
		}
	}
	return w.lsp.workers[i]
}

func (k *worker) post(task func()) { k.queue = append(k.queue, task) }

func (w *world) stepWorkers() bool {
	if w.lsp == nil {
		return false
	}
	for i := range w.clients {
		k := w.lsp.workers[(i+w.rotate)%len(w.clients)]
		if k == nil || len(k.queue) == 0 {
			continue
		}
		task := k.queue[0]
		k.queue = k.queue[1:]
		task()
		return true
	}
	return false
}

func (k *worker) deadline() (first time.Time, ok bool) {
	if k.ticking {
		return first, false
	}
	add := func(at time.Time, is bool) {
		if is && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	for _, o := range k.openings {
		add(o.machine.Deadline())
	}
	for _, ch := range k.channels {
		add(ch.machine.Deadline())
	}
	return first, ok
}

func (k *worker) fire() {
	if at, ok := k.deadline(); !ok || k.w.now.Before(at) {
		return
	}
	k.ticking = true
	k.post(func() {
		k.ticking = false
		for _, o := range slices.Clone(k.openings) {
			if at, ok := o.machine.Deadline(); ok && !k.w.now.Before(at) {
				k.drive(o, funding.Tick{})
			}
		}
		for _, p := range sortedPoints(k.channels) {
			if ch := k.channels[p]; ch != nil {
				if at, ok := ch.machine.Deadline(); ok && !k.w.now.Before(at) {
					k.step(p, funding.RenewTick{})
				}
			}
		}
	})
}

func (k *worker) block() {
	if k.blocking {
		return
	}
	k.blocking = true
	k.post(func() {
		k.blocking = false
		for _, p := range sortedPoints(k.channels) {
			k.step(p, funding.Block{Height: k.w.height})
		}
	})
}

// online and gone are the connection's begin and end.
func (k *worker) online(conn jit.Conn) {
	k.post(func() {
		if k.conn != 0 {
			k.gone(k.conn)
		}
		k.conn = conn
		for _, p := range sortedPoints(k.channels) {
			k.step(p, funding.PeerOnline{Linked: k.w.lsp.swtch.links[p] != nil})
		}
	})
}

func (k *worker) gone(conn jit.Conn) {
	if k.conn != conn {
		return
	}
	k.conn = 0
	for _, o := range slices.Clone(k.openings) {
		k.drive(o, funding.Disconnected{})
	}
}

// open is Factory.Open, after what the node asks first.
func (w *world) open(b *bought, c jit.OpenChannel) error {
	if b.client.conn == 0 || b.client.conn != c.Conn {
		return errors.New("the client's connection has ended")
	}
	if w.freeCoin() < 0 {
		return errors.New("not enough coins")
	}
	k := w.worker(b.client)
	if r := w.disk.journal[b.id]; k.opens(b.id) || r != nil && r.state != dropped {
		return errors.New("the tag is used")
	}
	room := funding.Room{Forward: c.Receives, Parts: c.Parts}
	capacity := funding.Capacity(room, rate, !c.WithoutAnchors, funding.ReserveRule{})
	capacity = max(capacity+room.Forward.ToSatoshis()/2, 20_000)
	w.asks++
	o := &opening{tag: b.id, conn: c.Conn, withhold: c.Withhold, coin: -1}
	o.machine.Params = funding.Params{
		PendingID: [32]byte{byte(w.asks >> 8), byte(w.asks), 1}, Chain: *chaincfg.RegressionNetParams.GenesisHash,
		Type:     funding.ChanType{Anchors: !c.WithoutAnchors, ScidAlias: true, ZeroConf: true},
		Capacity: capacity, CommitFeeRate: rate, ZeroConf: true, Private: true,
		MaxToSelfDelay: 2016, Room: room, Deadline: w.now.Add(b.terms.Rules.OpenTimeout),
		Demands: funding.Demands{
			ToSelfDelay: 144, Reserve: funding.ReserveRule{}.Of(capacity), HtlcMinimum: 1,
			MaxInFlight: lnwire.NewMSatFromSatoshis(capacity), MaxHtlcs: 483,
		},
	}
	k.tags[b.id] = true
	k.post(func() {
		if k.conn == 0 || k.conn != o.conn {
			k.forget(o)
			k.emit(o.tag, jit.OpenFailed{Fault: jit.FaultGone, Reason: "the connection ended"})
			return
		}
		machine, out := funding.NewOpener(o.machine.Params)
		o.machine = machine
		k.openings = append(k.openings, o)
		if ev := k.do(o, out); ev != nil {
			k.drive(o, ev)
		}
	})
	return nil
}

func (k *worker) opens(tag string) bool { return k.tags[tag] }

func (k *worker) forget(o *opening) {
	delete(k.tags, o.tag)
	k.openings = slices.DeleteFunc(k.openings, func(other *opening) bool { return other == o })
}

// emit tells the order.
func (k *worker) emit(tag string, ev jit.Event) {
	k.w.lsp.desk.post(input{id: tag, event: ev})
}

// cancel is Factory.Cancel.
func (w *world) cancel(b *bought) {
	k := w.worker(b.client)
	k.post(func() {
		for _, o := range slices.Clone(k.openings) {
			if o.tag == b.id {
				k.drive(o, funding.Cancelled{Reason: "the opening was cancelled"})
			}
		}
	})
}

func (k *worker) drive(o *opening, ev funding.Event) {
	for ev != nil {
		next, out, err := o.machine.Step(k.w.now, ev)
		if err != nil {
			k.w.must(o.machine.Ended(), "a funding machine does not expect an event", err)
			return
		}
		k.w.say("%s funding: %s -> %s%s", o.tag, bare(ev), next.String(), sayFundingCommands(out))
		o.machine = next
		ev = k.do(o, out)
	}
	if o.machine.Ended() {
		k.w.must(o.coin < 0, "an opening has ended and holds a coin", o.tag)
		k.forget(o)
	}
}

func (k *worker) do(o *opening, out []funding.Command) funding.Event {
	var answer funding.Event
	for _, c := range out {
		ev := k.command(o, c)
		if _, failed := ev.(funding.CommandFailed); failed {
			return ev
		}
		if ev != nil {
			answer = ev
		}
	}
	return answer
}

func failed(reason string) funding.Event {
	return funding.CommandFailed{Fault: funding.Ours, Reason: reason}
}

func (k *worker) command(o *opening, c funding.Command) funding.Event {
	w := k.w
	switch c := c.(type) {
	case funding.Reserve:
		coin := w.freeCoin()
		if coin < 0 {
			return failed("no coins")
		}
		w.checkReserve(o, coin)
		w.durable("lease", func() { w.disk.leases[coin] = w.now.Add(leaseFor) })
		o.coin = coin
		return funding.Reserved{Keys: ourKeys}
	case funding.TakeAlias:
		w.point("alias taken")
	case funding.Sign:
		o.point = w.newPoint()
		return funding.Signed{Point: o.point}
	case funding.StoreIntent:
		if old := w.disk.journal[o.tag]; old != nil && old.state != dropped {
			return failed("the tag is used")
		}
		w.durable("intent", func() {
			w.disk.journal[o.tag] = &record{
				tag: o.tag, client: k.c, point: o.point, coin: o.coin, withhold: o.withhold,
				state: intended,
			}
		})
		return funding.IntentStored{}
	case funding.StoreChannel:
		return k.storeChannel(o, c)
	case funding.Send:
		k.send(c.Msg)
	case funding.CancelReservation:
		if o.coin >= 0 {
			w.durable("coins given back", func() { delete(w.disk.leases, o.coin) })
			o.coin = -1
		}
	case funding.DropIntent:
		if r := w.disk.journal[o.tag]; r != nil && r.point == c.Point {
			w.durable("intent dropped", func() { delete(w.disk.journal, o.tag) })
		}
	case funding.Tell:
		k.tell(o, c.What)
	case funding.CarryOn:
		k.carryOn(o)
	}
	return nil
}

// storeChannel is where the channel begins to be there.
func (k *worker) storeChannel(o *opening, c funding.StoreChannel) funding.Event {
	w := k.w
	if c.Sig != (lnwire.Sig{}) { // the fake client's bad signature
		w.durable("coins given back", func() { delete(w.disk.leases, o.coin) })
		o.coin = -1
		return funding.CommandFailed{Fault: funding.PeerTerms, Reason: "the signature is wrong"}
	}
	w.checkStore(o)
	w.durable("channel", func() {
		w.disk.channels[c.Point] = &stored{
			tag: o.tag, client: k.c, point: c.Point, capacity: o.machine.Params.Capacity,
			out: map[uint64]*outgoing{},
		}
	})
	return funding.ChannelStored{}
}

func (k *worker) tell(o *opening, what funding.Report) {
	switch what := what.(type) {
	case funding.ToldSigned:
		// The channel's machine holds the coin from here on.
		k.emit(o.tag, jit.OpenSigned{Point: what.Point})
	case funding.ToldFailed:
		k.forget(o)
		k.emit(o.tag, jit.OpenFailed{
			Fault: orderFault(what.Fault), Reason: what.Reason,
			CanRetryWithoutAnchors: what.CanRetryWithoutAnchors,
		})
	}
}

func orderFault(f funding.Fault) jit.Fault {
	switch f {
	case funding.PeerRefused:
		return jit.FaultRefused
	case funding.PeerGone:
		return jit.FaultGone
	case funding.PeerTerms:
		return jit.FaultTerms
	case funding.Timeout:
		return jit.FaultTimeout
	}
	return jit.FaultOurs
}

// send is lost when the client is away.
func (k *worker) send(m lnwire.Message) {
	if m, ok := m.(*lnwire.FundingCreated); ok {
		k.w.checkCreated(m.FundingPoint)
	}
	if k.conn != 0 && k.c.conn == k.conn {
		k.c.inbox = append(k.c.inbox, m)
	}
}

// receive takes a message of a connection.
func (k *worker) receive(conn jit.Conn, m lnwire.Message) {
	k.post(func() {
		if k.conn != conn {
			return
		}
		k.w.say("%s: %s", k.c.name, bare(m))
		switch m := m.(type) {
		case *lnwire.AcceptChannel:
			k.pending(m.PendingChannelID, funding.RecvAcceptChannel{Msg: m})
		case *lnwire.FundingSigned:
			for _, o := range slices.Clone(k.openings) {
				if o.hasID(m.ChanID) {
					k.drive(o, funding.RecvFundingSigned{Msg: m})
				}
			}
		case *lnwire.ChannelReady:
			for _, p := range sortedPoints(k.channels) {
				if lnwire.NewChanIDFromOutPoint(p) == m.ChanID {
					k.step(p, funding.RecvChannelReady{Msg: m})
				}
			}
		case *lnwire.Error:
			k.failed(m)
		}
	})
}

func (o *opening) hasID(id lnwire.ChannelID) bool {
	s, ok := o.machine.State.(funding.AwaitFundingSigned)
	return ok && lnwire.NewChanIDFromOutPoint(s.Point) == id
}

func (k *worker) pending(id [32]byte, ev funding.Event) {
	for _, o := range slices.Clone(k.openings) {
		if o.machine.Params.PendingID == id {
			k.drive(o, ev)
		}
	}
}

func (k *worker) failed(m *lnwire.Error) {
	all, text := m.ChanID == lnwire.ConnectionWideID, string(m.Data)
	for _, o := range slices.Clone(k.openings) {
		if all || m.ChanID == o.machine.Params.PendingID || o.hasID(m.ChanID) {
			k.drive(o, funding.RecvError{Text: text})
		}
	}
	for _, p := range sortedPoints(k.channels) {
		if all || lnwire.NewChanIDFromOutPoint(p) == m.ChanID {
			k.step(p, funding.RecvChannelError{Text: text})
		}
	}
}

// makeKeys draws nothing: the points are made from small numbers.
func makeKeys(n byte) funding.Keys {
	pub := func(n byte) *btcec.PublicKey {
		_, k := btcec.PrivKeyFromBytes([]byte{31: n})
		return k
	}
	return funding.Keys{
		Funding: pub(n), Revocation: pub(n + 1), Payment: pub(n + 2), Delayed: pub(n + 3),
		Htlc: pub(n + 4), FirstPoint: pub(n + 5),
	}
}

var ourKeys, theirKeys = makeKeys(10), makeKeys(20)

// bare is a type's name without its package.
func bare(v any) string {
	s := fmt.Sprintf("%T", v)
	return s[1+max(0, slices.Index([]byte(s), '.')):]
}

func sayFundingCommands(out []funding.Command) string {
	s := ""
	for i, c := range out {
		if s += ", "; i == 0 {
			s = ": "
		}
		switch c := c.(type) {
		case funding.Send:
			s += "send " + bare(c.Msg)
		case funding.Tell:
			s += "tell " + bare(c.What)
		default:
			s += bare(c)
		}
	}
	return s
}
