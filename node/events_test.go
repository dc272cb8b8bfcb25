package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/kvdb"
)

func TestEventLog(t *testing.T) {
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "events.db", NoFreelistSync: true, DBTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	synctest.Test(t, func(t *testing.T) {
		log, err := newEventLog(db, clock.NewDefaultClock(), false)
		if err != nil {
			t.Fatal(err)
		}
		log.add(Event{Kind: ChannelOpened, ChannelPoint: "a:0"})
		log.add(Event{Kind: InvoiceSettled, Amount: 5, settled: 7})
		if err := log.write(); err != nil {
			t.Fatal(err)
		}
		if mark, err := log.settledMark(); mark != 7 || err != nil {
			t.Errorf("mark of settled invoices is %d, %v; want 7", mark, err)
		}
		// A program that was away starts with the first that was not handled.
		log, err = newEventLog(db, clock.NewDefaultClock(), false)
		if err != nil {
			t.Fatal(err)
		}
		first, _, ok, err := log.next(0)
		if err != nil || !ok || first.Kind != ChannelOpened || first.Seq != 1 {
			t.Fatalf("first event is %+v, %v, %v", first, ok, err)
		}
		if err := log.handled(1); err != nil {
			t.Fatal(err)
		}
		second, _, ok, err := log.next(0)
		if err != nil || !ok || second.Kind != InvoiceSettled || second.Amount != 5 {
			t.Fatalf("second event is %+v, %v, %v", second, ok, err)
		}
		if err := log.handled(2); err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := log.next(0); ok || err != nil {
			t.Errorf("a third event: %v, %v", ok, err)
		}
	})
}

func TestEventLogForgetsTheOldest(t *testing.T) {
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "events.db", NoFreelistSync: true, DBTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	log, err := newEventLog(db, clock.NewDefaultClock(), false)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for range maxStoredEvents - 1 {
			log.add(Event{Kind: ChannelOpened})
		}
		if err := log.write(); err != nil {
			t.Fatal(err)
		}
	}
	first, _, _, err := log.next(0)
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(maxStoredEvents - 1); first.Seq != want {
		t.Errorf("the oldest event that is kept is %d, want %d", first.Seq, want)
	}
}
