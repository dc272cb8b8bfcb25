package pay

import (
	"bytes"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// A part that fails for now goes another way; one that fails for good ends the payment.
func TestRetryAndEnd(t *testing.T) {
	channels := fakeChannels{channel(1, 'P', 200_000_000), channel(2, 'Q', 200_000_000)}
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), channels).run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	first := r.sw.next(t)
	r.sw.resolve(first.id, htlcswitch.NewLinkError(lnwire.NewTemporaryChannelFailure(nil)))
	second := r.sw.next(t)
	require.NotEqual(t, first.scid, second.scid)
	require.Greater(t, second.id, first.id, "an attempt id is never used again")
	require.NotEqual(t, first.add.OnionBlob, second.add.OnionBlob)
	r.sw.resolve(second.id, forwarding(2, lnwire.NewFailIncorrectDetails(testAmount, 800_000)))
	got := <-out
	require.NoError(t, got.err)
	require.Equal(t, Failed, got.payment.Status)
	require.Equal(t, "incorrect_or_unknown_payment_details", got.payment.Failure.Code)
	require.Equal(t, "the recipient", got.payment.Failure.Source)
	require.Zero(t, got.payment.Fee)
	require.Equal(t, "temporary_channel_failure", got.payment.Parts[0].Failure.Code)
	require.Equal(t, "this node", got.payment.Parts[0].Failure.Source)

	// A failed payment may be tried again, as a new one.
	out = r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	r.sw.resolve(r.sw.next(t).id, nil)
	got = <-out
	require.Equal(t, Succeeded, got.payment.Status)
	require.EqualValues(t, 2, got.payment.Index)
}

// At the timeout Pay answers; the payment is followed on.
func TestTimeout(t *testing.T) {
	channels := fakeChannels{channel(1, 'P', 200_000_000)}
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), channels).run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams),
		Timeout: 30 * time.Second})
	first := r.sw.next(t)
	r.now.SetTime(testNow.Add(30 * time.Second))
	got := <-out
	require.NoError(t, got.err)
	require.Equal(t, InFlight, got.payment.Status)
	require.Contains(t, got.payment.Failure.Text, "no success within 30s")
	r.sw.resolve(first.id, nil)
	r.waitOver()
	p, err := r.Lookup(testPreimage.Hash())
	require.NoError(t, err)
	require.Equal(t, Succeeded, p.Status, "it came through after all")
	require.Nil(t, p.Failure)
}

// The stored session key and route read a failure that a node has encrypted.
func TestDecrypter(t *testing.T) {
	tr := states(t)[1]
	tr.attempts[0].key = [32]byte{9}
	raw, err := tr.encode()
	require.NoError(t, err)
	tr, err = decodeTransfer(1, raw)
	require.NoError(t, err)
	part := tr.attempts[0]
	msg, err := tr.add(part, node('U'))
	require.NoError(t, err)

	var packet sphinx.OnionPacket
	require.NoError(t, packet.Decode(bytes.NewReader(msg.OnionBlob[:])))
	router := sphinx.NewRouter(&keychain.PrivKeyECDH{PrivKey: privKey('P')},
		sphinx.NewMemoryReplayLog())
	require.NoError(t, router.Start())
	defer router.Stop()
	hash := tr.bill.hash
	_, err = router.ProcessOnionPacket(&packet, hash[:], 1)
	require.NoError(t, err)
	encrypter, err := sphinx.NewOnionErrorEncrypter(router, packet.EphemeralKey)
	require.NoError(t, err)
	var reason bytes.Buffer
	require.NoError(t, lnwire.EncodeFailure(&reason, &lnwire.FailUnknownNextPeer{}, 0))
	opaque := encrypter.EncryptError(true, reason.Bytes())

	decrypter, err := part.decrypter()
	require.NoError(t, err)
	clear, err := decrypter.DecryptError(opaque)
	require.NoError(t, err)
	require.Equal(t, fault{source: 1, code: lnwire.CodeUnknownNextPeer}, faultOf(clear))
	why := faultOf(clear).failure(part.hops)
	require.Equal(t, "unknown_next_peer", why.Code)
	require.Equal(t, "peer "+node('P').String(), why.Source)
}

func TestResultWithWrongPreimage(t *testing.T) {
	ev := resultEvent(0, testPreimage.Hash(), &htlcswitch.PaymentResult{Preimage: [32]byte{9}})
	require.Equal(t, faultOurs, ev.(partFailed).fault.kind)
}
