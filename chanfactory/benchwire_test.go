package chanfactory_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
)

// wireID numbers connections over the whole test process.
var wireID atomic.Uint64

// line is a connection between two parties. Messages go over it as bytes, in order, and can be
// looked at, changed or swallowed.
type line struct {
	a, b  *party
	ends  [2]*end
	watch func(from *party, m lnwire.Message) (lnwire.Message, bool)
	seen  *record[said]
	wg    sync.WaitGroup
}

// said is a message that went over the line.
type said struct {
	from string
	msg  lnwire.Message
}

// end is one side's view: the chanfactory.Peer that stands for the other side.
type end struct {
	line   *line
	id     uint64
	local  *party
	remote *party
	key    *btcec.PublicKey
	bits   [2]*lnwire.FeatureVector
	out    chan lnwire.Message
	quit   chan struct{}
	once   *sync.Once
}

// offers is what both sides' init have, unless a test wants something else.
func offers() *lnwire.FeatureVector {
	return lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		0, 5, 8, 12, 14, 17, 19, 23, 27, 45, 47, 51), lnwire.Features)
}

// connect links two parties and tells their factories, as the node does.
func connect(a, b *party, change ...func(*line)) *line {
	a.t.Helper()
	l := &line{a: a, b: b, seen: newRecord[said]()}
	quit, once := make(chan struct{}), new(sync.Once)
	for i, side := range []*party{a, b} {
		other := []*party{b, a}[i]
		l.ends[i] = &end{
			line: l, id: wireID.Add(1), local: side, remote: other, quit: quit, once: once,
			key: other.wallet.NodeKey().PubKey(), out: make(chan lnwire.Message, 100),
			bits: [2]*lnwire.FeatureVector{offers(), offers()},
		}
	}
	for _, f := range change {
		f(l)
	}
	for i, side := range []*party{a, b} {
		e := l.ends[i]
		if err := side.Quiesce(e); err != nil {
			a.t.Fatal(err)
		}
		chans, err := side.channels.FetchOpenChannels(e.key)
		if err != nil {
			a.t.Fatal(err)
		}
		first, err := side.links.load(chans)
		if err != nil {
			a.t.Fatal(err)
		}
		side.PeerOnline(e)
		if err := e.SendMessage(false, first...); err != nil {
			a.t.Fatal(err)
		}
	}
	l.wg.Go(l.ends[0].routineDeliver)
	l.wg.Go(l.ends[1].routineDeliver)
	return l
}

// peer is the Peer with which a party names the other side.
func (l *line) peer(of *party) chanfactory.Peer {
	if of == l.a {
		return l.ends[0]
	}
	return l.ends[1]
}

// say puts a message on the line that the party's factory did not send.
func (l *line) say(from *party, m lnwire.Message) {
	from.t.Helper()
	if err := l.peer(from).SendMessage(false, m); err != nil {
		from.t.Fatal(err)
	}
}

// cut ends the connection and tells both sides. It returns when nothing moves on it any more.
func (l *line) cut() {
	l.ends[0].Disconnect(nil)
	l.wg.Wait()
}

// heard waits for a message of a type from a party.
func heard[M lnwire.Message](l *line, from *party) M {
	from.t.Helper()
	got, ok := l.seen.await(func(s said) bool {
		_, ok := s.msg.(M)
		return ok && s.from == from.name
	})
	if !ok {
		var want M
		from.t.Fatalf("%s never sent %T", from.name, want)
	}
	return got.msg.(M)
}

// routineDeliver carries what one side says to the other side's factory; cut waits for it.
func (e *end) routineDeliver() {
	other := e.line.peer(e.remote)
	defer func() {
		e.remote.PeerGone(other)
		e.remote.links.clear()
	}()
	for {
		select {
		case m := <-e.out:
			if e.line.watch != nil {
				var ok bool
				if m, ok = e.line.watch(e.local, m); !ok {
					continue
				}
			}
			m, err := overTheWire(m)
			if err != nil {
				e.local.t.Errorf("%s sent what can't be read: %v", e.local.name, err)
				continue
			}
			e.line.seen.add(said{e.local.name, m})
			if sync, ok := m.(*lnwire.ChannelReestablish); ok {
				e.reestablish(sync)
				continue
			}
			e.remote.Handle(other, m)
		case <-e.quit:
			e.lastWords()
			return
		}
	}
}

// lastWords notes what was said before the connection ended, and does not arrive any more.
func (e *end) lastWords() {
	for {
		select {
		case m := <-e.out:
			e.line.seen.add(said{e.local.name, m})
		default:
			return
		}
	}
}

// reestablish is the part of the node that answers for channels that are not there.
func (e *end) reestablish(m *lnwire.ChannelReestablish) {
	other := e.line.peer(e.remote)
	_, err := e.remote.channels.FetchChannelByID(nil, m.ChanID)
	if err == nil {
		e.remote.Reestablished(other, m.ChanID)
		return
	}
	_ = other.SendMessage(false, &lnwire.Error{ // lost with the connection, at worst
		ChanID: m.ChanID, Data: []byte("unknown channel"),
	})
}

// overTheWire encodes and decodes.
func overTheWire(m lnwire.Message) (lnwire.Message, error) {
	var b bytes.Buffer
	if _, err := lnwire.WriteMessage(&b, m, 0); err != nil {
		return nil, err
	}
	return lnwire.ReadMessage(&b, 0)
}

func (e *end) PubKey() [33]byte { return [33]byte(e.key.SerializeCompressed()) }

func (e *end) Address() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (e *end) IdentityKey() *btcec.PublicKey         { return e.key }
func (e *end) LocalFeatures() *lnwire.FeatureVector  { return e.bits[0] }
func (e *end) RemoteFeatures() *lnwire.FeatureVector { return e.bits[1] }
func (e *end) QuitSignal() <-chan struct{}           { return e.quit }
func (e *end) ID() uint64                            { return e.id }
func (e *end) Disconnect(error)                      { e.once.Do(func() { close(e.quit) }) }

func (e *end) SendMessage(_ bool, msgs ...lnwire.Message) error {
	for _, m := range msgs {
		select {
		case e.out <- m:
		case <-e.quit:
			return net.ErrClosed
		}
	}
	return nil
}
