package forward

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// plainEncrypter shows what it was asked to do.
type plainEncrypter struct{ hop.ErrorEncrypter }

func (plainEncrypter) EncryptFirstHop(f lnwire.FailureMessage) (lnwire.OpaqueReason, error) {
	return lnwire.OpaqueReason("first hop: " + f.Code().String()), nil
}

func (plainEncrypter) IntermediateEncrypt(r lnwire.OpaqueReason) lnwire.OpaqueReason {
	return append(lnwire.OpaqueReason("intermediate: "), r...)
}

func TestOwnFailures(t *testing.T) {
	checklist.Shows(t, "LSPS2-73", "the encrypter encrypts a failure of ours as if it came from downstream")
	extract := takeOwnFailures(func(*btcec.PublicKey) (hop.ErrorEncrypter, lnwire.FailCode) {
		return plainEncrypter{}, lnwire.CodeNone
	})
	enc, _ := extract(nil)

	for _, f := range []lnwire.FailureMessage{
		&lnwire.FailUnknownNextPeer{},
		lnwire.NewTemporaryChannelFailure(nil),
		&lnwire.FailExpiryTooFar{},
	} {
		reason, err := markFailure(f)
		if err != nil {
			t.Fatal(err)
		}
		want := "first hop: " + f.Code().String()
		if got := string(enc.IntermediateEncrypt(reason)); got != want {
			t.Errorf("a failure of ours becomes %q, want %q", got, want)
		}
	}
	downstream := lnwire.OpaqueReason("encrypted by somebody else")
	want := "intermediate: encrypted by somebody else"
	if got := string(enc.IntermediateEncrypt(downstream)); got != want {
		t.Errorf("a failure from downstream becomes %q, want %q", got, want)
	}
	if _, ok := unmarkFailure(failureMark[:]); ok {
		t.Error("a mark without a failure behind it was taken for one")
	}
}

// TestTemporaryChannelFailureBytes: without a channel_update the data is a length of
// zero, which is what bLIP-52's LSPs send.
func TestTemporaryChannelFailureBytes(t *testing.T) {
	var b bytes.Buffer
	if err := lnwire.EncodeFailureMessage(&b, lnwire.NewTemporaryChannelFailure(nil), 0); err != nil {
		t.Fatal(err)
	}
	if want := []byte{0x10, 0x07, 0, 0}; !bytes.Equal(b.Bytes(), want) {
		t.Errorf("temporary_channel_failure is %x, want %x", b.Bytes(), want)
	}
}

func TestExtractFailureIsPassedOn(t *testing.T) {
	extract := takeOwnFailures(func(*btcec.PublicKey) (hop.ErrorEncrypter, lnwire.FailCode) {
		return nil, lnwire.CodeInvalidOnionKey
	})
	enc, code := extract(nil)
	if enc != nil || code != lnwire.CodeInvalidOnionKey {
		t.Errorf("got %v, %v for an onion that can't be read", enc, code)
	}
}
