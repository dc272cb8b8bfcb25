package chanfactory

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/kvdb"
)

// fundingBucket holds one record for each tag: what we are about to fund, or have funded, and
// whether its transaction may be out.
var fundingBucket = []byte("inlet-fundings")

// recordVersion is the only one there is.
const recordVersion = 1

// record is a funding of ours on disk.
//
// It is written once before funding_created leaves, with the signed transaction and with whether
// that is to be withheld. That alone decides after a crash: without the channel in the store the
// transaction was never out (the peer's signature was not stored), with it the transaction may be
// out unless it is withheld. Only a release, a drop and the confirmation write again.
type record struct {
	tag      string
	peer     [33]byte
	point    wire.OutPoint
	tx       *wire.MsgTx // nil when settled
	withhold bool
	state    recordState
}

type recordState string

const (
	recordIntended  recordState = "intended"
	recordReleased  recordState = "released" // a withheld one was let out
	recordConfirmed recordState = "confirmed"
	recordDropped   recordState = "dropped"
)

// follows lists the changes that a record may make. Nothing leads out of dropped and confirmed,
// and nothing from released to dropped: what may be out can't be taken back.
func (s recordState) follows(from recordState) bool {
	switch s {
	case recordReleased, recordDropped:
		return from == recordIntended
	case recordConfirmed:
		return from == recordIntended || from == recordReleased
	}
	return false
}

// mayBeOut says whether the transaction may be broadcast, once the channel is stored.
func (r *record) mayBeOut() bool {
	switch r.state {
	case recordIntended:
		return !r.withhold
	case recordReleased, recordConfirmed:
		return true
	}
	return false
}

// inputs are the coins that the transaction spends.
func (r *record) inputs() []wire.OutPoint {
	if r.tx == nil {
		return nil
	}
	return inputsOf(r.tx)
}

func inputsOf(tx *wire.MsgTx) []wire.OutPoint {
	points := make([]wire.OutPoint, 0, len(tx.TxIn))
	for _, in := range tx.TxIn {
		points = append(points, in.PreviousOutPoint)
	}
	return points
}

// recordJSON is the record as it is stored.
type recordJSON struct {
	Version  int         `json:"v"`
	Tag      string      `json:"tag"`
	Peer     string      `json:"peer"`
	Point    string      `json:"point"`
	Tx       string      `json:"tx,omitempty"`
	Withhold bool        `json:"withhold"`
	State    recordState `json:"state"`
}

func (r *record) encode() ([]byte, error) {
	j := recordJSON{
		Version: recordVersion, Tag: r.tag, Peer: hex.EncodeToString(r.peer[:]),
		Point: r.point.String(), Withhold: r.withhold, State: r.state,
	}
	if r.tx != nil {
		var b bytes.Buffer
		if err := r.tx.Serialize(&b); err != nil {
			return nil, fmt.Errorf("chanfactory: encode funding transaction: %w", err)
		}
		j.Tx = hex.EncodeToString(b.Bytes())
	}
	return json.Marshal(j)
}

func decodeRecord(data []byte) (*record, error) {
	var j recordJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return nil, fmt.Errorf("chanfactory: decode funding: %w", err)
	}
	if j.Version != recordVersion {
		return nil, fmt.Errorf("chanfactory: decode funding %q: version %d is not known: "+
			"run the version of inlet that wrote it", j.Tag, j.Version)
	}
	r := &record{tag: j.Tag, withhold: j.Withhold, state: j.State}
	switch j.State {
	case recordIntended, recordReleased, recordConfirmed, recordDropped:
	default:
		return nil, fmt.Errorf("chanfactory: decode funding %q: state %q", j.Tag, j.State)
	}
	peer, err := hex.DecodeString(j.Peer)
	if err != nil || copy(r.peer[:], peer) != len(peer) || len(peer) != len(r.peer) {
		return nil, fmt.Errorf("chanfactory: decode funding %q: peer %q", j.Tag, j.Peer)
	}
	point, err := wire.NewOutPointFromString(j.Point)
	if err != nil {
		return nil, fmt.Errorf("chanfactory: decode funding %q: %w", j.Tag, err)
	}
	r.point = *point
	if j.Tx == "" {
		return r, nil
	}
	raw, err := hex.DecodeString(j.Tx)
	if err != nil {
		return nil, fmt.Errorf("chanfactory: decode funding %q: %w", j.Tag, err)
	}
	r.tx = new(wire.MsgTx)
	if err := r.tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("chanfactory: decode funding %q: %w", j.Tag, err)
	}
	if r.tx.TxHash() != r.point.Hash {
		return nil, fmt.Errorf("chanfactory: decode funding %q: it has another transaction", j.Tag)
	}
	return r, nil
}

// journal keeps the records, on disk and in memory. A write is on disk when it returns.
type journal struct {
	db kvdb.Backend

	mu     sync.Mutex
	byTag  map[string]*record       // guarded by mu; the records are never changed in place
	tagFor map[wire.OutPoint]string // guarded by mu
	stored map[wire.OutPoint]bool   // guarded by mu; the channel is in the store
	ready  map[wire.OutPoint]bool   // guarded by mu; channel_ready has gone both ways
	coins  map[wire.OutPoint]string // guarded by mu; tags whose transactions spend them, or will
}

// openJournal reads all records.
func openJournal(db kvdb.Backend) (*journal, error) {
	j := &journal{db: db}
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		bucket, err := tx.CreateTopLevelBucket(fundingBucket)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(_, data []byte) error {
			r, err := decodeRecord(data)
			if err != nil {
				return err
			}
			j.byTag[r.tag], j.tagFor[r.point] = r, r.tag
			j.hold(r)
			return nil
		})
	}, func() {
		j.coins = map[wire.OutPoint]string{}
		j.byTag, j.tagFor = map[string]*record{}, map[wire.OutPoint]string{}
		j.stored, j.ready = map[wire.OutPoint]bool{}, map[wire.OutPoint]bool{}
	})
	if err != nil {
		return nil, fmt.Errorf("chanfactory: read fundings: %w", err)
	}
	return j, nil
}

// intend writes what we are about to fund. Errors: ErrTagUsed, errCoinTaken.
//
// Leases keep coins apart. Should one have gone astray, two channels would be funded with one coin:
// the client whose funding comes second would own a channel that can never be. So it is refused here.
func (j *journal) intend(r *record) error {
	if old := j.find(r.tag); old != nil && old.state != recordDropped {
		return ErrTagUsed
	}
	if err := j.take(r); err != nil {
		return err
	}
	err := j.put(r)
	if err != nil {
		j.mu.Lock()
		j.letGo(r)
		j.mu.Unlock()
	}
	return err
}

// errCoinTaken: another funding that may be out, or may come out, spends a coin already.
var errCoinTaken = errors.New("a coin is in another funding already")

// take notes the coins of a new record.
func (j *journal) take(r *record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, coin := range r.inputs() {
		if tag, ok := j.coins[coin]; ok && tag != r.tag {
			return fmt.Errorf("chanfactory: fund %q: %w: %v in that of %q", r.tag, errCoinTaken, coin, tag)
		}
	}
	j.hold(r)
	return nil
}

// hold notes the coins of a record whose transaction may be out, or may come out. The caller holds
// j.mu, or is alone.
func (j *journal) hold(r *record) {
	if r.state != recordIntended && r.state != recordReleased {
		return
	}
	for _, coin := range r.inputs() {
		j.coins[coin] = r.tag
	}
}

// letGo forgets the coins of a record. The caller holds j.mu.
func (j *journal) letGo(r *record) {
	for _, coin := range r.inputs() {
		if j.coins[coin] == r.tag {
			delete(j.coins, coin)
		}
	}
}

// move changes a record's state. Moving to the state that it has is fine.
func (j *journal) move(tag string, to recordState) error {
	old := j.find(tag)
	switch {
	case old == nil:
		return fmt.Errorf("chanfactory: funding %q: %w", tag, ErrUnknownChannel)
	case old.state == to:
		return nil
	case !to.follows(old.state), to == recordDropped && !old.withhold:
		return fmt.Errorf("chanfactory: funding %q is %s and can't become %s", tag, old.state, to)
	}
	r := *old
	if r.state = to; to == recordConfirmed {
		r.tx = nil // only its tag is of use any more
	}
	return j.put(&r)
}

func (j *journal) put(r *record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	err = kvdb.Update(j.db, func(tx kvdb.RwTx) error {
		return tx.ReadWriteBucket(fundingBucket).Put([]byte(r.tag), data)
	}, func() {})
	if err != nil {
		return fmt.Errorf("chanfactory: store funding %q: %w", r.tag, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.byTag[r.tag]; old != nil {
		delete(j.tagFor, old.point)
		j.letGo(old)
	}
	j.byTag[r.tag], j.tagFor[r.point] = r, r.tag
	j.hold(r)
	return nil
}

// thin takes the transaction out of the record of a dropped funding whose channel and leases are
// gone. The rest stays, for its order may not have heard of the drop; but fundings that come to
// nothing cost their clients nothing, and must not fill the disk.
func (j *journal) thin(r *record) error {
	if r.tx == nil {
		return nil
	}
	thinned := *r
	thinned.tx = nil
	return j.put(&thinned)
}

// forget removes an intent whose channel was never stored.
func (j *journal) forget(tag string, point wire.OutPoint) error {
	if old := j.find(tag); old == nil || old.point != point {
		return nil
	}
	err := kvdb.Update(j.db, func(tx kvdb.RwTx) error {
		return tx.ReadWriteBucket(fundingBucket).Delete([]byte(tag))
	}, func() {})
	if err != nil {
		return fmt.Errorf("chanfactory: remove funding %q: %w", tag, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.letGo(j.byTag[tag])
	delete(j.byTag, tag)
	delete(j.tagFor, point)
	return nil
}

// find returns a tag's record or nil. The record must not be changed.
func (j *journal) find(tag string) *record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byTag[tag]
}

// findPoint returns a channel's record or nil.
func (j *journal) findPoint(point wire.OutPoint) *record {
	j.mu.Lock()
	defer j.mu.Unlock()
	if tag, ok := j.tagFor[point]; ok {
		return j.byTag[tag]
	}
	return nil
}

// markStored and markReady note what the channel's own record on disk says.
func (j *journal) markStored(point wire.OutPoint) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stored[point] = true
}

func (j *journal) markReady(point wire.OutPoint) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ready[point] = true
}

// list returns all records.
func (j *journal) list() []*record {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]*record, 0, len(j.byTag))
	for _, r := range j.byTag {
		all = append(all, r)
	}
	return all
}

// state is what callers call a record's state.
func (j *journal) state(r *record) Funding {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := Funding{
		Tag: r.tag, Peer: r.peer, Point: r.point, Tx: r.tx, Ready: j.ready[r.point],
	}
	switch {
	case r.state == recordDropped:
		f.State = Gone
	case r.state == recordConfirmed:
		f.State = Settled
	case !j.stored[r.point]:
		f.State = Intended
	case r.mayBeOut():
		f.State = Released
	default:
		f.State = Withheld
	}
	return f
}
