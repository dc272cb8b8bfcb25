package orders

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// What became of a part.
const (
	PartHeld      = "held"
	PartForwarded = "forwarded"
	PartClaimed   = "claimed"
	PartFailed    = "failed"
	// PartGone: its channel went on chain, or it was gone after a restart, before it was
	// forwarded or failed.
	PartGone = "gone"
)

const (
	// maxParts limits how many parts a record tells of; the latest stay.
	maxParts = 64
	// maxReason limits the reason of one part, which may quote the client.
	maxReason = 160
)

// Part is what became of one HTLC of the order, for people to read.
type Part struct {
	Key      jit.CircuitKey
	Amount   lnwire.MilliSatoshi
	ExtraFee lnwire.MilliSatoshi
	Expiry   uint32 // height of the incoming HTLC
	State    string // one of the Part constants

	// Since is when the HTLC was offered, Held for how long it was held from then on until
	// it was forwarded or failed.
	Since time.Time
	Held  time.Duration
	// Ended is how the hold ended: forwarded, failed or gone; empty while it is held.
	Ended string
	// Code is what the payer was told if this node has failed it, Reason why it failed,
	// By who has failed it: lsp or client.
	Code   lnwire.FailCode
	Reason string
	By     string
}

// How names the end of the hold for counters: few different words.
func (p Part) How() string {
	if p.Ended == PartFailed {
		return FailureName(p.Code)
	}
	return p.Ended
}

// FailureName is the name that BOLT 4 has for a failure code.
func FailureName(code lnwire.FailCode) string {
	if name, ok := boltNames[code]; ok {
		return name
	}
	return code.String()
}

// boltNames are the codes that this LSP gives to payers.
var boltNames = map[lnwire.FailCode]string{
	lnwire.CodeTemporaryNodeFailure:    "temporary_node_failure",
	lnwire.CodeTemporaryChannelFailure: "temporary_channel_failure",
	lnwire.CodePermanentChannelFailure: "permanent_channel_failure",
	lnwire.CodeUnknownNextPeer:         "unknown_next_peer",
	lnwire.CodeAmountBelowMinimum:      "amount_below_minimum",
	lnwire.CodeFeeInsufficient:         "fee_insufficient",
	lnwire.CodeIncorrectCltvExpiry:     "incorrect_cltv_expiry",
	lnwire.CodeExpiryTooSoon:           "expiry_too_soon",
	lnwire.CodeExpiryTooFar:            "expiry_too_far",
}

// find is the part in the record; nil if it is not told of any more.
func (r *Record) find(key jit.CircuitKey) *Part {
	for i := range r.Parts {
		if r.Parts[i].Key == key {
			return &r.Parts[i]
		}
	}
	return nil
}

// part adds a part, unless it is offered again.
func (r *Record) part(p Part) {
	if r.find(p.Key) == nil {
		r.Parts = append(r.Parts, p)
		r.Parts = r.Parts[max(0, len(r.Parts)-maxParts):]
	}
}

// end notes how a hold ended, once.
func (p *Part) end(how string, at time.Time) bool {
	if p.Ended != "" {
		return false
	}
	p.Ended, p.State, p.Held = how, how, max(at.Sub(p.Since), 0)
	return true
}

// forwarded returns the part if its hold ends with this.
func (r *Record) forwarded(key jit.CircuitKey, fee lnwire.MilliSatoshi, at time.Time) *Part {
	p := r.find(key)
	if p == nil {
		return nil
	}
	p.ExtraFee = fee
	if !p.end(PartForwarded, at) {
		return nil
	}
	return p
}

// failed returns the part if its hold ends with this. One that the record tells of no
// more is returned with what is known.
func (r *Record) failed(c jit.FailPart, at time.Time) *Part {
	p := r.find(c.Key)
	if p == nil {
		return &Part{Key: c.Key, Ended: PartFailed, Code: c.Code}
	}
	if !p.end(PartFailed, at) {
		return nil
	}
	p.Code, p.Reason, p.By = c.Code, c.Reason[:min(len(c.Reason), maxReason)], "lsp"
	return p
}

// resolved is the outcome of a part that was forwarded.
func (r *Record) resolved(key jit.CircuitKey, state, by string) {
	p := r.find(key)
	if p == nil || p.Ended != PartForwarded {
		return
	}
	p.State, p.By = state, by
	switch by {
	case "client":
		p.Reason = "the client failed it"
	case "lsp":
		p.Reason = "it could not be passed to the client"
	}
}

func whoFailed(ev jit.PartFailed) string {
	if ev.Ours {
		return "lsp"
	}
	return "client"
}

// stillHeld takes a forward back that never left: the part was held all the time.
func (r *Record) stillHeld(key jit.CircuitKey) {
	if p := r.find(key); p != nil && p.State == PartForwarded {
		p.State, p.Ended, p.Held, p.ExtraFee = PartHeld, "", 0, 0
	}
}

// vanished ends the holds of parts that the order has neither answered nor in hand.
func (r *Record) vanished(at time.Time) (ended []Part) {
	var held map[jit.CircuitKey]bool
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.Ended != "" {
			continue
		}
		if held == nil {
			held = map[jit.CircuitKey]bool{}
			for _, h := range r.Order.Held() {
				held[h.Key] = true
			}
		}
		if !held[p.Key] && p.end(PartGone, at) {
			ended = append(ended, *p)
		}
	}
	return ended
}

// partV1 is a Part on disk.
type partV1 struct {
	Scid     uint64              `json:"incoming_scid"`
	Index    uint64              `json:"incoming_id"`
	Amount   lnwire.MilliSatoshi `json:"amount_msat"`
	ExtraFee lnwire.MilliSatoshi `json:"extra_fee_msat,omitempty"`
	Expiry   uint32              `json:"expiry_height"`
	State    string              `json:"state"`
	Since    *time.Time          `json:"since,omitempty"`
	HeldMs   int64               `json:"held_ms,omitempty"`
	Ended    string              `json:"ended,omitempty"`
	Code     lnwire.FailCode     `json:"code,omitempty"`
	Reason   string              `json:"reason,omitempty"`
	By       string              `json:"by,omitempty"`
}

// MarshalJSON encodes the part for the store.
func (p Part) MarshalJSON() ([]byte, error) {
	v := partV1{
		Scid: p.Key.Chan.ToUint64(), Index: p.Key.Index, Amount: p.Amount, ExtraFee: p.ExtraFee,
		Expiry: p.Expiry, State: p.State, HeldMs: p.Held.Milliseconds(), Ended: p.Ended,
		Code: p.Code, Reason: p.Reason, By: p.By,
	}
	if !p.Since.IsZero() {
		since := p.Since.UTC()
		v.Since = &since
	}
	return json.Marshal(v)
}

// UnmarshalJSON decodes what MarshalJSON made. A part of an older record that was held no
// more tells only what became of it.
func (p *Part) UnmarshalJSON(raw []byte) error {
	var v partV1
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("orders: decode part: %w", err)
	}
	*p = Part{
		Key:    jit.CircuitKey{Chan: lnwire.NewShortChanIDFromInt(v.Scid), Index: v.Index},
		Amount: v.Amount, ExtraFee: v.ExtraFee, Expiry: v.Expiry, State: v.State,
		Held: time.Duration(v.HeldMs) * time.Millisecond, Ended: v.Ended,
		Code: v.Code, Reason: v.Reason, By: v.By,
	}
	if v.Since != nil {
		p.Since = *v.Since
	}
	if p.Ended == "" && p.State != PartHeld {
		p.Ended = PartForwarded
		if p.State == PartFailed {
			p.Ended = PartFailed
		}
	}
	return nil
}
