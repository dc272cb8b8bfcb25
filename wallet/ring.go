package wallet

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
)

// ring gives the keys at m/1017'/coin'/family'/0/index from memory. It writes to the store only
// to set blocks of indexes aside.
type ring struct {
	db kvdb.Backend

	// coin is the key at m/1017'/coin'; reread is the same key after a round through its text
	// form. They derive differently when the key begins with a zero byte, see openFamily.
	coin, reread *hdkeychain.ExtendedKey

	mu       sync.Mutex
	families map[keychain.KeyFamily]*family // guarded by mu; at most maxKeyFamily+1
}

// family is the key at m/1017'/coin'/family'/0 with its counter.
type family struct {
	key   btcec.ModNScalar // read-only, as are pub and chain
	pub   [btcec.PubKeyBytesLenCompressed]byte
	chain []byte

	mu    sync.Mutex
	next  uint32 // guarded by mu; the next index to hand out
	limit uint32 // guarded by mu; the first index that was not set aside
}

var _ keychain.SecretKeyRing = (*ring)(nil)

// coinType is lnd's: 0 for mainnet, 1 for every test network.
func coinType(params *chaincfg.Params) uint32 {
	if params.Net == wire.MainNet {
		return keychain.CoinTypeBitcoin
	}

	return keychain.CoinTypeTestnet
}

// newRing derives the coin key from the seed; the seed itself is not kept.
func newRing(db kvdb.Backend, seed []byte, params *chaincfg.Params) (*ring, error) {
	root, err := hdkeychain.NewMaster(seed, params)
	if err != nil {
		return nil, fmt.Errorf("wallet: derive the root key: %w", err)
	}
	defer root.Zero()

	purpose, err := hardened(root, keychain.BIP0043Purpose)
	if err != nil {
		return nil, err
	}
	defer purpose.Zero()
	coin, err := hardened(purpose, coinType(params))
	if err != nil {
		return nil, err
	}
	reread, err := hdkeychain.NewKeyFromString(coin.String())
	if err != nil {
		return nil, fmt.Errorf("wallet: derive the coin key: %w", err)
	}

	return &ring{
		db: db, coin: coin, reread: reread, families: make(map[keychain.KeyFamily]*family),
	}, nil
}

// hardened derives a hardened child the way btcwallet does, which is not BIP 32 when the parent
// begins with a zero byte: keys that lnd would not find are keys lost.
func hardened(parent *hdkeychain.ExtendedKey, i uint32) (*hdkeychain.ExtendedKey, error) {
	//nolint:staticcheck // lnd's keys are derived by the deprecated rule
	child, err := parent.DeriveNonStandard(hdkeychain.HardenedKeyStart + i)
	if err != nil {
		return nil, fmt.Errorf("wallet: derive key %d': %w", i, err)
	}

	return child, nil
}

// open gives the family's branch key, from memory after the first time.
func (r *ring) open(f keychain.KeyFamily) (*family, error) {
	if f > maxKeyFamily {
		return nil, fmt.Errorf("wallet: key family %d: only 0 to %d are in use", f, maxKeyFamily)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.families[f]; known != nil {
		return known, nil
	}

	// btcwallet makes account 0 together with the coin key, and all others later from the
	// stored text of the coin key, where lost zero bytes have come back.
	coin := r.reread
	if f == 0 {
		coin = r.coin
	}
	account, err := hardened(coin, uint32(f))
	if err != nil {
		return nil, err
	}
	defer account.Zero()
	branch, err := account.Derive(0)
	if err != nil {
		return nil, fmt.Errorf("wallet: derive key family %d: %w", f, err)
	}
	defer branch.Zero()
	made, err := newFamily(branch)
	if err != nil {
		return nil, fmt.Errorf("wallet: derive key family %d: %w", f, err)
	}
	r.families[f] = made

	return made, nil
}

func newFamily(branch *hdkeychain.ExtendedKey) (*family, error) {
	key, err := branch.ECPrivKey()
	if err != nil {
		return nil, err
	}
	f := &family{key: key.Key, chain: branch.ChainCode()}
	copy(f.pub[:], key.PubKey().SerializeCompressed())

	return f, nil
}

// privKey derives the private key of a locator.
func (r *ring) privKey(loc keychain.KeyLocator) (*btcec.PrivateKey, error) {
	f, err := r.open(loc.Family)
	if err != nil {
		return nil, err
	}

	return f.privKey(loc.Index)
}

// privKey derives a child of the branch by BIP 32. hdkeychain would compute the public key with
// every child, which is nearly all of the cost, and signing does not need it.
func (f *family) privKey(index uint32) (*btcec.PrivateKey, error) {
	if index >= hdkeychain.HardenedKeyStart {
		return nil, fmt.Errorf("wallet: key index %d is out of range", index)
	}

	// BIP 32: "let I = HMAC-SHA512(Key = cpar, Data = serP(point(kpar)) || ser32(i))"
	mac := hmac.New(sha512.New, f.chain)
	mac.Write(f.pub[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	sum := mac.Sum(nil)
	defer clear(sum)

	// BIP 32: "In case parse256(IL) >= n or ki = 0, the resulting key is invalid"
	var child btcec.PrivateKey
	if overflow := child.Key.SetByteSlice(sum[:32]); overflow {
		return nil, fmt.Errorf("wallet: derive key index %d: %w", index,
			hdkeychain.ErrInvalidChild)
	}
	if child.Key.Add(&f.key).IsZero() {
		return nil, fmt.Errorf("wallet: derive key index %d: %w", index,
			hdkeychain.ErrInvalidChild)
	}

	return &child, nil
}

// DeriveNextKey hands out a key of the family that was never handed out before, and never will
// be again, even if the process is killed now. Families begin at index 1.
func (r *ring) DeriveNextKey(keyFam keychain.KeyFamily) (keychain.KeyDescriptor, error) {
	f, err := r.open(keyFam)
	if err != nil {
		return keychain.KeyDescriptor{}, err
	}
	index, err := f.take(r.db, keyFam)
	if err != nil {
		return keychain.KeyDescriptor{}, err
	}

	return r.DeriveKey(keychain.KeyLocator{Family: keyFam, Index: index})
}

// take hands out the next index and sets a new block aside when the last one is used up.
func (f *family) take(db kvdb.Backend, keyFam keychain.KeyFamily) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.next == f.limit {
		starts, err := reserve(db, keyFam)
		if err != nil {
			return 0, err
		}
		f.next, f.limit = starts[0], starts[0]+counterBlock
	}
	index := f.next
	f.next++

	return index, nil
}

// warm makes the families' keys and sets blocks aside where there is none, all in one write.
func (r *ring) warm(keyFams ...keychain.KeyFamily) error {
	var empty []keychain.KeyFamily
	for _, keyFam := range keyFams {
		f, err := r.open(keyFam)
		if err != nil {
			return err
		}
		f.mu.Lock()
		if f.next == f.limit {
			empty = append(empty, keyFam)
		}
		f.mu.Unlock()
	}
	if len(empty) == 0 {
		return nil
	}

	starts, err := reserve(r.db, empty...)
	if err != nil {
		return err
	}
	for i, keyFam := range empty {
		f, err := r.open(keyFam)
		if err != nil {
			return err
		}
		f.mu.Lock()
		// A concurrent take has its own block; this one is then skipped, which is harmless.
		if f.next == f.limit {
			f.next, f.limit = starts[i], starts[i]+counterBlock
		}
		f.mu.Unlock()
	}

	return nil
}

// DeriveKey gives the public key of a locator.
func (r *ring) DeriveKey(loc keychain.KeyLocator) (keychain.KeyDescriptor, error) {
	key, err := r.privKey(loc)
	if err != nil {
		return keychain.KeyDescriptor{}, err
	}
	defer key.Zero()

	return keychain.KeyDescriptor{KeyLocator: loc, PubKey: key.PubKey()}, nil
}

// DerivePrivKey gives the private key of a descriptor: by its locator when it has one, else by a
// search for the public key in the family, which fails with keychain.ErrCannotDerivePrivKey.
func (r *ring) DerivePrivKey(desc keychain.KeyDescriptor) (*btcec.PrivateKey, error) {
	if desc.PubKey == nil || desc.Index > 0 {
		return r.privKey(desc.KeyLocator)
	}

	first, next, err := handedOut(r.db, desc.Family)
	if err != nil {
		return nil, err
	}
	f, err := r.open(desc.Family)
	if err != nil {
		return nil, err
	}
	maxSearch := uint32(keychain.MaxKeyRangeScan)
	// From 0 as lnd does; in a restored wallet also what this life has handed out.
	key, err := f.search(desc.PubKey, 0, maxSearch)
	if key != nil || err != nil || first < maxSearch {
		return orNotFound(key, err)
	}

	return orNotFound(f.search(desc.PubKey, first, min(next, first+maxSearch)))
}

func orNotFound(key *btcec.PrivateKey, err error) (*btcec.PrivateKey, error) {
	if key == nil && err == nil {
		return nil, fmt.Errorf("wallet: search the key: %w", keychain.ErrCannotDerivePrivKey)
	}

	return key, err
}

func (f *family) search(pub *btcec.PublicKey, from, to uint32) (*btcec.PrivateKey, error) {
	for index := from; index < to; index++ {
		key, err := f.privKey(index)
		if err != nil {
			return nil, err
		}
		if key.PubKey().IsEqual(pub) {
			return key, nil
		}
		key.Zero()
	}

	return nil, nil
}

// ECDH is sha256 of the compressed point that the private key and pub make.
func (r *ring) ECDH(desc keychain.KeyDescriptor, pub *btcec.PublicKey) ([32]byte, error) {
	key, err := r.DerivePrivKey(desc)
	if err != nil {
		return [32]byte{}, err
	}
	defer key.Zero()

	return (&keychain.PrivKeyECDH{PrivKey: key}).ECDH(pub)
}

// SignMessage signs the single or double sha256 of the message.
func (r *ring) SignMessage(loc keychain.KeyLocator, msg []byte,
	doubleHash bool) (*ecdsa.Signature, error) {

	key, err := r.privKey(loc)
	if err != nil {
		return nil, err
	}
	defer key.Zero()

	return ecdsa.Sign(key, digest(msg, doubleHash)), nil
}

// SignMessageCompact is SignMessage in the form that the public key can be recovered from.
func (r *ring) SignMessageCompact(loc keychain.KeyLocator, msg []byte,
	doubleHash bool) ([]byte, error) {

	key, err := r.privKey(loc)
	if err != nil {
		return nil, err
	}
	defer key.Zero()

	return ecdsa.SignCompact(key, digest(msg, doubleHash), true), nil
}

// SignMessageSchnorr signs with BIP 340: the tagged hash of the message when there is a tag, else
// its single or double sha256; with the taproot tweak applied to the key when there is one.
func (r *ring) SignMessageSchnorr(loc keychain.KeyLocator, msg []byte, doubleHash bool,
	taprootTweak []byte, tag []byte) (*schnorr.Signature, error) {

	key, err := r.privKey(loc)
	if err != nil {
		return nil, err
	}
	defer key.Zero()
	signing := key
	if len(taprootTweak) > 0 {
		signing = txscript.TweakTaprootPrivKey(*key, taprootTweak)
		defer signing.Zero()
	}

	hash := digest(msg, doubleHash)
	if len(tag) > 0 {
		hash = chainhash.TaggedHash(tag, msg)[:]
	}

	return schnorr.Sign(signing, hash)
}

func digest(msg []byte, double bool) []byte {
	if double {
		return chainhash.DoubleHashB(msg)
	}

	return chainhash.HashB(msg)
}
