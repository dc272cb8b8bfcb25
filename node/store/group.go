package store

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcwallet/walletdb"
	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

// job is one closure that waits to be written.
//
// Whoever waits for its own write and finds nobody leading leads: it takes what stands in line,
// gives each of these callers its turn to run its closure in the shared transaction, commits, and
// tells them. So a lone write costs no change of goroutine, and a closure always runs in its
// caller's goroutine: a panic, a failed test or a deadlock shows the caller's stack.
type job struct {
	f      func(kvdb.RwTx) error
	reset  func()
	orders chan order   // from the leader: first a transaction, then the verdict, or only a verdict
	ran    chan outcome // to the leader: the answer to the transaction
	caller string       // who asked for it; only for tests
	tx     *transaction // in which the closure has run; the caller's own
}

// order is what the leader tells a caller: run in this transaction, or, without one, the verdict.
type order struct {
	tx  *transaction
	err error
}

// outcome is how a closure ended.
type outcome struct {
	err  error
	gone bool // panicked or called runtime.Goexit: the caller waits for no verdict
}

func newJob(f func(kvdb.RwTx) error, reset func()) *job {
	return &job{f: f, reset: reset, orders: make(chan order, 1), ran: make(chan outcome, 1)}
}

// run runs the closure in the caller's goroutine.
func (j *job) run(tx *transaction) error {
	j.tx = tx
	j.reset()

	return j.f(tx)
}

// answer runs the closure for another caller that leads, which gets its answer even when the
// closure panics.
func (j *job) answer(tx *transaction) {
	out := outcome{gone: true}
	defer func() { j.ran <- out }()
	out = outcome{err: j.run(tx)}
}

// turn lets another caller run its closure in tx.
func (j *job) turn(tx *transaction) outcome {
	j.orders <- order{tx: tx}

	return <-j.ran
}

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
	db.writers.Add(1)
	db.queue <- j

	return nil
}

// await does what the leader says, or leads, until the job has its verdict.
func (db *DB) await(j *job) error {
	for {
		var o order
		select {
		case o = <-j.orders:
		default:
			// Its own verdict comes first: who has one leads no further group.
			select {
			case o = <-j.orders:
			case <-db.baton:
				db.lead(j)
				continue
			}
		}
		if o.tx == nil {
			return o.err
		}
		j.answer(o.tx)
	}
}

// lead makes one group of those in line durable. Own is the leader's job, which is in that group
// unless too many stand before it.
func (db *DB) lead(own *job) {
	g := &group{db: db, own: own, waiting: db.collect()}
	defer func() {
		// When own's closure has panicked the others still get what they wait for.
		g.runAll()
		g.finish()
		db.baton <- struct{}{}
	}()
	g.runAll()
}

// collect takes all that stand in line now, up to the limit. It waits for nobody.
func (db *DB) collect() []*job {
	var jobs []*job
	for len(jobs) < db.maxGroup {
		select {
		case j := <-db.queue:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}

	return jobs
}

// group is a run of closures that are made durable together.
type group struct {
	db       *DB
	own      *job      // the leader's
	waiting  []*job    // those that had no turn yet
	tx       *bbolt.Tx // nil: none is open
	writes   []Write   // of the closures that have changed something in tx
	verdicts []verdict
	broken   error // the transaction could not be kept: nobody's data is safe
}

// verdict is what a caller is told when the group is durable. Also a closure's own error waits
// until then: it may rest on what a neighbour has written, and nobody may act on that before it is
// saved.
type verdict struct {
	job *job
	err error
}

// runAll gives each closure its turn.
func (g *group) runAll() {
	for len(g.waiting) > 0 {
		j := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.run(j)
	}
}

// run gives one closure its turn in the group's transaction.
func (g *group) run(j *job) {
	if g.tx == nil {
		tx, err := g.db.begin()
		if err != nil {
			g.verdicts = append(g.verdicts, verdict{j, err})
			return
		}
		g.tx = tx
	}
	c := g.db.newChanges(len(g.writes) > 0)
	tx := &transaction{bolt: g.tx, changes: c}
	out := outcome{gone: true}
	// Deferred, because the leader's own closure may panic right here.
	defer func() { g.account(j, c, out) }()
	if j == g.own {
		out = outcome{err: j.run(tx)}
	} else {
		out = j.turn(tx)
	}
}

// account keeps the changes of a closure that has succeeded and drops those of another.
func (g *group) account(j *job, c *changes, out outcome) {
	if !out.gone {
		g.verdicts = append(g.verdicts, verdict{j, out.err})
	}
	switch {
	case out.gone || out.err != nil:
		g.drop(c)
	case c.dirty:
		g.writes = append(g.writes, c.write(j.caller))
	}
}

// drop removes the changes of a closure that has failed.
func (g *group) drop(c *changes) {
	switch {
	case c.inside:
		// It panicked inside bolt, whose tree is now half changed.
		g.abandon(errors.New("a change panicked in the middle"))
	case !c.dirty:
	case !c.keep:
		// Nobody else has changed anything: the whole transaction can go.
		if err := guard(g.tx.Rollback); err != nil {
			g.abandon(err)
		}
		g.tx = nil
	default:
		if err := guard(func() error { return c.takeBack(g.tx) }); err != nil {
			g.abandon(err)
		}
	}
}

// abandon gives up a transaction that can't be trusted. What its closures have in memory is lost
// with it, so the database is latched.
func (g *group) abandon(cause error) {
	g.broken = g.db.fail(cause)
	_ = guard(g.tx.Rollback)
	g.tx = nil
}

// finish makes the group durable and tells each caller.
func (g *group) finish() {
	if g.tx != nil {
		g.broken = g.db.save(g.tx, g.writes)
	}
	for _, v := range g.verdicts {
		if g.broken != nil {
			v.err = g.broken
		}
		v.job.orders <- order{err: v.err}
	}
}

// begin opens a transaction, after that of a BeginReadWriteTx has ended.
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
func (db *DB) save(tx *bbolt.Tx, writes []Write) error {
	end := func() error { return db.watched(writes, func() error { return db.commit(tx) }) }
	if len(writes) == 0 {
		end = tx.Rollback
	} else {
		db.size.see(tx.Size())
	}
	if err := guard(end); err != nil {
		// Bolt leaves its lock held where it panics, and Close would wait for it.
		_ = guard(tx.Rollback)
		return db.fail(err)
	}
	if len(writes) > 0 {
		db.count.commits.Add(1)
		db.count.writes.Add(uint64(len(writes)))
	}

	return nil
}

// guard turns a panic of bbolt (a damaged page, a map that can't grow) into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt panicked: %v", p)
		}
	}()

	return f()
}
