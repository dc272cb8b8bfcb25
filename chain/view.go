package chain

import (
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

const (
	// maxSteps is how many steps of the chain are kept for subscribers that are slow to read:
	// ten weeks of blocks. One that falls behind it is cut off.
	maxSteps = 10_000

	// maxBlocks is how many of the latest blocks' headers are kept. Reorganisations that go
	// deeper need the backend to still have the headers of the branch that was left.
	maxBlocks = 1000
)

// block is a block of the chain without its transactions.
type block struct {
	height int32
	hash   chainhash.Hash
	header *wire.BlockHeader
}

// step is one change of the followed chain: a block added to its end or taken from it.
type step struct {
	block
	connected bool
}

// view is the chain as far as the Source has followed it.
type view struct {
	mu      sync.Mutex
	tip     block                                // guarded by mu
	told    block                                // guarded by mu; to where the steps lead
	recent  map[int32]block                      // guarded by mu; at most maxBlocks, up to tip
	headers map[chainhash.Hash]*wire.BlockHeader // guarded by mu; those of recent and of steps
	steps   []step                               // guarded by mu; at most maxSteps
	first   uint64                               // guarded by mu; the number of steps[0]
	changed chan struct{}                        // guarded by mu; closed and renewed at each step
}

func newView(tip block) *view {
	return &view{
		tip:     tip,
		told:    tip,
		recent:  map[int32]block{tip.height: tip},
		headers: map[chainhash.Hash]*wire.BlockHeader{tip.hash: tip.header},
		changed: make(chan struct{}),
	}
}

// best is the end of the chain.
func (v *view) best() block {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tip
}

// at is the block of the chain at height, while it is remembered.
func (v *view) at(height int32) (block, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, ok := v.recent[height]
	return b, ok
}

// header is that of a remembered block, also of one that was left.
func (v *view) header(hash chainhash.Hash) (*wire.BlockHeader, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	header, ok := v.headers[hash]
	return header, ok
}

// advance adds a block at the end; readers of the steps hear of it by announce.
func (v *view) advance(b block) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tip = b
	v.recent[b.height] = b
	v.headers[b.hash] = b.header
	delete(v.recent, b.height-maxBlocks)
}

// announce makes the block that was added last a step.
func (v *view) announce() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.told = v.tip
	v.record(step{v.tip, true})
}

// disconnect takes the last block away; prev becomes the end.
func (v *view) disconnect(prev block) {
	v.mu.Lock()
	defer v.mu.Unlock()
	left := v.tip
	delete(v.recent, left.height)
	v.tip = prev
	v.recent[prev.height] = prev
	v.headers[prev.hash] = prev.header
	v.told = prev
	v.record(step{left, false})
}

func (v *view) record(s step) {
	if len(v.steps) == maxSteps {
		old := v.steps[0]
		if kept, ok := v.recent[old.height]; !ok || kept.hash != old.hash {
			delete(v.headers, old.hash)
		}
		v.steps = v.steps[1:]
		v.first++
	}
	v.steps = append(v.steps, s)
	close(v.changed)
	v.changed = make(chan struct{})
}

// cursor is a reader's place among the steps.
type cursor struct {
	next uint64
}

// follow starts reading behind the latest step, which led to told.
func (v *view) follow() (c cursor, told block) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return cursor{v.first + uint64(len(v.steps))}, v.told
}

// read gives the next step. Without one, wait is closed when there may be one. It reports lost
// when the reader was so slow that steps it has not read are forgotten.
func (v *view) read(c *cursor) (s step, wait <-chan struct{}, lost bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.next < v.first {
		return step{}, nil, true
	}
	i := c.next - v.first
	if i == uint64(len(v.steps)) {
		return step{}, v.changed, false
	}
	c.next++
	return v.steps[i], nil, false
}
