package pay

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
)

// recordVersion is the version of payment records that this program writes.
const recordVersion = 1

// storedPayment is a payment in the store. What only new attempts need of the invoice is not kept,
// since none are made after a restart. Times are Unix milliseconds, 0 for none.
type storedPayment struct {
	V           int             `json:"v"`
	Bolt11      string          `json:"bolt11"`
	Hash        text            `json:"payment_hash"`
	Destination text            `json:"destination"`
	ExpiresAt   int64           `json:"expires_at_ms"`
	AmountMsat  uint64          `json:"amount_msat"`
	MaxFeeMsat  uint64          `json:"max_fee_msat"`
	CreatedAt   int64           `json:"created_at_ms"`
	DeadlineAt  int64           `json:"deadline_at_ms"`
	EndedAt     int64           `json:"ended_at_ms"`
	State       string          `json:"state"`
	Preimage    text            `json:"preimage,omitempty"`
	Failure     *storedFailure  `json:"failure,omitempty"`
	Attempts    []storedAttempt `json:"attempts"`
}

type storedAttempt struct {
	ID         uint64         `json:"id"`
	SessionKey text           `json:"session_key"`
	AmountMsat uint64         `json:"amount_msat"`
	Status     Status         `json:"status"`
	Hops       []storedHop    `json:"hops"`
	Failure    *storedFailure `json:"failure,omitempty"`
}

type storedHop struct {
	Node         text   `json:"node"`
	Scid         uint64 `json:"scid"`
	AmountMsat   uint64 `json:"amount_msat"`
	ExpiryHeight uint32 `json:"expiry_height"`
}

type storedFailure struct {
	Code   string `json:"code,omitempty"`
	Source string `json:"source"`
	Text   string `json:"text"`
}

// text is bytes in hex.
type text []byte

// MarshalText implements encoding.TextMarshaler.
func (t text) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, t), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *text) UnmarshalText(raw []byte) (err error) {
	*t, err = hex.AppendDecode(nil, raw)
	return err
}

// The names of the states in records.
const (
	nameSending  = "sending"
	nameDraining = "draining"
	namePaid     = "paid"
	nameFailed   = "failed"
)

// encode writes a payment for the store.
func (t transfer) encode() ([]byte, error) {
	r := storedPayment{
		V:           recordVersion,
		Bolt11:      t.bill.bolt11,
		Hash:        t.bill.hash[:],
		Destination: t.bill.dest[:],
		ExpiresAt:   millis(t.bill.expires),
		AmountMsat:  uint64(t.amount),
		MaxFeeMsat:  uint64(t.maxFee),
		CreatedAt:   millis(t.created),
		DeadlineAt:  millis(t.deadline),
		EndedAt:     millis(t.ended),
		Attempts:    make([]storedAttempt, len(t.attempts)),
	}
	switch s := t.state.(type) {
	case sending:
		r.State = nameSending
	case draining:
		r.State, r.Failure = nameDraining, (*storedFailure)(&s.why)
	case paid:
		r.State, r.Preimage = namePaid, s.preimage[:]
	case failed:
		r.State, r.Failure = nameFailed, (*storedFailure)(&s.why)
	}
	for n, a := range t.attempts {
		r.Attempts[n] = storedAttempt{
			ID:         a.id,
			SessionKey: a.key[:],
			AmountMsat: uint64(a.amount),
			Status:     a.status,
			Failure:    (*storedFailure)(a.failure),
			Hops:       make([]storedHop, len(a.hops)),
		}
		for k, h := range a.hops {
			r.Attempts[n].Hops[k] = storedHop{Node: h.node[:], Scid: h.scid.ToUint64(),
				AmountMsat: uint64(h.amount), ExpiryHeight: h.expiry}
		}
	}
	return json.Marshal(r)
}

// decodeTransfer reads a payment of the store.
func decodeTransfer(index uint64, raw []byte) (transfer, error) {
	var r storedPayment
	if err := json.Unmarshal(raw, &r); err != nil {
		return transfer{}, fmt.Errorf("pay: read payment %d: %w", index, err)
	}
	if r.V != recordVersion {
		return transfer{}, fmt.Errorf("pay: read payment %d: version %d is not known: "+
			"run the newer program that wrote it", index, r.V)
	}
	t := transfer{
		index:    index,
		bill:     bill{bolt11: r.Bolt11, expires: fromMillis(r.ExpiresAt)},
		amount:   lnwire.MilliSatoshi(r.AmountMsat),
		maxFee:   lnwire.MilliSatoshi(r.MaxFeeMsat),
		created:  fromMillis(r.CreatedAt),
		deadline: fromMillis(r.DeadlineAt),
		ended:    fromMillis(r.EndedAt),
		attempts: make([]attempt, len(r.Attempts)),
	}
	ok := fill(t.bill.hash[:], r.Hash) && fill(t.bill.dest[:], r.Destination)
	ok = t.setState(r) && ok
	for n, a := range r.Attempts {
		t.attempts[n] = attempt{
			id:      a.ID,
			amount:  lnwire.MilliSatoshi(a.AmountMsat),
			status:  a.Status,
			failure: (*Failure)(a.Failure),
			hops:    make([]routeHop, len(a.Hops)),
		}
		ok = fill(t.attempts[n].key[:], a.SessionKey) && len(a.Hops) > 0 && ok
		for k, h := range a.Hops {
			var node route.Vertex
			ok = fill(node[:], h.Node) && ok
			t.attempts[n].hops[k] = routeHop{node: node,
				scid:   lnwire.NewShortChanIDFromInt(h.Scid),
				amount: lnwire.MilliSatoshi(h.AmountMsat), expiry: h.ExpiryHeight}
		}
	}
	if !ok {
		return transfer{}, fmt.Errorf("pay: read payment %d: a field is damaged", index)
	}
	return t, nil
}

// setState reads the state of a record.
func (t *transfer) setState(r storedPayment) bool {
	why := Failure{}
	if r.Failure != nil {
		why = Failure(*r.Failure)
	}
	switch r.State {
	case nameSending:
		t.state = sending{}
	case nameDraining:
		t.state = draining{why: why}
	case nameFailed:
		t.state = failed{why: why}
	case namePaid:
		var preimage lntypes.Preimage
		t.state = paid{preimage: preimage}
		if !fill(preimage[:], r.Preimage) {
			return false
		}
		t.state = paid{preimage: preimage}
	default:
		return false
	}
	return true
}

// fill copies bytes of exactly the wanted length.
func fill(dst []byte, src text) bool { return copy(dst, src) == len(dst) && len(src) == len(dst) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
