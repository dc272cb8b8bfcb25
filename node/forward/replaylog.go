package forward

import (
	"bytes"
	"encoding/binary"
	"fmt"

	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/kvdb"
)

var (
	// sharedHashBucket is where lnd's DecayedLog keeps the onions that it has seen.
	sharedHashBucket = []byte("shared-hash")

	// batchesBucket holds the last batch of onions of each channel, by its scid, with the
	// replays that were found in it.
	batchesBucket = []byte("inlet-onion-batches")
)

// replayLog is lnd's log of the onions that were seen, in which a batch that comes again
// gets the answer that it got before.
//
// A link first logs the onions of a batch and then, in another write, that the batch is
// processed. A process that dies in between has the batch again after its start, and by
// lnd's log alone all its HTLCs would be replays: they would fail as malformed, for good,
// while other parts of the same payment are held to their deadline. A channel has no more
// than one such batch, its last. After a start the older ones come before it, as long as
// an HTLC of them is there: they are processed, their answers don't count, and they must
// not take its place.
type replayLog struct {
	*htlcswitch.DecayedLog
	db kvdb.Backend
}

func newReplayLog(cfg Config) (*replayLog, error) {
	l := &replayLog{htlcswitch.NewDecayedLog(cfg.Backend, cfg.Notifier), cfg.Backend}
	err := kvdb.Update(l.db, func(tx kvdb.RwTx) error {
		for _, name := range [][]byte{sharedHashBucket, batchesBucket} {
			if _, err := tx.CreateTopLevelBucket(name); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return nil, fmt.Errorf("forward: create the log of onions: %w", err)
	}
	return l, nil
}

// batchIDLen is that of a forwarding package's id: the channel's scid and the height of
// its commitment, 8 bytes each.
const batchIDLen = 16

// PutBatch implements sphinx.ReplayLog.
func (l *replayLog) PutBatch(b *sphinx.Batch) (*sphinx.ReplaySet, error) {
	if len(b.ID) != batchIDLen {
		return l.DecayedLog.PutBatch(b)
	}
	var replays *sphinx.ReplaySet
	err := kvdb.Update(l.db, func(tx kvdb.RwTx) (err error) {
		replays, err = putBatch(tx, b)
		return err
	}, func() { replays = nil })
	if err != nil {
		return nil, fmt.Errorf("forward: log onions: %w", err)
	}
	b.ReplaySet, b.IsCommitted = replays, true
	return replays, nil
}

func putBatch(tx kvdb.RwTx, b *sphinx.Batch) (*sphinx.ReplaySet, error) {
	batches, hashes := tx.ReadWriteBucket(batchesBucket), tx.ReadWriteBucket(sharedHashBucket)
	scid, height := b.ID[:8], b.ID[8:]
	replays, count := sphinx.NewReplaySet(), 0
	order := 1 // of the height to that of the last batch; both are big endian
	if last := batches.Get(scid); len(last) >= 8 {
		if order = bytes.Compare(height, last[:8]); order == 0 {
			return replays, replays.Decode(bytes.NewReader(last[8:]))
		}
	}
	err := b.ForEach(func(n uint16, hash *sphinx.HashPrefix, cltv uint32) error {
		count++
		if hashes.Get(hash[:]) != nil {
			replays.Add(n)
			return nil
		}
		return hashes.Put(hash[:], binary.BigEndian.AppendUint32(nil, cltv))
	})
	replays.Merge(b.ReplaySet)
	if err != nil || count == 0 || order < 0 {
		return replays, err
	}
	value := bytes.NewBuffer(bytes.Clone(height))
	if err := replays.Encode(value); err != nil {
		return nil, err
	}
	return replays, batches.Put(scid, value.Bytes())
}
