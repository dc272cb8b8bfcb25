package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcwallet/walletdb"
	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

const (
	// DefaultFile is the name of the database inside the data directory.
	DefaultFile = "inlet.db"

	// DefaultMaxGroup is how many closures share one transaction at most. It bounds how long the
	// first of a group waits for the last.
	DefaultMaxGroup = 256

	// queueLimit is how many writers may wait in line before the next ones wait for a place in it.
	queueLimit = 1024

	// lockWait is how long Open tries to lock the file. A process that has died holds no lock, so
	// waiting longer would only delay the message.
	lockWait = 300 * time.Millisecond

	// growBytes is by how much the file grows at once; each growth costs one more fsync.
	growBytes = 1 << 20
)

// mapBytes is how much address space the file's memory map takes from the start (no memory). While
// the file fits, a commit never has to wait for readers in order to move the map, which would also
// be a deadlock for a goroutine that writes while it reads.
const mapBytes = 1 << (27 + 5*(strconv.IntSize/64)) // 128 MiB, or 4 GiB on 64 bits

var (
	_ kvdb.Backend     = (*DB)(nil)
	_ walletdb.BatchDB = (*DB)(nil)
)

// Options say where the database is.
type Options struct {
	// Dir is the data directory. It is made with mode 0700 where it is missing, and is never
	// readable by others.
	Dir string

	// File is the name of the file in Dir; empty means DefaultFile.
	File string

	// MaxGroup is how many closures share one transaction at most; zero means DefaultMaxGroup, 1
	// gives each closure a transaction and a commit of its own.
	MaxGroup int

	// WarnSize is the size of the file, in bytes, from which on the operator is told that it is
	// large; zero means never.
	WarnSize int64

	// Log takes what an operator must know; nil means silence.
	Log *slog.Logger

	// Watch is for tests.
	Watch Watch
}

// Stats count what has been made durable since Open.
type Stats struct {
	// Writes is how many closures (and transactions of BeginReadWriteTx) have changed the file. One
	// that has only read is not counted.
	Writes uint64

	// Commits is how many bolt transactions were needed for that, each with its fsyncs.
	Commits uint64
}

// DB is one open database file. All methods may be called from any goroutine.
type DB struct {
	bolt     *bbolt.DB
	path     string
	maxGroup int
	log      *slog.Logger

	// commit makes one transaction durable. Tests put a failing disk here.
	commit func(*bbolt.Tx) error
	watch  Watch // nil but in tests

	queue chan *job     // those in line; bounded: queueLimit
	baton chan struct{} // holds one token unless somebody leads a group

	// gate is held for reading while a job is put into queue, for writing to close it.
	gate    sync.RWMutex
	closed  bool           // guarded by gate
	writers sync.WaitGroup // calls of Update that are under way

	closeOnce sync.Once
	closeErr  error // written once, inside closeOnce

	broken   latch
	count    counters
	unmarked bool
	size     sizeWatch
}

// latch remembers the first commit that failed on disk.
type latch struct {
	once   sync.Once
	closed chan struct{}
	cause  error // written once, before closed is closed
}

// counters are the live form of Stats.
type counters struct {
	writes, commits atomic.Uint64
}

// Open opens or creates the database, locks it, and brings its schema up to date. Errors:
// ErrLocked, ErrNewer, ErrForeign, ErrDamaged, ErrExposed, ErrOldCopy, ErrBadMarker, or what the file
// system said.
func Open(o Options) (*DB, error) {
	return open(o, migrations)
}

func open(o Options, steps []migration) (*DB, error) {
	if o.File == "" {
		o.File = DefaultFile
	}
	if o.MaxGroup <= 0 {
		o.MaxGroup = DefaultMaxGroup
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	path := filepath.Join(o.Dir, o.File)

	bolt, err := openFile(o.Dir, path)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	unmarked, err := prepare(bolt, path, steps, o.Log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), bolt.Close())
	}

	db := &DB{
		bolt:     bolt,
		path:     path,
		maxGroup: o.MaxGroup,
		log:      o.Log,
		commit:   (*bbolt.Tx).Commit,
		watch:    o.Watch,
		queue:    make(chan *job, queueLimit),
		baton:    make(chan struct{}, 1),
		broken:   latch{closed: make(chan struct{})},
		unmarked: unmarked,
		size:     sizeWatch{limit: o.WarnSize, path: path, log: o.Log},
	}
	db.baton <- struct{}{}

	return db, nil
}

// prepare looks whether the file may be used, and brings it up to date.
func prepare(bolt *bbolt.DB, path string, steps []migration, log *slog.Logger) (
	unmarked bool, err error) {

	record, err := readSchema(bolt)
	if err != nil {
		return false, err
	}
	if record != (schemaRecord{}) { // else it is new, and nothing in it can be old
		if unmarked, err = checkMarker(bolt, path); err != nil {
			return false, err
		}
	}
	if err := migrate(bolt, steps, log); err != nil {
		return false, err
	}

	return unmarked, drawGeneration(bolt, path)
}

// Unmarked says that Open found the database without the marker that it had: nobody can say then
// whether it is an old copy.
func (db *DB) Unmarked() bool { return db.unmarked }

// Close waits for the writes that are under way and in line, and for open transactions, then
// releases the file and its lock. Later calls do nothing more; calls to other methods then return
// walletdb.ErrDbNotOpen.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		db.gate.Lock()
		db.closed = true
		db.gate.Unlock()

		db.writers.Wait()
		if db.Err() == nil { // else nobody knows what is on disk
			if err := settleMarker(db.bolt, db.path); err != nil {
				db.closeErr = fmt.Errorf("store: close %s: %w", db.path, err)
			}
		}
		if err := db.bolt.Close(); err != nil {
			db.closeErr = fmt.Errorf("store: close %s: %w", db.path, err)
		}
	})

	return db.closeErr
}

// Path is the database file.
func (db *DB) Path() string { return db.path }

// Failed is closed when a commit has failed on disk. From then on every write returns ErrBroken;
// whoever runs the node has to stop it.
func (db *DB) Failed() <-chan struct{} { return db.broken.closed }

// Err is nil, or why Failed is closed.
func (db *DB) Err() error {
	select {
	case <-db.broken.closed:
		return db.broken.cause
	default:
		return nil
	}
}

// fail latches the database. The first cause is kept.
func (db *DB) fail(cause error) error {
	db.broken.once.Do(func() {
		db.broken.cause = fmt.Errorf("store: commit %s: %w (%w)", db.path, ErrBroken, cause)
		close(db.broken.closed)
		db.log.Error("the database could not be written, the node has to stop",
			"file", db.path, "err", cause)
	})

	return db.Err()
}

// Stats returns the counters.
func (db *DB) Stats() Stats {
	return Stats{
		Writes:  db.count.writes.Load(),
		Commits: db.count.commits.Load(),
	}
}

// View runs f in a read transaction on what is committed now.
func (db *DB) View(f func(kvdb.RTx) error, reset func()) error {
	reset()
	tx, err := db.BeginReadTx()
	if err != nil {
		return err
	}
	// Also when f panics: a read transaction that stays open would keep old pages forever.
	defer func() { _ = tx.Rollback() }()

	return f(tx)
}

// Update runs f in a read-write transaction, possibly one that it shares with the closures of other
// callers. reset is called before f; both run once. Update returns nil once f's changes are on
// disk, f's own error with nothing changed, or ErrBroken.
func (db *DB) Update(f func(kvdb.RwTx) error, reset func()) error {
	j := newJob(f, reset)
	j.caller = db.caller()
	if err := db.submit(j); err != nil {
		return err
	}
	defer db.writers.Done()
	if err := db.await(j); err != nil {
		return err
	}
	// After the commit and with nothing held: btcwallet takes locks here that another caller may hold
	// while it waits for its own write.
	for _, handler := range j.tx.handlers {
		handler()
	}

	return nil
}

// Batch is Update for callers that reset their own state. Unlike bbolt's it waits for no timer.
func (db *DB) Batch(f func(kvdb.RwTx) error) error {
	return db.Update(f, func() {})
}

// BeginReadTx opens a read transaction that the caller has to roll back.
func (db *DB) BeginReadTx() (kvdb.RTx, error) {
	tx, err := db.bolt.Begin(false)
	if err != nil {
		return nil, walletError(err)
	}

	return &transaction{bolt: tx, changes: new(changes), end: tx.Rollback}, nil
}

// BeginReadWriteTx opens a read-write transaction of the caller's own. All other writers wait until
// it is committed or rolled back.
func (db *DB) BeginReadWriteTx() (kvdb.RwTx, error) {
	if err := db.Err(); err != nil {
		return nil, err
	}
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return nil, walletError(err)
	}
	// A commit may have failed while this writer waited for its turn.
	if err := db.Err(); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}

	own := transaction{bolt: tx, changes: db.newChanges(false), end: tx.Rollback}

	return &ownTx{own, db, db.caller()}, nil
}

// Copy writes a consistent copy of the file to w.
func (db *DB) Copy(w io.Writer) error {
	return walletError(db.bolt.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	}))
}

// PrintStats returns the counters as text.
func (db *DB) PrintStats() string {
	s := db.Stats()

	return fmt.Sprintf("writes %d, commits %d", s.Writes, s.Commits)
}
