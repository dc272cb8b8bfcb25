package wallet

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// TestWalletKeyIsNotStretchedTwice: our own record is behind argon2id, and what it holds for
// btcwallet is random. btcwallet's scrypt with its usual cost would take seconds at each start.
func TestWalletKeyIsNotStretchedTwice(t *testing.T) {
	db := testDB(t)
	s := &secrets{
		Entropy: testSeed(1), WalletPassword: bytes.Repeat([]byte{7}, walletPasswordSize),
		Birthday: time.Unix(1_700_000_000, 0),
	}
	require.NoError(t, store(db, []byte(`{}`), s, &chaincfg.RegressionNetParams))
	for _, name := range []string{"mpub", "mpriv"} {
		var params []byte
		require.NoError(t, kvdb.View(db, func(tx kvdb.RTx) error {
			main := tx.ReadBucket([]byte(addrmgrBucket)).NestedReadBucket([]byte("main"))
			params = bytes.Clone(main.Get([]byte(name)))
			return nil
		}, func() {}))
		// Salt and digest of 32 bytes each, then N, r and p.
		require.Len(t, params, 32+32+3*8, name)
		require.LessOrEqual(t, binary.LittleEndian.Uint64(params[64:]), uint64(16), name)
	}
}

// TestECDHWritesNothing: the node's key works with the store gone. btcwallet would begin a write
// for each handshake and each onion.
func TestECDHWritesNothing(t *testing.T) {
	r := testRing(t, testSeed(2), &chaincfg.RegressionNetParams)
	loc := keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey}
	other, err := r.DeriveKey(keychain.KeyLocator{Family: keychain.KeyFamilyMultiSig, Index: 3})
	require.NoError(t, err)
	r.db = nil
	_, err = r.ECDH(keychain.KeyDescriptor{KeyLocator: loc}, other.PubKey)
	require.NoError(t, err)
}
