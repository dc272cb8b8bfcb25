package orders

import (
	"testing"
	"testing/synctest"

	"github.com/lightningnetwork/lnd/kvdb"
)

// countingDB counts the writes.
type countingDB struct {
	kvdb.Backend
	writes int
}

func (c *countingDB) Update(f func(kvdb.RwTx) error, reset func()) error {
	c.writes++
	return c.Backend.Update(f, reset)
}

func (c *countingDB) BeginReadWriteTx() (kvdb.RwTx, error) {
	c.writes++
	return c.Backend.BeginReadWriteTx()
}

// A client that comes and goes costs no write, in whatever state its order waits; one
// whose payment waits for it still gets its channel.
func TestFlappingClientCostsNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		synctest.Wait()
		db := &countingDB{Backend: w.db}
		w.desk.cfg.DB = db
		for conn := range uint64(1000) {
			w.desk.ClientOnline(client, conn+1)
			w.desk.ClientGone(client, conn+1)
		}
		synctest.Wait()
		if db.writes > 0 {
			t.Errorf("%d writes", db.writes)
		}
		w.part(1, 1_000_000)
		w.want()
		w.desk.ClientOnline(client, 5000)
		w.want("open for 980000 msat in 1 parts, attempt 1")
		if db.writes == 0 {
			t.Error("the writes of the desk are not counted")
		}
	})
}
