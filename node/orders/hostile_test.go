package orders

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// wallClock is a clock that somebody sets. Waiting does not follow it, as on a real
// machine.
type wallClock struct {
	clock.Clock
	set atomic.Int64
}

func (c *wallClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.set.Load())) }

// Annex c 39: the clock is set while parts are held. They are held no longer than their
// 90 seconds, and the order lives on.
func TestClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		set  time.Duration
		held time.Duration // after the clock was set, at most
		poke bool          // something happens after it was set
	}{
		"a day back":                    {-24 * time.Hour, 61 * time.Second, false},
		"a day back, and then an event": {-24 * time.Hour, time.Second, true},
		"a second back":                 {-time.Second, 62 * time.Second, true},
		"half an hour forward":          {30 * time.Minute, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer func() { w.close() }()
				w.stop()
				wall := &wallClock{Clock: clock.NewDefaultClock()}
				w.clock = wall
				w.start()
				w.sell(1_000_000)
				w.part(1, 400_000)
				synctest.Wait()
				time.Sleep(30 * time.Second) // virtual
				w.desk.nudge()
				synctest.Wait()
				wall.set.Store(int64(c.set))
				if c.poke {
					w.desk.ClientOnline(client, 3)
				}
				if c.set == -time.Second {
					w.wantHeldFor(c.held - 10*time.Second)
					w.want() // it is no jump: clocks are set by that much all the time
				}
				w.wantHeldFor(c.held)
				w.want("fail 1: TemporaryChannelFailure")
				w.state("awaiting_parts")
				w.part(2, 1_000_000)
				if !c.poke {
					w.desk.ClientOnline(client, 3)
				}
				w.want("open for 980000 msat in 1 parts, attempt 1")
			})
		})
	}
}

// wantHeldFor lets so much time pass.
func (w *world) wantHeldFor(d time.Duration) {
	w.t.Helper()
	synctest.Wait()
	time.Sleep(d) // virtual
	synctest.Wait()
}

// offerAny offers any HTLC.
func (w *world) offerAny(p htlcswitch.InterceptedPacket) bool {
	w.t.Helper()
	w.incoming[p.IncomingCircuit] = true
	return w.desk.Offer(p)
}

// Annex c 25-27: what anybody may send to a jit_channel_scid. No channel is opened for it.
func TestProbesOpenNoChannel(t *testing.T) {
	good := htlcswitch.InterceptedPacket{
		IncomingCircuit: key(1), OutgoingChanID: jitScid, Hash: lntypes.Hash{5},
		IncomingAmount: 400_000, OutgoingAmount: 400_000, IncomingExpiry: 1100, OutgoingExpiry: 900,
	}
	for name, c := range map[string]struct {
		change func(*htlcswitch.InterceptedPacket)
		want   string
	}{
		"a part of a random hash": {func(p *htlcswitch.InterceptedPacket) { p.Hash = lntypes.Hash{99} },
			"fail 1: TemporaryChannelFailure"},
		"1 msat": {func(p *htlcswitch.InterceptedPacket) { p.IncomingAmount, p.OutgoingAmount = 1, 1 },
			"fail 1: TemporaryChannelFailure"},
		"too few blocks for the client": {func(p *htlcswitch.InterceptedPacket) {
			p.IncomingAmount, p.OutgoingAmount, p.OutgoingExpiry = 1_000_000, 1_000_000, 801
		}, "fail 1: TemporaryChannelFailure"},
		"an expiry that is over": {func(p *htlcswitch.InterceptedPacket) {
			p.IncomingExpiry, p.OutgoingExpiry = 810, 801
		}, "fail 1: IncorrectCltvExpiry"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				w.sell(1_000_000)
				w.desk.ClientOnline(client, 3)
				p := good
				c.change(&p)
				if !w.offerAny(p) {
					t.Fatal("it passes as nobody's")
				}
				w.wantHeldFor(91 * time.Second)
				w.want(c.want)
				w.state("awaiting_parts")
			})
		})
	}
}

// someParts are as many as an order remembers at a time, nearly.
const someParts = 240

// Annex c 26: hundreds of parts that never complete. So many as may be are held, for 90
// seconds; the others are failed at once, and an honest payment after them opens the channel.
func TestPartsThatNeverComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		for id := range uint64(someParts) {
			p := htlcswitch.InterceptedPacket{
				IncomingCircuit: key(id), OutgoingChanID: jitScid, Hash: lntypes.Hash{byte(id % 20)},
				IncomingAmount: 1, OutgoingAmount: 1, IncomingExpiry: 1100, OutgoingExpiry: 900,
			}
			p.IncomingCircuit.ChanID = lnwire.NewShortChanIDFromInt(1 + id%20)
			w.offerAny(p)
		}
		synctest.Wait()
		r, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		if held := len(r.Order.Held()); held > 60 {
			t.Errorf("%d parts are held for one client", held)
		}
		w.wantHeldFor(91 * time.Second)
		w.mu.Lock()
		if len(w.log) != someParts {
			t.Errorf("%d of %d parts are answered", len(w.log), someParts)
		}
		w.log = nil
		w.mu.Unlock()
		for k := range w.incoming { // their failures have left
			w.htlcs.NotifyFinalHtlcEvent(k, channeldb.FinalHtlcInfo{Offchain: true})
		}
		synctest.Wait()
		w.part(1000, 1_000_000)
		w.want("open for 980000 msat in 1 parts, attempt 1")
	})
}

// Annex c 26: parts with the same hash and amount over several channels are told apart.
func TestPartsThatLookTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 500_000)
		w.part(1, 500_000) // the same HTLC, offered again
		w.want()
		w.part(2, 500_000)
		w.want("open for 980000 msat in 2 parts, attempt 1")
	})
}

// Annex c 28: a client that lets its channel be opened and then fails the payment, as
// often as it is tried. It gets one channel for its order, however often.
func TestClientFailsTenOfTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		opens := 0
		for id := range uint64(10) {
			w.part(id, 1_000_000)
			synctest.Wait()
			w.mu.Lock()
			for _, line := range w.log {
				if len(line) > 4 && line[:4] == "open" {
					opens++
				}
			}
			w.log = nil
			w.mu.Unlock()
			if id == 0 {
				w.desk.Funding("o1", jit.OpenSigned{Point: funding})
				w.usable(3)
				synctest.Wait()
			}
			w.htlcs.NotifyForwardingFailEvent(htlcswitch.HtlcKey{IncomingCircuit: key(id)},
				htlcswitch.HtlcEventTypeForward)
			synctest.Wait()
			delete(w.incoming, key(id))
		}
		if opens != 1 {
			t.Errorf("%d channels were opened", opens)
		}
		r, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		if _, paid := r.Order.State.(jit.Paid); paid {
			t.Error("the order counts as paid")
		}
	})
}
