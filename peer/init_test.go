package peer

import (
	"bytes"
	"encoding/hex"
	"testing"
	"testing/synctest"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tlv"
	"github.com/stretchr/testify/require"
)

var regtestHash = *chaincfg.RegressionNetParams.GenesisHash

// The bytes of our init: LDK and others read `networks` as TLV 1.
func TestInitBytes(t *testing.T) {
	init, err := newInit(testFeatures(), regtestHash)
	require.NoError(t, err)
	raw, err := encode(init)
	require.NoError(t, err)
	require.Equal(t, "0010"+"0000"+"0006"+"200000805101"+
		"0120"+"06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f",
		hex.EncodeToString(raw))
}

// rawInit is an init by hand.
func rawInit(global, features, extra []byte) []byte {
	raw := []byte{0, 16, byte(len(global) >> 8), byte(len(global))}
	raw = append(raw, global...)
	raw = append(raw, byte(len(features)>>8), byte(len(features)))
	raw = append(raw, features...)
	return append(raw, extra...)
}

func networks(hashes ...chainhash.Hash) []byte {
	extra := []byte{1}
	var size bytes.Buffer
	var scratch [8]byte
	_ = tlv.WriteVarInt(&size, uint64(32*len(hashes)), &scratch)
	extra = append(extra, size.Bytes()...)
	for _, hash := range hashes {
		extra = append(extra, hash[:]...)
	}
	return extra
}

func TestInit(t *testing.T) {
	good := []byte{0x20, 0, 0, 0x80, 0x51, 0x01}
	other := *chaincfg.MainNetParams.GenesisHash
	for name, test := range map[string]struct {
		raw  []byte
		want error // nil: accepted
		warn string
	}{
		"plain":                   {raw: rawInit(nil, good, networks(regtestHash))},
		"no networks":             {raw: rawInit(nil, good, nil)},
		"no features":             {raw: rawInit(nil, nil, nil)},
		"two networks":            {raw: rawInit(nil, good, networks(other, regtestHash))},
		"remote_addr":             {raw: rawInit(nil, good, append(networks(regtestHash), 3, 7, 1, 127, 0, 0, 1, 1, 2))},
		"custom record":           {raw: rawInit(nil, good, append(networks(regtestHash), 0xfe, 0, 1, 0, 1, 1, 7))},
		"unknown odd feature":     {raw: rawInit(nil, append([]byte{0x08}, make([]byte, 19)...), nil)},
		"features of 8192 zeroes": {raw: rawInit(nil, make([]byte, 8192), nil)},
		"static_remotekey global": {raw: rawInit([]byte{0x10, 0}, []byte{0x20, 0, 0}, nil)},

		"wrong network":        {rawInit(nil, good, networks(other)), ErrWrongNetwork, "another network"},
		"no network":           {rawInit(nil, good, networks()), ErrWrongNetwork, "another network"},
		"unknown even feature": {rawInit(nil, append([]byte{0x04}, make([]byte, 19)...), nil), ErrFeatures, "[154]"},
		"feature lnwire knows": {rawInit(nil, []byte{0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil), ErrFeatures, "[80]"},
		"even feature, global": {rawInit([]byte{0x04, 0, 0, 0}, good, nil), ErrFeatures, "[26]"},
		"missing dependency":   {rawInit(nil, []byte{0x20, 0, 0}, nil), ErrFeatures, "dependency"},

		"wrapped features":     {raw: rawInit(nil, make([]byte, 8193), nil), want: ErrMalformed},
		"65 KB of features":    {raw: rawInit(nil, bytes.Repeat([]byte{0xaa}, 65000), nil), want: ErrMalformed},
		"networks of 31 bytes": {raw: rawInit(nil, good, append([]byte{1, 31}, other[:31]...)), want: ErrMalformed},
		"networks cut off":     {raw: rawInit(nil, good, networks(regtestHash)[:20]), want: ErrMalformed},
		"networks twice":       {raw: rawInit(nil, good, append(networks(regtestHash), networks(regtestHash)...)), want: ErrMalformed},
		"tlv out of order":     {raw: rawInit(nil, good, append([]byte{3, 0}, networks(regtestHash)...)), want: ErrMalformed},
		"tlv not minimal":      {raw: rawInit(nil, good, []byte{0xfd, 0, 3, 0}), want: ErrMalformed},
		"tlv too long":         {raw: rawInit(nil, good, []byte{3, 0xff, 255, 255, 255, 255, 255, 255, 255, 255}), want: ErrMalformed},
		"features cut off":     {raw: []byte{0, 16, 0, 0, 0, 9, 1}, want: ErrMalformed},
		"length cut off":       {raw: []byte{0, 16, 0, 0, 0}, want: ErrMalformed},
		"nothing in it":        {raw: []byte{0, 16}, want: ErrMalformed},

		"ping first":         {raw: []byte{0, 18, 0, 1, 0, 0}, want: ErrNoInit},
		"unknown odd first":  {raw: []byte{0xff, 0xff}, want: ErrNoInit},
		"custom first":       {raw: []byte{0x94, 0x19, '{', '}'}, want: ErrNoInit},
		"empty message":      {raw: []byte{}, want: ErrNoInit},
		"one byte":           {raw: []byte{0}, want: ErrNoInit},
		"open_channel first": {raw: make([]byte, 300), want: ErrNoInit},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newMemNet()
				a := startNode(t, n, testKey(1), "a:1")
				s := dialScript(t, n, a, "a:1", testKey(9))
				ours, ok := s.next().(*lnwire.Init)
				require.True(t, ok, "our init comes first, and unasked")
				require.True(t, ours.Features.IsSet(lnwire.StaticRemoteKeyRequired))
				require.True(t, s.send(test.raw))
				if test.want == nil {
					synctest.Wait()
					require.Len(t, a.Peers(), 1)
					return
				}
				if test.warn != "" {
					s.wantWarning(test.warn)
				} else {
					s.wantGone()
				}
				synctest.Wait()
				require.Empty(t, a.seen(), "the handler never hears of it")
				require.Contains(t, a.logs.String(), test.want.Error())
				require.Empty(t, a.slots)
			})
		})
	}
}

func TestInitMergesGlobalFeatures(t *testing.T) {
	init := lnwire.NewInitMessage(
		lnwire.NewRawFeatureVector(lnwire.StaticRemoteKeyRequired),
		lnwire.NewRawFeatureVector(lnwire.AnchorsZeroFeeHtlcTxOptional))
	remote, err := checkInit(init, testFeatures(), regtestHash)
	require.NoError(t, err)
	require.True(t, remote.HasFeature(lnwire.StaticRemoteKeyOptional))
	require.True(t, remote.HasFeature(lnwire.AnchorsZeroFeeHtlcTxOptional))
}

func TestSecondInit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newMemNet()
		a := startNode(t, n, testKey(1), "a:1")
		s, _ := connectScript(t, n, a, "a:1", testKey(9))
		require.True(t, s.send(rawInit(nil, nil, nil)))
		s.wantWarning("second init")
		synctest.Wait()
		require.ErrorIs(t, a.lastEnd(), ErrMalformed)
	})
}
