package wallet

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/waddrmgr"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/lightningnetwork/lnd/blockcache"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwallet/btcwallet"
	"github.com/stretchr/testify/require"
)

// bothSigners are ours and lnd's over the same seed.
func bothSigners(t testing.TB) (*signer, *btcwallet.BtcWallet, *base.Wallet) {
	t.Helper()
	params := &chaincfg.RegressionNetParams
	_, w := lndRing(t, testSeed(11), params)
	theirs, err := btcwallet.New(btcwallet.Config{
		Wallet: w, NetParams: params, CoinType: coinType(params),
	}, blockcache.NewBlockCache(1<<20))
	require.NoError(t, err)

	return newSigner(testRing(t, testSeed(11), params), w, theirs, params), theirs, w
}

// signCase is an input to sign.
type signCase struct {
	tx   *wire.MsgTx
	desc *input.SignDescriptor
}

func newSignCase(out *wire.TxOut, desc input.SignDescriptor) signCase {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: 7}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(1000, []byte{txscript.OP_TRUE}))
	fetcher := txscript.NewCannedPrevOutputFetcher(out.PkScript, out.Value)
	desc.Output, desc.PrevOutputFetcher = out, fetcher
	desc.SigHashes = txscript.NewTxSigHashes(tx, fetcher)

	return signCase{tx, &desc}
}

func signCases(t testing.TB, r *ring) map[string]signCase {
	t.Helper()
	desc := func(fam keychain.KeyFamily, index uint32) keychain.KeyDescriptor {
		d, err := r.DeriveKey(keychain.KeyLocator{Family: fam, Index: index})
		require.NoError(t, err)

		return d
	}
	script, err := txscript.NewScriptBuilder().AddOp(txscript.OP_TRUE).Script()
	require.NoError(t, err)
	hash, err := input.WitnessScriptHash(script)
	require.NoError(t, err)
	v0 := wire.NewTxOut(5000, hash)
	internal := desc(keychain.KeyFamilyMultiSig, 3).PubKey
	p2tr, err := txscript.PayToTaprootScript(txscript.ComputeTaprootKeyNoScript(internal))
	require.NoError(t, err)
	v1 := wire.NewTxOut(6000, p2tr)
	secret, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{5}, 32))
	tweak := bytes.Repeat([]byte{4}, 32)

	noLocator := desc(keychain.KeyFamilyMultiSig, 0)
	return map[string]signCase{
		"segwit v0": newSignCase(v0, input.SignDescriptor{
			KeyDesc: desc(2, 9), WitnessScript: script, HashType: txscript.SigHashAll,
		}),
		"segwit v0, anyone can pay": newSignCase(v0, input.SignDescriptor{
			KeyDesc: desc(2, 9), WitnessScript: script,
			HashType: txscript.SigHashSingle | txscript.SigHashAnyOneCanPay,
		}),
		"family 0 index 0": newSignCase(v0, input.SignDescriptor{
			KeyDesc: noLocator, WitnessScript: script, HashType: txscript.SigHashAll,
		}),
		"locator without public key": newSignCase(v0, input.SignDescriptor{
			KeyDesc:       keychain.KeyDescriptor{KeyLocator: keychain.KeyLocator{Family: 4, Index: 2}},
			WitnessScript: script, HashType: txscript.SigHashAll,
		}),
		"single tweak": newSignCase(v0, input.SignDescriptor{
			KeyDesc: desc(3, 1<<29), SingleTweak: tweak, WitnessScript: script,
			HashType: txscript.SigHashAll,
		}),
		"double tweak": newSignCase(v0, input.SignDescriptor{
			KeyDesc: desc(1, 1), DoubleTweak: secret, WitnessScript: script,
			HashType: txscript.SigHashAll,
		}),
		"both tweaks": newSignCase(v0, input.SignDescriptor{
			KeyDesc: desc(1, 1), DoubleTweak: secret, SingleTweak: tweak, WitnessScript: script,
			HashType: txscript.SigHashAll,
		}),
		"taproot key spend": newSignCase(v1, input.SignDescriptor{
			KeyDesc: desc(0, 3), SignMethod: input.TaprootKeySpendBIP0086SignMethod,
			HashType: txscript.SigHashDefault,
		}),
		"taproot key spend with a root": newSignCase(v1, input.SignDescriptor{
			KeyDesc: desc(0, 3), SignMethod: input.TaprootKeySpendSignMethod, TapTweak: tweak,
			HashType: txscript.SigHashDefault,
		}),
		"taproot script spend": newSignCase(v1, input.SignDescriptor{
			KeyDesc: desc(4, 8), SignMethod: input.TaprootScriptSpendSignMethod,
			WitnessScript: script, HashType: txscript.SigHashAll,
		}),
	}
}

func TestSignerSignsAsLndDoes(t *testing.T) {
	ours, theirs, _ := bothSigners(t)
	for name, c := range signCases(t, ours.ring) {
		t.Run(name, func(t *testing.T) {
			got, err := ours.SignOutputRaw(c.tx, c.desc)
			require.NoError(t, err)
			want, err := theirs.SignOutputRaw(c.tx, c.desc)
			require.NoError(t, err)
			require.Equal(t, want.Serialize(), got.Serialize())
		})
	}

	c := signCases(t, ours.ring)["taproot key spend"]
	c.desc.SignMethod = 99
	_, err := ours.SignOutputRaw(c.tx, c.desc)
	require.ErrorContains(t, err, "unknown sign method")
}

// addresses answers for one public key, and counts.
type addresses struct {
	key   *btcec.PrivateKey
	err   error
	asked int
}

func (a *addresses) PrivKeyForAddress(btcutil.Address) (*btcec.PrivateKey, error) {
	a.asked++

	return a.key, a.err
}

func TestSignerFindsTheKeysOfAddresses(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	r := testRing(t, testSeed(12), params)
	key, pub := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{6}, 32))
	book := &addresses{key: key}
	s := newSigner(r, book, nil, params)

	got, err := s.privKey(&keychain.KeyDescriptor{PubKey: pub})
	require.NoError(t, err)
	require.Equal(t, key, got)

	// With a locator the book is not asked: it would read the store.
	_, err = s.privKey(&keychain.KeyDescriptor{
		PubKey: pub, KeyLocator: keychain.KeyLocator{Family: 2, Index: 1},
	})
	require.NoError(t, err)
	require.Equal(t, 1, book.asked)

	book.err = errors.New("the book is broken")
	_, err = s.privKey(&keychain.KeyDescriptor{PubKey: pub})
	require.ErrorIs(t, err, book.err)
}

func TestSignerMusig2(t *testing.T) {
	ours, theirs, _ := bothSigners(t)
	desc, err := ours.ring.DeriveKey(keychain.KeyLocator{Family: 0, Index: 4})
	require.NoError(t, err)
	other, err := ours.ring.DeriveKey(keychain.KeyLocator{Family: 0, Index: 5})
	require.NoError(t, err)
	keys := []*btcec.PublicKey{desc.PubKey, other.PubKey}

	a, err := ours.MuSig2CreateSession(input.MuSig2Version100RC2, desc.KeyLocator, keys,
		&input.MuSig2Tweaks{}, nil, nil)
	require.NoError(t, err)
	b, err := theirs.MuSig2CreateSession(input.MuSig2Version100RC2, other.KeyLocator, keys,
		&input.MuSig2Tweaks{}, [][66]byte{a.PublicNonce}, nil)
	require.NoError(t, err)
	have, err := ours.MuSig2RegisterNonces(a.SessionID, [][66]byte{b.PublicNonce})
	require.NoError(t, err)
	require.True(t, have)

	msg := [32]byte{1, 2, 3}
	_, err = ours.MuSig2Sign(a.SessionID, msg, false)
	require.NoError(t, err)
	part, err := theirs.MuSig2Sign(b.SessionID, msg, false)
	require.NoError(t, err)
	sig, done, err := ours.MuSig2CombineSig(a.SessionID, []*musig2.PartialSignature{part})
	require.NoError(t, err)
	require.True(t, done)
	raw, err := schnorr.ParseSignature(sig.Serialize())
	require.NoError(t, err)
	require.True(t, raw.Verify(msg[:], a.CombinedKey))
}

// A key that btcwallet never handed out can be signed for by lnd's own code too: it derives by
// path. That matters to whoever gets the Controller as a signer.
func TestControllerSignsForRingKeys(t *testing.T) {
	ours, theirs, w := bothSigners(t)
	scope := waddrmgr.KeyScope{Purpose: keychain.BIP0043Purpose, Coin: 1}
	manager, err := w.Manager.FetchScopedKeyManager(scope)
	require.NoError(t, err)
	require.Equal(t, scope, manager.Scope())

	desc, err := ours.ring.DeriveNextKey(keychain.KeyFamilyDelayBase)
	require.NoError(t, err)
	c := signCases(t, ours.ring)["segwit v0"]
	c.desc.KeyDesc = desc
	want, err := ours.SignOutputRaw(c.tx, c.desc)
	require.NoError(t, err)
	got, err := theirs.SignOutputRaw(c.tx, c.desc)
	require.NoError(t, err)
	require.Equal(t, want.Serialize(), got.Serialize())
}

func BenchmarkSigner(b *testing.B) {
	ours, theirs, _ := bothSigners(b)
	c := signCases(b, ours.ring)["segwit v0"]
	run := func(name string, s interface {
		SignOutputRaw(*wire.MsgTx, *input.SignDescriptor) (input.Signature, error)
	}) {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				c.desc.KeyDesc.Index = uint32(i + 1)
				if _, err := s.SignOutputRaw(c.tx, c.desc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("ours", ours)
	run("lnd, keys not cached", theirs)
}
