package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcwallet/walletdb"
	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

// maxAttempts is how often a group is run before each of its closures gets a transaction of its own.
// Each attempt after the first means that one closure has failed, so this bounds the work that
// failing closures can make: no closure runs more than maxAttempts+1 times.
const maxAttempts = 4

// job is one closure that waits to be written.
//
// The writer decides, the caller works: the caller's goroutine runs the closure whenever the writer
// sends it a transaction. So a panic, a failed test or a deadlock shows the caller's stack, and the
// writer can't be killed by a closure.
type job struct {
	f      func(kvdb.RwTx) error
	reset  func()
	orders chan order   // from the writer; it sends the next one only after an answer to the last
	ran    chan outcome // to the writer, one for each order with a transaction
}

// order is what the writer tells a caller: run in this transaction, or, without one, the verdict.
type order struct {
	tx  *transaction
	err error
}

// outcome is how one run ended.
type outcome struct {
	err  error
	gone bool // panicked or called runtime.Goexit: the caller waits for no verdict
}

// serve runs the closure as often as the writer asks and returns its verdict.
func (j *job) serve() error {
	var last *transaction
	for {
		o := <-j.orders
		if o.tx != nil {
			last = o.tx
			j.run(last)
			continue
		}
		if o.err != nil {
			return o.err
		}
		// After the commit and in the caller's goroutine: btcwallet takes locks here that another
		// caller may hold while it waits for its own write.
		for _, handler := range last.handlers {
			handler()
		}

		return nil
	}
}

// run runs the closure once. The writer gets its answer even when the closure panics.
func (j *job) run(tx *transaction) {
	out := outcome{gone: true}
	defer func() { j.ran <- out }()
	j.reset()
	out = outcome{err: j.f(tx)}
}

// turn lets the caller run its closure in tx.
func (j *job) turn(tx *transaction) outcome {
	j.orders <- order{tx: tx}

	return <-j.ran
}

// finish gives the caller its verdict.
func (j *job) finish(err error) { j.orders <- order{err: err} }

// submit puts a job in line. It waits while the line is full.
func (db *DB) submit(j *job) error {
	if err := db.Err(); err != nil {
		return err
	}
	db.gate.RLock()
	defer db.gate.RUnlock()
	if db.closed {
		return walletdb.ErrDbNotOpen
	}
	db.queue <- j

	return nil
}

// routineWriter commits what is in line, group by group, until the line is closed and empty. Close
// waits for it.
func (db *DB) routineWriter() {
	defer close(db.done)
	for first := range db.queue {
		db.write(db.collect(first))
	}
}

// collect takes all that wait now, up to the limit. It waits for nobody.
func (db *DB) collect(first *job) []*job {
	group := []*job{first}
	for len(group) < db.maxGroup {
		select {
		case j, ok := <-db.queue:
			if !ok {
				return group
			}
			group = append(group, j)
		default:
			return group
		}
	}

	return group
}

// write brings each job of the group to its verdict.
func (db *DB) write(group []*job) {
	// alone are those that failed beside others. They run again by themselves, after the others
	// have been committed: what made them fail may have been a neighbour's write.
	var alone []*job
	for attempt := 0; len(group) > 1; attempt++ {
		if attempt == maxAttempts {
			alone = append(group, alone...)
			group = nil
			break
		}
		failed, out := db.transact(group)
		if failed < 0 {
			group = nil
			break
		}
		if !out.gone {
			alone = append(alone, group[failed])
		}
		group = slices.Delete(group, failed, failed+1)
		db.count.reruns.Add(uint64(failed))
	}
	for _, j := range append(group, alone...) {
		if failed, out := db.transact([]*job{j}); failed == 0 && !out.gone {
			j.finish(out.err)
		}
	}
}

// transact runs the group in one transaction. When all succeed it commits, gives each its verdict
// and returns -1. When one fails it rolls back, gives no verdict, and says which and how.
func (db *DB) transact(group []*job) (int, outcome) {
	tx, err := db.begin()
	if err != nil {
		finishAll(group, err)
		return -1, outcome{}
	}
	dirty := false
	for i, j := range group {
		out := j.turn(&transaction{bolt: tx, dirty: &dirty})
		if out.gone || out.err != nil {
			if err := tx.Rollback(); err != nil {
				db.fail(fmt.Errorf("roll back: %w", err))
			}

			return i, out
		}
	}
	finishAll(group, db.save(tx, dirty, len(group)))

	return -1, outcome{}
}

func finishAll(group []*job, err error) {
	for _, j := range group {
		j.finish(err)
	}
}

// begin opens the group's transaction, after that of a BeginReadWriteTx has ended.
func (db *DB) begin() (*bbolt.Tx, error) {
	if err := db.Err(); err != nil {
		return nil, err
	}
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return nil, db.fail(fmt.Errorf("begin: %w", err))
	}
	// That transaction's commit may have failed while this one waited.
	if err := db.Err(); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}

	return tx, nil
}

// save makes a transaction durable, or ends one that has changed nothing without an fsync. An error
// latches the database.
func (db *DB) save(tx *bbolt.Tx, dirty bool, closures int) error {
	if !dirty {
		if err := tx.Rollback(); err != nil {
			return db.fail(fmt.Errorf("end: %w", err))
		}

		return nil
	}
	if err := db.commitSafely(tx); err != nil {
		return db.fail(err)
	}
	db.count.commits.Add(1)
	db.count.writes.Add(uint64(closures))

	return nil
}

// commitSafely turns a panic of bbolt (a damaged page, a map that can't grow) into an error, and
// always ends the transaction, so that Close does not wait for it.
func (db *DB) commitSafely(tx *bbolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("commit panicked: %v", p)
		}
		if err != nil {
			rollbackSafely(tx)
		}
	}()

	return db.commit(tx)
}

// rollbackSafely ends a transaction whose commit has failed. The database is latched by then, so
// what it says about it does not matter.
func rollbackSafely(tx *bbolt.Tx) {
	defer func() { _ = recover() }()
	_ = tx.Rollback()
}
