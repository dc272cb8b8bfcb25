package backup

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// FileName is the backup's name in the data directory.
	FileName = "channels.backup"

	// Purpose names the key of backups among the secrets that a wallet derives.
	Purpose = "channel backup"

	// Version is the only one that there is.
	Version = 1

	// MaxBytes bounds a backup. One of 1000 channels has about 2 MB, and the books of the most
	// orders that are kept add about 30 MB.
	MaxBytes = 128 << 20
)

var magic = [8]byte{'i', 'n', 'l', 'e', 't', 'c', 'h', 'b'}

const (
	keyIDSize  = 8
	headerSize = len(magic) + 2 + keyIDSize + 8
	openSize   = headerSize + chacha20poly1305.NonceSizeX // what comes before the box
)

// Errors of Decode; test with errors.Is.
var (
	// ErrNotBackup: the file is something else.
	ErrNotBackup = errors.New("this is no channel backup of inlet")

	// ErrNewer: a newer version of inlet wrote it.
	ErrNewer = errors.New("the backup was written by a newer inlet: use that version")

	// ErrTruncated: the end is missing.
	ErrTruncated = errors.New("the backup is not whole, its end is missing: " +
		"use another copy")

	// ErrOtherKey: it belongs to another wallet.
	ErrOtherKey = errors.New("the backup belongs to another wallet: " +
		"use the 24 words of the wallet whose channels it holds")

	// ErrDamaged: what is in it is not what was written.
	ErrDamaged = errors.New("the backup was changed since it was written: use another copy")

	// ErrTooLarge: there is a limit that it exceeds.
	ErrTooLarge = errors.New("the backup exceeds a limit")
)

// Key encrypts backups. It is what the wallet derives for Purpose.
type Key [32]byte

// id tells two keys apart and says nothing about either: the key has 256 random bits.
func (k Key) id() [keyIDSize]byte {
	sum := sha256.Sum256(append([]byte("inlet: channel backup key id"), k[:]...))
	return [keyIDSize]byte(sum[:keyIDSize])
}

// String hides the key.
func (Key) String() string { return "[redacted]" }

// GoString hides the key from %#v.
func (Key) GoString() string { return "[redacted]" }

// Encode makes a backup of c. Errors: ErrTooLarge, or what is wrong with c.
func Encode(c Contents, key Key) ([]byte, error) {
	plain, err := c.encode()
	if err != nil {
		return nil, err
	}
	return seal(plain, key, rand.Reader)
}

// seal encrypts with a nonce from random. No nonce may come twice with one key.
func seal(plain []byte, key Key, random io.Reader) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	size := len(plain) + aead.Overhead()
	if openSize+size > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, the most are %d", ErrTooLarge, openSize+size, MaxBytes)
	}
	id := key.id()
	out := make([]byte, 0, openSize+size)
	out = append(out, magic[:]...)
	out = binary.BigEndian.AppendUint16(out, Version)
	out = append(out, id[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(size))
	out = out[:openSize]
	nonce := out[headerSize:openSize]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("backup: draw a nonce: %w", err)
	}
	return aead.Seal(out, nonce, plain, out[:headerSize]), nil
}

// Decode reads what Encode made. Errors: ErrNotBackup, ErrNewer, ErrTruncated, ErrOtherKey,
// ErrDamaged, ErrTooLarge.
func Decode(raw []byte, key Key) (Contents, error) {
	if err := CheckHeader(raw); err != nil {
		return Contents{}, err
	}
	id := key.id()
	if !bytes.Equal(raw[len(magic)+2:][:keyIDSize], id[:]) {
		return Contents{}, ErrOtherKey
	}
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return Contents{}, fmt.Errorf("backup: %w", err)
	}
	plain, err := aead.Open(nil, raw[headerSize:openSize], raw[openSize:], raw[:headerSize])
	if err != nil {
		return Contents{}, ErrDamaged
	}
	return decodeContents(plain)
}

// CheckHeader says whether raw looks like a whole backup, as far as that can be seen without the
// key. Errors: those of Decode but ErrOtherKey.
func CheckHeader(raw []byte) error {
	switch {
	case len(raw) > MaxBytes:
		return fmt.Errorf("%w: %d bytes, the most are %d", ErrTooLarge, len(raw), MaxBytes)
	case len(raw) < len(magic) && bytes.HasPrefix(magic[:], raw):
		return ErrTruncated // an empty file, too: that is what a full disk leaves
	case !bytes.HasPrefix(raw, magic[:]):
		return ErrNotBackup
	case len(raw) < len(magic)+2:
		return ErrTruncated
	}
	switch version := binary.BigEndian.Uint16(raw[len(magic):]); {
	case version > Version:
		return fmt.Errorf("%w (it has version %d, this one knows %d at most)",
			ErrNewer, version, Version)
	case version == 0:
		return ErrDamaged
	case len(raw) < openSize:
		return ErrTruncated
	}
	size := binary.BigEndian.Uint64(raw[headerSize-8:])
	switch have := uint64(len(raw) - openSize); {
	case have < size:
		return ErrTruncated
	case have > size:
		return ErrDamaged
	}
	return nil
}

// encode is the JSON of c, after every limit was looked at.
func (c Contents) encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(c.record())
	if err != nil {
		return nil, fmt.Errorf("backup: encode: %w", err)
	}
	return plain, nil
}

// decodeContents reads what encode made.
func decodeContents(plain []byte) (Contents, error) {
	var r contentsV1
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Contents{}, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	c, err := r.contents()
	if err != nil {
		return Contents{}, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	if err := c.check(); err != nil {
		return Contents{}, err
	}
	return c, nil
}
