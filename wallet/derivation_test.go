package wallet

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

// The coins are at m/86'/0'/0' and m/84'/0'/0' of the seed that is the aezeed's entropy, with coin
// type 0 on every network: where lnd looks for them when it is given the words.
func TestCoinsAreWhereLndLooks(t *testing.T) {
	for _, params := range []*chaincfg.Params{
		&chaincfg.MainNetParams, &chaincfg.RegressionNetParams,
	} {
		t.Run(params.Name, func(t *testing.T) { compareAddresses(t, params) })
	}
}

func compareAddresses(t *testing.T, params *chaincfg.Params) {
	db := testDB(t)
	_, err := Create(db, CreateOptions{
		Params: params, Insecure: true, Words: strings.Fields(vectorWords),
	})
	require.NoError(t, err)
	w, err := Open(Options{
		DB: db, Params: params, Insecure: true, Chain: &fakeChain{view: &fakeView{}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Stop()) })

	for _, scope := range []waddrmgr.KeyScope{
		waddrmgr.KeyScopeBIP0084, waddrmgr.KeyScopeBIP0086,
	} {
		manager, err := w.base.Manager.FetchScopedKeyManager(scope)
		require.NoError(t, err)
		var got []string
		require.NoError(t, kvdb.Update(db, func(tx kvdb.RwTx) error {
			ns := tx.ReadWriteBucket([]byte(addrmgrBucket))
			addrs, err := manager.NextExternalAddresses(ns, 0, 2)
			if err != nil {
				return err
			}
			for _, a := range addrs {
				got = append(got, a.Address().EncodeAddress())
			}

			return nil
		}, func() { got = nil }))
		require.Equal(t, []string{
			addressAt(t, params, scope.Purpose, 0, 0), addressAt(t, params, scope.Purpose, 0, 1),
		}, got)
	}

	change, err := w.change.take()
	require.NoError(t, err)
	require.Equal(t, addressAt(t, params, 86, 1, 0), change.EncodeAddress())
}

// addressAt derives m/purpose'/0'/0'/branch/index of the vector's seed by BIP 32.
func addressAt(t *testing.T, params *chaincfg.Params, purpose, branch, index uint32) string {
	t.Helper()
	seed, err := parseWords(strings.Fields(vectorWords), nil)
	require.NoError(t, err)
	key, err := hdkeychain.NewMaster(seed.Entropy[:], params)
	require.NoError(t, err)
	const h = hdkeychain.HardenedKeyStart
	for _, i := range []uint32{h + purpose, h, h, branch, index} {
		key, err = key.Derive(i)
		require.NoError(t, err)
	}
	pub, err := key.ECPubKey()
	require.NoError(t, err)
	if purpose == 84 {
		hash := btcutil.Hash160(pub.SerializeCompressed())
		addr, err := btcutil.NewAddressWitnessPubKeyHash(hash, params)
		require.NoError(t, err)

		return addr.EncodeAddress()
	}
	out := txscript.ComputeTaprootKeyNoScript(pub)
	addr, err := btcutil.NewAddressTaproot(schnorr.SerializePubKey(out), params)
	require.NoError(t, err)

	return addr.EncodeAddress()
}
