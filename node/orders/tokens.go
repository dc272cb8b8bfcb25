package orders

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/lightningnetwork/lnd/kvdb"

	"github.com/inletlsp/inlet/lsp/jit"
)

// tokensBucket holds, by the name of a token, how many of its paid orders are forgotten.
// Without it a token that is good for so many orders would be good for more one day.
var tokensBucket = []byte("inlet-tokens")

// tokenCounts are the paid orders of each token, forgotten ones too.
type tokenCounts struct {
	mu sync.Mutex
	of map[string]int // guarded by mu; by the token's name
}

// count notes an order as it is stored.
func (c *tokenCounts) count(e *entry) {
	if _, paid := e.order.State.(jit.Paid); !paid || e.rec.Token == "" || e.counted {
		return
	}
	e.counted = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[e.rec.Token]++
}

// PaidBy is how many orders were paid that were bought by the token of this name.
func (d *Desk) PaidBy(token string) int {
	d.tokens.mu.Lock()
	defer d.tokens.mu.Unlock()
	return d.tokens.of[token]
}

// loadTokens reads the counts of the orders that are forgotten.
func (d *Desk) loadTokens(tx kvdb.RTx) error {
	d.tokens.mu.Lock()
	defer d.tokens.mu.Unlock()
	d.tokens.of = map[string]int{}
	return tx.ReadBucket(tokensBucket).ForEach(func(name, v []byte) error {
		if len(v) != 8 {
			return fmt.Errorf("orders: the count of token %q has %d bytes", name, len(v))
		}
		d.tokens.of[string(name)] = int(binary.BigEndian.Uint64(v))
		return nil
	})
}

// keepCounts adds orders that are about to be forgotten.
func keepCounts(tx kvdb.RwTx, done []*entry) error {
	b := tx.ReadWriteBucket(tokensBucket)
	for _, e := range done {
		if !e.counted {
			continue
		}
		name, n := []byte(e.rec.Token), uint64(1)
		if v := b.Get(name); len(v) == 8 {
			n += binary.BigEndian.Uint64(v)
		}
		if err := b.Put(name, binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
	}
	return nil
}
