package world

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

const tip = 1000 // the height at the beginning

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is the LSP's shells without their goroutines, and all that they touch.
// What disk holds outlives a crash, what process holds does not. Nothing in it is
// left to chance: a history is its list of lines.
type world struct {
	now    time.Time
	height uint32

	disk  disk
	lsp   *process // nil while it is down
	chain chain

	clients []*client
	orders  []*bought
	htlcs   []*htlc // by the index of their incoming HTLC
	payerUp bool

	points  uint32          // the last funding output that was made
	asks    uint32          // the last temporary_channel_id
	crashIn int             // how many points from here the process dies; 0: never
	passed  int             // points so far, to tell how many a script has
	held    map[string]bool // threads that do not move by themselves
	rotate  int             // which thread goes first

	trace *strings.Builder // nil: not wanted
	count map[string]int   // how often something was reached
}

// disk is what is durable.
type disk struct {
	orders    map[string]row
	journal   map[string]*record
	channels  map[wire.OutPoint]*stored
	aliases   map[lnwire.ShortChannelID]wire.OutPoint
	circuits  map[uint64]*circuit
	preimages map[byte]bool
	leases    map[int]time.Time // coins, until when
}

// process is the memory of a running LSP.
type process struct {
	desk    *desk
	workers []*worker // as world.clients
	swtch   *swtch
	publish []publication
	conns   jit.Conn               // the last one
	retired map[wire.OutPoint]bool // channels that get no link now
}

// bought is what the outside knows of an order.
type bought struct {
	id     string
	client *client
	terms  jit.Terms
	hashes []byte // payments that the client has an invoice for
	funded map[wire.OutPoint]bool
}

// broken is thrown when something happened that must never happen.
type broken struct{ what, more string }

// crash is thrown where the process dies.
type crash struct{}

func newWorld() *world {
	w := &world{
		now: t0, height: tip, held: map[string]bool{}, payerUp: true, count: map[string]int{},
		disk: disk{
			orders: map[string]row{}, journal: map[string]*record{},
			channels: map[wire.OutPoint]*stored{},
			aliases:  map[lnwire.ShortChannelID]wire.OutPoint{},
			circuits: map[uint64]*circuit{}, preimages: map[byte]bool{},
			leases: map[int]time.Time{},
		},
		chain: newChain(),
	}
	for i, name := range []string{"alice", "bob", "carol"} {
		w.clients = append(w.clients, newClient(name, byte(i+1)))
	}
	w.start()
	return w
}

// must throws when something is not as it has to be.
func (w *world) must(ok bool, what string, more ...any) {
	if !ok {
		panic(broken{what, fmt.Sprint(more...)})
	}
}

func (w *world) say(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "        "+format+"\n", args...)
	}
}

// point is a place where the process can die: before and after each durable write,
// and before each effect.
func (w *world) point(name string) {
	w.passed++
	if w.crashIn == 0 {
		return
	}
	if w.crashIn--; w.crashIn == 0 {
		w.say("the process dies: %s", name)
		panic(crash{})
	}
}

// durable does a write, which a crash can come before or after.
func (w *world) durable(name string, write func()) {
	w.point("before " + name)
	write()
	w.point("after " + name)
}

// guard lets the process die in do, and the world live on.
func (w *world) guard(do func()) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			w.die()
		default:
			panic(r)
		}
	}()
	do()
}

// die loses the memory and all connections.
func (w *world) die() {
	w.count["crash"]++
	w.lsp, w.crashIn = nil, 0
	clear(w.held)
	for _, c := range w.clients {
		c.disconnect()
	}
	w.payerUp = false
}

// thread is a goroutine of the node, or somebody outside. Its step does one thing,
// and is false when there is nothing to do.
type thread struct {
	name string
	step func(*world) bool
}

var threads = []thread{
	{"desk", (*world).stepDesk},
	{"effects", (*world).stepEffects},
	{"workers", (*world).stepWorkers},
	{"publisher", (*world).stepPublisher},
	{"links", (*world).stepLinks},
	{"clients", (*world).stepClients},
	{"upstream", (*world).stepUpstream},
}

// run lets every thread that is not held move until none can.
func (w *world) run() {
	for range 10_000 {
		if w.move() {
			continue
		}
		if at, ok := w.deadline(); !ok || w.now.Before(at) {
			return
		}
		w.ticks() // a timer that was due while its thread was held up
	}
	w.must(false, "the world does not come to rest")
}

func (w *world) move() bool {
	for i := range threads {
		t := threads[(i+w.rotate)%len(threads)]
		if !w.held[t.name] && t.step(w) {
			return true
		}
	}
	return false
}

// stepThread moves a held thread once.
func (w *world) stepThread(name string) {
	for _, t := range threads {
		if t.name == name {
			t.step(w)
		}
	}
}

// start is the node's way up: the orders are read, the channel factory settles its
// store, then each order is told what was found, and only then anyone can connect.
func (w *world) start() {
	w.lsp = &process{swtch: newSwitch(), retired: map[wire.OutPoint]bool{}}
	for range w.clients {
		w.lsp.workers = append(w.lsp.workers, nil)
	}
	w.loadOrders()
	w.loadSwitch()
	w.settle()
	w.resumeOrders()
	for _, p := range sortedPoints(w.disk.channels) {
		if w.disk.channels[p].closed {
			w.lookOnChain(p)
		}
	}
}

// pass lets time pass, and stops at each deadline on the way.
func (w *world) pass(d time.Duration) {
	if d > time.Minute {
		// No thread is held up for longer: coins are leased for minutes.
		clear(w.held)
		w.run()
	}
	end := w.now.Add(d)
	for range 10_000 {
		next, ok := w.deadline()
		if !ok || next.After(end) {
			w.now = end
			return
		}
		if next.After(w.now) {
			w.now = next
		}
		w.ticks()
		w.run()
	}
	w.must(false, "deadlines come without end")
}

// deadline is the earliest time at which a timer of the node fires. One that has
// fired does not fire again before its thread has seen it.
func (w *world) deadline() (first time.Time, ok bool) {
	if w.lsp == nil {
		return first, false
	}
	add := func(at time.Time, is bool) {
		if is && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	add(w.lsp.desk.deadline())
	for _, k := range w.lsp.workers {
		if k != nil {
			add(k.deadline())
		}
	}
	add(w.lsp.swtch.deadline())
	return first, ok
}

// ticks fires the timers that are due.
func (w *world) ticks() {
	if w.lsp == nil {
		return
	}
	w.lsp.desk.tick()
	for _, k := range w.lsp.workers {
		if k != nil {
			k.fire()
		}
	}
	w.expireOutbox()
}

// block mines one block and tells everyone.
func (w *world) block() {
	w.height++
	w.chain.mine(w)
	if w.lsp == nil {
		return
	}
	d := w.lsp.desk
	d.heights = append(d.heights, w.height)
	for _, k := range w.lsp.workers {
		if k != nil {
			k.block()
		}
	}
	w.run()
	w.expireHeld()
	w.expireOnChain()
	w.run()
}

func (w *world) newPoint() wire.OutPoint {
	w.points++
	return wire.OutPoint{Hash: chainhash.Hash{
		byte(w.points >> 24), byte(w.points >> 16), byte(w.points >> 8), byte(w.points),
	}}
}

// nr is the number by which a trace names a funding.
func nr(p wire.OutPoint) uint32 {
	h := p.Hash
	return uint32(h[0])<<24 | uint32(h[1])<<16 | uint32(h[2])<<8 | uint32(h[3])
}

func sortedPoints[V any](m map[wire.OutPoint]V) []wire.OutPoint {
	return slices.SortedFunc(maps.Keys(m), func(a, b wire.OutPoint) int {
		return int(nr(a)) - int(nr(b))
	})
}

func sortedKeys[K ~string | ~uint64 | ~int, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

func (w *world) order(id string) *bought {
	for _, b := range w.orders {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (w *world) client(name string) *client {
	for _, c := range w.clients {
		if c.name == name {
			return c
		}
	}
	return nil
}

// at is the client's place in world.clients and process.workers.
func (w *world) at(c *client) int { return slices.Index(w.clients, c) }
