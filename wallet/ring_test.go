package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// testDB is a bolt file of its own.
func testDB(t testing.TB) kvdb.Backend {
	t.Helper()
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "inlet.db", NoFreelistSync: true,
		DBTimeout: 5 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })

	return db
}

// testSeed is a fixed seed for a number.
func testSeed(n int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h := sha256.Sum256(b[:])

	return h[:entropySize]
}

// testRing is a ring over a store that only has counters.
func testRing(t testing.TB, seed []byte, params *chaincfg.Params) *ring {
	t.Helper()
	db := testDB(t)
	require.NoError(t, kvdb.Update(db, func(tx kvdb.RwTx) error {
		return createCounters(tx, firstKeyIndex)
	}, func() {}))
	r, err := newRing(db, seed, params)
	require.NoError(t, err)

	return r
}

// lndRing is lnd's key ring over a btcwallet made from the same seed.
func lndRing(t testing.TB, seed []byte, params *chaincfg.Params) (keychain.SecretKeyRing,
	*base.Wallet) {

	t.Helper()
	db := testDB(t)
	s := &secrets{
		Entropy: bytes.Clone(seed), WalletPassword: bytes.Repeat([]byte{7}, walletPasswordSize),
		Birthday: time.Unix(1_700_000_000, 0),
	}
	require.NoError(t, store(db, []byte(`{}`), s, params))
	w, err := openBase(db, s.WalletPassword, params, 0)
	require.NoError(t, err)
	t.Cleanup(func() { w.Stop(); w.WaitForShutdown() })

	return keychain.NewBtcWalletKeyRing(w, coinType(params)), w
}

// oddSeed finds a seed for which the key at the given depth below the root (1: purpose, 2: coin)
// begins with a zero byte, where btcwallet leaves BIP 32.
func oddSeed(t testing.TB, depth int, coin uint32) []byte {
	t.Helper()
	path := []uint32{keychain.BIP0043Purpose, coin}[:depth]
	for n := range 10_000 {
		key, err := hdkeychain.NewMaster(testSeed(n), &chaincfg.MainNetParams)
		require.NoError(t, err)
		for _, i := range path {
			key, err = hardened(key, i)
			require.NoError(t, err)
		}
		if key.IsAffectedByIssue172() {
			return testSeed(n)
		}
	}
	t.Fatal("no such seed")

	return nil
}

func TestRingDerivesLndsKeys(t *testing.T) {
	nets := map[string]*chaincfg.Params{
		"mainnet": &chaincfg.MainNetParams, "regtest": &chaincfg.RegressionNetParams,
	}
	for name, params := range nets {
		seeds := map[string][]byte{
			"ordinary seed":               testSeed(1),
			"purpose key begins with 00":  oddSeed(t, 1, coinType(params)),
			"coin type key begins with 0": oddSeed(t, 2, coinType(params)),
		}
		for what, seed := range seeds {
			t.Run(name+", "+what, func(t *testing.T) { compareRings(t, seed, params) })
		}
	}
}

func compareRings(t *testing.T, seed []byte, params *chaincfg.Params) {
	ours := testRing(t, seed, params)
	theirs, _ := lndRing(t, seed, params)

	for _, fam := range append([]keychain.KeyFamily{255}, keychain.VersionZeroKeyFamilies...) {
		for _, index := range []uint32{0, 1, 2, 99, 1 << 29, hdkeychain.HardenedKeyStart - 1} {
			loc := keychain.KeyLocator{Family: fam, Index: index}
			got, err := ours.DeriveKey(loc)
			require.NoError(t, err)
			want, err := theirs.DeriveKey(loc)
			require.NoError(t, err)
			if !got.PubKey.IsEqual(want.PubKey) || got.KeyLocator != want.KeyLocator {
				t.Fatalf("key %v differs from lnd's", loc)
			}

			priv, err := ours.DerivePrivKey(keychain.KeyDescriptor{KeyLocator: loc})
			require.NoError(t, err)
			if !priv.PubKey().IsEqual(want.PubKey) {
				t.Fatalf("private key %v does not fit the public one", loc)
			}
		}
	}
}

func TestRingSignsAsLndDoes(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	ours := testRing(t, testSeed(3), params)
	theirs, _ := lndRing(t, testSeed(3), params)

	loc := keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey, Index: 0}
	msg, tag, tweak := []byte("a message"), []byte("a tag"), bytes.Repeat([]byte{3}, 32)
	other, err := ours.DeriveKey(keychain.KeyLocator{Family: 2, Index: 5})
	require.NoError(t, err)

	for _, double := range []bool{false, true} {
		a, err := ours.SignMessage(loc, msg, double)
		require.NoError(t, err)
		b, err := theirs.SignMessage(loc, msg, double)
		require.NoError(t, err)
		require.Equal(t, b.Serialize(), a.Serialize())

		ac, err := ours.SignMessageCompact(loc, msg, double)
		require.NoError(t, err)
		bc, err := theirs.SignMessageCompact(loc, msg, double)
		require.NoError(t, err)
		require.Equal(t, bc, ac)

		for _, tw := range [][]byte{nil, tweak} {
			for _, tg := range [][]byte{nil, tag} {
				as, err := ours.SignMessageSchnorr(loc, msg, double, tw, tg)
				require.NoError(t, err)
				bs, err := theirs.SignMessageSchnorr(loc, msg, double, tw, tg)
				require.NoError(t, err)
				require.Equal(t, bs.Serialize(), as.Serialize())
			}
		}
	}

	a, err := ours.ECDH(keychain.KeyDescriptor{KeyLocator: loc}, other.PubKey)
	require.NoError(t, err)
	b, err := theirs.ECDH(keychain.KeyDescriptor{KeyLocator: loc}, other.PubKey)
	require.NoError(t, err)
	require.Equal(t, b, a)
}

func TestRingNeverRepeatsAnIndex(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	r := testRing(t, testSeed(4), params)
	seen := make(map[keychain.KeyLocator]bool)
	take := func(n int) {
		for range n {
			desc, err := r.DeriveNextKey(3)
			require.NoError(t, err)
			require.False(t, seen[desc.KeyLocator], "index %d came twice", desc.Index)
			require.NotZero(t, desc.Index, "index 0 reads like no locator")
			seen[desc.KeyLocator] = true
		}
	}

	// A kill forgets the ring; the store stays. The amounts end before, on and behind the edge
	// of a block.
	for _, n := range []int{1, counterBlock, counterBlock + 1, 3*counterBlock - 1, 1} {
		take(n)
		again, err := newRing(r.db, testSeed(4), params)
		require.NoError(t, err)
		r = again
	}
}

func TestRingCountersConcurrent(t *testing.T) {
	r := testRing(t, testSeed(5), &chaincfg.RegressionNetParams)

	const workers, each = 8, 80
	got := make(chan keychain.KeyLocator, workers*each)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				desc, err := r.DeriveNextKey(keychain.KeyFamily(i % 2))
				if err != nil {
					t.Error(err)
					return
				}
				got <- desc.KeyLocator
			}
		})
	}
	wg.Go(func() {
		if err := r.warm(0, 1, 2); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	close(got)

	seen := make(map[keychain.KeyLocator]bool)
	for loc := range got {
		require.False(t, seen[loc], "%v came twice", loc)
		seen[loc] = true
	}
	require.Len(t, seen, workers*each)
}

// failingDB fails writes while broken.
type failingDB struct {
	kvdb.Backend
	broken bool
}

func (f *failingDB) Update(fn func(tx kvdb.RwTx) error, reset func()) error {
	if f.broken {
		return errDisk
	}

	return f.Backend.Update(fn, reset)
}

var errDisk = errors.New("no space left on device")

func TestRingHandsOutNothingThatIsNotStored(t *testing.T) {
	r := testRing(t, testSeed(6), &chaincfg.RegressionNetParams)
	db := &failingDB{Backend: r.db, broken: true}
	r.db = db

	_, err := r.DeriveNextKey(1)
	require.ErrorIs(t, err, errDisk)

	db.broken = false
	desc, err := r.DeriveNextKey(1)
	require.NoError(t, err)
	require.Equal(t, uint32(firstKeyIndex), desc.Index)
}

func TestRingWarmIsOneWrite(t *testing.T) {
	r := testRing(t, testSeed(7), &chaincfg.RegressionNetParams)
	require.NoError(t, r.warm(0, 1, 2, 3, 4, 5))

	// With the blocks set aside the store is not needed any more.
	r.db = &failingDB{Backend: r.db, broken: true}
	for fam := range keychain.KeyFamily(6) {
		for range counterBlock {
			_, err := r.DeriveNextKey(fam)
			require.NoError(t, err)
		}
		_, err := r.DeriveNextKey(fam)
		require.ErrorIs(t, err, errDisk)
	}
}

func TestRingSearchesByPublicKey(t *testing.T) {
	r := testRing(t, testSeed(8), &chaincfg.RegressionNetParams)
	want, err := r.DeriveKey(keychain.KeyLocator{Family: 4, Index: 37})
	require.NoError(t, err)

	key, err := r.DerivePrivKey(keychain.KeyDescriptor{
		KeyLocator: keychain.KeyLocator{Family: 4}, PubKey: want.PubKey,
	})
	require.NoError(t, err)
	require.True(t, key.PubKey().IsEqual(want.PubKey))
}

func TestRingSearchesWhatARestoredWalletHandedOut(t *testing.T) {
	db := testDB(t)
	const first = 1 << 29
	require.NoError(t, kvdb.Update(db, func(tx kvdb.RwTx) error {
		return createCounters(tx, first)
	}, func() {}))
	r, err := newRing(db, testSeed(8), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	desc, err := r.DeriveNextKey(4)
	require.NoError(t, err)
	require.Equal(t, uint32(first), desc.Index)

	f, err := r.open(4)
	require.NoError(t, err)
	key, err := f.search(desc.PubKey, first, first+counterBlock)
	require.NoError(t, err)
	require.True(t, key.PubKey().IsEqual(desc.PubKey))
	missing, err := f.search(desc.PubKey, 0, 50)
	require.NoError(t, err)
	_, err = orNotFound(missing, err)
	require.ErrorIs(t, err, keychain.ErrCannotDerivePrivKey)
}

func TestRingLimits(t *testing.T) {
	r := testRing(t, testSeed(9), &chaincfg.RegressionNetParams)

	_, err := r.DeriveKey(keychain.KeyLocator{Family: maxKeyFamily + 1})
	require.ErrorContains(t, err, "key family")
	_, err = r.DeriveKey(keychain.KeyLocator{Index: hdkeychain.HardenedKeyStart})
	require.ErrorContains(t, err, "out of range")

	require.NoError(t, kvdb.Update(r.db, func(tx kvdb.RwTx) error {
		return putCounter(tx.ReadWriteBucket([]byte(keysBucket)), familyKey(2),
			hdkeychain.HardenedKeyStart-counterBlock+1)
	}, func() {}))
	_, err = r.DeriveNextKey(2)
	require.ErrorIs(t, err, errKeysExhausted)
}

func TestRestoredFirstIndex(t *testing.T) {
	for _, random := range []uint32{0, 1, 1 << 12, 1<<29 - 1, 1 << 31, 1<<32 - 1} {
		first := restoredFirstIndex(random)
		require.GreaterOrEqual(t, first, uint32(1<<29))
		require.Less(t, first, uint32(1<<30))
		require.Zero(t, first%(1<<12))
	}
}

func BenchmarkRing(b *testing.B) {
	r := testRing(b, testSeed(10), &chaincfg.RegressionNetParams)
	b.Run("DeriveNextKey", func(b *testing.B) {
		for range b.N {
			if _, err := r.DeriveNextKey(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("privKey", func(b *testing.B) {
		for i := range b.N {
			_, err := r.privKey(keychain.KeyLocator{Family: 2, Index: uint32(i)})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	theirs, w := lndRing(b, testSeed(10), &chaincfg.RegressionNetParams)
	_ = w
	b.Run("lnd DeriveNextKey", func(b *testing.B) {
		for range b.N {
			if _, err := theirs.DeriveNextKey(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lnd DerivePrivKey", func(b *testing.B) {
		for i := range b.N {
			_, err := theirs.DerivePrivKey(keychain.KeyDescriptor{
				KeyLocator: keychain.KeyLocator{Family: 2, Index: uint32(i + 1)},
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
