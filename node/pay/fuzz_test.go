package pay

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"
)

// bolt11 makes an invoice.
func bolt11(f *testing.F, options ...func(*zpay32.Invoice)) string {
	f.Helper()
	inv, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, [32]byte{1}, time.Unix(1_700_000_000, 0),
		append([]func(*zpay32.Invoice){zpay32.Description("x"), zpay32.PaymentAddr([32]byte{2}),
			zpay32.Features(lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
				lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired), lnwire.Features))},
			options...)...)
	require.NoError(f, err)
	key, _ := btcec.PrivKeyFromBytes([]byte{31: 7})
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(msg), true), nil
	}})
	require.NoError(f, err)
	return text
}

// FuzzInvoice has any text refused as an invoice, or read as one that can be paid.
func FuzzInvoice(f *testing.F) {
	hop := zpay32.HopHint{ChannelID: 1 << 40, CLTVExpiryDelta: 65535, FeeBaseMSat: 1<<32 - 1,
		FeeProportionalMillionths: 1<<32 - 1}
	_, hop.NodeID = btcec.PrivKeyFromBytes([]byte{31: 9})
	for _, text := range []string{
		bolt11(f), bolt11(f, zpay32.Amount(1<<60)), bolt11(f, zpay32.CLTVExpiry(1<<50)),
		bolt11(f, zpay32.Expiry(1<<62)), bolt11(f, zpay32.RouteHint([]zpay32.HopHint{hop, hop})),
		"LIGHTNING:" + strings.ToUpper(bolt11(f, zpay32.Amount(1000))), "lnbcrt1", "lnbc1", "lightning:", "",
		bolt11(f)[:60], "lnbcrt18446744073709551615p1" + strings.Repeat("q", 200),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readBill(text, &chaincfg.RegressionNetParams)
		if err != nil {
			return
		}
		if b.secret == [32]byte{} && b.hash == [32]byte{} || b.delta > maxTimeLock ||
			!strings.HasPrefix(b.bolt11, "lnbcrt") {
			t.Errorf("%q is read as %+v", text, b)
		}
		if again, err := readBill(b.bolt11, &chaincfg.RegressionNetParams); err != nil || again.hash != b.hash {
			t.Errorf("%q is not read again: %v", b.bolt11, err)
		}
	})
}

// FuzzPayment has a damaged record of a payment refused, or read back as it was.
func FuzzPayment(f *testing.F) {
	raw, err := os.ReadFile("testdata/payment.golden")
	require.NoError(f, err)
	for line := range strings.Lines(string(raw)) {
		f.Add([]byte(line))
		f.Add([]byte(line[:len(line)/2]))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tr, err := decodeTransfer(1, raw)
		if err != nil {
			return
		}
		text, err := tr.encode()
		require.NoError(t, err)
		again, err := decodeTransfer(1, text)
		require.NoError(t, err)
		third, err := again.encode()
		require.NoError(t, err)
		require.Equal(t, string(text), string(third))
	})
}
