package wallet

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// The stored record, version 1: a header in the open, and a box that holds the secrets. The
// header is the box's additional data, so that neither the network nor the cost of guessing can
// be changed without the passphrase.
const recordVersion = 1

// kdfName says how the key of the box is made.
type kdfName string

const (
	// kdfNone: there is no passphrase; the box is stored openly.
	kdfNone kdfName = "none"

	// kdfArgon2id: RFC 9106, from the passphrase and the header's salt.
	kdfArgon2id kdfName = "argon2id"
)

const (
	kdfSaltSize = 16

	// A record that asks for more was not written by us; refuse it before the memory is gone.
	kdfMaxTime      = 64
	kdfMaxMemoryKiB = 1 << 20
	kdfMaxThreads   = 64
)

// cost is the price of one guess of the passphrase.
type cost struct {
	time      uint32
	memoryKiB uint32
	threads   uint8
}

// standardCost is about a quarter second and 64 MiB: the second recommendation of RFC 9106, with
// the lanes of a small machine.
func standardCost() cost { return cost{time: 3, memoryKiB: 64 << 10, threads: 2} }

// secret is a byte string that never shows itself.
type secret []byte

// String hides the bytes.
func (secret) String() string { return "[redacted]" }

// GoString hides the bytes from %#v.
func (secret) GoString() string { return "[redacted]" }

// Format hides the bytes from every verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// LogValue hides the bytes from the log.
func (secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// secrets is what the box holds.
type secrets struct {
	// Entropy is the aezeed's: the HD seed.
	Entropy secret

	// WalletPassword opens btcwallet's own encryption: 32 random bytes, so that its key
	// stretching can be cheap.
	WalletPassword secret

	// Birthday is when the seed was first used.
	Birthday time.Time

	// Restored says that the seed came from words, and so has a past.
	Restored bool
}

// LogValue hides the secrets from the log.
func (*secrets) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func (s *secrets) clear() {
	clear(s.Entropy)
	clear(s.WalletPassword)
}

// record is the stored form.
type record struct {
	V      int             `json:"v"`
	Header json.RawMessage `json:"header"`
	Box    []byte          `json:"box"`
}

// header is the part of the record in the open.
type header struct {
	V         int     `json:"v"`
	Network   string  `json:"network"`
	Kdf       kdfName `json:"kdf"`
	Time      uint32  `json:"time,omitempty"`
	MemoryKiB uint32  `json:"memory_kib,omitempty"`
	Threads   uint8   `json:"threads,omitempty"`
	Salt      []byte  `json:"salt,omitempty"`
	Nonce     []byte  `json:"nonce,omitempty"`
}

// body is the box's content. Its byte slices are plain, so that they are encoded.
type body struct {
	V                int    `json:"v"`
	Entropy          []byte `json:"entropy"`
	WalletPassword   []byte `json:"wallet_password"`
	BirthdayUnixSecs int64  `json:"birthday_unix_seconds"`
	Restored         bool   `json:"restored"`
}

// seal encodes the secrets for the store. An empty passphrase stores them openly.
func seal(s *secrets, network string, passphrase []byte, price cost) ([]byte, error) {
	plain, err := json.Marshal(body{
		V: recordVersion, Entropy: s.Entropy, WalletPassword: s.WalletPassword,
		BirthdayUnixSecs: s.Birthday.Unix(), Restored: s.Restored,
	})
	if err != nil {
		return nil, fmt.Errorf("wallet: encode secrets: %w", err)
	}
	defer clear(plain)

	head := header{V: recordVersion, Network: network, Kdf: kdfNone}
	if len(passphrase) > 0 {
		head.Kdf, head.Time, head.MemoryKiB = kdfArgon2id, price.time, price.memoryKiB
		head.Threads, head.Salt = price.threads, randomBytes(kdfSaltSize)
		head.Nonce = randomBytes(chacha20poly1305.NonceSizeX)
	}
	open, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("wallet: encode secrets: %w", err)
	}

	box := plain
	if head.Kdf != kdfNone {
		aead, err := head.aead(passphrase)
		if err != nil {
			return nil, err
		}
		box = aead.Seal(nil, head.Nonce, plain, open)
	}

	raw, err := json.Marshal(record{V: recordVersion, Header: open, Box: box})
	if err != nil {
		return nil, fmt.Errorf("wallet: encode secrets: %w", err)
	}

	return raw, nil
}

// unseal decodes a stored record. insecure must say whether it is stored openly.
func unseal(raw []byte, network string, passphrase []byte, insecure bool) (*secrets, error) {
	rec, head, err := readHeader(raw)
	if err != nil {
		return nil, err
	}
	if head.Network != network {
		return nil, fmt.Errorf("wallet: open: %w: it is for %s, the node runs on %s",
			ErrWrongNetwork, head.Network, network)
	}
	if err := head.checkMode(passphrase, insecure); err != nil {
		return nil, err
	}

	plain := rec.Box
	if head.Kdf != kdfNone {
		aead, err := head.aead(passphrase)
		if err != nil {
			return nil, err
		}
		if plain, err = aead.Open(nil, head.Nonce, rec.Box, rec.Header); err != nil {
			return nil, fmt.Errorf("wallet: open: %w", ErrWrongPassphrase)
		}
	}
	defer clear(plain)

	var b body
	if err := json.Unmarshal(plain, &b); err != nil {
		// The decoder's error could quote what it read.
		return nil, fmt.Errorf("wallet: open: %w: bad content", ErrDamaged)
	}
	if b.V > recordVersion {
		return nil, fmt.Errorf("wallet: open: %w", ErrNewer)
	}
	if len(b.Entropy) != entropySize || len(b.WalletPassword) != walletPasswordSize {
		return nil, fmt.Errorf("wallet: open: %w: bad content", ErrDamaged)
	}

	return &secrets{
		Entropy: b.Entropy, WalletPassword: b.WalletPassword,
		Birthday: time.Unix(b.BirthdayUnixSecs, 0).UTC(), Restored: b.Restored,
	}, nil
}

func readHeader(raw []byte) (*record, *header, error) {
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return nil, nil, fmt.Errorf("wallet: open: %w", ErrDamaged)
	}
	if rec.V > recordVersion {
		return nil, nil, fmt.Errorf("wallet: open: %w", ErrNewer)
	}
	var head header
	if err := json.Unmarshal(rec.Header, &head); err != nil {
		return nil, nil, fmt.Errorf("wallet: open: %w", ErrDamaged)
	}
	if head.V > recordVersion {
		return nil, nil, fmt.Errorf("wallet: open: %w", ErrNewer)
	}

	return &rec, &head, nil
}

// checkMode refuses a passphrase for an open record and the reverse.
func (h *header) checkMode(passphrase []byte, insecure bool) error {
	switch {
	case insecure == (len(passphrase) > 0):
		return fmt.Errorf("wallet: open: %w", ErrPassphraseRule)

	case h.Kdf == kdfNone && !insecure:
		return fmt.Errorf("wallet: open: %w", ErrNotEncrypted)

	case h.Kdf != kdfNone && insecure:
		return fmt.Errorf("wallet: open: %w", ErrPassphraseNeeded)
	}

	return nil
}

// aead makes the box's cipher from the passphrase, at the header's cost.
func (h *header) aead(passphrase []byte) (cipher.AEAD, error) {
	bad := h.Kdf != kdfArgon2id || h.Time == 0 || h.Time > kdfMaxTime ||
		h.MemoryKiB == 0 || h.MemoryKiB > kdfMaxMemoryKiB ||
		h.Threads == 0 || h.Threads > kdfMaxThreads ||
		len(h.Salt) != kdfSaltSize || len(h.Nonce) != chacha20poly1305.NonceSizeX
	if bad {
		return nil, fmt.Errorf("wallet: open: %w: bad key parameters", ErrDamaged)
	}

	key := argon2.IDKey(passphrase, h.Salt, h.Time, h.MemoryKiB, h.Threads,
		chacha20poly1305.KeySize)
	defer clear(key)

	// The stretching is over for this process; its memory goes back to the system.
	debug.FreeOSMemory()

	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("wallet: open: %w", err)
	}

	return aead, nil
}

// randomBytes reads from the system's generator, which never fails (Go 1.24 and later crash the
// process instead).
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)

	return b
}
