package lsp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// PromiseKey makes promises. ID is part of each promise, so that the key can be
// replaced while promises of the one before still hold.
type PromiseKey struct {
	ID     string // 1 to 16 of a-z and 0-9
	Secret [32]byte
}

// promiseDomain keeps these MACs apart from anything else the secret may sign.
const promiseDomain = "inlet lsps2 promise 1"

// mac commits to the client and to all values of the item. It is over the values and
// not over their text: an LDK client parses the item and writes it anew.
func (k PromiseKey) mac(client [33]byte, p OpeningFeeParams) []byte {
	h := hmac.New(sha256.New, k.Secret[:])
	h.Write([]byte(promiseDomain))
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

// promise is the text that goes with the item. An item of another client does not
// verify, else a rejected client could buy with the offer of one that is not.
func (k PromiseKey) promise(client [33]byte, p OpeningFeeParams) string {
	return "v1." + k.ID + "." + hex.EncodeToString(k.mac(client, p))
}

// promised says that one of the keys made this item for this client.
func promised(keys []PromiseKey, client [33]byte, p OpeningFeeParams) bool {
	part := strings.Split(p.Promise, ".")
	if len(part) != 3 || part[0] != "v1" {
		return false
	}
	mac, err := hex.DecodeString(part[2])
	if err != nil {
		return false
	}
	for _, k := range keys {
		if k.ID == part[1] {
			return hmac.Equal(mac, k.mac(client, p))
		}
	}
	return false
}

func checkKeys(keys []PromiseKey) error {
	if len(keys) == 0 {
		return errors.New("lsp: no promise key")
	}
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
