package lsp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

const purchaseVersion = 1

// purchaseRecord has no rules: they are in the record of the order, which is made
// from the purchase when it is booked.
type purchaseRecord struct {
	V           int                 `json:"v"`
	ID          string              `json:"id"`
	Client      string              `json:"client"`
	Token       string              `json:"token,omitempty"`
	SCID        uint64              `json:"jit_channel_scid"`
	Params      OpeningFeeParams    `json:"opening_fee_params"`
	PaymentSize lnwire.MilliSatoshi `json:"payment_size_msat,omitempty"`
	OpeningFee  lnwire.MilliSatoshi `json:"opening_fee_msat,omitempty"`
	Delta       uint16              `json:"lsp_cltv_expiry_delta"`
	Trusts      bool                `json:"client_trusts_lsp,omitempty"`
	AliasUntil  time.Time           `json:"alias_until"`
	CreatedAt   time.Time           `json:"created_at"`
}

// MarshalPurchase gives the record of a purchase, less its Rules.
func MarshalPurchase(p Purchase) ([]byte, error) {
	raw, err := json.Marshal(purchaseRecord{
		V:           purchaseVersion,
		ID:          p.ID,
		Client:      hex.EncodeToString(p.Client[:]),
		Token:       p.Token,
		SCID:        p.SCID.ToUint64(),
		Params:      p.Params,
		PaymentSize: p.PaymentSize,
		OpeningFee:  p.OpeningFee,
		Delta:       p.CLTVExpiryDelta,
		Trusts:      p.ClientTrustsLSP,
		AliasUntil:  p.AliasUntil.UTC().Round(0),
		CreatedAt:   p.CreatedAt.UTC().Round(0),
	})
	if err != nil {
		return nil, fmt.Errorf("lsp: write purchase: %w", err)
	}
	return raw, nil
}

// UnmarshalPurchase reads what MarshalPurchase gave; the Rules are zero. A record of
// another version is ErrVersion.
func UnmarshalPurchase(raw []byte) (Purchase, error) {
	var r purchaseRecord
	if err := readRecord(raw, purchaseVersion, &r); err != nil {
		return Purchase{}, fmt.Errorf("lsp: read purchase: %w", err)
	}
	p := Purchase{
		ID:              r.ID,
		Token:           r.Token,
		SCID:            lnwire.NewShortChanIDFromInt(r.SCID),
		Params:          r.Params,
		PaymentSize:     r.PaymentSize,
		OpeningFee:      r.OpeningFee,
		CLTVExpiryDelta: r.Delta,
		ClientTrustsLSP: r.Trusts,
		AliasUntil:      r.AliasUntil,
		CreatedAt:       r.CreatedAt,
	}
	if err := readNode(r.Client, &p.Client); err != nil {
		return Purchase{}, fmt.Errorf("lsp: read purchase: client: %w", err)
	}
	return p, nil
}

// readRecord reads one record of this version and nothing else.
func readRecord(raw []byte, version int, record any) error {
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	if v.V != version {
		return fmt.Errorf("%w: %d", ErrVersion, v.V)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(record); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("data after the record")
	}
	return nil
}

func readNode(s string, node *[33]byte) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(node) {
		return fmt.Errorf("%q is no node id", s)
	}
	copy(node[:], b)
	return nil
}
