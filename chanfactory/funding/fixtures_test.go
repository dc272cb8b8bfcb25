package funding

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), got, "if this is meant: go test -update, and review the diff")
}

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	late  = start.Add(time.Minute)
)

func pub(n byte) *btcec.PublicKey {
	_, key := btcec.PrivKeyFromBytes([]byte{31: n})
	return key
}

// points are on the curve already: to find them takes longer than a step.
var ourKeys, peerKeys, nextPoint = makeKeys(10), makeKeys(20), pub(30)

func makeKeys(n byte) Keys {
	return Keys{pub(n), pub(n + 1), pub(n + 2), pub(n + 3), pub(n + 4), pub(n + 5)}
}

func keys(n byte) Keys {
	if n == 10 {
		return ourKeys
	}
	return peerKeys
}

func point(n byte) wire.OutPoint {
	return wire.OutPoint{Hash: chainhash.Hash{n}, Index: 1}
}

// params is a zero-conf opening as an order makes it.
func params() Params {
	return Params{
		PendingID: [32]byte{7}, Chain: *chaincfg.RegressionNetParams.GenesisHash,
		Type:     ChanType{Anchors: true, ScidAlias: true, ZeroConf: true},
		Capacity: 100_000, CommitFeeRate: 2500, ZeroConf: true, Private: true,
		MaxToSelfDelay: 2016, Demands: demands(), Deadline: start.Add(15 * time.Second),
	}
}

func demands() Demands {
	return Demands{
		ToSelfDelay: 144, Reserve: 1000, HtlcMinimum: 1, MaxInFlight: 100_000_000, MaxHtlcs: 483,
	}
}

// accept is LDK's answer to params, as it was seen in a run.
func accept() *lnwire.AcceptChannel {
	k := keys(20)
	return &lnwire.AcceptChannel{
		PendingChannelID: [32]byte{7}, DustLimit: 354, MaxValueInFlight: 100_000_000,
		ChannelReserve: 1000, HtlcMinimum: 1, CsvDelay: 144, MaxAcceptedHTLCs: 50,
		FundingKey: k.Funding, RevocationPoint: k.Revocation, PaymentPoint: k.Payment,
		DelayedPaymentPoint: k.Delayed, HtlcPoint: k.Htlc, FirstCommitmentPoint: k.FirstPoint,
		ChannelType: params().Type.Wire(),
	}
}

// open is what the opener of params sends.
func open() *lnwire.OpenChannel { return openChannel(params(), keys(10)) }

func created() *lnwire.FundingCreated {
	return &lnwire.FundingCreated{PendingChannelID: [32]byte{7}, FundingPoint: point(1)}
}

func signed(n byte) *lnwire.FundingSigned {
	return &lnwire.FundingSigned{ChanID: lnwire.NewChanIDFromOutPoint(point(n))}
}

func ready(alias uint64) *lnwire.ChannelReady {
	m := lnwire.NewChannelReady(lnwire.NewChanIDFromOutPoint(point(1)), nextPoint)
	if alias != 0 {
		scid := lnwire.NewShortChanIDFromInt(alias)
		m.AliasScid = &scid
	}
	return m
}

// features builds a vector of init bits.
func features(bits ...lnwire.FeatureBit) *lnwire.FeatureVector {
	return lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(bits...), lnwire.Features)
}

func fullFeatures() *lnwire.FeatureVector { return features(12, 23, 45, 47, 51) }

// name prints a value's type without its package.
func name(v any) string {
	return strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", v), "funding."), "*lnwire.")
}

// commands prints what is to be done, with what a reader wants to see of it.
func commands(out []Command) string {
	if len(out) == 0 {
		return "-"
	}
	words := make([]string, 0, len(out))
	for _, c := range out {
		word := name(c)
		switch c := c.(type) {
		case Send:
			word = "send " + c.Msg.MsgType().String()
		case Tell:
			word = "tell " + strings.TrimPrefix(name(c.What), "Told")
			if f, ok := c.What.(ToldFailed); ok {
				word += fmt.Sprintf("(%v)", f.Fault)
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}
