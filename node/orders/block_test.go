package orders

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/htlcswitch"

	"github.com/inletlsp/inlet/lsp/jit"
)

// TestBlockBeforeTheForward: a block and the news that the channel is usable wait when
// the desk gets to them. The client would refuse an HTLC that expires within 44 blocks,
// so it must not be sent. The runtime chooses by lot what is seen first, hence the rounds.
func TestBlockBeforeTheForward(t *testing.T) {
	for range 16 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer func() { w.close() }()
			w.sell(1_000_000)
			w.desk.ClientOnline(client, 3)
			w.part(1, 1_000_000) // its outgoing half expires at 900
			w.want("open for 980000 msat in 1 parts, attempt 1")
			w.desk.Funding("o1", jit.OpenSigned{Point: funding})
			w.stop()

			w.fundings["o1"] = jit.Funding{Point: funding}
			w.startWith(func() {
				w.blocks <- &chainntnfs.BlockEpoch{Height: 857}
				w.usable(3)
			})
			w.want("fail 1: TemporaryChannelFailure")
		})
	}
}

// startWith starts a desk for which something has come before it runs.
func (w *world) startWith(come func()) {
	w.t.Helper()
	var err error
	w.desk, err = New(Config{
		DB: w.db, Limits: w.limits, Clock: clock.NewDefaultClock(),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.htlcs = htlcswitch.NewHtlcNotifier(time.Now)
	if err := w.htlcs.Start(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.desk.Load(Ports{
		Opener: w, Switch: w, Aliases: w, Facts: w, Blocks: w, Htlcs: w.htlcs,
	}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.desk.Resume(800); err != nil {
		w.t.Fatal(err)
	}
	come()
	var ctx context.Context
	ctx, w.end = context.WithCancel(context.Background())
	w.done = make(chan error, 1)
	go func() { w.done <- w.desk.Run(ctx) }()
}
