package lsp

import (
	"strings"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// TestKeyringVector holds the derivation: promises that are out must verify after an
// update of the program.
func TestKeyringVector(t *testing.T) {
	r := Keyring{Secret: [32]byte{7}}
	p := someParams()
	token := shopToken()
	golden(t, "keyring.golden", r.signer(t0).promise(bob, p, "")+"\n"+
		r.signer(t0).promise(bob, p, token.id())+"\n")
}

// LSPS2-10: a promise outlives its key by the time of its item, restarts in between.
func TestKeyRotation(t *testing.T) {
	checklist.Shows(t, "LSPS2-10", "only the key that signs now verifies")
	book := &shelf{}
	var at time.Time
	every := 3 * 24 * time.Hour
	start := func() *Service {
		s, _ := newService(t, func(c *ServiceConfig) {
			c.Offer.ValidFor, c.Book, c.Keys.Every = 24*time.Hour, book, every
			c.Rand = newChance(byte(book.len() + 1))
		})
		return s
	}
	ring := Keyring{Secret: [32]byte{2}, Every: every}
	ends := time.Unix(0, 0).Add(t0.Sub(time.Unix(0, 0)).Truncate(every) + every).UTC()
	at = ends.Add(-time.Millisecond)
	if a, b := ring.signer(at), ring.signer(ends); a == b || a != ring.signer(t0) {
		t.Fatalf("keys %s and %s", a.ID, b.ID)
	}
	offered := item(t, start(), at, bob)
	if !strings.Contains(offered, "v1."+ring.signer(at).ID+".") {
		t.Errorf("%s was signed with another key than %s", offered, ring.signer(at).ID)
	}
	for _, every = range []time.Duration{3 * 24 * time.Hour, time.Hour, 30 * 24 * time.Hour} {
		for _, now := range []time.Time{ends, at.Add(24*time.Hour - 2*time.Millisecond)} {
			if g := buy(t, start(), now, bob, offered, `"1000000"`); g.code() != 0 {
				t.Errorf("at %v, keys of %v: %+v", now, every, g)
			}
		}
	}

	// A key signs for no item past the last one that it can have signed.
	k, last := ring.signer(t0), ends.Add(maxValidFor)
	if _, ok := ring.verifier(last.Add(-1), k.ID); !ok {
		t.Error("the key has gone too early")
	}
	if _, ok := ring.verifier(last, k.ID); ok {
		t.Error("the key never goes")
	}
}

// TestKeyIDs has each key under one id, and no id make a key that no keyring signs with.
func TestKeyIDs(t *testing.T) {
	r := Keyring{Secret: [32]byte{2}, Old: []PromiseKey{{"s1", [32]byte{1}}}}
	id := r.signer(t0).ID
	if !validKeyID(id) {
		t.Errorf("%s is no key id", id)
	}
	for _, bad := range []string{"", "e", "s2", "S1", strings.ToUpper(id), "e0" + id[1:], "e+" + id[1:],
		id[1:], id + "!", "e" + strings.Repeat("z", 14)} {
		if _, ok := r.verifier(t0, bad); ok {
			t.Errorf("%q is a key", bad)
		}
	}
	if k, ok := r.verifier(t0, "s1"); !ok || k != r.Old[0] {
		t.Error("the old key is forgotten")
	}
	other := Keyring{Secret: [32]byte{3}}
	if other.signer(t0).Secret == r.signer(t0).Secret {
		t.Error("another secret makes the same key")
	}
	for what, bad := range map[string]Keyring{
		"no secret": {}, "too fast": {Secret: [32]byte{1}, Every: time.Hour - 1},
		"too slow": {Secret: [32]byte{1}, Every: 31 * 24 * time.Hour},
		"bad old":  {Secret: [32]byte{1}, Old: []PromiseKey{{"A", [32]byte{1}}}},
	} {
		if bad.check() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
