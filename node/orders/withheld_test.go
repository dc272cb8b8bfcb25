package orders

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// sellTrusting sells to a client that trusts us.
func (w *world) sellTrusting() {
	w.t.Helper()
	now := time.Now()
	o := jit.New("o1", jit.Terms{
		Client: client, SCID: jitScid, PaymentSize: 1_000_000, MinFee: 10_000, PPM: 20_000,
		ValidUntil: now.Add(time.Hour), CLTVExpiryDelta: 144, MaxClientToSelfDelay: 2016,
		ClientTrustsLSP: true, Rules: jit.DefaultRules(),
	})
	if err := w.desk.Add(Record{Order: o, Promise: "p", CreatedAt: now}); err != nil {
		w.t.Fatal(err)
	}
}

// trusting sells, and forwards a payment in these parts.
func (w *world) trusting(parts ...lnwire.MilliSatoshi) {
	w.t.Helper()
	w.sellTrusting()
	w.desk.ClientOnline(client, 3)
	for i, amount := range parts {
		w.part(uint64(i+1), amount)
	}
	synctest.Wait()
	w.desk.Funding("o1", jit.OpenSigned{Point: funding})
	w.usable(3)
	w.state("awaiting_claim")
	w.fundings["o1"] = jit.Funding{Point: funding, Withheld: true}
	w.log = nil
}

func (w *world) preimage() {
	w.preimages[lntypes.Hash{5}] = lntypes.Preimage{1}
	// The fakes' hash is not the hash of a preimage.
	hash := lntypes.Hash{5}
	w.desk.post(input{hash: &hash, stage: StageClaimed})
}

func (w *world) settled(id uint64) {
	w.htlcs.NotifySettleEvent(htlcswitch.HtlcKey{IncomingCircuit: key(id)},
		lntypes.Preimage{1}, htlcswitch.HtlcEventTypeForward)
}

// TestPreimageIsNoPayment: the funding goes out with the preimage, but the client may
// claim the part without a fee and fail the other. Then nobody has paid.
func TestPreimageIsNoPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.trusting(400_000, 600_000)
		w.preimage()
		w.want("broadcast funding")
		w.state("awaiting_claim")
		w.settled(2)
		w.state("awaiting_claim")
		w.htlcs.NotifyForwardingFailEvent(htlcswitch.HtlcKey{IncomingCircuit: key(1)},
			htlcswitch.HtlcEventTypeForward)
		w.state("owed")
	})
}

// TestPreimageOfALongTimeline: payments that failed have filled what the record tells. The funding
// goes out all the same.
func TestPreimageOfALongTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.trusting(400_000, 600_000)
		e := w.desk.orders["o1"]
		for len(e.rec.Timeline) < maxTimeline {
			e.rec.Timeline = append(e.rec.Timeline, Moment{StageFirstPart, time.Now()})
		}
		w.preimage()
		w.want("broadcast funding")
	})
}

// TestPreimageKnownAtTheStart: the process died before the order knew. The part is
// there still, so what became of it is not known, but the client may have claimed.
func TestPreimageKnownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.trusting(1_000_000)
		w.stop()
		w.preimages[lntypes.Hash{5}] = lntypes.Preimage{1}
		w.start()
		w.want("alias "+jitScid.String(), "broadcast funding")
		w.state("awaiting_claim")
		w.settled(1)
		w.state("paid")
	})
}

// TestPaidBeforeTheBroadcast: the record says paid and the funding has not left. The
// client's money is in that transaction, and nobody else can broadcast it.
func TestPaidBeforeTheBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.trusting(1_000_000)
		w.preimage()
		w.settled(1)
		w.state("paid")
		clear(w.incoming)
		w.htlcs.NotifyFinalHtlcEvent(key(1), channeldb.FinalHtlcInfo{Settled: true})
		w.state("paid")
		w.want("broadcast funding") // its effect is lost
		w.stop()

		w.start()
		w.want("broadcast funding")
	})
}

// TestDroppedChannelIsForgotten: a client that refuses every payment makes its order have one
// channel after the other, and the desk keeps the way to the last one only, until the order
// is forgotten.
func TestDroppedChannelIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sellTrusting()
		w.desk.ClientOnline(client, 3)
		var last wire.OutPoint
		for i := range uint32(3) {
			w.part(uint64(i), 1_000_000)
			w.want("open for 980000 msat in 1 parts, attempt 1")
			last = wire.OutPoint{Hash: funding.Hash, Index: i}
			w.desk.Funding("o1", jit.OpenSigned{Point: last})
			w.desk.ChannelUsable(jit.ChannelUsable{Point: last, Conn: 3, HTLCMin: 1, MaxHTLCs: 50})
			w.state("awaiting_claim")
			w.htlcs.NotifyForwardingFailEvent(htlcswitch.HtlcKey{IncomingCircuit: key(uint64(i))},
				htlcswitch.HtlcEventTypeForward)
			synctest.Wait()
			w.desk.ChannelDropped(last)
			w.state("awaiting_parts")
			w.htlcs.NotifyFinalHtlcEvent(key(uint64(i)), channeldb.FinalHtlcInfo{})
			synctest.Wait()
			w.log = nil
		}
		if e, ok := w.desk.points[last]; len(w.desk.points) != 1 || !ok || e.order.ID != "o1" {
			t.Errorf("the desk knows the ways of %d channels, the last: %v", len(w.desk.points), ok)
		}

		time.Sleep(time.Hour) // virtual: to valid_until
		w.state("dead")
		for i := range maxFinished {
			id := fmt.Sprint("later", i)
			o := jit.Order{ID: id, State: jit.Dead{}}
			w.desk.orders[id] = &entry{order: o, rec: Record{Order: o, CreatedAt: time.Now()}}
		}
		if err := w.desk.prune(); err != nil {
			t.Fatal(err)
		}
		if w.desk.orders["o1"] != nil || len(w.desk.points) != 0 {
			t.Errorf("a way leads to the order that is forgotten")
		}
	})
}

// TestDropOfALateChannel: the client left, and the channel was signed all the same. The
// order gives it up and never had it, so that it must be told by its id that the drop
// has ended, or it never opens another one.
func TestDropOfALateChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sellTrusting()
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		w.want("open for 980000 msat in 1 parts, attempt 1")
		w.desk.ClientGone(client, 3)
		w.want("cancel open of o1", "fail 1: TemporaryChannelFailure")
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.want("drop channel")
		w.desk.ClientOnline(client, 4)
		w.part(2, 1_000_000)
		w.want("open for 980000 msat in 1 parts, attempt 1")
	})
}
