package pay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// moment is the disk and the switch as a crash leaves them.
type moment struct {
	name string
	dir  string
	sw   *fakeSwitch
}

// camera takes moments.
type camera struct {
	t       *testing.T
	db      kvdb.Backend
	sw      *fakeSwitch
	mu      sync.Mutex
	moments []moment
}

func (c *camera) take(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := c.t.TempDir()
	file, err := os.Create(filepath.Join(dir, "test.db"))
	require.NoError(c.t, err)
	require.NoError(c.t, c.db.Copy(file))
	require.NoError(c.t, file.Close())
	c.moments = append(c.moments, moment{fmt.Sprintf("%d %s", len(c.moments), name), dir,
		c.sw.restarted()})
}

// film makes a payment in two parts, of which one has to be sent again, and takes every moment
// between a write, a call of the switch and a result.
func film(t *testing.T, limbo bool) []moment {
	c := &camera{t: t, db: openDB(t, t.TempDir()), sw: newFakeSwitch()}
	c.sw.before = func(s sent) { c.take("before SendHTLC") }
	c.sw.after = func(s sent) { c.take("after SendHTLC") }
	if limbo {
		c.sw.refuse = func(s sent) (error, bool) {
			return errors.New("mailbox is shutting down"), true
		}
	}
	channels := append(fakeChannels{channel(3, 'P', 60_100_000)}, twoChannels...)
	r := newRig(t, c.db, c.sw, channels).run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	first, second := r.sw.next(t), r.sw.next(t)
	c.take("both out")
	r.sw.resolve(first.id, htlcswitch.NewLinkError(&lnwire.FailUnknownNextPeer{}))
	third := r.sw.next(t)
	c.take("sent again")
	r.sw.resolve(second.id, nil)
	c.take("settled")
	require.Equal(t, Succeeded, (<-out).payment.Status)
	c.take("answered")
	r.sw.resolve(third.id, nil)
	r.stop()
	c.take("over")
	return c.moments
}

// After a crash at any moment each attempt is followed to its end, nothing is sent by itself, and
// the invoice can be paid again if and only if it was not paid.
func TestCrashPoints(t *testing.T) {
	for _, limbo := range []bool{false, true} {
		for _, m := range film(t, limbo) {
			for _, settle := range []bool{true, false} {
				name := fmt.Sprintf("%s, limbo %v, then settled %v", m.name, limbo, settle)
				t.Run(name, func(t *testing.T) { replay(t, m, settle) })
			}
		}
	}
}

func replay(t *testing.T, m moment, settle bool) {
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(m.dir, "test.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "test.db"), raw, 0o600))
	sw := m.sw.restarted()
	settled := false
	for _, result := range sw.results {
		settled = settled || result.Error == nil
	}
	r := newRig(t, openDB(t, dir), sw, twoChannels)
	open, err := r.store.open()
	require.NoError(t, err)
	wanted := awaited(open)
	for id := range sw.results {
		if _, ok := wanted[id]; !ok {
			delete(sw.results, id) // known to the payment already, as below
		}
	}
	before, err := r.Lookup(testPreimage.Hash())
	if err == nil {
		settled = settled || before.Status == Succeeded
	}
	r.run()
	for _, id := range sw.live() {
		if sw.Circuit(id) != LiveCircuit {
			continue
		}
		settled = settled || settle
		if settle {
			sw.resolve(id, nil)
		} else {
			sw.resolve(id, forwarding(1, lnwire.NewTemporaryChannelFailure(nil)))
		}
	}
	r.waitOver()
	require.Empty(t, sw.sends, "nothing is sent by itself after a restart")
	require.Empty(t, sw.live(), "no circuit is left behind")
	after, err := r.Lookup(testPreimage.Hash())
	require.NoError(t, err)
	want := Failed
	if settled {
		want = Succeeded
	}
	require.Equal(t, want, after.Status)
	require.Equal(t, len(before.Parts), len(after.Parts))
	for _, part := range after.Parts {
		require.NotEqual(t, InFlight, part.Status)
	}

	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams),
		Timeout: time.Minute})
	if settled {
		require.ErrorIs(t, (<-out).err, ErrAlreadyPaid)
		return
	}
	first, second := sw.next(t), sw.next(t)
	for _, part := range open {
		for _, a := range part.attempts {
			require.Less(t, a.id, min(first.id, second.id), "an attempt id is never used again")
		}
	}
	sw.resolve(first.id, nil)
	require.Equal(t, Succeeded, (<-out).payment.Status)
	sw.resolve(second.id, nil)
}

// waitOver waits until no payment is followed any more.
func (r *rig) waitOver() {
	for {
		var gone chan struct{}
		r.Payments.mu.Lock()
		for _, a := range r.active {
			gone = a.gone
		}
		r.Payments.mu.Unlock()
		if gone == nil {
			return
		}
		<-gone
	}
}
