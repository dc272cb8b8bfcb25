package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/aezeed"
	"github.com/lightningnetwork/lnd/kvdb"
)

const (
	entropySize        = aezeed.EntropySize
	walletPasswordSize = 32

	// secretsBucket holds the sealed seed and the state of a restore.
	secretsBucket = "inlet-secrets"
	seedKey       = "seed"
	restoreKey    = "restore"
)

// The buckets of btcwallet, and the password that it wants for public data; lnd uses the same.
const (
	addrmgrBucket  = "waddrmgr"
	txmgrBucket    = "wtxmgr"
	publicPassword = "public"
)

// CreateOptions configures Create.
type CreateOptions struct {
	// Params names the network.
	Params *chaincfg.Params

	// Passphrase encrypts the seed at rest. Required unless Insecure.
	Passphrase []byte

	// Insecure stores the seed openly. For test networks.
	Insecure bool

	// Words restores a wallet. Nil makes a new one.
	Words []string

	// WordsPassphrase is lnd's cipher seed passphrase, when the words have one.
	WordsPassphrase []byte

	// Birthday is when the wallet was first used; zero takes the words' own, which is right for
	// words that a wallet made. Blocks before it are not searched.
	Birthday time.Time
}

// restoreState says how far a restore from words is.
type restoreState struct {
	V    int  `json:"v"`
	Done bool `json:"done"`
}

// Create stores a new wallet, or one restored from words, in one write. It returns the words:
// show them once, they are stored nowhere in the open. Errors: ErrExists, ErrBadWords,
// ErrPassphraseRule.
func Create(db kvdb.Backend, o CreateOptions) ([]string, error) {
	if o.Insecure == (len(o.Passphrase) > 0) {
		return nil, fmt.Errorf("wallet: create: %w", ErrPassphraseRule)
	}

	words, restored := o.Words, len(o.Words) > 0
	if !restored {
		birthday := o.Birthday
		if birthday.IsZero() {
			birthday = time.Now()
		}
		fresh, err := newWords(birthday)
		if err != nil {
			return nil, err
		}
		words = fresh
	}

	seed, err := parseWords(words, o.WordsPassphrase)
	if err != nil {
		return nil, err
	}
	defer clear(seed.Entropy[:])

	s := &secrets{
		Entropy: seed.Entropy[:], WalletPassword: randomBytes(walletPasswordSize),
		Birthday: seed.BirthdayTime(), Restored: restored,
	}
	defer s.clear()
	if !o.Birthday.IsZero() {
		s.Birthday = o.Birthday
	}

	raw, err := seal(s, o.Params.Name, o.Passphrase, standardCost())
	if err != nil {
		return nil, err
	}
	if err := store(db, raw, s, o.Params); err != nil {
		return nil, err
	}

	return words, nil
}

// store writes the record and btcwallet's part in one transaction: a half-made wallet would look
// like one and could not be opened.
func store(db kvdb.Backend, raw []byte, s *secrets, params *chaincfg.Params) error {
	root, err := hdkeychain.NewMaster(s.Entropy, params)
	if err != nil {
		return fmt.Errorf("wallet: create: derive the root key: %w", err)
	}
	defer root.Zero()

	// Keys that the seed's former life handed out must not come again: a peer of that time knows
	// revocation secrets of theirs.
	first := uint32(firstKeyIndex)
	if s.Restored {
		first = restoredFirstIndex(rand.Uint32())
	}

	err = kvdb.Update(db, func(tx kvdb.RwTx) error {
		bucket, err := tx.CreateTopLevelBucket([]byte(secretsBucket))
		if err != nil {
			return err
		}
		if bucket.Get([]byte(seedKey)) != nil {
			return ErrExists
		}
		if err := bucket.Put([]byte(seedKey), raw); err != nil {
			return err
		}
		if s.Restored {
			if err := putRestore(bucket, false); err != nil {
				return err
			}
		}
		if err := createCounters(tx, first); err != nil {
			return err
		}
		if _, err := tx.CreateTopLevelBucket([]byte(coinsBucket)); err != nil {
			return err
		}

		return createBtcwallet(tx, root, s, params)
	}, func() {})
	if err != nil {
		return fmt.Errorf("wallet: create: %w", err)
	}

	return nil
}

func createBtcwallet(tx kvdb.RwTx, root *hdkeychain.ExtendedKey, s *secrets,
	params *chaincfg.Params) error {

	addrs, err := tx.CreateTopLevelBucket([]byte(addrmgrBucket))
	if err != nil {
		return err
	}
	txs, err := tx.CreateTopLevelBucket([]byte(txmgrBucket))
	if err != nil {
		return err
	}

	// The password is 32 random bytes; stretching it again would cost four seconds and give
	// nothing.
	err = waddrmgr.Create(addrs, root, []byte(publicPassword), s.WalletPassword, params,
		&waddrmgr.FastScryptOptions, s.Birthday)
	if err != nil {
		return err
	}

	return wtxmgr.Create(txs)
}

// Exists says whether the store has a wallet.
func Exists(db kvdb.Backend) (bool, error) {
	_, err := readRecord(db)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}

	return err == nil, err
}

func readRecord(db kvdb.Backend) ([]byte, error) {
	var raw []byte
	err := kvdb.View(db, func(tx kvdb.RTx) error {
		bucket := tx.ReadBucket([]byte(secretsBucket))
		if bucket == nil {
			return ErrMissing
		}
		value := bucket.Get([]byte(seedKey))
		if value == nil {
			return ErrMissing
		}
		raw = append(raw, value...)

		return nil
	}, func() { raw = nil })
	if err != nil {
		return nil, fmt.Errorf("wallet: open: %w", err)
	}

	return raw, nil
}

// ChangePassphrase wraps the stored seed anew. An empty old passphrase means that it was stored
// openly; an empty next one stores it openly and is allowed only with insecure.
func ChangePassphrase(db kvdb.Backend, old, next []byte, insecure bool) error {
	if insecure == (len(next) > 0) {
		return fmt.Errorf("wallet: change passphrase: %w", ErrPassphraseRule)
	}
	raw, err := readRecord(db)
	if err != nil {
		return err
	}
	_, head, err := readHeader(raw)
	if err != nil {
		return err
	}
	s, err := unseal(raw, head.Network, old, len(old) == 0)
	if err != nil {
		return err
	}
	defer s.clear()

	fresh, err := seal(s, head.Network, next, standardCost())
	if err != nil {
		return err
	}
	err = kvdb.Update(db, func(tx kvdb.RwTx) error {
		bucket := tx.ReadWriteBucket([]byte(secretsBucket))
		if bucket == nil {
			return ErrMissing
		}

		return bucket.Put([]byte(seedKey), fresh)
	}, func() {})
	if err != nil {
		return fmt.Errorf("wallet: change passphrase: %w", err)
	}

	return nil
}

func putRestore(bucket kvdb.RwBucket, done bool) error {
	raw, err := json.Marshal(restoreState{V: recordVersion, Done: done})
	if err != nil {
		return err
	}

	return bucket.Put([]byte(restoreKey), raw)
}

// restorePending says whether the coins of a restored seed have still to be searched for.
func restorePending(db kvdb.Backend) (bool, error) {
	var state restoreState
	err := kvdb.View(db, func(tx kvdb.RTx) error {
		bucket := tx.ReadBucket([]byte(secretsBucket))
		if bucket == nil {
			return ErrMissing
		}
		raw := bucket.Get([]byte(restoreKey))
		if raw == nil {
			state.Done = true
			return nil
		}

		return json.Unmarshal(raw, &state)
	}, func() { state = restoreState{} })
	if err != nil {
		return false, fmt.Errorf("wallet: read the restore's state: %w", err)
	}

	return !state.Done, nil
}

// restoreDone notes that the search is over. Searching again at every start would be harmless
// but slow.
func restoreDone(db kvdb.Backend) error {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		bucket := tx.ReadWriteBucket([]byte(secretsBucket))
		if bucket == nil {
			return ErrMissing
		}

		return putRestore(bucket, true)
	}, func() {})
	if err != nil {
		return fmt.Errorf("wallet: note the end of the restore: %w", err)
	}

	return nil
}
