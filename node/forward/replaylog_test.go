package forward

import (
	"encoding/binary"
	"testing"

	sphinx "github.com/lightningnetwork/lightning-onion"
)

// onions is a batch of a channel at a height, one onion for each number.
func onions(t *testing.T, scid, height uint64, numbers ...byte) *sphinx.Batch {
	t.Helper()
	id := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, scid), height)
	b := sphinx.NewBatch(id)
	for i, n := range numbers {
		if err := b.Put(uint16(i), &sphinx.HashPrefix{n}, 500); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// TestBatchOfOnionsAgain: after a crash a batch comes again with the same answer, and the
// onions in it are replays everywhere else.
func TestBatchOfOnionsAgain(t *testing.T) {
	b := newBench(t)
	log, err := newReplayLog(Config{Backend: b.backend, Notifier: blockAt{}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(what string, batch *sphinx.Batch, replays ...uint16) {
		t.Helper()
		got, err := log.PutBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		if got.Size() != len(replays) || batch.ReplaySet.Size() != got.Size() || !batch.IsCommitted {
			t.Errorf("%s: %d replays, want %v", what, got.Size(), replays)
		}
		for _, n := range replays {
			if !got.Contains(n) {
				t.Errorf("%s: %d is no replay", what, n)
			}
		}
	}
	put("new", onions(t, 7, 1, 1, 2))
	put("again", onions(t, 7, 1, 1, 2))
	put("in the next batch", onions(t, 7, 2, 3, 1), 1)
	put("that batch again", onions(t, 7, 2, 3, 1), 1)
	put("on another channel", onions(t, 8, 2, 2), 0)
	// A link decodes every package that has an HTLC left, the oldest first, and the last
	// one is the one that a crash may have cut short.
	put("an old batch of the channel", onions(t, 7, 1, 1, 2), 0, 1)
	put("the last batch after an old one", onions(t, 7, 2, 3, 1), 1)
	put("far on", onions(t, 7, 256, 4))
	put("an old batch with a greater last byte", onions(t, 7, 2, 3, 1), 0, 1)
	put("far on again", onions(t, 7, 256, 4))
	put("nothing in it", onions(t, 9, 1))

	// lnd's own log looks for what is in ours.
	if cltv, err := log.Get(&sphinx.HashPrefix{3}); err != nil || cltv != 500 {
		t.Errorf("lnd's log has expiry %d: %v", cltv, err)
	}
}
