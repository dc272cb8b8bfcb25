package orders

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// TestTokenCounts: the paid orders of a token are counted once each, over restarts, and when the
// orders themselves are forgotten.
func TestTokenCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		defer func() { _ = w.db.Close() }()
		now := time.Now()
		for i := range maxFinished + 3 {
			r := Record{
				Order: jit.Order{
					ID: fmt.Sprint("p", i), State: jit.Dead{},
					Terms: jit.Terms{SCID: lnwire.NewShortChanIDFromInt(uint64(i + 1))},
				},
				CreatedAt: now.Add(time.Duration(i) * time.Second),
			}
			switch i {
			case 0, 1, maxFinished:
				r.Token, r.Order.State = "shop", jit.Paid{Fee: 1, Channel: jit.Channel{Gone: true}}
			case 2:
				r.Token = "shop" // dead: it uses nothing up
			case 3:
				r.Order.State = jit.Paid{Fee: 1, Channel: jit.Channel{Gone: true}} // of no token
			}
			e := &entry{order: r.Order, rec: r, dirty: true}
			w.desk.orders[r.Order.ID] = e
			w.desk.tokens.count(e)
			w.desk.tokens.count(e)
		}
		if n := w.desk.PaidBy("shop"); n != 3 {
			t.Fatalf("%d paid", n)
		}
		if err := w.desk.write(w.desk.sorted()); err != nil {
			t.Fatal(err)
		}
		if err := w.desk.prune(); err != nil {
			t.Fatal(err)
		}
		if w.desk.orders["p0"] != nil || w.desk.orders["p1"] != nil || w.desk.orders["p2"] != nil {
			t.Error("nothing was forgotten")
		}
		again, err := New(Config{DB: w.db, Clock: w.desk.cfg.Clock, Log: w.desk.cfg.Log})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := again.Load(w.desk.ports); err != nil {
				t.Fatal(err)
			}
			if n, none := again.PaidBy("shop"), again.PaidBy("x"); n != 3 || none != 0 {
				t.Errorf("after a restart: %d, %d", n, none)
			}
		}
		err = kvdb.View(w.db, func(tx kvdb.RTx) error {
			v := tx.ReadBucket(tokensBucket).Get([]byte("shop"))
			if len(v) != 8 || v[7] != 2 {
				t.Errorf("stored %x", v)
			}
			return nil
		}, func() {})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestTokenOfAnOrder: the name is in the record.
func TestTokenOfAnOrder(t *testing.T) {
	raw, err := Marshal(Record{Order: jit.New("o1", jit.Terms{Rules: jit.DefaultRules()}), Token: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Unmarshal(raw)
	if err != nil || r.Token != "shop" {
		t.Errorf("%v, %+v", err, r)
	}
}
