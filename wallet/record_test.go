package wallet

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// cheap is no protection.
var cheap = cost{time: 1, memoryKiB: 64, threads: 1}

func testSecrets() *secrets {
	return &secrets{
		Entropy:        testSeed(1),
		WalletPassword: bytes.Repeat([]byte{9}, walletPasswordSize),
		Birthday:       time.Unix(1_700_000_000, 0).UTC(),
		Restored:       true,
	}
}

func TestRecordRoundTrip(t *testing.T) {
	want := testSecrets()

	raw, err := seal(want, "regtest", []byte("a passphrase"), cheap)
	require.NoError(t, err)
	got, err := unseal(raw, "regtest", []byte("a passphrase"), false)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, hidden := range [][]byte{want.Entropy, want.WalletPassword} {
		require.NotContains(t, string(raw), hexOf(hidden))
		require.False(t, bytes.Contains(raw, hidden))
	}

	raw, err = seal(want, "regtest", nil, cheap)
	require.NoError(t, err)
	got, err = unseal(raw, "regtest", nil, true)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// The golden records were written by the first version; every later one must read them.
func TestRecordGolden(t *testing.T) {
	cases := map[string][]byte{"sealed.json": []byte("correct horse"), "open.json": nil}
	for name, pass := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			if *update {
				raw, err := seal(testSecrets(), "regtest", pass, cheap)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, raw, 0o600))
			}
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			got, err := unseal(raw, "regtest", pass, pass == nil)
			require.NoError(t, err)
			require.Equal(t, testSecrets(), got)
		})
	}
}

func TestCounterGolden(t *testing.T) {
	raw, err := json.Marshal(counter{V: recordVersion, Next: 1 << 30})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"next":1073741824}`, string(raw))
	raw, err = json.Marshal(restoreState{V: recordVersion, Done: true})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"done":true}`, string(raw))
}

// refusal is a record that must not be opened, and why.
type refusal struct {
	raw      []byte
	network  string
	pass     []byte
	insecure bool
	want     error
}

func TestRecordRefuses(t *testing.T) {
	for name, c := range refusals(t) {
		t.Run(name, func(t *testing.T) {
			network := cmp.Or(c.network, "regtest")
			s, err := unseal(c.raw, network, c.pass, c.insecure)
			require.ErrorIs(t, err, c.want)
			require.Nil(t, s)
			require.NotContains(t, err.Error(), hexOf(testSeed(1)))
		})
	}
}

// changed encodes a record again after a change to it and its header.
func changed(t *testing.T, raw []byte, change func(*record, *header)) []byte {
	t.Helper()
	rec, head, err := readHeader(raw)
	require.NoError(t, err)
	change(rec, head)
	rec.Header, err = json.Marshal(head)
	require.NoError(t, err)
	again, err := json.Marshal(rec)
	require.NoError(t, err)

	return again
}

func refusals(t *testing.T) map[string]refusal {
	pass := []byte("right")
	sealed, err := seal(testSecrets(), "regtest", pass, cheap)
	require.NoError(t, err)
	open, err := seal(testSecrets(), "regtest", nil, cheap)
	require.NoError(t, err)
	withHead := func(f func(*header)) []byte {
		return changed(t, sealed, func(_ *record, h *header) { f(h) })
	}
	withBox := func(f func(*record)) []byte {
		return changed(t, sealed, func(r *record, _ *header) { f(r) })
	}

	return map[string]refusal{
		"wrong passphrase":         {raw: sealed, pass: []byte("wrong"), want: ErrWrongPassphrase},
		"no passphrase":            {raw: sealed, want: ErrPassphraseRule},
		"insecure on a sealed one": {raw: sealed, insecure: true, want: ErrPassphraseNeeded},
		"passphrase on an open":    {raw: open, pass: pass, want: ErrNotEncrypted},
		"both":                     {raw: open, pass: pass, insecure: true, want: ErrPassphraseRule},
		"another network":          {raw: sealed, network: "mainnet", pass: pass, want: ErrWrongNetwork},
		"newer": {
			raw:      changed(t, open, func(r *record, _ *header) { r.V = 2 }),
			insecure: true, want: ErrNewer,
		},
		"not json": {raw: sealed[:20], pass: pass, want: ErrDamaged},
		"empty":    {pass: pass, want: ErrDamaged},
		"network changed": {
			raw: withHead(func(h *header) { h.Network = "mainnet" }), network: "mainnet",
			pass: pass, want: ErrWrongPassphrase,
		},
		"cost changed": {
			raw: withHead(func(h *header) { h.Time++ }), pass: pass, want: ErrWrongPassphrase,
		},
		"cost absurd": {
			raw: withHead(func(h *header) { h.MemoryKiB = 1 << 31 }), pass: pass, want: ErrDamaged,
		},
		"cost zero": {
			raw: withHead(func(h *header) { h.Threads = 0 }), pass: pass, want: ErrDamaged,
		},
		"nonce short": {
			raw: withHead(func(h *header) { h.Nonce = h.Nonce[1:] }), pass: pass, want: ErrDamaged,
		},
		"newer header": {raw: withHead(func(h *header) { h.V = 2 }), pass: pass, want: ErrNewer},
		"unknown kdf": {
			raw: withHead(func(h *header) { h.Kdf = "rot13" }), pass: pass, want: ErrDamaged,
		},
		"kdf taken off": {
			raw: withHead(func(h *header) { h.Kdf = kdfNone }), insecure: true, want: ErrDamaged,
		},
		"box changed": {
			raw: withBox(func(r *record) { r.Box[3] ^= 1 }), pass: pass, want: ErrWrongPassphrase,
		},
		"box cut": {
			raw: withBox(func(r *record) { r.Box = r.Box[:5] }), pass: pass,
			want: ErrWrongPassphrase,
		},
		"box gone": {
			raw: withBox(func(r *record) { r.Box = nil }), pass: pass, want: ErrWrongPassphrase,
		},
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	s := testSecrets()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secrets", s, "entropy", s.Entropy)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secrets", s, "entropy", s.Entropy)
	fmt.Fprintf(&out, "%v %+v %#v %s %x %q %d", s, s, s, s.Entropy, s.Entropy, s.Entropy, s.Entropy)

	for _, form := range []string{hexOf(s.Entropy), string(s.Entropy), fmt.Sprint([]byte(s.Entropy))} {
		require.NotContains(t, out.String(), form)
	}
}

func TestCreateRules(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	db := testDB(t)

	exists, err := Exists(db)
	require.NoError(t, err)
	require.False(t, exists)
	_, err = readRecord(db)
	require.ErrorIs(t, err, ErrMissing)

	_, err = Create(db, CreateOptions{Params: params})
	require.ErrorIs(t, err, ErrPassphraseRule)
	_, err = Create(db, CreateOptions{Params: params, Insecure: true, Passphrase: []byte("x")})
	require.ErrorIs(t, err, ErrPassphraseRule)
	_, err = Create(db, CreateOptions{Params: params, Insecure: true, Words: []string{"a"}})
	require.ErrorIs(t, err, ErrBadWords)
	exists, err = Exists(db)
	require.NoError(t, err)
	require.False(t, exists, "a refused Create leaves nothing behind")

	words, err := Create(db, CreateOptions{Params: params, Passphrase: []byte("one")})
	require.NoError(t, err)
	require.NoError(t, CheckWords(words, nil))
	exists, err = Exists(db)
	require.NoError(t, err)
	require.True(t, exists)
	pending, err := restorePending(db)
	require.NoError(t, err)
	require.False(t, pending, "a new seed has no past to search")

	_, err = Create(db, CreateOptions{Params: params, Insecure: true})
	require.ErrorIs(t, err, ErrExists)
}

func TestCreateFromWordsHasThePast(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	words := strings.Fields(vectorWords)
	firsts := make(map[uint32]bool)
	for range 2 {
		db := testDB(t)
		got, err := Create(db, CreateOptions{Params: params, Insecure: true, Words: words})
		require.NoError(t, err)
		require.Equal(t, words, got)

		raw, err := readRecord(db)
		require.NoError(t, err)
		s, err := unseal(raw, params.Name, nil, true)
		require.NoError(t, err)
		require.Equal(t, vectorEntropy, hexOf(s.Entropy))
		require.True(t, s.Restored)
		pending, err := restorePending(db)
		require.NoError(t, err)
		require.True(t, pending)
		require.NoError(t, restoreDone(db))
		pending, err = restorePending(db)
		require.NoError(t, err)
		require.False(t, pending)

		// Channel keys of the seed's other lives do not come again.
		starts, err := reserve(db, 5)
		require.NoError(t, err)
		require.GreaterOrEqual(t, starts[0], uint32(1<<29))
		firsts[starts[0]] = true
	}
	require.Len(t, firsts, 2, "two restores begin at different keys")
}

func TestCreateWritesAllOrNothing(t *testing.T) {
	db := &failingDB{Backend: testDB(t), broken: true}
	o := CreateOptions{Params: &chaincfg.RegressionNetParams, Insecure: true}
	_, err := Create(db, o)
	require.ErrorIs(t, err, errDisk)
	require.NoError(t, kvdb.View(db, func(tx kvdb.RTx) error {
		for _, name := range []string{secretsBucket, keysBucket, addrmgrBucket, txmgrBucket} {
			require.Nil(t, tx.ReadBucket([]byte(name)), name)
		}

		return nil
	}, func() {}))

	db.broken = false
	_, err = Create(db, o)
	require.NoError(t, err)
}

func TestChangePassphrase(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	db := testDB(t)
	one, two := []byte("one"), []byte("two")
	require.ErrorIs(t, ChangePassphrase(db, one, two, false), ErrMissing)
	_, err := Create(db, CreateOptions{Params: params, Passphrase: one})
	require.NoError(t, err)
	read := func(pass []byte) (*secrets, error) {
		raw, err := readRecord(db)
		require.NoError(t, err)

		return unseal(raw, params.Name, pass, pass == nil)
	}
	before, err := read(one)
	require.NoError(t, err)

	require.ErrorIs(t, ChangePassphrase(db, two, one, false), ErrWrongPassphrase)
	require.ErrorIs(t, ChangePassphrase(db, one, nil, false), ErrPassphraseRule)
	require.ErrorIs(t, ChangePassphrase(db, nil, two, false), ErrPassphraseNeeded)

	require.NoError(t, ChangePassphrase(db, one, two, false))
	_, err = read(one)
	require.ErrorIs(t, err, ErrWrongPassphrase)
	after, err := read(two)
	require.NoError(t, err)
	require.Equal(t, before, after)

	require.NoError(t, ChangePassphrase(db, two, nil, true))
	after, err = read(nil)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, ChangePassphrase(db, nil, one, false))
	_, err = read(one)
	require.NoError(t, err)
}

func BenchmarkUnseal(b *testing.B) {
	raw, err := seal(testSecrets(), "regtest", []byte("x"), standardCost())
	require.NoError(b, err)
	for range b.N {
		if _, err := unseal(raw, "regtest", []byte("x"), false); err != nil {
			b.Fatal(err)
		}
	}
}
