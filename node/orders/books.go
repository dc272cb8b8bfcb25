package orders

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
)

// Book is one order as the store and a backup keep it.
type Book struct {
	ID     string
	Record json.RawMessage
}

// Over says that nothing hangs on the order any more, unless its channel is open: it is at its end, and
// nothing is owed for it.
func (r Record) Over() bool { return final(r.Order.State) && r.OwedSince.IsZero() }

// Books are orders to keep, by id.
func Books(records []Record) ([]Book, error) {
	books := make([]Book, 0, len(records))
	for _, r := range records {
		raw, err := Marshal(r)
		if err != nil {
			return nil, err
		}
		books = append(books, Book{ID: r.Order.ID, Record: raw})
	}
	slices.SortFunc(books, func(a, b Book) int { return strings.Compare(a.ID, b.ID) })
	return books, nil
}

// restoredReason is why an order that was open is not any more.
const restoredReason = "the node was restored from a backup"

// Restore puts the books of a backup back, for people and for the count of what clients have left
// unpaid. The orders are all at their end: no HTLC of theirs is known any more, and their channels
// are being closed, so none may hold or open anything.
func Restore(db kvdb.Backend, books []Book) error {
	if err := createBucket(db); err != nil {
		return err
	}
	rows := make([][]byte, 0, len(books))
	for _, o := range books {
		r, err := Unmarshal(o.Record)
		if err != nil {
			return fmt.Errorf("orders: restore order %.128q: %w", o.ID, err)
		}
		if r.Order.ID != o.ID {
			return fmt.Errorf("orders: restore order %.128q: its record is that of %.128q", o.ID, r.Order.ID)
		}
		raw, err := Marshal(ended(r))
		if err != nil {
			return err
		}
		rows = append(rows, raw)
	}
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		b := tx.ReadWriteBucket(ordersBucket)
		for i, o := range books {
			if err := b.Put([]byte(o.ID), rows[i]); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("orders: restore: %w", err)
	}
	return nil
}

// ended brings an order to its end. What is known of its past stays as it is.
func ended(r Record) Record {
	r.Order.Answered, r.Order.Overrun = nil, false
	if s, paid := r.Order.State.(jit.Paid); paid {
		s.Sets = nil
		s.Channel.Gone = true // its scid leads nowhere
		s.Channel.Conn, s.Channel.OpenedOn, s.Channel.UsedOn = 0, 0, 0
		s.Channel.Withheld = false
		r.Order.State = s
	} else {
		if !final(r.Order.State) {
			r.Failure = &Failure{Code: lnwire.CodeUnknownNextPeer, Reason: restoredReason}
		}
		r.Order.State = jit.Dead{}
	}
	r.Parts = slices.Clone(r.Parts)
	for i := range r.Parts {
		if p := &r.Parts[i]; p.State == PartHeld {
			p.State = PartGone
			p.Ended = PartGone
		}
	}
	return r
}
