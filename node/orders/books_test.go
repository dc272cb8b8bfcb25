package orders

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp/jit"
)

// TestRestoreEndsOrders: whatever an order waited for, after a restore it holds and opens nothing,
// and what is known of its past is there.
func TestRestoreEndsOrders(t *testing.T) {
	hash := lntypes.Hash{1}
	part := jit.Part{Key: jit.CircuitKey{Index: 4}, Hash: hash, Amount: 7, IncomingAmount: 7}
	sets := []jit.Set{{Hash: hash, Since: time.Unix(50, 0).UTC(), Parts: []jit.Part{part}}}
	ch := jit.Channel{Point: wire.OutPoint{Index: 2}, Conn: 3, OpenedOn: 3, UsedOn: 3, MaxHTLCs: 9}
	withheld := ch
	withheld.Withheld = true
	states := map[string]jit.State{
		"parts":    jit.AwaitParts{Sets: sets},
		"client":   jit.AwaitClient{Sets: sets, Fee: 5, Try: jit.Try{Attempt: 1}},
		"channel":  jit.AwaitChannel{Sets: sets, Fee: 5, Channel: &withheld},
		"claim":    jit.AwaitClaim{Sets: sets, Hash: hash, Fee: 5, Channel: ch},
		"owed":     jit.Owed{Sets: sets, Channel: ch},
		"paid":     jit.Paid{Sets: sets, Channel: ch, Fee: 5, Collected: 5},
		"released": jit.Paid{Channel: withheld, Fee: 5},
		"dead":     jit.Dead{},
	}
	var records []Record
	for id, s := range states {
		records = append(records, Record{
			Order: jit.Order{
				ID: id, State: s,
				Answered: []jit.Answer{{Key: jit.CircuitKey{Index: 9}, Amount: 3}},
			},
			CreatedAt: time.Unix(40, 0).UTC(), OwedSince: time.Unix(60, 0).UTC(), OpeningFee: 5,
			Timeline: []Moment{{StageBought, time.Unix(40, 0).UTC()}},
			Parts:    []Part{{Key: part.Key, Amount: 7, State: PartHeld}},
		})
	}
	books, err := Books(records)
	require.NoError(t, err)
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: filepath.Base(t.Name()), DBTimeout: time.Second,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, Restore(db, books))
	require.NoError(t, Restore(db, books), "a restore that was cut off is repeated")

	desk, err := New(Config{DB: db})
	require.NoError(t, err)
	require.NoError(t, desk.Load(Ports{}))
	require.Len(t, desk.List(), len(states))
	for _, r := range desk.List() {
		id := r.Order.ID
		require.True(t, final(r.Order.State), id)
		require.Empty(t, r.Order.Held(), id)
		require.Empty(t, partKeys(r.Order), id)
		require.True(t, atRest(r.Order, jit.Funding{}, false), "%s is not at rest", id)
		require.Equal(t, PartGone, r.Parts[0].State, id)
		require.Equal(t, time.Unix(60, 0).UTC(), r.OwedSince, "a debt is not forgiven")
		require.Len(t, r.Timeline, 1)
		wanted := id != "paid" && id != "released" && id != "dead"
		require.Equal(t, wanted, r.Failure != nil, id)

		// Whoever pays it now is refused.
		_, cmds, err := r.Order.Step(time.Unix(70, 0), jit.PartArrived{Part: part})
		require.NoError(t, err)
		require.Len(t, cmds, 1, id)
		require.IsType(t, jit.FailPart{}, cmds[0], id)
	}
}

func TestRestoreRefusesStrangeBooks(t *testing.T) {
	raw, err := Marshal(Record{Order: jit.Order{ID: "one", State: jit.Dead{}}})
	require.NoError(t, err)
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "db", DBTimeout: time.Second,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, b := range []Book{
		{ID: "two", Record: raw}, {ID: "one", Record: json.RawMessage(`{"v":9}`)}, {ID: "one"},
	} {
		require.Error(t, Restore(db, []Book{b}))
	}
}
