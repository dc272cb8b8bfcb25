package node

import (
	"encoding/json"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
)

// idleBucket holds since when no payment has moved money over a channel, by its outpoint.
var idleBucket = []byte("inlet-idle")

// idleV1 is a channel's mark on disk.
type idleV1 struct {
	V int `json:"v"`
	// MovedMsat is all that was ever sent and received: a number that only payments change.
	MovedMsat uint64 `json:"moved_msat"`
	// SinceHeight is the block at which that was seen for the first time.
	SinceHeight uint32 `json:"since_height"`
}

func moved(ch *channeldb.OpenChannel) lnwire.MilliSatoshi {
	return ch.TotalMSatSent + ch.TotalMSatReceived
}

// markIdle brings the marks of the channels up to date with a block, and gives since when each is
// idle. What was not marked before is idle from now on: no channel is closed for a time that nobody
// has looked at. It writes only when a payment was made.
func markIdle(db kvdb.Backend, chans []*channeldb.OpenChannel, height uint32) (map[wire.OutPoint]uint32, error) {
	since := map[wire.OutPoint]uint32{}
	old, err := idleMarks(db)
	if err != nil {
		return nil, err
	}
	fresh := map[wire.OutPoint]idleV1{}
	for _, ch := range chans {
		mark, known := old[ch.FundingOutpoint]
		delete(old, ch.FundingOutpoint)
		if !known || mark.MovedMsat != uint64(moved(ch)) {
			mark = idleV1{V: 1, MovedMsat: uint64(moved(ch)), SinceHeight: height}
			fresh[ch.FundingOutpoint] = mark
		}
		since[ch.FundingOutpoint] = mark.SinceHeight
	}
	if len(fresh) == 0 && len(old) == 0 {
		return since, nil
	}
	return since, storeIdle(db, fresh, old)
}

// idleMarks reads all marks.
func idleMarks(db kvdb.Backend) (map[wire.OutPoint]idleV1, error) {
	var marks map[wire.OutPoint]idleV1
	err := kvdb.View(db, func(tx kvdb.RTx) error {
		b := tx.ReadBucket(idleBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			point, err := wire.NewOutPointFromString(string(k))
			if err != nil {
				return fmt.Errorf("node: read idle mark: %w", err)
			}
			var m idleV1
			if err := json.Unmarshal(v, &m); err != nil {
				return fmt.Errorf("node: read idle mark of %s: %w", k, err)
			}
			marks[*point] = m
			return nil
		})
	}, func() { marks = map[wire.OutPoint]idleV1{} })
	return marks, err
}

// storeIdle writes new marks and removes those of channels that are gone.
func storeIdle(db kvdb.Backend, fresh, gone map[wire.OutPoint]idleV1) error {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		b, err := tx.CreateTopLevelBucket(idleBucket)
		if err != nil {
			return err
		}
		for point, mark := range fresh {
			raw, err := json.Marshal(mark)
			if err != nil {
				return err
			}
			if err := b.Put([]byte(point.String()), raw); err != nil {
				return err
			}
		}
		for point := range gone {
			if err := b.Delete([]byte(point.String())); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: store idle marks: %w", err)
	}
	return nil
}
