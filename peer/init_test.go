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

// initCase is one first message of a peer, and what becomes of it.
type initCase struct {
	raw  []byte
	want error  // nil: accepted
	warn string // what the peer is told
}

func initCases() map[string]initCase {
	good := []byte{0x20, 0, 0, 0x80, 0x51, 0x01}
	ours, other := networks(regtestHash), *chaincfg.MainNetParams.GenesisHash
	addr := []byte{3, 7, 1, 127, 0, 0, 1, 1, 2}
	bit := func(n int) []byte {
		features := make([]byte, n/8+1)
		features[0] = 1 << (n % 8)
		return features
	}
	fine := func(global, features, extra []byte) initCase {
		return initCase{raw: rawInit(global, features, extra)}
	}
	bad := func(want error, warn string, global, features, extra []byte) initCase {
		return initCase{rawInit(global, features, extra), want, warn}
	}
	broken := func(extra ...byte) initCase {
		return initCase{raw: rawInit(nil, good, extra), want: ErrMalformed}
	}
	return map[string]initCase{
		"plain":                   fine(nil, good, ours),
		"no networks":             fine(nil, good, nil),
		"no features":             fine(nil, nil, nil),
		"two networks":            fine(nil, good, networks(other, regtestHash)),
		"remote_addr":             fine(nil, good, append(ours, addr...)),
		"custom record":           fine(nil, good, append(ours, 0xfe, 0, 1, 0, 1, 1, 7)),
		"unknown odd feature":     fine(nil, bit(155), nil),
		"features of 8192 zeroes": fine(nil, make([]byte, 8192), nil),
		"static_remotekey global": fine([]byte{0x10, 0}, []byte{0x20, 0, 0}, nil),

		"wrong network":        bad(ErrWrongNetwork, "another network", nil, good, networks(other)),
		"no network":           bad(ErrWrongNetwork, "another network", nil, good, networks()),
		"unknown even feature": bad(ErrFeatures, "[154]", nil, bit(154), nil),
		"feature lnwire knows": bad(ErrFeatures, "[80]", nil, bit(80), nil),
		"even feature, global": bad(ErrFeatures, "[26]", bit(26), good, nil),
		"missing dependency":   bad(ErrFeatures, "dependency", nil, []byte{0x20, 0, 0}, nil),

		"wrapped features":     bad(ErrMalformed, "", nil, make([]byte, 8193), nil),
		"65 KB of features":    bad(ErrMalformed, "", nil, bytes.Repeat([]byte{0xaa}, 65000), nil),
		"networks of 31 bytes": broken(append([]byte{1, 31}, other[:31]...)...),
		"networks cut off":     broken(networks(regtestHash)[:20]...),
		"networks twice":       broken(append(networks(regtestHash), networks(regtestHash)...)...),
		"tlv out of order":     broken(append([]byte{3, 0}, networks(regtestHash)...)...),
		"tlv not minimal":      broken(0xfd, 0, 3, 0),
		"tlv too long":         broken(3, 0xff, 255, 255, 255, 255, 255, 255, 255, 255),
		"features cut off":     {raw: []byte{0, 16, 0, 0, 0, 9, 1}, want: ErrMalformed},
		"length cut off":       {raw: []byte{0, 16, 0, 0, 0}, want: ErrMalformed},
		"nothing in it":        {raw: []byte{0, 16}, want: ErrMalformed},

		"ping first":         {raw: []byte{0, 18, 0, 1, 0, 0}, want: ErrNoInit},
		"unknown odd first":  {raw: []byte{0xff, 0xff}, want: ErrNoInit},
		"custom first":       {raw: []byte{0x94, 0x19, '{', '}'}, want: ErrNoInit},
		"empty message":      {raw: []byte{}, want: ErrNoInit},
		"one byte":           {raw: []byte{0}, want: ErrNoInit},
		"open_channel first": {raw: make([]byte, 300), want: ErrNoInit},
	}
}

func TestInit(t *testing.T) {
	for name, test := range initCases() {
		t.Run(name, func(t *testing.T) { bubble(t, test.run) })
	}
}

func (test initCase) run(t *testing.T) {
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
