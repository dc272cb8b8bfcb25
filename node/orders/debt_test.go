package orders

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// refuse has the client fail the part that was forwarded.
func (w *world) refuse(id uint64) {
	w.t.Helper()
	synctest.Wait()
	w.htlcs.NotifyForwardingFailEvent(htlcswitch.HtlcKey{IncomingCircuit: key(id)},
		htlcswitch.HtlcEventTypeForward)
	synctest.Wait()
}

func (w *world) record() Record {
	w.t.Helper()
	synctest.Wait()
	r, err := w.desk.Get("o1")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// LSPS2-116: since when a channel is not paid for is stored, over restarts and the channel's
// end, until the fee is paid.
func TestDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		time.Sleep(time.Second)
		synctest.Wait()
		signed := time.Now()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		if r := w.record(); !r.OpenedAt.Equal(signed) || !r.OwedSince.IsZero() {
			t.Errorf("opened %v, owed since %v", r.OpenedAt, r.OwedSince)
		}
		time.Sleep(time.Second)
		failed := time.Now()
		w.refuse(1)
		w.state("owed")
		w.stop()
		w.fundings["o1"] = jit.Funding{Point: funding}
		delete(w.incoming, key(1))
		w.start()
		if r := w.record(); !r.OpenedAt.Equal(signed) || !r.OwedSince.Equal(failed) {
			t.Errorf("after a restart: opened %v, owed since %v", r.OpenedAt, r.OwedSince)
		}

		// A payment under way does not yet clear it, and closing the channel never does.
		w.desk.ClientOnline(client, 4)
		w.usable(4)
		w.part(2, 1_000_000)
		w.state("awaiting_claim")
		if r := w.record(); !r.OwedSince.Equal(failed) {
			t.Errorf("a payment is under way: owed since %v", r.OwedSince)
		}
		w.refuse(2)
		w.desk.ChannelGone(funding)
		w.state("dead")
		if r := w.record(); !r.OwedSince.Equal(failed) || *r.Point != funding {
			t.Errorf("closed: owed since %v", r.OwedSince)
		}
	})
}

// TestDebtIsPaid: the second payment pays.
func TestDebtIsPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		var told []string
		w.desk.ports.Changed = func(r Record) {
			told = append(told, fmt.Sprint(r.Order.State.Name(), " ", !r.OwedSince.IsZero()))
		}
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		w.refuse(1)
		w.part(2, 1_000_000)
		synctest.Wait()
		w.htlcs.NotifySettleEvent(htlcswitch.HtlcKey{IncomingCircuit: key(2)},
			lntypes.Preimage{1}, htlcswitch.HtlcEventTypeForward)
		w.state("paid")
		if r := w.record(); !r.OwedSince.IsZero() {
			t.Errorf("paid, and owed since %v", r.OwedSince)
		}
		if last := told[len(told)-1]; last != "paid false" || told[0] != "awaiting_parts false" {
			t.Errorf("Changed was told of %q", told)
		}
	})
}

// TestDebtOfAClosedChannel: a channel that is closed before anything was forwarded over it.
func TestDebtOfAClosedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.state("awaiting_channel")
		w.desk.ChannelGone(funding)
		w.state("dead")
		if w.record().OwedSince.IsZero() {
			t.Error("nothing is owed")
		}
	})
}

// TestWaivedIsOwed: a fee that had to be waived is not paid.
func TestWaivedIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		w.refuse(1)
		w.desk.ClientGone(client, 3)
		w.desk.ClientOnline(client, 4)
		w.usable(4)
		w.part(2, 1_000_000) // in full: the client may have forgotten that it bears a fee
		synctest.Wait()
		w.htlcs.NotifySettleEvent(htlcswitch.HtlcKey{IncomingCircuit: key(2)},
			lntypes.Preimage{1}, htlcswitch.HtlcEventTypeForward)
		w.state("paid")
		if r := w.record(); r.OwedSince.IsZero() {
			t.Errorf("waived, and not owed: %+v", r.Order.State)
		}
	})
}

// TestPruneKeepsDebts: orders that cost nothing are forgotten before those with an unpaid channel.
func TestPruneKeepsDebts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		defer func() { _ = w.db.Close() }()
		now := time.Now()
		dead := func(i int) Record {
			return Record{
				Order: jit.Order{
					ID: fmt.Sprint("p", i), State: jit.Dead{},
					Terms: jit.Terms{SCID: lnwire.NewShortChanIDFromInt(uint64(i + 1))},
				},
				CreatedAt: now.Add(time.Duration(i) * time.Second),
			}
		}
		debt := dead(0)
		debt.OwedSince = now
		debt.Point = &wire.OutPoint{Hash: chainhash.Hash{1}}
		for i := range maxFinished + 2 {
			r := dead(i)
			if i == 0 {
				r = debt
			}
			w.desk.orders[r.Order.ID] = &entry{order: r.Order, rec: r}
		}
		if err := w.desk.prune(); err != nil {
			t.Fatal(err)
		}
		if w.desk.orders["p0"] == nil || w.desk.orders["p1"] != nil || w.desk.orders["p2"] != nil {
			t.Error("the oldest order that cost nothing stays, or the debt is forgotten")
		}
	})
}

// TestBytesOfAnOrder measures what a client that only buys makes us store: at most 2,000 bytes.
func TestBytesOfAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		r := w.record()
		r.Promise = strings.Repeat("p", 128)
		raw, err := Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes", len(raw))
		if len(raw) > 2000 {
			t.Errorf("an order has %d bytes", len(raw))
		}
	})
}
