package wallet

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
)

// Keys are what a seed alone gives: no coins, no chain, and nothing is written. They are for tools
// that read or restore backups.
type Keys struct {
	ring    *ring
	node    *keychain.PrivKeyECDH
	derived secret // what DeriveSecret expands
}

// KeysOf opens the seed of a stored wallet. Errors: those of Open that concern the seed.
func KeysOf(db kvdb.Backend, params *chaincfg.Params, passphrase []byte, insecure bool) (
	*Keys, error) {

	raw, err := readRecord(db)
	if err != nil {
		return nil, err
	}
	s, err := unseal(raw, params.Name, passphrase, insecure)
	if err != nil {
		return nil, err
	}
	defer s.clear()

	return newKeys(nil, s.Entropy, params)
}

// KeysOfWords are the keys of the wallet that has these words; passphrase is lnd's cipher seed
// passphrase, when the words have one. Error: ErrBadWords.
func KeysOfWords(words []string, passphrase []byte, params *chaincfg.Params) (*Keys, error) {
	seed, err := parseWords(words, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(seed.Entropy[:])

	return newKeys(nil, seed.Entropy[:], params)
}

func newKeys(db kvdb.Backend, entropy []byte, params *chaincfg.Params) (*Keys, error) {
	var k Keys
	var err error
	if k.ring, err = newRing(db, entropy, params); err != nil {
		return nil, err
	}
	key, err := k.ring.privKey(keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey})
	if err != nil {
		return nil, err
	}
	k.node = &keychain.PrivKeyECDH{PrivKey: key}

	k.derived, err = hkdf.Extract(sha256.New, entropy, []byte("inlet: derived secrets"))
	if err != nil {
		return nil, fmt.Errorf("wallet: derive secrets: %w", err)
	}

	return &k, nil
}

// NodeID is the public key of the node that has the wallet.
func (k *Keys) NodeID() *btcec.PublicKey { return k.node.PubKey() }

// DeriveSecret gives the same as Wallet.DeriveSecret.
func (k *Keys) DeriveSecret(purpose string) [32]byte { return expand(k.derived, purpose) }

// DeriveKey gives the public key of a locator.
func (k *Keys) DeriveKey(loc keychain.KeyLocator) (keychain.KeyDescriptor, error) {
	return k.ring.DeriveKey(loc)
}

// ECDH is sha256 of the compressed point that the locator's private key and pub make. The
// descriptor's own public key is not looked at.
func (k *Keys) ECDH(desc keychain.KeyDescriptor, pub *btcec.PublicKey) ([32]byte, error) {
	desc.PubKey = nil

	return k.ring.ECDH(desc, pub)
}

func expand(derived secret, purpose string) [32]byte {
	out, err := hkdf.Expand(sha256.New, derived, purpose, sha256.Size)
	if err != nil {
		// RFC 5869: only more than 255 blocks can fail, and this is one.
		panic("wallet: HKDF of one block failed: " + err.Error())
	}

	return [32]byte(out)
}
