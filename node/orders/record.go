package orders

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// Stage is one step of an order as its timeline tells it.
type Stage string

// The stages, in the order in which a payment that goes well passes them.
const (
	StageBought          Stage = "bought"
	StageFirstPart       Stage = "first_part"
	StageSetComplete     Stage = "set_complete"
	StageClientConnected Stage = "client_connected"
	StageOpenSent        Stage = "open_sent"
	StageAccepted        Stage = "accepted"
	StageFundingCreated  Stage = "funding_created"
	StageFundingSigned   Stage = "funding_signed"
	StageBroadcast       Stage = "broadcast"
	StageChannelReady    Stage = "channel_ready"
	StageForwarded       Stage = "forwarded"
	StageClaimed         Stage = "claimed"
	StageSettled         Stage = "settled"
	StageConfirmed       Stage = "confirmed"
	StageFailed          Stage = "failed"
)

// maxTimeline limits an order's timeline: a payer that tries again and again must
// not grow the record. The first moments stay, they tell how it was sold.
const maxTimeline = 64

// Moment is a stage and when it was reached.
type Moment struct {
	Stage Stage     `json:"stage"`
	At    time.Time `json:"at"`
}

// Failure is why the last payment of an order was refused.
type Failure struct {
	Code   lnwire.FailCode `json:"code"`
	Reason string          `json:"reason"`
}

// Record is an order with what people want to know of it.
type Record struct {
	Order jit.Order
	// Promise is the promise of the item that was bought.
	Promise string
	// Token is the name of the token that the order was bought by; empty: none.
	Token     string
	CreatedAt time.Time

	Timeline []Moment
	Parts    []Part
	Failure  *Failure
	// Hash is of the payment that is being served, or was.
	Hash *lntypes.Hash
	// OpeningFee is known from the buy on for fixed amounts, from the complete set
	// on for variable ones; zero until then.
	OpeningFee lnwire.MilliSatoshi
	// Point is the order's channel, also after it is closed.
	Point *wire.OutPoint
	// OpenedAt is when that channel was signed, OwedSince since when it is funded and not
	// paid for: also after it is closed, and when its fee was waived. Zero: it is not.
	OpenedAt, OwedSince time.Time
}

// stage adds a moment unless this payment has passed the stage already.
func (r *Record) stage(s Stage, at time.Time) bool {
	since := 0
	for i, m := range r.Timeline {
		if m.Stage == StageFirstPart || m.Stage == StageFailed {
			since = i // a new payment passes the stages anew
		}
	}
	for _, m := range r.Timeline[since:] {
		if m.Stage == s {
			return false
		}
	}
	if len(r.Timeline) >= maxTimeline {
		return false
	}
	r.Timeline = append(slices.Clip(r.Timeline), Moment{s, at})
	return true
}

// note writes down what a step means to people. It returns the holds that the step has
// ended.
func (r *Record) note(before jit.Order, ev jit.Event, cmds []jit.Command,
	at time.Time) (ended []Part) {

	r.Parts = slices.Clone(r.Parts) // views hold the old slice
	switch ev := ev.(type) {
	case jit.PartArrived:
		if len(before.Held()) == 0 && len(r.Order.Held()) > 0 {
			r.stage(StageFirstPart, at)
		}
		r.part(Part{Key: ev.Part.Key, Amount: ev.Part.Amount,
			Expiry: ev.Part.IncomingExpiry, State: PartHeld, Since: at})
	case jit.ClientOnline:
		if _, waits := before.State.(jit.AwaitClient); waits {
			r.stage(StageClientConnected, at)
		}
	case jit.OpenSigned:
		r.stage(StageFundingSigned, at)
	case jit.ChannelUsable:
		r.stage(StageChannelReady, at)
	case jit.PartClaimed:
		r.resolved(ev.Key, PartClaimed, "")
		r.stage(StageSettled, at)
	case jit.PartFailed:
		r.resolved(ev.Key, PartFailed, whoFailed(ev))
	case jit.PartStuck:
		r.stillHeld(ev.Key)
	}
	r.noteState(before, at)
	for _, c := range cmds {
		if p := r.noteCommand(c, at); p != nil {
			ended = append(ended, *p)
		}
	}
	return append(ended, r.vanished(at)...)
}

func (r *Record) noteState(before jit.Order, at time.Time) {
	switch s := r.Order.State.(type) {
	case jit.AwaitClient:
		r.OpeningFee, r.Hash = s.Fee, &s.Sets[0].Hash
	case jit.AwaitChannel:
		r.OpeningFee, r.Hash = s.Fee, &s.Sets[0].Hash
	case jit.AwaitClaim:
		r.OpeningFee, r.Hash = s.Fee+s.Waived, &s.Hash
	}
	if _, ok := before.State.(jit.AwaitParts); ok && before.State.Name() != r.Order.State.Name() {
		r.stage(StageSetComplete, at)
	}
	if ch, ok := r.Order.Channel(); ok && (r.Point == nil || *r.Point != ch.Point) {
		point := ch.Point
		r.Point, r.OpenedAt = &point, at
	}
	r.noteDebt(before, at)
}

// noteDebt keeps since when a channel is owed for. It counts against the client until the
// fee is paid, and for a while when it never is.
func (r *Record) noteDebt(before jit.Order, at time.Time) {
	owed := !r.OwedSince.IsZero()
	switch s := r.Order.State.(type) {
	case jit.Owed:
		owed = true
	case jit.Dead:
		ch, ok := before.Channel()
		owed = owed || ok && !ch.Withheld && before.Unpaid()
	case jit.Paid:
		owed = s.Fee == 0 && s.Waived > 0
	}
	switch {
	case !owed:
		r.OwedSince = time.Time{}
	case r.OwedSince.IsZero():
		r.OwedSince = at
	}
}

// noteCommand returns the part whose hold the command ends.
func (r *Record) noteCommand(c jit.Command, at time.Time) *Part {
	switch c := c.(type) {
	case jit.ForwardPart:
		r.stage(StageForwarded, at)
		return r.forwarded(c.Key, c.ExtraFee, at)
	case jit.ResumePart:
		return r.forwarded(c.Key, c.ExtraFee, at)
	case jit.FailPart:
		p := r.failed(c, at)
		if p == nil {
			return nil // offered again, and failed as before
		}
		r.Failure = &Failure{Code: c.Code, Reason: c.Reason}
		r.stage(StageFailed, at)
		return p
	}
	return nil
}

// recordV1 is a Record on disk.
type recordV1 struct {
	V          int                 `json:"v"`
	Order      json.RawMessage     `json:"order"`
	Promise    string              `json:"promise"`
	Token      string              `json:"token,omitempty"`
	CreatedAt  time.Time           `json:"created_at"`
	Timeline   []Moment            `json:"timeline"`
	Parts      []Part              `json:"parts,omitempty"`
	Failure    *Failure            `json:"failure,omitempty"`
	Hash       string              `json:"payment_hash,omitempty"`
	OpeningFee lnwire.MilliSatoshi `json:"opening_fee_msat,omitempty"`
	Point      string              `json:"channel_point,omitempty"`
	OpenedAt   *time.Time          `json:"opened_at,omitempty"`
	OwedSince  *time.Time          `json:"owed_since,omitempty"`
}

// Marshal encodes a record for the store.
func Marshal(r Record) ([]byte, error) {
	order, err := jit.Marshal(r.Order)
	if err != nil {
		return nil, fmt.Errorf("orders: encode order %s: %w", r.Order.ID, err)
	}
	v := recordV1{
		V: 1, Order: order, Promise: r.Promise, Token: r.Token, CreatedAt: r.CreatedAt.UTC(),
		Timeline: r.Timeline, Parts: r.Parts, Failure: r.Failure, OpeningFee: r.OpeningFee,
	}
	if r.Hash != nil {
		v.Hash = r.Hash.String()
	}
	if r.Point != nil {
		v.Point = r.Point.String()
	}
	v.OpenedAt, v.OwedSince = someTime(r.OpenedAt), someTime(r.OwedSince)
	return json.Marshal(v)
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Unmarshal decodes what Marshal made.
func Unmarshal(raw []byte) (Record, error) {
	var v recordV1
	if err := json.Unmarshal(raw, &v); err != nil {
		return Record{}, fmt.Errorf("orders: decode record: %w", err)
	}
	if v.V != 1 {
		return Record{}, fmt.Errorf("orders: record has version %d, only 1 is known: "+
			"it was written by a newer inlet", v.V)
	}
	order, err := jit.Unmarshal(v.Order)
	if err != nil {
		return Record{}, fmt.Errorf("orders: decode order: %w", err)
	}
	r := Record{
		Order: order, Promise: v.Promise, Token: v.Token, CreatedAt: v.CreatedAt,
		Timeline: v.Timeline, Parts: v.Parts, Failure: v.Failure, OpeningFee: v.OpeningFee,
	}
	if v.Hash != "" {
		hash, err := lntypes.MakeHashFromStr(v.Hash)
		if err != nil {
			return Record{}, fmt.Errorf("orders: decode hash of order %s: %w", order.ID, err)
		}
		r.Hash = &hash
	}
	if v.Point != "" {
		if r.Point, err = wire.NewOutPointFromString(v.Point); err != nil {
			return Record{}, fmt.Errorf("orders: decode channel of order %s: %w", order.ID, err)
		}
	}
	if v.OpenedAt != nil {
		r.OpenedAt = *v.OpenedAt
	}
	if v.OwedSince != nil {
		r.OwedSince = *v.OwedSince
	}
	return r, nil
}
