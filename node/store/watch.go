package store

import (
	"encoding/hex"
	"runtime"
	"slices"
	"strings"
)

// Write is one closure, or one transaction of BeginReadWriteTx, that a commit makes durable: who
// asked for it and where it wrote. It is how tests name the places where a process may die.
type Write struct {
	Caller  string   // package and function, such as orders.(*Desk).write
	Buckets []string // of the top level, sorted; hex where a name is no text
}

// String is the write as one word for each bucket behind the caller.
func (w Write) String() string {
	return strings.Join(append([]string{w.Caller}, w.Buckets...), " ")
}

// Watch is called before each durable commit and, with done set, after it. Nothing else is
// committed meanwhile. Its error counts as the disk's: before the commit nothing is written, after
// it all of it is, and in both cases the database is latched. It must not write. Only tests set one.
type Watch func(done bool, writes []Write) error

// watched makes a transaction durable under the eyes of a test.
func (db *DB) watched(writes []Write, commit func() error) error {
	if db.watch == nil {
		return commit()
	}
	if err := db.watch(false, writes); err != nil {
		return err
	}
	if err := commit(); err != nil {
		return err
	}

	return db.watch(true, writes)
}

// below are the packages between a write and the one who asked for it.
var below = []string{
	"github.com/inletlsp/inlet/node/store.",
	"github.com/lightningnetwork/lnd/kvdb.",
	"github.com/btcsuite/btcwallet/walletdb.",
}

// maxFrames is more than lie between a write and its caller.
const maxFrames = 16

// caller names the function that asked for a write; empty unless a test watches.
func (db *DB) caller() string {
	if db.watch == nil {
		return ""
	}
	var counters [maxFrames]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters[:])])
	for {
		frame, more := frames.Next()
		if !more || !slices.ContainsFunc(below, func(pkg string) bool {
			return strings.HasPrefix(frame.Function, pkg)
		}) {
			return shortName(frame.Function)
		}
	}
}

// shortName leaves out the path of the package and the number of a closure.
func shortName(function string) string {
	name := function[strings.LastIndexByte(function, '/')+1:]
	name, _, _ = strings.Cut(name, ".func")

	return name
}

// write is what a closure has written; its zero value has no name and names no buckets.
func (c *changes) write(caller string) Write {
	w := Write{Caller: caller}
	for top := range c.tops {
		w.Buckets = append(w.Buckets, bucketName(top))
	}
	slices.Sort(w.Buckets)

	return w
}

// touched notes the bucket of the top level that a change is in.
func (c *changes) touched(p *place, key []byte) {
	if c.tops == nil {
		return
	}
	if p == nil {
		c.tops[string(key)] = struct{}{}
		return
	}
	for p.parent != nil {
		p = p.parent
	}
	c.tops[string(p.name)] = struct{}{}
}

// bucketName is a bucket's key as text.
func bucketName(key string) string {
	for _, r := range key {
		if r < ' ' || r > '~' {
			return hex.EncodeToString([]byte(key))
		}
	}

	return key
}
