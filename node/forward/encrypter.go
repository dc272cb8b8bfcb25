package forward

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/lnwire"
)

// The interceptor of lnd can fail an HTLC either with a failure that somebody
// downstream encrypted or with one of five codes. An LSP must say more than that
// (bLIP-52: unknown_next_peer), so we put a plain failure behind a mark where the
// encrypted one belongs, and the encrypter that every link hands out recognises
// the mark and encrypts the failure as ours.
//
// The mark is a hash, so nobody's encrypted failure carries it by accident; were
// one to, the payer would read a failure that says we failed the HTLC, which is
// what a node on the way may say at any time.
var failureMark = sha256.Sum256([]byte("inlet: a failure of our own, in the clear"))

// markFailure packs a failure of ours for the interceptor's FailureMessage.
func markFailure(f lnwire.FailureMessage) ([]byte, error) {
	b := bytes.NewBuffer(bytes.Clone(failureMark[:]))
	if err := lnwire.EncodeFailureMessage(b, f, 0); err != nil {
		return nil, fmt.Errorf("forward: encode failure %v: %w", f.Code(), err)
	}
	return b.Bytes(), nil
}

// unmarkFailure is the inverse; ok is false for what markFailure did not make.
func unmarkFailure(reason []byte) (_ lnwire.FailureMessage, ok bool) {
	plain, ok := bytes.CutPrefix(reason, failureMark[:])
	if !ok {
		return nil, false
	}
	f, err := lnwire.DecodeFailureMessage(bytes.NewReader(plain), 0)
	return f, err == nil
}

// ownFailures is an encrypter that also takes marked failures. It is stored with
// a circuit exactly as the one it wraps, and is read back as that one: by then the
// HTLC is forwarded, and its failure comes from downstream.
type ownFailures struct{ hop.ErrorEncrypter }

// IntermediateEncrypt wraps what came from downstream in our layer, or makes a
// failure of our own out of a marked one.
func (e ownFailures) IntermediateEncrypt(reason lnwire.OpaqueReason) lnwire.OpaqueReason {
	if f, ok := unmarkFailure(reason); ok {
		// An encrypter can't fail on a failure that was decoded just now.
		if own, err := e.EncryptFirstHop(f); err == nil {
			return own
		}
	}
	return e.ErrorEncrypter.IntermediateEncrypt(reason)
}

// takeOwnFailures makes each encrypter that extract returns understand the mark.
func takeOwnFailures(extract hop.ErrorEncrypterExtracter) hop.ErrorEncrypterExtracter {
	return func(key *btcec.PublicKey) (hop.ErrorEncrypter, lnwire.FailCode) {
		enc, code := extract(key)
		if enc == nil || code != lnwire.CodeNone {
			return enc, code
		}
		return ownFailures{enc}, code
	}
}
