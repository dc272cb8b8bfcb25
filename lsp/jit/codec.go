package jit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// version is that of the order's record. A newer record is refused: reading it in
// part could fund a second channel.
const version = 1

// ErrVersion is for a record of another version.
var ErrVersion = errors.New("jit: the record was written by another version")

// orderRecord is an Order in JSON. Amounts are integers of millisatoshi, scids the
// integers of BOLT 7, times RFC 3339 in UTC.
type orderRecord struct {
	V        int            `json:"v"`
	ID       string         `json:"id"`
	Terms    termsRecord    `json:"terms"`
	State    stateRecord    `json:"state"`
	Answered []answerRecord `json:"answered,omitempty"`
	Overrun  bool           `json:"overrun,omitempty"`
}

// Marshal gives the order's record.
func Marshal(o Order) ([]byte, error) {
	r := orderRecord{
		V: version, ID: o.ID, Terms: recordTerms(o.Terms), State: recordState(o.State),
		Overrun: o.Overrun,
	}
	for _, a := range o.Answered {
		r.Answered = append(r.Answered, answerRecord{
			keyRecord: recordKey(a.Key), Code: uint16(a.Code), Amount: a.Amount,
			ExtraFee: a.ExtraFee, Expiry: a.Expiry, Until: a.Until, Resolved: a.Resolved,
		})
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("jit: write order %s: %w", o.ID, err)
	}
	return b, nil
}

// Unmarshal reads what Marshal gave. A record of another version is ErrVersion.
func Unmarshal(b []byte) (Order, error) {
	o, err := unmarshal(b)
	if err != nil {
		return Order{}, fmt.Errorf("jit: read order: %w", err)
	}
	return o, nil
}

func unmarshal(b []byte) (Order, error) {
	var r orderRecord
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(&r)
	if r.V != version {
		// A newer record has members that we do not know: say that, and not which.
		var v struct {
			V int `json:"v"`
		}
		if json.Unmarshal(b, &v) == nil && v.V != version {
			return Order{}, fmt.Errorf("%w: %d", ErrVersion, v.V)
		}
	}
	if err != nil {
		return Order{}, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return Order{}, errors.New("data after the record")
	}
	return r.order()
}

func (r orderRecord) order() (Order, error) {
	terms, err := r.Terms.terms()
	if err != nil {
		return Order{}, err
	}
	state, err := r.State.state()
	if err != nil {
		return Order{}, err
	}
	o := New(r.ID, terms)
	o.State, o.Overrun = state, r.Overrun
	for _, a := range r.Answered {
		o.Answered = append(o.Answered, Answer{
			Key: a.key(), Code: lnwire.FailCode(a.Code), Amount: a.Amount,
			ExtraFee: a.ExtraFee, Expiry: a.Expiry, Until: a.Until, Resolved: a.Resolved,
		})
	}
	return o, nil
}

type keyRecord struct {
	Chan  uint64 `json:"incoming_scid"`
	Index uint64 `json:"incoming_id"`
}

func recordKey(k CircuitKey) keyRecord { return keyRecord{k.Chan.ToUint64(), k.Index} }

func (r keyRecord) key() CircuitKey {
	return CircuitKey{lnwire.NewShortChanIDFromInt(r.Chan), r.Index}
}

type answerRecord struct {
	keyRecord
	Code     uint16    `json:"failure_code,omitempty"`
	Amount   amount    `json:"amount_msat,omitempty"`
	ExtraFee amount    `json:"extra_fee_msat,omitempty"`
	Expiry   uint32    `json:"incoming_expiry_height"`
	Until    time.Time `json:"held_until,omitzero"`
	Resolved bool      `json:"resolved,omitempty"`
}
