package chanfactory

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func records() []*record {
	tx := func(amount int64) *wire.MsgTx {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{
			PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{3}, Index: 1},
			Witness:          wire.TxWitness{{1, 2, 3}}, SignatureScript: []byte{},
		})
		tx.AddTxOut(wire.NewTxOut(amount, []byte{0, 1, 7}))
		return tx
	}
	var all []*record
	for i, r := range []record{
		{tag: "a", state: recordIntended},
		{tag: "b", withhold: true, state: recordIntended},
		{tag: "c", withhold: true, state: recordReleased},
		{tag: "d", withhold: true, state: recordDropped},
		{tag: "e \"quoted\"", state: recordConfirmed},
	} {
		r.peer, r.tx = [33]byte{2, 9, 32: 5}, tx(100_000+int64(i))
		r.point = wire.OutPoint{Hash: r.tx.TxHash(), Index: 1}
		if r.state == recordConfirmed {
			r.tx = nil
		}
		all = append(all, &r)
	}
	return all
}

// The records on disk are read again by every later version: the file shows them.
func TestRecordGolden(t *testing.T) {
	var b bytes.Buffer
	for _, r := range records() {
		data, err := r.encode()
		require.NoError(t, err)
		b.Write(append(data, '\n'))
	}
	path := filepath.Join("testdata", "records.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), b.String(), "a new layout needs a new version")

	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		got, err := decodeRecord([]byte(line))
		require.NoError(t, err)
		require.Equal(t, records()[i], got)
	}
}

func TestRecordRefused(t *testing.T) {
	good, err := records()[0].encode()
	require.NoError(t, err)
	for name, c := range map[string][2]string{
		"newer":         {`"v":1`, `"v":2`},
		"unknown field": {`"v":1`, `"v":1,"x":1`},
		"state":         {`"intended"`, `"lost"`},
		"peer":          {`"peer":"02`, `"peer":"zz`},
		"short peer":    {`"peer":"0209`, `"peer":"02`},
		"point":         {`:1","tx"`, `:x","tx"`},
		"hex":           {`"tx":"0`, `"tx":"x`},
		"short tx":      {`00000000","withhold"`, `","withhold"`},
		"another tx":    {`"tx":"02`, `"tx":"01`},
		"no JSON":       {`{`, ``},
	} {
		bad := strings.Replace(string(good), c[0], c[1], 1)
		require.NotEqual(t, string(good), bad, name)
		_, err := decodeRecord([]byte(bad))
		require.Error(t, err, name)
	}
}

func testStore(t *testing.T) kvdb.Backend {
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "test.db", NoFreelistSync: true,
		DBTimeout: kvdb.DefaultDBTimeout,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// Which changes a record may make: what may be out can't be taken back.
func TestJournalMoves(t *testing.T) {
	all := []recordState{recordIntended, recordReleased, recordConfirmed, recordDropped}
	allowed := map[[2]recordState]bool{
		{recordIntended, recordReleased}: true, {recordIntended, recordDropped}: true,
		{recordIntended, recordConfirmed}: true, {recordReleased, recordConfirmed}: true,
	}
	for _, from := range all {
		for _, to := range all {
			j, err := openJournal(testStore(t))
			require.NoError(t, err)
			r := *records()[1]
			r.state = from
			require.NoError(t, j.put(&r))
			err = j.move("b", to)
			if want := allowed[[2]recordState{from, to}] || from == to; want != (err == nil) {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
		}
	}
}

// A funding that was never withheld may be out as soon as its channel is stored.
func TestJournalDropsOnlyWithheld(t *testing.T) {
	j, err := openJournal(testStore(t))
	require.NoError(t, err)
	require.NoError(t, j.intend(records()[0]))
	require.Error(t, j.move("a", recordDropped))
}

func TestJournalKeepsOnePerTag(t *testing.T) {
	db := testStore(t)
	j, err := openJournal(db)
	require.NoError(t, err)
	first, second := *records()[1], *records()[0]
	second.tag = first.tag
	require.NoError(t, j.intend(&first))
	require.ErrorIs(t, j.intend(&second), ErrTagUsed)
	require.NoError(t, j.forget(first.tag, second.point), "another funding's intent stays")
	require.Equal(t, &first, j.findPoint(first.point))
	require.NoError(t, j.move(first.tag, recordDropped))
	require.NoError(t, j.intend(&second), "a dropped one makes place")
	require.Nil(t, j.findPoint(first.point))

	// All of it is on disk.
	j, err = openJournal(db)
	require.NoError(t, err)
	require.Equal(t, []*record{&second}, j.list())
	require.ErrorIs(t, j.move("nobody's", recordDropped), ErrUnknownChannel)
	require.NoError(t, j.forget(second.tag, second.point))
	require.Empty(t, j.list())
}

// A coin is in one live funding only, whatever its lease says.
func TestJournalKeepsCoinsApart(t *testing.T) {
	db := testStore(t)
	j, err := openJournal(db)
	require.NoError(t, err)
	first, second := *records()[1], *records()[0] // with the same input
	require.NoError(t, j.intend(&first))
	require.ErrorIs(t, j.intend(&second), errCoinTaken)
	require.Nil(t, j.find(second.tag))
	j, err = openJournal(db)
	require.NoError(t, err)
	require.ErrorIs(t, j.intend(&second), errCoinTaken, "after a restart too")
	require.NoError(t, j.move(first.tag, recordReleased))
	require.ErrorIs(t, j.intend(&second), errCoinTaken, "released")
	require.NoError(t, j.move(first.tag, recordConfirmed))
	require.NoError(t, j.intend(&second), "the chain keeps them apart now")

	first.tag = "again"
	require.ErrorIs(t, j.intend(&first), errCoinTaken)
	require.NoError(t, j.forget(second.tag, second.point))
	require.NoError(t, j.intend(&first), "forgotten")
	require.NoError(t, j.move(first.tag, recordDropped))
	require.NoError(t, j.intend(&second), "dropped")
}

// What callers see depends on whether the channel is in the store.
func TestJournalStates(t *testing.T) {
	j, err := openJournal(testStore(t))
	require.NoError(t, err)
	for _, r := range records() {
		require.NoError(t, j.put(r))
	}
	states := func() (all []FundingState) {
		for _, r := range records() {
			all = append(all, j.state(j.find(r.tag)).State)
		}
		return all
	}
	require.Equal(t, []FundingState{Intended, Intended, Intended, Gone, Settled}, states())
	for _, r := range records() {
		j.markStored(r.point)
	}
	require.Equal(t, []FundingState{Released, Withheld, Released, Gone, Settled}, states())
}

func TestPolicy(t *testing.T) {
	p := Policy{}.defaults()
	require.NoError(t, p.check())
	require.EqualValues(t, 144, p.demands(100_000).ToSelfDelay)
	require.EqualValues(t, 2016, p.demands(1_000_000_000).ToSelfDelay)
	require.EqualValues(t, 1000, p.demands(100_000).Reserve)
	p.ToSelfDelay = 720
	require.EqualValues(t, 720, p.demands(100_000).ToSelfDelay)
	for _, bad := range []Policy{
		{ToSelfDelay: 2017}, {MaxHtlcs: 484}, {MinDepth: 145}, {MinCapacity: 2, MaxCapacity: 1},
	} {
		require.Error(t, bad.defaults().check())
	}
	_, err := New(Config{})
	require.ErrorContains(t, err, "is missing")
}
