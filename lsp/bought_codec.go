package lsp

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// boughtVersion is that of the record of a Bought.
const boughtVersion = 1

// ErrVersion is for a record of another version.
var ErrVersion = errors.New("lsp: the record was written by another version")

type boughtRecord struct {
	V           int                 `json:"v"`
	LSP         string              `json:"lsp"`
	SCID        uint64              `json:"jit_channel_scid"`
	Params      OpeningFeeParams    `json:"opening_fee_params"`
	PaymentSize lnwire.MilliSatoshi `json:"payment_size_msat,omitempty"`
	OpeningFee  lnwire.MilliSatoshi `json:"opening_fee_msat,omitempty"`
	Delta       uint16              `json:"lsp_cltv_expiry_delta"`
	Trusts      bool                `json:"client_trusts_lsp,omitempty"`
	Hash        string              `json:"payment_hash"`
	CreatedAt   time.Time           `json:"created_at"`
	Settled     bool                `json:"settled,omitempty"`
}

// MarshalBought gives the record.
func MarshalBought(b Bought) ([]byte, error) {
	raw, err := json.Marshal(boughtRecord{
		V:           boughtVersion,
		LSP:         hex.EncodeToString(b.LSP[:]),
		SCID:        b.SCID.ToUint64(),
		Params:      b.Params,
		PaymentSize: b.PaymentSize,
		OpeningFee:  b.OpeningFee,
		Delta:       b.CLTVExpiryDelta,
		Trusts:      b.ClientTrustsLSP,
		Hash:        b.PaymentHash.String(),
		CreatedAt:   b.CreatedAt.UTC().Round(0),
		Settled:     b.Settled,
	})
	if err != nil {
		return nil, fmt.Errorf("lsp: write what was bought: %w", err)
	}
	return raw, nil
}

// UnmarshalBought reads what MarshalBought gave. A record of another version is
// ErrVersion.
func UnmarshalBought(raw []byte) (Bought, error) {
	var r boughtRecord
	if err := readRecord(raw, boughtVersion, &r); err != nil {
		return Bought{}, fmt.Errorf("lsp: read what was bought: %w", err)
	}
	hash, err := lntypes.MakeHashFromStr(r.Hash)
	if err != nil {
		return Bought{}, fmt.Errorf("lsp: read what was bought: %w", err)
	}
	b := Bought{
		SCID:            lnwire.NewShortChanIDFromInt(r.SCID),
		Params:          r.Params,
		PaymentSize:     r.PaymentSize,
		OpeningFee:      r.OpeningFee,
		CLTVExpiryDelta: r.Delta,
		ClientTrustsLSP: r.Trusts,
		PaymentHash:     hash,
		CreatedAt:       r.CreatedAt,
		Settled:         r.Settled,
	}
	if err := readNode(r.LSP, &b.LSP); err != nil {
		return Bought{}, fmt.Errorf("lsp: read what was bought: lsp: %w", err)
	}
	return b, nil
}
