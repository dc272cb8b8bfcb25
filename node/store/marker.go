package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
)

// The marker is a small file beside the database that says how new the database must be at least. An
// old copy of the database is a danger that nothing inside it can show: its channels are in states that
// were revoked, and to publish or to sign for one of those costs the whole channel.
//
// At each Open a generation is drawn at random and stored in both. So a copy from before the last Open
// has another generation than the marker, and one that was made later, before a clean stop, has a
// smaller transaction number. What can't be seen: a copy of both files together, and a copy from within
// a run that ended in a crash.

// generationKey is beside the schema in metaBucket.
var generationKey = []byte("generation")

const generationSize = 16

// maxMarkerBytes is far more than a marker has.
const maxMarkerBytes = 4096

// markerV1 is the marker's content.
type markerV1 struct {
	V int `json:"v"`
	// Generation is what the database must have, with TxID at least.
	Generation string `json:"generation"`
	TxID       int    `json:"txid"`
	// Next is allowed instead: it was about to be written when the marker was.
	Next string `json:"next,omitempty"`
}

// markerPath is the marker of a database: inlet.marker beside inlet.db.
func markerPath(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".marker"
}

// checkMarker compares the database with its marker, and says whether that was missing although the
// database has had one. Nothing is written. Errors: ErrOldCopy, ErrBadMarker.
func checkMarker(bolt *bbolt.DB, path string) (missing bool, err error) {
	now, err := readGeneration(bolt)
	if err != nil {
		return false, err
	}
	m, found, err := readMarker(markerPath(path))
	if err != nil {
		return false, err
	}
	if found {
		return false, m.check(now)
	}
	return now.Generation != "", nil
}

// drawGeneration begins a new run of the database.
func drawGeneration(bolt *bbolt.DB, path string) error {
	now, err := readGeneration(bolt)
	if err != nil {
		return err
	}
	next := make([]byte, generationSize)
	_, _ = rand.Read(next) // never fails: crypto/rand
	return changeGeneration(bolt, path, now, hex.EncodeToString(next))
}

// check says whether a database that is at now may be used.
func (m markerV1) check(now markerV1) error {
	switch {
	case now.Generation == m.Generation && now.TxID < m.TxID:
		return fmt.Errorf("%w (it is at transaction %d, and was at %d)", ErrOldCopy, now.TxID, m.TxID)
	case now.Generation == m.Generation, m.Next != "" && now.Generation == m.Next:
		return nil
	}
	return ErrOldCopy
}

// changeGeneration stores another generation in the database and its marker. The marker goes first and
// allows both, so that a crash in between leaves a pair that fits.
func changeGeneration(bolt *bbolt.DB, path string, now markerV1, next string) error {
	now.V, now.Next = 1, next
	if err := writeMarker(markerPath(path), now); err != nil {
		return err
	}
	err := bolt.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(generationKey, []byte(next))
	})
	if err != nil {
		return err
	}
	return settleMarker(bolt, path)
}

// settleMarker has the marker demand what the database has now.
func settleMarker(bolt *bbolt.DB, path string) error {
	now, err := readGeneration(bolt)
	if err != nil {
		return err
	}
	return writeMarker(markerPath(path), now)
}

// readGeneration is where the database stands, as its marker would say it.
func readGeneration(bolt *bbolt.DB) (markerV1, error) {
	m := markerV1{V: 1}
	err := bolt.View(func(tx *bbolt.Tx) error {
		m.TxID = tx.ID()
		if meta := tx.Bucket(metaBucket); meta != nil {
			m.Generation = string(meta.Get(generationKey))
		}
		return nil
	})
	return m, err
}

func readMarker(path string) (m markerV1, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxMarkerBytes))
	if err != nil {
		return m, false, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&m); err != nil || m.V != 1 || m.Generation == "" && m.Next == "" {
		return m, false, fmt.Errorf("%w: %s", ErrBadMarker, path)
	}
	return m, true, nil
}

// writeMarker replaces the marker, whole at every moment, a power cut included.
func writeMarker(path string, m markerV1) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	next := path + ".tmp"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
