package lsp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// PromiseKey makes promises. ID is part of each promise, so that the key can be
// replaced while promises of the one before still hold.
type PromiseKey struct {
	ID     string // 1 to 16 of a-z and 0-9
	Secret [32]byte
}

// These keep the MACs apart from anything else the secret may sign, and those of a
// token's items from those of everybody's.
const (
	promiseDomain = "inlet lsps2 promise 1"
	tokenDomain   = "inlet lsps2 promise 2"
)

// mac commits to the client, to the token that the item was served for and to all values
// of the item. It is over the values and not over their text: an LDK client parses the
// item and writes it anew.
func (k PromiseKey) mac(client [33]byte, p OpeningFeeParams, token string) []byte {
	h := hmac.New(sha256.New, k.Secret[:])
	if token == "" {
		h.Write([]byte(promiseDomain))
	} else {
		h.Write([]byte(tokenDomain))
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(token))))
		h.Write([]byte(token))
	}
	h.Write(client[:])
	for _, v := range []uint64{
		uint64(p.MinFee), uint64(p.Proportional), uint64(p.ValidUntil.UnixMilli()),
		uint64(p.MinLifetime), uint64(p.MaxClientToSelfDelay),
		uint64(p.MinPaymentSize), uint64(p.MaxPaymentSize),
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, v))
	}
	return h.Sum(nil)
}

// promise is the text that goes with the item: v1.KEY.MAC, or v2.KEY.TOKEN.MAC for the
// item of a token, named by its id. An item of another client does not verify, else
// whoever knows a token could hand its price to everybody.
func (k PromiseKey) promise(client [33]byte, p OpeningFeeParams, token string) string {
	mac := hex.EncodeToString(k.mac(client, p, token))
	if token == "" {
		return "v1." + k.ID + "." + mac
	}
	return "v2." + k.ID + "." + token + "." + mac
}

// promised says whether one of the keys made this item for this client, and for which
// token.
func (r Keyring) promised(now time.Time, client [33]byte, p OpeningFeeParams) (token string, ok bool) {
	part := strings.Split(p.Promise, ".")
	switch {
	case len(part) == 3 && part[0] == "v1":
	case len(part) == 4 && part[0] == "v2" && part[2] != "":
		token = part[2]
	default:
		return "", false
	}
	mac, err := hex.DecodeString(part[len(part)-1])
	if err != nil {
		return "", false
	}
	k, ok := r.verifier(now, part[1])
	if !ok || !hmac.Equal(mac, k.mac(client, p, token)) {
		return "", false
	}
	return token, true
}

func checkKeys(keys []PromiseKey) error {
	seen := map[string]bool{}
	for _, k := range keys {
		if !validKeyID(k.ID) || seen[k.ID] {
			return fmt.Errorf("lsp: promise key id %q: 1 to 16 of a-z and 0-9, each once", k.ID)
		}
		if k.Secret == [32]byte{} {
			return fmt.Errorf("lsp: promise key %s has no secret", k.ID)
		}
		seen[k.ID] = true
	}
	return nil
}

func validKeyID(id string) bool {
	rest := strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789")
	return len(id) > 0 && len(id) <= 16 && rest == ""
}
