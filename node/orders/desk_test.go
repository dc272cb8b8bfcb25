package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
)

var (
	client  = [33]byte{2, 7}
	jitScid = lnwire.ShortChannelID{BlockHeight: 16_060_000, TxIndex: 1, TxPosition: 2}
	payChan = lnwire.ShortChannelID{BlockHeight: 100, TxIndex: 1}
	funding = wire.OutPoint{Hash: chainhash.Hash{9}, Index: 1}
)

// world is a desk between fakes that write down what it does.
type world struct {
	t     *testing.T
	db    kvdb.Backend
	desk  *Desk
	htlcs *htlcswitch.HtlcNotifier
	end   context.CancelFunc
	done  chan error

	mu         sync.Mutex
	log        []string // guarded by mu
	holds      []string // guarded by mu
	openErr    error
	fundings   map[string]jit.Funding
	incoming   map[models.CircuitKey]bool
	preimages  map[lntypes.Hash]lntypes.Preimage
	forwarded  map[models.CircuitKey]bool
	unresolved map[models.CircuitKey]bool
	// payerGone and clientGone say that their links are down.
	payerGone, clientGone bool
	onForward             func() // nil: nothing happens while a part is sent on

	blocks chan *chainntnfs.BlockEpoch
	limits Limits
	clock  clock.Clock
}

func newWorld(t *testing.T) *world {
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "orders.db", NoFreelistSync: true,
		DBTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, db: db, fundings: map[string]jit.Funding{},
		incoming: map[models.CircuitKey]bool{}, forwarded: map[models.CircuitKey]bool{},
		preimages: map[lntypes.Hash]lntypes.Preimage{}, limits: Limits{60, 2000},
		clock: clock.NewDefaultClock(),
	}
	w.start()
	return w
}

// start runs a desk on the store, as a process does that was started again.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.desk, err = New(Config{
		DB: w.db, Limits: w.limits, Clock: w.clock,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.blocks = make(chan *chainntnfs.BlockEpoch, 10)
	w.htlcs = htlcswitch.NewHtlcNotifier(time.Now)
	if err := w.htlcs.Start(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.desk.Load(Ports{
		Opener: w, Switch: w, Aliases: w, Facts: w, Blocks: w, Htlcs: w.htlcs,
		Holds: w,
	}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.desk.Resume(800); err != nil {
		w.t.Fatal(err)
	}
	var ctx context.Context
	ctx, w.end = context.WithCancel(context.Background())
	w.done = make(chan error, 1)
	go func() { w.done <- w.desk.Run(ctx) }()
}

func (w *world) stop() {
	w.t.Helper()
	synctest.Wait()
	w.end()
	if err := <-w.done; err != nil {
		w.t.Error(err)
	}
	if err := w.htlcs.Stop(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) close() {
	w.stop()
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// want compares what the desk did since the last call.
func (w *world) want(lines ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	got := w.log
	w.log = nil
	w.mu.Unlock()
	if !slices.Equal(got, lines) {
		w.t.Errorf("the desk did\n  %s\nwant\n  %s",
			strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

func (w *world) state(want string) {
	w.t.Helper()
	synctest.Wait()
	r, err := w.desk.Get("o1")
	if err != nil {
		w.t.Fatal(err)
	}
	if got := r.Order.State.Name(); got != want {
		w.t.Errorf("the order is %s, want %s", got, want)
	}
}

// The ports.

func (w *world) Open(o Opening) error {
	w.note("open for %d msat in %d parts, attempt %d", o.Receives, o.Parts, o.Attempt)
	return w.openErr
}
func (w *world) Cancel(id string)                     { w.note("cancel open of %s", id) }
func (w *world) Release(p wire.OutPoint) error        { w.note("broadcast funding"); return nil }
func (w *world) Drop(p wire.OutPoint, _ string) error { w.note("drop channel"); return nil }
func (w *world) Resume(models.CircuitKey) error       { w.note("resume"); return nil }

func (w *world) ResumeWith(k models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	w.mu.Lock()
	w.forwarded[k] = true
	w.mu.Unlock()
	if raw, ok := records[lsp.ExtraFeeType]; ok {
		w.note("forward %d: %d msat, extra_fee %x", k.HtlcID, amount, raw)
	} else {
		w.note("forward %d: %d msat", k.HtlcID, amount)
	}
	if w.onForward != nil {
		w.onForward()
	}
	return nil
}

func (w *world) Fail(k models.CircuitKey, f lnwire.FailureMessage) error {
	w.note("fail %d: %v", k.HtlcID, f.Code())
	return nil
}

func (w *world) Forwarded(k models.CircuitKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forwarded[k]
}

func (w *world) TakeBack(models.CircuitKey) error    { return nil }
func (w *world) Unresolved(k models.CircuitKey) bool { return w.unresolved[k] }

func (w *world) Live(scid lnwire.ShortChannelID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !(w.payerGone && scid == payChan || w.clientGone && scid == jitScid)
}

func (w *world) Register(s lnwire.ShortChannelID, _ wire.OutPoint) error {
	w.note("alias %v", s)
	return nil
}

func (w *world) UpdateFor(lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error) {
	return &lnwire.ChannelUpdate1{}, nil
}

func (w *world) Fundings() (map[string]jit.Funding, error)     { return w.fundings, nil }
func (w *world) Incoming() (map[models.CircuitKey]bool, error) { return w.incoming, nil }
func (w *world) Preimage(h lntypes.Hash) (lntypes.Preimage, bool) {
	p, ok := w.preimages[h]
	return p, ok
}

func (w *world) RegisterBlockEpochNtfn(*chainntnfs.BlockEpoch) (*chainntnfs.BlockEpochEvent, error) {
	return &chainntnfs.BlockEpochEvent{Epochs: w.blocks, Cancel: func() {}}, nil
}

func (w *world) RegisterConfirmationsNtfn(*chainhash.Hash, []byte, uint32, uint32,
	...chainntnfs.NotifierOption) (*chainntnfs.ConfirmationEvent, error) {
	return nil, errors.New("not asked for")
}

func (w *world) RegisterSpendNtfn(*wire.OutPoint, []byte, uint32) (*chainntnfs.SpendEvent, error) {
	return nil, errors.New("not asked for")
}
func (w *world) Start() error  { return nil }
func (w *world) Started() bool { return true }
func (w *world) Stop() error   { return nil }

// What happens.

func (w *world) sell(size lnwire.MilliSatoshi) {
	w.t.Helper()
	now := time.Now()
	o := jit.New("o1", jit.Terms{
		Client: client, SCID: jitScid, PaymentSize: size, MinFee: 10_000, PPM: 20_000,
		MinPayment: 1000, MaxPayment: 1e9,
		ValidUntil: now.Add(time.Hour), AliasUntil: now.Add(2 * time.Hour),
		CLTVExpiryDelta: 144, MaxClientToSelfDelay: 2016, MinLifetime: 144,
		Rules: jit.DefaultRules(),
	})
	if err := w.desk.Add(Record{Order: o, Promise: "p", CreatedAt: now,
		OpeningFee: 20_000}); err != nil {
		w.t.Fatal(err)
	}
}

func key(id uint64) models.CircuitKey { return models.CircuitKey{ChanID: payChan, HtlcID: id} }

// signed sells, offers the payment as part 1 and opens the channel for it, up to funding_signed.
func (w *world) signed() {
	w.t.Helper()
	w.sell(1_000_000)
	w.desk.ClientOnline(client, 3)
	w.part(1, 1_000_000)
	w.want("open for 980000 msat in 1 parts, attempt 1")
	w.desk.Funding("o1", jit.OpenSigned{Point: funding})
}

// part offers an HTLC as the interceptor does.
func (w *world) part(id uint64, amount lnwire.MilliSatoshi) {
	w.t.Helper()
	w.incoming[key(id)] = true
	if !w.desk.Offer(htlcswitch.InterceptedPacket{
		IncomingCircuit: key(id), OutgoingChanID: jitScid, Hash: lntypes.Hash{5},
		IncomingAmount: amount, OutgoingAmount: amount,
		IncomingExpiry: 1100, OutgoingExpiry: 900,
	}) {
		w.t.Error("the desk does not take an HTLC of its order")
	}
}

func (w *world) usable(conn uint64) {
	w.desk.ChannelUsable(jit.ChannelUsable{
		Point: funding, Conn: jit.Conn(conn), HTLCMin: 1, MaxHTLCs: 50,
	})
}

func TestTwoPartsPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 400_000)
		w.want()
		w.part(2, 600_000)
		w.want("open for 980000 msat in 2 parts, attempt 1")
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		w.want("alias "+jitScid.String(),
			"forward 1: 380000 msat, extra_fee 0000000000004e20", "forward 2: 600000 msat")
		w.state("awaiting_claim")

		only, isJIT := w.desk.Route(jitScid)
		if want := lnwire.NewChanIDFromOutPoint(funding); only != want || !isJIT {
			t.Errorf("unpaid parts may leave by %v, want the order's channel %v", only, want)
		}
		for id := range uint64(2) {
			w.htlcs.NotifySettleEvent(htlcswitch.HtlcKey{IncomingCircuit: key(id + 1)},
				lntypes.Preimage{1}, htlcswitch.HtlcEventTypeForward)
		}
		w.state("paid")
		if only, isJIT := w.desk.Route(jitScid); only != (lnwire.ChannelID{}) || !isJIT {
			t.Errorf("a paid order still binds its scid to channel %v", only)
		}
	})
}

// TestHoldEndsAfter90Seconds also shows that the deadline outlives the process: the
// time that the first part came is on disk.
func TestHoldEndsAfter90Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.part(1, 400_000)
		synctest.Wait()
		time.Sleep(60 * time.Second) // virtual
		w.want()
		w.stop()
		w.start()
		w.part(1, 400_000) // offered again by the link
		time.Sleep(29 * time.Second)
		w.want()
		time.Sleep(2 * time.Second)
		w.want("fail 1: TemporaryChannelFailure")
		w.state("awaiting_parts")
	})
}

func TestCrashAfterFundingSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.signed()
		w.stop()

		w.fundings["o1"] = jit.Funding{Point: funding}
		w.start()
		w.part(1, 1_000_000)
		w.want() // no second open
		w.desk.ClientOnline(client, 1)
		w.usable(1)
		w.want("alias "+jitScid.String(), "forward 1: 980000 msat, extra_fee 0000000000004e20")
	})
}

// TestClaimedWhileDown: the preimage was learned, then the process died before the
// order knew. Nothing is forwarded again and the order is paid.
func TestClaimedWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		synctest.Wait()
		w.log = nil
		w.stop()

		w.fundings["o1"] = jit.Funding{Point: funding}
		w.preimages[lntypes.Hash{5}] = lntypes.Preimage{1}
		clear(w.incoming) // the payer has the preimage
		w.start()
		w.state("paid")
		synctest.Wait()
		for _, line := range w.log {
			if strings.HasPrefix(line, "fail") || strings.HasPrefix(line, "open") {
				t.Errorf("after the restart the desk did: %s", line)
			}
		}
	})
}

func TestOpenerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.openErr = errors.New("no coins")
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if last := w.log[len(w.log)-1]; last != "fail 1: TemporaryChannelFailure" {
			t.Errorf("without coins the payer is told %q", last)
		}
	})
}

func TestTooManyParts(t *testing.T) {
	checklist.Shows(t, "LSPS2-72", "Desk.refuse always takes one more")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.stop()
		w.limits = Limits{ClientParts: 2, Parts: 2000}
		w.start()
		w.sell(1_000_000)
		for id := range uint64(3) {
			w.part(id, 1000)
		}
		w.want("fail 2: TemporaryChannelFailure")
	})
}

func TestScidIsSoldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		r, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		r.Order.ID = "o2"
		if err := w.desk.Add(r); !errors.Is(err, ErrTaken) {
			t.Errorf("a second order on the scid: %v, want ErrTaken", err)
		}
	})
}

func TestForeignHTLCPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		if w.desk.Offer(htlcswitch.InterceptedPacket{OutgoingChanID: payChan}) {
			t.Error("the desk takes an HTLC that is no order's")
		}
	})
}

func TestRecordRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		w.desk.ClientOnline(client, 3)
		w.part(1, 1_000_000)
		synctest.Wait()
		w.desk.Funding("o1", jit.OpenSigned{Point: funding})
		w.usable(3)
		synctest.Wait()
		r, err := w.desk.Get("o1")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", "record.golden"), raw)
		back, err := Unmarshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(raw) {
			t.Errorf("a record changes on its way through the store:\n%s\n%s", raw, again)
		}
		if _, err := Unmarshal([]byte(`{"v":2}`)); err == nil {
			t.Error("a record of a newer version is read")
		}
	})
}
