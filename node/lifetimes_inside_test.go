package node

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/kvdb"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
)

func TestUnpaidEnding(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := orders.Record{Order: jit.Order{State: jit.Owed{}, Terms: jit.Terms{ValidUntil: end}}}
	paid, held := r, r
	paid.Order.State = jit.Paid{}
	held.Order.State = jit.Owed{Sets: []jit.Set{{Parts: []jit.Part{{}}}}}
	const after = 2 * time.Hour
	for _, c := range []struct {
		what  string
		r     orders.Record
		at    time.Duration
		after time.Duration
		want  ending
	}{
		{"the offer stands", r, -time.Second, after, stays},
		{"it ran out a moment ago", r, after - 1, after, stays},
		{"it ran out long ago", r, after, after, byAgreed},
		{"the client is given time", r, 2*after - 1, after, byAgreed},
		{"the client does not come", r, 2 * after, after, byForce},
		{"never", r, 1000 * after, 0, stays},
		{"paid", paid, 3 * after, after, stays},
		{"a payment is held", held, 3 * after, after, stays},
	} {
		policy := lifetimePolicy{unpaidAfter: c.after}
		if got, why := policy.ending(soldChannel{rec: c.r}, end.Add(c.at)); got != c.want {
			t.Errorf("%s: %d (%s), want %d", c.what, got, why, c.want)
		}
	}
}

func TestIdleEnding(t *testing.T) {
	paid := func(parts ...jit.Part) orders.Record {
		state := jit.Paid{}
		if len(parts) > 0 {
			state.Sets = []jit.Set{{Parts: parts}}
		}
		return orders.Record{Order: jit.Order{State: state, Terms: jit.Terms{MinLifetime: 1000}}}
	}
	for _, c := range []struct {
		what        string
		r           orders.Record
		depth, idle uint32
		after       uint32
		want        ending
	}{
		{"promised for longer", paid(), 999, 5000, 144, stays},
		{"as old as was promised, and idle", paid(), 1000, 144, 144, byAgreed},
		{"used", paid(), 5000, 143, 144, stays},
		{"idle for ever, it is never forced", paid(), 500_000, 500_000, 144, byAgreed},
		{"no policy", paid(), 500_000, 500_000, 0, stays},
		{"a payment is held", paid(jit.Part{}), 5000, 5000, 144, stays},
		{"unconfirmed", paid(), 0, 5000, 144, stays},
		{"under way", orders.Record{Order: jit.Order{State: jit.AwaitClaim{}}}, 5000, 5000, 144, stays},
		{"dead", orders.Record{Order: jit.Order{State: jit.Dead{}}}, 5000, 5000, 144, stays},
	} {
		got, why := lifetimePolicy{idleAfter: c.after}.ending(soldChannel{c.r, c.depth, c.idle}, time.Now())
		if got != c.want || why == "" {
			t.Errorf("%s: %d (%s), want %d", c.what, got, why, c.want)
		}
	}
}

// TestIdleMarks: only payments count, what was never looked at is not idle, what is gone is
// forgotten, and a block without a payment costs no write.
func TestIdleMarks(t *testing.T) {
	db := &countingDB{Backend: openKV(t)}
	point := wire.OutPoint{Index: 7}
	ch := &channeldb.OpenChannel{FundingOutpoint: point, TotalMSatSent: 5}
	look := func(height, since uint32, writes int, chans ...*channeldb.OpenChannel) {
		t.Helper()
		before := db.writes
		got, err := markIdle(db, chans, height)
		if err != nil || got[point] != since || db.writes-before != writes {
			t.Errorf("block %d: idle since %v (%v) with %d writes, want %d with %d", height, got, err,
				db.writes-before, since, writes)
		}
	}
	look(100, 100, 1, ch)
	look(150, 100, 0, ch)
	ch.TotalMSatReceived = 1
	look(160, 160, 1, ch)
	look(170, 0, 1)
	look(180, 180, 1, ch)
}

// countingDB counts write transactions.
type countingDB struct {
	kvdb.Backend
	writes int
}

func (db *countingDB) Update(f func(kvdb.RwTx) error, reset func()) error {
	db.writes++
	return db.Backend.Update(f, reset)
}

func openKV(t *testing.T) kvdb.Backend {
	t.Helper()
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "x.db", NoFreelistSync: true, DBTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
