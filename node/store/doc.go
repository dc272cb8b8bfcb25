// Package store keeps all state of a node that is worth money in one bbolt file.
//
// [DB] is a kvdb.Backend, so channeldb, btcwallet, the onion replay log and our own buckets share
// the file, its lock and its fsyncs. Writes are committed in groups: closures that wait at the same
// moment run one after the other in one bolt transaction, which is made durable once for all. There
// is no goroutine for that: one of those who wait leads.
//
//	db, err := store.Open(store.Options{Dir: dir})
//	if err != nil { ... }        // ErrLocked, ErrNewer, ...: the text says what to do
//	defer db.Close()
//	err = db.Update(func(tx kvdb.RwTx) error { ... }, reset)
//
// # What a caller can rely on
//
//   - Update, Batch and Commit return nil only after the caller's own data is on disk.
//   - A closure runs in its caller's goroutine, and so do its OnCommit handlers, after the commit.
//   - A closure runs once, reset before it. lnd and btcwallet have closures that can't run twice.
//   - A closure that returns an error, or panics, leaves nothing behind and disturbs nobody: its
//     changes are taken back while those of its group stay. (btcwallet makes dry runs this way.)
//   - Nobody waits for a timer: a lone write is committed at once, at the price of plain bbolt.
//   - A closure that has changed nothing costs no fsync.
//   - If a commit fails on disk, memory is ahead of the disk: [DB.Failed] is closed, every later
//     write returns [ErrBroken], and the process has to stop. Reads go on.
//
// # What a caller must not do
//
// There is one writer. A closure of Update must not call Update, Batch or BeginReadWriteTx of the
// same DB, directly or by waiting for a goroutine that does: it would wait for itself, as with
// bbolt alone. View inside a closure is fine and sees the data that was committed before.
//
// A View may see a commit a moment before its last fsync has returned. An effect that leaves the
// process is tied to the return of one's own Update, never to what a View has shown.
package store
