package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lightningnetwork/lnd/kvdb"
	"go.etcd.io/bbolt"
)

// Where the schema version is kept.
var (
	metaBucket = []byte("inlet-meta")
	schemaKey  = []byte("schema")
)

// firstSchema is the version of a file to which no migration has been applied.
const firstSchema = 1

// recordVersion is the version of the encoding of schemaRecord.
const recordVersion = 1

// migration brings a file from one schema version to the next. It must not look at anything but
// its transaction: it is either wholly in the file, with the new version, or not at all.
type migration struct {
	name string
	run  func(kvdb.RwTx) error
}

// migrations lead from firstSchema on, one version each. Steps are only ever added at the end.
var migrations = []migration{}

// schemaRecord is the value of schemaKey.
type schemaRecord struct {
	V      int `json:"v"`
	Schema int `json:"schema"`
}

func encodeSchema(version int) ([]byte, error) {
	return json.Marshal(schemaRecord{V: recordVersion, Schema: version})
}

func decodeSchema(raw []byte) (schemaRecord, error) {
	var r schemaRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%w (schema record: %w)", ErrDamaged, err)
	}
	if r.V < 1 || r.Schema < firstSchema {
		return r, fmt.Errorf("%w (schema record %s)", ErrDamaged, raw)
	}

	return r, nil
}

// migrate brings the file to the newest version that we know, or says why it can't. Nothing is
// written to a file that is not ours or newer than us.
func migrate(bolt *bbolt.DB, steps []migration, log *slog.Logger) error {
	newest := firstSchema + len(steps)
	record, err := readSchema(bolt)
	if err != nil {
		return err
	}
	version := record.Schema
	if record == (schemaRecord{}) {
		return updateSchema(bolt, newest, func(kvdb.RwTx) error { return nil })
	}
	if record.V > recordVersion || version > newest {
		return fmt.Errorf("%w: it has schema %d, this version knows %d at most; "+
			"start the newer inlet again", ErrNewer, version, newest)
	}
	for ; version < newest; version++ {
		step := steps[version-firstSchema]
		log.Info("migrating the database", "from", version, "to", version+1, "step", step.name)
		if err := updateSchema(bolt, version+1, step.run); err != nil {
			return fmt.Errorf("migrate from schema %d to %d (%s): %w; nothing was changed, "+
				"go on with the version that you had and report this",
				version, version+1, step.name, err)
		}
	}

	return nil
}

// readSchema returns the file's version, or the zero record for a file without any data.
func readSchema(bolt *bbolt.DB) (schemaRecord, error) {
	var record schemaRecord
	err := bolt.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			if key, _ := tx.Cursor().First(); key != nil {
				return ErrForeign
			}
			return nil
		}
		var err error
		record, err = decodeSchema(meta.Get(schemaKey))

		return err
	})

	return record, err
}

// updateSchema runs one step and stores the version that it leads to, in one transaction.
func updateSchema(bolt *bbolt.DB, version int, run func(kvdb.RwTx) error) error {
	tx, err := bolt.Begin(true)
	if err != nil {
		return err
	}
	shared := &transaction{bolt: tx, changes: new(changes)}
	if err := runStep(shared, version, run); err != nil {
		return errors.Join(err, tx.Rollback())
	}

	return tx.Commit()
}

func runStep(tx *transaction, version int, run func(kvdb.RwTx) error) error {
	if err := run(tx); err != nil {
		return err
	}
	meta, err := tx.CreateTopLevelBucket(metaBucket)
	if err != nil {
		return err
	}
	raw, err := encodeSchema(version)
	if err != nil {
		return err
	}

	return meta.Put(schemaKey, raw)
}
