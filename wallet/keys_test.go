package wallet

import (
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"
)

// TestKeys: the words alone give the same secrets and keys as the stored wallet, and they are those
// of every version: backups of people hang on them.
func TestKeys(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	db := testDB(t)
	words, err := Create(db, CreateOptions{Params: params, Passphrase: []byte("secret")})
	require.NoError(t, err)
	stored, err := KeysOf(db, params, []byte("secret"), false)
	require.NoError(t, err)
	byWords, err := KeysOfWords(words, nil, params)
	require.NoError(t, err)

	require.True(t, stored.NodeID().IsEqual(byWords.NodeID()))
	require.Equal(t, stored.DeriveSecret("a purpose"), byWords.DeriveSecret("a purpose"))
	loc := keychain.KeyLocator{Family: keychain.KeyFamilyRevocationRoot, Index: 5}
	one, err := stored.DeriveKey(loc)
	require.NoError(t, err)
	two, err := byWords.DeriveKey(loc)
	require.NoError(t, err)
	require.True(t, one.PubKey.IsEqual(two.PubKey))
	shared, err := stored.ECDH(one, byWords.NodeID())
	require.NoError(t, err)
	again, err := byWords.ECDH(keychain.KeyDescriptor{KeyLocator: loc}, stored.NodeID())
	require.NoError(t, err)
	require.Equal(t, shared, again)
	// Index 0 has to be found without a search through a store.
	_, err = byWords.ECDH(keychain.KeyDescriptor{PubKey: one.PubKey}, stored.NodeID())
	require.NoError(t, err)

	_, err = KeysOf(db, params, []byte("guess"), false)
	require.ErrorIs(t, err, ErrWrongPassphrase)
	_, err = KeysOfWords(words[:23], nil, params)
	require.ErrorIs(t, err, ErrBadWords)
	_, err = KeysOf(testDB(t), params, nil, true)
	require.ErrorIs(t, err, ErrMissing)

	fixed, err := newKeys(nil, testSeed(1), params)
	require.NoError(t, err)
	secret := fixed.DeriveSecret("channel backup")
	require.Equal(t, "b7184b7c636af1b6e3e22c68cb71fd7cec10586e8ae2a2f7094fa8974de4663b", hex.EncodeToString(secret[:]))
}
