package node_test

import (
	"bytes"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// copies sees what the LSP sends to its clients, and compares what is sent again with what was
// sent before.
type copies struct {
	mu     sync.Mutex
	first  map[payersHTLC]*lnwire.UpdateAddHTLC // guarded by mu
	again  int                                  // guarded by mu; with extra_fee
	differ []string                             // guarded by mu
}

func (c *copies) line(at string, _ [33]byte, sent bool, m lnwire.Message) {
	add, ok := m.(*lnwire.UpdateAddHTLC)
	if !ok || at != "lsp" || !sent {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := payersHTLC{add.ChanID, add.ID}
	old, known := c.first[key]
	if !known {
		kept := *add
		kept.CustomRecords = maps.Clone(add.CustomRecords)
		c.first[key] = &kept
		return
	}
	if len(old.CustomRecords) > 0 {
		c.again++
	}
	if old.Amount != add.Amount || old.Expiry != add.Expiry || old.OnionBlob != add.OnionBlob ||
		!maps.EqualFunc(old.CustomRecords, add.CustomRecords, bytes.Equal) {
		c.differ = append(c.differ, messageName(add))
	}
}

// TestForwardIsSentAgain: the connection with the client ends when the LSP has sent
// update_add_htlc, before and after the client has it. Each is sent again as it was, with its
// extra_fee, and the fee is the promised one.
func TestForwardIsSentAgain(t *testing.T) {
	checklist.Shows(t, "LSPS2-101", "update_add_htlc leaves the node for a second time without its records")
	t.Parallel()
	st := newStage(t, sales[1], 0)
	all, _ := st.snip(t, "client", moment{}, nil)
	seen := &copies{first: map[payersHTLC]*lnwire.UpdateAddHTLC{}}
	cuts := 0
	for _, at := range all {
		if !strings.Contains(at.name, "to client UpdateAddHTLC") {
			continue
		}
		for _, at.after = range []bool{false, true} {
			if _, hit := st.snip(t, "client", at, seen.line); hit {
				cuts++
			}
		}
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.differ) > 0 {
		t.Errorf("%d of what was sent again is not what was sent before", len(seen.differ))
	}
	t.Logf("%d cuts, %d HTLCs with extra_fee were sent again", cuts, seen.again)
	if cuts == 0 || seen.again == 0 {
		t.Errorf("%d cuts, %d HTLCs with extra_fee were sent again: want some of each", cuts, seen.again)
	}
}
