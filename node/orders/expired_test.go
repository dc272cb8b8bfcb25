package orders

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
)

// TestExpiredOrdersAreDeleted has what nobody paid end with its offer, and of very many
// only the newest kept, on disk too.
func TestExpiredOrdersAreDeleted(t *testing.T) {
	checklist.Shows(t, "LSPS2-27", "Desk.prune does nothing")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		if !w.desk.Busy() {
			t.Error("an order is open, and its payment could come: the coins must stay as they are")
		}
		first, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		const more = 20
		var adding sync.WaitGroup // at once, or each has a write of its own
		for i := range maxFinished + more {
			r := first
			r.Order.ID = fmt.Sprintf("n%d", i)
			r.Order.Terms.SCID = lnwire.ShortChannelID{BlockHeight: 16_060_001, TxIndex: uint32(i)}
			adding.Go(func() {
				if err := w.desk.Add(r); err != nil {
					t.Error(err)
				}
			})
		}
		adding.Wait()
		time.Sleep(time.Hour) // virtual: to valid_until
		synctest.Wait()
		for _, r := range w.desk.List() {
			if name := r.Order.State.Name(); name != "dead" {
				t.Fatalf("%s is %s after valid_until", r.Order.ID, name)
			}
		}
		if w.desk.Busy() {
			t.Error("all orders have ended, and yet coins are kept for them")
		}
		time.Sleep(time.Second)
		last := jit.New("last", first.Order.Terms)
		last.Terms.SCID.TxIndex++
		last.Terms.ValidUntil = time.Now().Add(time.Hour)
		if err := w.desk.Add(Record{Order: last, CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stored := 0
		err = kvdb.View(w.db, func(tx kvdb.RTx) error {
			return tx.ReadBucket(ordersBucket).ForEach(func(_, _ []byte) error { stored++; return nil })
		}, func() {})
		if n := len(w.desk.List()); err != nil || n != maxFinished || stored != maxFinished {
			t.Errorf("%d orders are known, %d on disk, %v; want %d", n, stored, err, maxFinished)
		}
		if _, err := w.desk.Get("last"); err != nil {
			t.Error(err)
		}
		// The loop of payments walks through these at every event.
		if n := len(w.desk.awake); n != 1 {
			t.Errorf("%d orders are awake, want only the last", n)
		}
		again, err := New(Config{DB: w.db, Limits: w.limits, Clock: w.clock, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Load(Ports{}); err != nil {
			t.Fatal(err)
		}
		if n := len(again.awake); n != 1 {
			t.Errorf("after a start %d orders are awake, want only the last", n)
		}
	})
}
