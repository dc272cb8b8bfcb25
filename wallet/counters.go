package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
)

// keysBucket holds one counter for each key family, and the index that all of them begin at.
const (
	keysBucket = "inlet-keys"
	firstKey   = "first"
)

const (
	// counterBlock is how many indexes one write sets aside. A restart skips what is left of
	// the block.
	counterBlock = 100

	// firstKeyIndex leaves out index 0: with family 0 it reads like "no locator" in lnd.
	firstKeyIndex = 1

	// maxKeyFamily bounds the families, and with them the cache of their keys.
	maxKeyFamily = 255
)

var errKeysExhausted = errors.New("all keys of the family are used")

// restoredFirstIndex turns a random number into the first index of a restored seed: somewhere
// in the second quarter of the index space, far above what a former life used, on a round number
// so that the gaps between several restores are large.
func restoredFirstIndex(random uint32) uint32 {
	const low, spread, round = 1 << 29, 1 << 29, 1 << 12

	return low + (random%spread)/round*round
}

// counter is a stored number: the first index that was not set aside yet.
type counter struct {
	V    int    `json:"v"`
	Next uint32 `json:"next"`
}

func createCounters(tx kvdb.RwTx, first uint32) error {
	bucket, err := tx.CreateTopLevelBucket([]byte(keysBucket))
	if err != nil {
		return err
	}

	return putCounter(bucket, firstKey, first)
}

// reserve sets the next counterBlock indexes of each family aside and returns where each block
// begins. They are on disk when it returns: after a crash they are skipped, never repeated.
func reserve(db kvdb.Backend, families ...keychain.KeyFamily) ([]uint32, error) {
	var starts []uint32
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		bucket := tx.ReadWriteBucket([]byte(keysBucket))
		if bucket == nil {
			return ErrMissing
		}
		for _, family := range families {
			start, err := nextOf(bucket, family)
			if err != nil {
				return err
			}
			if start > hdkeychain.HardenedKeyStart-counterBlock {
				return errKeysExhausted
			}
			err = putCounter(bucket, familyKey(family), start+counterBlock)
			if err != nil {
				return err
			}
			starts = append(starts, start)
		}

		return nil
	}, func() { starts = nil })
	if err != nil {
		return nil, fmt.Errorf("wallet: reserve key indexes: %w", err)
	}

	return starts, nil
}

// handedOut gives the range of indexes that may have been handed out in a family.
func handedOut(db kvdb.Backend, family keychain.KeyFamily) (first, next uint32, err error) {
	err = kvdb.View(db, func(tx kvdb.RTx) error {
		bucket := tx.ReadBucket([]byte(keysBucket))
		if bucket == nil {
			return ErrMissing
		}
		if first, err = readCounter(bucket, firstKey); err != nil {
			return err
		}
		next, err = nextOf(bucket, family)

		return err
	}, func() {})
	if err != nil {
		return 0, 0, fmt.Errorf("wallet: read key counters: %w", err)
	}

	return first, next, nil
}

func familyKey(family keychain.KeyFamily) string {
	return "family/" + strconv.FormatUint(uint64(family), 10)
}

// nextOf reads a family's counter; a family that was never used begins at the common first.
func nextOf(bucket kvdb.RBucket, family keychain.KeyFamily) (uint32, error) {
	if bucket.Get([]byte(familyKey(family))) == nil {
		return readCounter(bucket, firstKey)
	}

	return readCounter(bucket, familyKey(family))
}

func readCounter(bucket kvdb.RBucket, key string) (uint32, error) {
	raw := bucket.Get([]byte(key))
	if raw == nil {
		return 0, fmt.Errorf("counter %s: %w", key, ErrDamaged)
	}
	var c counter
	if err := json.Unmarshal(raw, &c); err != nil {
		return 0, fmt.Errorf("counter %s: %w", key, ErrDamaged)
	}
	if c.V > recordVersion {
		return 0, fmt.Errorf("counter %s: %w", key, ErrNewer)
	}

	return c.Next, nil
}

func putCounter(bucket kvdb.RwBucket, key string, next uint32) error {
	raw, err := json.Marshal(counter{V: recordVersion, Next: next})
	if err != nil {
		return err
	}

	return bucket.Put([]byte(key), raw)
}
