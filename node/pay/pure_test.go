package pay

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test -update")
	require.Equal(t, string(want), got)
}

// privKey is the key of a node of the tests, by its letter.
func privKey(name byte) *btcec.PrivateKey {
	raw := [32]byte{31: name}
	key, _ := btcec.PrivKeyFromBytes(raw[:])
	return key
}

var nodes = func() map[byte]route.Vertex {
	ids := make(map[byte]route.Vertex)
	for name := byte('A'); name <= 'Z'; name++ {
		ids[name] = route.NewVertex(privKey(name).PubKey())
	}
	return ids
}()

// node is the id of a node of the tests, by its letter.
func node(name byte) route.Vertex { return nodes[name] }

// letter names a node of the tests.
func letter(v route.Vertex) string {
	for name := byte('A'); name <= 'Z'; name++ {
		if node(name) == v {
			return string(name)
		}
	}
	return v.String()
}

func scid(n uint64) lnwire.ShortChannelID { return lnwire.NewShortChanIDFromInt(n) }

var (
	testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

	testPreimage = lntypes.Preimage{1, 2, 3}
)

// testBill asks for an amount for D: D is reached over P (edge 1001), over Q (edge 1002), and over
// P, M and edges 1003 and 1004.
func testBill(amount lnwire.MilliSatoshi) bill {
	edgeOf := func(n uint64, from, to byte, base lnwire.MilliSatoshi, ppm uint32) edge {
		return edge{scid: scid(n), from: node(from), to: node(to),
			policy: policy{base: base, ppm: ppm, delta: 40}}
	}
	return bill{
		bolt11:   "lnbcrt1test",
		hash:     testPreimage.Hash(),
		dest:     node('D'),
		amount:   amount,
		secret:   [32]byte{7},
		metadata: []byte("metadata"),
		delta:    80,
		mpp:      true,
		expires:  testNow.Add(time.Hour),
		hints: [][]edge{
			{edgeOf(1001, 'P', 'D', 1000, 100)},
			{edgeOf(1002, 'Q', 'D', 0, 5000)},
			{edgeOf(1003, 'P', 'M', 10, 10), edgeOf(1004, 'M', 'D', 0, 0)},
		},
	}
}

func channel(n uint64, peer byte, bandwidth lnwire.MilliSatoshi) Channel {
	return Channel{Scid: scid(n), Peer: node(peer), Bandwidth: bandwidth, MinHTLC: 1000}
}
