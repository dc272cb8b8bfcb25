package wallet

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
)

// addressBook is the part of btcwallet that knows the keys of its own addresses.
type addressBook interface {
	PrivKeyForAddress(btcutil.Address) (*btcec.PrivateKey, error)
}

// scriptSigner is btcwallet's signer for its own outputs.
type scriptSigner interface {
	ComputeInputScript(*wire.MsgTx, *input.SignDescriptor) (*input.Script, error)
}

// signer signs with channel keys from the ring, without the store, and with the keys of coins
// through btcwallet.
type signer struct {
	*input.MusigSessionManager

	ring   *ring
	book   addressBook
	coins  scriptSigner
	params *chaincfg.Params
}

var _ input.Signer = (*signer)(nil)

func newSigner(r *ring, book addressBook, coins scriptSigner, params *chaincfg.Params) *signer {
	s := &signer{ring: r, book: book, coins: coins, params: params}
	s.MusigSessionManager = input.NewMusigSessionManager(s.privKey)

	return s
}

// privKey finds the private key of a descriptor: by its locator, or as the key of one of the
// wallet's addresses.
func (s *signer) privKey(desc *keychain.KeyDescriptor) (*btcec.PrivateKey, error) {
	if !desc.KeyLocator.IsEmpty() || desc.PubKey == nil {
		return s.ring.privKey(desc.KeyLocator)
	}

	hash := btcutil.Hash160(desc.PubKey.SerializeCompressed())
	addr, err := btcutil.NewAddressWitnessPubKeyHash(hash, s.params)
	if err != nil {
		return nil, fmt.Errorf("wallet: find a key: %w", err)
	}
	key, err := s.book.PrivKeyForAddress(addr)
	if waddrmgr.IsError(err, waddrmgr.ErrAddressNotFound) {
		// An empty locator is also that of family 0, index 0.
		return s.ring.privKey(desc.KeyLocator)
	}
	if err != nil {
		return nil, fmt.Errorf("wallet: find a key: %w", err)
	}

	return key, nil
}

// tweaked applies the descriptor's tweaks in the order that BOLT 3 revocation keys need: the
// double tweak, then the single one.
func tweaked(key *btcec.PrivateKey, desc *input.SignDescriptor) *btcec.PrivateKey {
	if desc.DoubleTweak != nil {
		key = input.DeriveRevocationPrivKey(key, desc.DoubleTweak)
	}
	if desc.SingleTweak != nil {
		key = input.TweakPrivKey(key, desc.SingleTweak)
	}

	return key
}

// SignOutputRaw signs one input, without the sighash byte.
func (s *signer) SignOutputRaw(tx *wire.MsgTx, desc *input.SignDescriptor) (input.Signature,
	error) {

	key, err := s.privKey(&desc.KeyDesc)
	if err != nil {
		return nil, err
	}
	key = tweaked(key, desc)

	if txscript.IsPayToTaproot(desc.Output.PkScript) {
		return signTaproot(tx, desc, key)
	}
	sig, err := txscript.RawTxInWitnessSignature(tx, desc.SigHashes, desc.InputIndex,
		desc.Output.Value, desc.WitnessScript, desc.HashType, key)
	if err != nil {
		return nil, fmt.Errorf("wallet: sign an input: %w", err)
	}

	return ecdsa.ParseDERSignature(sig[:len(sig)-1])
}

func signTaproot(tx *wire.MsgTx, desc *input.SignDescriptor,
	key *btcec.PrivateKey) (input.Signature, error) {

	hashes := txscript.NewTxSigHashes(tx, desc.PrevOutputFetcher)

	var (
		sig []byte
		err error
	)
	switch desc.SignMethod {
	case input.TaprootKeySpendBIP0086SignMethod, input.TaprootKeySpendSignMethod:
		sig, err = txscript.RawTxInTaprootSignature(tx, hashes, desc.InputIndex,
			desc.Output.Value, desc.Output.PkScript, desc.TapTweak, desc.HashType, key)

	case input.TaprootScriptSpendSignMethod:
		sig, err = txscript.RawTxInTapscriptSignature(tx, hashes, desc.InputIndex,
			desc.Output.Value, desc.Output.PkScript,
			txscript.NewBaseTapLeaf(desc.WitnessScript), desc.HashType, key)

	default:
		err = fmt.Errorf("unknown sign method %v", desc.SignMethod)
	}
	if err != nil {
		return nil, fmt.Errorf("wallet: sign a taproot input: %w", err)
	}

	// A sighash byte follows when the type is not the default one.
	return schnorr.ParseSignature(sig[:schnorr.SignatureSize])
}

// ComputeInputScript makes the whole input script for an output of the wallet.
func (s *signer) ComputeInputScript(tx *wire.MsgTx, desc *input.SignDescriptor) (*input.Script,
	error) {

	return s.coins.ComputeInputScript(tx, desc)
}
