package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func pub(n byte) *btcec.PublicKey {
	_, key := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{n}, 32))
	return key
}

func key(n byte) Key { return Key(bytes.Repeat([]byte{n}, 32)) }

// sample is a backup with everything that one can have.
func sample() Contents {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{7}, Index: 3}})
	tx.AddTxOut(&wire.TxOut{Value: 250_000, PkScript: bytes.Repeat([]byte{0x51}, 34)})
	loc := func(f keychain.KeyFamily, i uint32) keychain.KeyLocator {
		return keychain.KeyLocator{Family: f, Index: i}
	}
	one := Channel{
		Point: wire.OutPoint{Hash: tx.TxHash()}, BroadcastHeight: 700_120, Peer: pub(1),
		Addresses: []string{"192.0.2.7:9735", "[2001:db8::1]:9735"}, Capacity: 250_000,
		Type: channeldb.SingleFunderTweaklessBit | channeldb.AnchorOutputsBit |
			channeldb.ZeroHtlcTxFeeBit,
		Initiator: true, Private: true,
		Local: LocalKeys{
			CSVDelay: 144, MultiSig: loc(keychain.KeyFamilyMultiSig, 5),
			Revocation: loc(keychain.KeyFamilyRevocationBase, 6),
			Payment:    loc(keychain.KeyFamilyPaymentBase, 7),
			Delayed:    loc(keychain.KeyFamilyDelayBase, 8),
			HTLCs:      loc(keychain.KeyFamilyHtlcBase, 9),
		},
		Remote: RemoteKeys{
			CSVDelay: 2016, MultiSig: pub(2), Revocation: pub(3), Payment: pub(4), Delayed: pub(5),
			HTLCs: pub(6),
		},
		RevocationRoot: loc(keychain.KeyFamilyRevocationRoot, 10), FundingTx: tx,
	}
	two := one
	two.Point, two.Scid = wire.OutPoint{Hash: [32]byte{9}, Index: 1}, lnwire.NewShortChanIDFromInt(1<<50)
	two.Addresses, two.FundingTx, two.ThawHeight = nil, nil, 800_000
	two.Initiator, two.Private = false, false
	return Contents{
		WrittenAt: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Network: "regtest",
		NodeID:   [33]byte(pub(8).SerializeCompressed()),
		Channels: []Channel{one, two},
		Orders:   []Order{{ID: "order-1", Record: json.RawMessage(`{"v":1,"x":"kept as it is"}`)}},
	}
}

func TestRoundTrip(t *testing.T) {
	for name, c := range map[string]Contents{
		"everything": sample(),
		"nothing":    {WrittenAt: time.Unix(0, 0).UTC(), Network: "mainnet"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := Encode(c, key(1))
			require.NoError(t, err)
			got, err := Decode(raw, key(1))
			require.NoError(t, err)
			require.Equal(t, plainText(t, c), plainText(t, got))
			again, err := Encode(c, key(1))
			require.NoError(t, err)
			require.NotEqual(t, raw, again, "a nonce came twice")
			require.NotContains(t, string(raw), "regtest", "it is not encrypted")
		})
	}
}

func plainText(t *testing.T, c Contents) string {
	t.Helper()
	plain, err := c.encode()
	require.NoError(t, err)
	return string(plain)
}

// TestGolden holds the format: what a version has written, all later ones must read.
func TestGolden(t *testing.T) {
	raw, err := seal([]byte(plainText(t, sample())), key(3), bytes.NewReader(bytes.Repeat([]byte{4}, 24)))
	require.NoError(t, err)
	got := plainText(t, sample()) + "\n" + hex.EncodeToString(raw) + "\n"
	path := filepath.Join("testdata", "backup.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test -update rewrites it, but files of users stay")

	_, sealed, _ := strings.Cut(strings.TrimSpace(string(want)), "\n")
	old, err := hex.DecodeString(sealed)
	require.NoError(t, err)
	c, err := Decode(old, key(3))
	require.NoError(t, err)
	require.Equal(t, plainText(t, sample()), plainText(t, c))
}

// TestRefused: nothing but a whole, unchanged backup of the same wallet is read.
func TestRefused(t *testing.T) {
	good, err := Encode(sample(), key(1))
	require.NoError(t, err)
	changed := func(f func(raw []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for name, tc := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":           {nil, ErrTruncated},
		"something else":    {[]byte("# inlet.toml\nalias = \"\"\n"), ErrNotBackup},
		"the magic alone":   {good[:8], ErrTruncated},
		"half the header":   {good[:20], ErrTruncated},
		"the header alone":  {good[:openSize], ErrTruncated},
		"the last byte off": {good[:len(good)-1], ErrTruncated},
		"one byte more":     {append(bytes.Clone(good), 0), ErrDamaged},
		"a newer version": {changed(func(raw []byte) []byte {
			binary.BigEndian.PutUint16(raw[8:], Version+1)
			return raw
		}), ErrNewer},
		"version 0": {changed(func(raw []byte) []byte {
			binary.BigEndian.PutUint16(raw[8:], 0)
			return raw
		}), ErrDamaged},
		"another wallet's": {changed(func(raw []byte) []byte {
			raw[10] ^= 1
			return raw
		}), ErrOtherKey},
		"a changed nonce": {changed(func(raw []byte) []byte {
			raw[headerSize] ^= 1
			return raw
		}), ErrDamaged},
		"a changed box": {changed(func(raw []byte) []byte {
			raw[len(raw)-1] ^= 0x80
			return raw
		}), ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(tc.raw, key(1))
			require.ErrorIs(t, err, tc.want)
		})
	}
	_, err = Decode(good, key(2))
	require.ErrorIs(t, err, ErrOtherKey)
	for i := range good {
		raw := bytes.Clone(good)
		raw[i] ^= 1
		_, err := Decode(raw, key(1))
		require.Error(t, err, "byte %d was changed", i)
	}
}

// TestContentsRefused: what the key opens is looked at, too.
func TestContentsRefused(t *testing.T) {
	plain := plainText(t, sample())
	for _, tc := range []struct{ old, with string }{
		{`"network"`, `"more":1,"network"`},
		{hex.EncodeToString(pub(1).SerializeCompressed()), "02"},
		{"192.0.2.7:9735", "192.0.2.7"},
		{`"funding_tx":"0200`, `"funding_tx":"0300`},
		{`"funding_tx":"0200`, `"funding_tx":"zz00`},
		{":0\"", ":x\""},
		{`"node_id":"`, `"node_id":"00`},
	} {
		require.Contains(t, plain, tc.old)
		raw, err := seal([]byte(strings.Replace(plain, tc.old, tc.with, 1)), key(1),
			bytes.NewReader(make([]byte, 24)))
		require.NoError(t, err)
		_, err = Decode(raw, key(1))
		require.ErrorIs(t, err, ErrDamaged, tc.with)
	}
}

// TestLimits reaches each limit, in both directions.
func TestLimits(t *testing.T) {
	for name, change := range map[string]func(c *Contents){
		"channels":  func(c *Contents) { c.Channels = make([]Channel, maxChannels+1) },
		"orders":    func(c *Contents) { c.Orders = make([]Order, maxOrders+1) },
		"order id":  func(c *Contents) { c.Orders[0].ID = strings.Repeat("x", maxOrderID+1) },
		"record":    func(c *Contents) { c.Orders[0].Record = make([]byte, maxOrderBytes+1) },
		"addresses": func(c *Contents) { c.Channels[0].Addresses = make([]string, maxAddresses+1) },
		"address": func(c *Contents) {
			c.Channels[0].Addresses = []string{strings.Repeat("x", maxAddrBytes) + ":1"}
		},
		"transaction": func(c *Contents) {
			tx := wire.NewMsgTx(2)
			tx.AddTxOut(&wire.TxOut{PkScript: make([]byte, maxTxBytes)})
			c.Channels[0].FundingTx = tx
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := sample()
			change(&c)
			_, err := Encode(c, key(1))
			require.ErrorIs(t, err, ErrTooLarge)
		})
	}
	_, err := seal(make([]byte, MaxBytes), key(1), bytes.NewReader(make([]byte, 24)))
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = Decode(make([]byte, MaxBytes+1), key(1))
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestKeyIsHidden(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, key(9)), "9", verb)
	}
}

// FuzzDecode: whatever a file holds, it is refused or read, and what is read can be written again.
func FuzzDecode(f *testing.F) {
	plain, err := sample().encode()
	require.NoError(f, err)
	good, err := seal(plain, key(1), bytes.NewReader(make([]byte, 24))) // the same in each process
	require.NoError(f, err)
	for _, seed := range [][]byte{nil, good, good[:len(good)/2], plain, []byte("{}")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := Decode(raw, key(1)); err == nil && !bytes.Equal(raw, good) {
			t.Error("a forged backup was read")
		}
		c, err := decodeContents(raw)
		if err != nil {
			return
		}
		again, err := Encode(c, key(1))
		require.NoError(t, err)
		_, err = Decode(again, key(1))
		require.NoError(t, err)
	})
}
