package lsp

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Keyring makes the keys of promises from one secret, a new one each so often. A key's
// id is the time until which it signs, and it follows from the secret and that id: so
// nothing is stored, promises hold after a restart, and the interval can be changed at
// any time.
type Keyring struct {
	// Secret must be the same at each start.
	Secret [32]byte

	// Every is how long a key signs; zero is DefaultKeyRotation.
	Every time.Duration

	// Old are keys of other making whose promises hold still.
	Old []PromiseKey
}

// Bounds of a key's time.
const (
	DefaultKeyRotation = 3 * 24 * time.Hour
	minKeyRotation     = time.Hour
	maxKeyRotation     = 30 * 24 * time.Hour
)

// keyIDMark begins the ids of a Keyring's keys.
const keyIDMark = "e"

func (r Keyring) check() error {
	if r.Secret == [32]byte{} {
		return errors.New("lsp: the promise keys have no secret")
	}
	if e := r.every(); e < minKeyRotation || e > maxKeyRotation {
		return fmt.Errorf("lsp.lsps2: promise_key_rotation_seconds is %d: at least %d, at most %d",
			int(e.Seconds()), int(minKeyRotation.Seconds()), int(maxKeyRotation.Seconds()))
	}
	return checkKeys(r.Old)
}

func (r Keyring) every() time.Duration {
	if r.Every == 0 {
		return DefaultKeyRotation
	}
	return r.Every
}

// signer is the key that makes promises now.
func (r Keyring) signer(now time.Time) PromiseKey {
	every := int64(r.every() / time.Second)
	return r.key(keyIDMark + strconv.FormatInt((now.Unix()/every+1)*every, 36))
}

// verifier finds the key that made a promise, by its id. The last item that a key can
// have signed ran out maxValidFor after the key's time; from then on the key is nobody's,
// so that one that leaks does no harm for ever.
func (r Keyring) verifier(now time.Time, id string) (_ PromiseKey, ok bool) {
	for _, k := range r.Old {
		if k.ID == id {
			return k, true
		}
	}
	digits, ours := strings.CutPrefix(id, keyIDMark)
	until, err := strconv.ParseInt(digits, 36, 64)
	if !ours || err != nil || keyIDMark+strconv.FormatInt(until, 36) != id {
		return PromiseKey{}, false
	}
	if !now.Before(time.Unix(until, 0).Add(maxValidFor)) {
		return PromiseKey{}, false
	}
	return r.key(id), true
}

func (r Keyring) key(id string) PromiseKey {
	h := hmac.New(sha256.New, r.Secret[:])
	h.Write([]byte("inlet lsps2 promise key "))
	h.Write([]byte(id))
	return PromiseKey{ID: id, Secret: [32]byte(h.Sum(nil))}
}
