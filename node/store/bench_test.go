package store

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// BenchmarkGroupCommit writes one small record at a time from each of some goroutines, to our store
// and to plain kvdb in turns, and prints how many times slower plain kvdb was in the same run: one
// fsync costs very different times on different machines, and even from minute to minute.
func BenchmarkGroupCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			ours := openTest(b, Options{})
			plain, err := kvdb.Create(kvdb.BoltBackendName,
				filepath.Join(b.TempDir(), "plain.db"), true, time.Second, false)
			require.NoError(b, err)
			defer plain.Close()
			update := func(db kvdb.Backend) func(func(kvdb.RwTx) error) error {
				return func(f func(kvdb.RwTx) error) error { return kvdb.Update(db, f, noReset) }
			}
			batch := func(f func(kvdb.RwTx) error) error { return kvdb.Batch(plain, f) }

			var group, single, batched time.Duration
			n := 0
			for b.Loop() {
				// Batch sleeps, and the first to work after that finds a cold machine: it is nobody
				// that is measured, and the two take turns in being the first.
				batched += round(b, writers, batch)
				round(b, writers, update(ours))
				round(b, writers, update(plain))
				if n++; n%2 == 0 {
					group += round(b, writers, update(ours))
				}
				single += round(b, writers, update(plain))
				if n%2 == 1 {
					group += round(b, writers, update(ours))
				}
			}
			b.ReportMetric(float64(single)/float64(group), "plain-update/group")
			b.ReportMetric(float64(batched)/float64(group), "plain-batch/group")
			b.ReportMetric(float64(group.Microseconds())/float64(b.N*writers*perRound), "us/write")
			s := ours.Stats()
			b.ReportMetric(float64(s.Writes)/float64(s.Commits), "writes/commit")
		})
	}
}

// perRound is how many records each goroutine writes, one after the other.
const perRound = 10

func round(b *testing.B, writers int, write func(func(kvdb.RwTx) error) error) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range perRound {
				if err := write(func(tx kvdb.RwTx) error { return record(tx, w) }); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()

	return time.Since(start)
}

func record(tx kvdb.RwTx, writer int) error {
	bucket, err := tx.CreateTopLevelBucket(testBucket)
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint32(nil, uint32(writer))

	return bucket.Put(key, make([]byte, 256))
}
