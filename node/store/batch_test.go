package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// TestBatchDoesNotWait: bbolt's own Batch waits 10 ms for company, at each of the some
// thirty writes of a payment.
func TestBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{})
		began := time.Now() // virtual: it moves only when somebody waits for it
		for i := range 8 {
			require.NoError(t, db.Batch(put(fmt.Sprint("key", i))))
			require.NoError(t, kvdb.Batch(db, put(fmt.Sprint("other", i))))
		}
		require.Zero(t, time.Since(began))
	})
}
