package jit

import (
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
)

// stateRecord is any state; Name says which members count.
type stateRecord struct {
	Name      string         `json:"name"`
	Sets      []setRecord    `json:"sets,omitempty"`
	Fee       amount         `json:"fee_msat,omitempty"`
	Waived    amount         `json:"waived_msat,omitempty"`
	Collected amount         `json:"collected_msat,omitempty"`
	Try       *tryRecord     `json:"try,omitempty"`
	Ending    *endingRecord  `json:"ending,omitempty"`
	Channel   *channelRecord `json:"channel,omitempty"`
	Hash      string         `json:"payment_hash,omitempty"`
	Pending   []keyRecord    `json:"pending,omitempty"`
	Claimed   bool           `json:"claimed,omitempty"`
	Refused   bool           `json:"refused,omitempty"`
	Dropping  bool           `json:"dropping,omitempty"`
}

type setRecord struct {
	Hash  string       `json:"payment_hash"`
	Since time.Time    `json:"since"`
	Parts []partRecord `json:"parts"`
}

type partRecord struct {
	keyRecord
	Amount         amount `json:"amount_msat"`
	IncomingAmount amount `json:"incoming_amount_msat"`
	IncomingExpiry uint32 `json:"incoming_expiry_height"`
	OutgoingExpiry uint32 `json:"outgoing_expiry_height"`
}

type tryRecord struct {
	Attempt        int       `json:"attempt,omitempty"`
	Since          time.Time `json:"since,omitzero"`
	Conn           Conn      `json:"conn,omitempty"`
	WithoutAnchors bool      `json:"without_anchors,omitempty"`
}

type endingRecord struct {
	Point string `json:"channel_point,omitempty"`
}

type channelRecord struct {
	Point    string `json:"channel_point"`
	Withheld bool   `json:"withheld,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
	HTLCMin  amount `json:"htlc_minimum_msat,omitempty"`
	MaxHTLCs int    `json:"max_accepted_htlcs,omitempty"`
	Conn     Conn   `json:"conn,omitempty"`
	OpenedOn Conn   `json:"opened_on,omitempty"`
	UsedOn   Conn   `json:"used_on,omitempty"`
	Tried    bool   `json:"tried,omitempty"`
	Alias    bool   `json:"alias,omitempty"`

	Collected amount `json:"collected_msat,omitempty"`
}

func recordState(s State) stateRecord {
	r := stateRecord{Name: s.Name(), Sets: recordSets(s.hold())}
	switch s := s.(type) {
	case AwaitParts:
		r.Ending = recordEnding(s.Ending)
	case AwaitClient:
		r.Fee, r.Try, r.Ending = s.Fee, recordTry(s.Try), recordEnding(s.Ending)
	case AwaitChannel:
		r.Fee, r.Try = s.Fee, recordTry(s.Try)
		if s.Channel != nil {
			r.Channel = recordChannel(*s.Channel)
		}
	case AwaitClaim:
		r.Hash, r.Fee, r.Waived, r.Collected = s.Hash.String(), s.Fee, s.Waived, s.Collected
		r.Claimed, r.Refused, r.Dropping = s.Claimed, s.Refused, s.Dropping
		r.Channel = recordChannel(s.Channel)
		for _, k := range s.Pending {
			r.Pending = append(r.Pending, recordKey(k))
		}
	case Owed:
		r.Channel = recordChannel(s.Channel)
	case Paid:
		r.Channel = recordChannel(s.Channel)
		r.Fee, r.Collected, r.Waived = s.Fee, s.Collected, s.Waived
	case Dead:
	}
	return r
}

func (r stateRecord) state() (State, error) {
	sets, err1 := readSets(r.Sets)
	ending, err2 := r.Ending.ending()
	ch, err3 := r.Channel.channel()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	switch name := r.Name; {
	case name == (AwaitParts{}).Name():
		return AwaitParts{sets, ending}, nil

	case name == (Dead{}).Name():
		return Dead{}, nil

	case name == (AwaitClient{}).Name() && len(sets) > 0:
		return AwaitClient{sets, r.Fee, r.Try.try(), ending}, nil

	case name == (AwaitChannel{}).Name() && len(sets) > 0:
		return AwaitChannel{sets, r.Fee, r.Try.try(), ch}, nil

	case name == (AwaitClaim{}).Name() && ch != nil:
		return r.awaitClaim(sets, *ch)

	case name == (Owed{}).Name() && ch != nil:
		return Owed{sets, *ch}, nil

	case name == (Paid{}).Name() && ch != nil:
		return Paid{sets, *ch, r.Fee, r.Collected, r.Waived}, nil
	}
	return nil, fmt.Errorf("state %q is not known, or something is missing in it", r.Name)
}

func (r stateRecord) awaitClaim(sets []Set, ch Channel) (State, error) {
	hash, err := lntypes.MakeHashFromStr(r.Hash)
	if err != nil {
		return nil, err
	}
	s := AwaitClaim{
		Sets: sets, Hash: hash, Fee: r.Fee, Waived: r.Waived, Collected: r.Collected,
		Claimed: r.Claimed, Refused: r.Refused, Channel: ch, Dropping: r.Dropping,
	}
	for _, k := range r.Pending {
		s.Pending = append(s.Pending, k.key())
	}
	return s, nil
}

func recordSets(sets []Set) (out []setRecord) {
	for _, s := range sets {
		r := setRecord{Hash: s.Hash.String(), Since: s.Since}
		for _, p := range s.Parts {
			r.Parts = append(r.Parts, partRecord{
				recordKey(p.Key), p.Amount, p.IncomingAmount, p.IncomingExpiry, p.OutgoingExpiry,
			})
		}
		out = append(out, r)
	}
	return out
}

func readSets(records []setRecord) (out []Set, _ error) {
	for _, r := range records {
		hash, err := lntypes.MakeHashFromStr(r.Hash)
		if err != nil {
			return nil, err
		}
		if len(r.Parts) == 0 {
			return nil, errors.New("a set without parts")
		}
		s := Set{Hash: hash, Since: r.Since}
		for _, p := range r.Parts {
			s.Parts = append(s.Parts, Part{
				p.key(), hash, p.Amount, p.IncomingAmount, p.IncomingExpiry, p.OutgoingExpiry,
			})
		}
		out = append(out, s)
	}
	return out, nil
}

func recordTry(t Try) *tryRecord {
	return &tryRecord{t.Attempt, t.Since, t.Conn, t.WithoutAnchors}
}

func (r *tryRecord) try() Try {
	if r == nil {
		return Try{}
	}
	return Try{r.Attempt, r.Since, r.Conn, r.WithoutAnchors}
}

func recordEnding(e *Ending) *endingRecord {
	switch {
	case e == nil:
		return nil
	case e.Point == nil:
		return &endingRecord{}
	}
	return &endingRecord{e.Point.String()}
}

func (r *endingRecord) ending() (*Ending, error) {
	switch {
	case r == nil:
		return nil, nil
	case r.Point == "":
		return &Ending{}, nil
	}
	p, err := wire.NewOutPointFromString(r.Point)
	return &Ending{p}, err
}

func recordChannel(c Channel) *channelRecord {
	return &channelRecord{
		c.Point.String(), c.Withheld, c.Gone, c.HTLCMin, c.MaxHTLCs,
		c.Conn, c.OpenedOn, c.UsedOn, c.Tried, c.Alias, c.Collected,
	}
}

func (r *channelRecord) channel() (*Channel, error) {
	if r == nil {
		return nil, nil
	}
	p, err := wire.NewOutPointFromString(r.Point)
	if err != nil {
		return nil, err
	}
	return &Channel{
		Point: *p, Withheld: r.Withheld, Gone: r.Gone, HTLCMin: r.HTLCMin, MaxHTLCs: r.MaxHTLCs,
		Conn: r.Conn, OpenedOn: r.OpenedOn, UsedOn: r.UsedOn, Tried: r.Tried, Alias: r.Alias,
		Collected: r.Collected,
	}, nil
}
