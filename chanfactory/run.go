package chanfactory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// errNotifierGone says that the chain's notifications ended under us.
var errNotifierGone = errors.New("chanfactory: the chain's notifications have ended")

// HoldCoins leases the coins of every funding that may be out or may come out. It is for the start:
// after the wallet's, before anything that may spend the wallet's coins, and before Run, which does
// the same only once all else is up. The leases of a former process may have ended, and with a coin
// gone a withheld funding could never be released: the client has paid, and has no channel.
func (f *Factory) HoldCoins() error {
	journal, err := openJournal(f.cfg.Store)
	if err != nil {
		return err
	}
	until := f.clock.Now().Add(leaseFor)
	for _, r := range journal.list() {
		if r.tx == nil || r.state == recordDropped {
			continue
		}
		if err := f.cfg.Coins.RenewLeases(r.tx, until); err != nil && !r.mayBeOut() {
			f.log.Error("cannot hold the coins of a withheld funding", "order", r.tag,
				"chan", r.point.String(), "err", err)
		}
	}
	return nil
}

// Run settles what the store holds, then works until ctx ends. It returns with no goroutine of
// its own left; openings that the peer has not signed are given up, with Failed. It can be run
// once.
func (f *Factory) Run(ctx context.Context) error {
	journal, err := openJournal(f.cfg.Store)
	if err != nil {
		return err
	}
	stored, err := f.cfg.Channels.FetchAllChannels()
	if err != nil {
		return fmt.Errorf("chanfactory: load channels: %w", err)
	}
	epochs, err := f.cfg.Notifier.RegisterBlockEpochNtfn(nil)
	if err != nil {
		return fmt.Errorf("chanfactory: follow the chain: %w", err)
	}
	defer epochs.Cancel()

	f.mu.Lock()
	f.journal, f.running = journal, true
	f.mu.Unlock()
	defer f.end()

	if err := f.settle(stored); err != nil {
		return err
	}
	close(f.settled)
	for {
		select {
		case epoch, ok := <-epochs.Epochs:
			if !ok {
				return errNotifierGone
			}
			f.newBlock(epoch)
		case <-ctx.Done():
			return nil
		}
	}
}

// end stops everything that Run began.
func (f *Factory) end() {
	f.mu.Lock()
	f.running = false
	f.mu.Unlock()
	close(f.quit)
	f.wg.Wait()
}

// newBlock tells the workers of a new tip. One that has not come to the last one yet is not told
// twice.
func (f *Factory) newBlock(epoch *chainntnfs.BlockEpoch) {
	f.height.Store(uint32(epoch.Height))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.workers {
		if w.block {
			continue
		}
		w.block = true
		w.add(func(w *worker) {
			w.f.mu.Lock()
			w.block = false
			w.f.mu.Unlock()
			w.newBlock()
		})
	}
}

// settle compares every record with the store of channels and takes up what is not done.
//
// Records of what we are about to fund are written before the peer hears of it, channels when it
// has signed. So a record whose channel is there may be out; one whose channel isn't never was.
func (f *Factory) settle(stored []*channeldb.OpenChannel) error {
	channels := map[wire.OutPoint]*channeldb.OpenChannel{}
	for _, ch := range stored {
		channels[ch.FundingOutpoint] = ch
	}
	held := map[wire.OutPoint]bool{}
	for _, r := range f.journal.list() {
		if ch := channels[r.point]; ch == nil || !ch.IsInitiator {
			if err := f.settleAbsent(r); err != nil {
				return err
			}
			continue
		}
		f.journal.markStored(r.point)
		if r.state != recordDropped {
			for _, coin := range r.inputs() {
				held[coin] = true
			}
		}
	}
	// Reservations die with the process, the leases of their coins don't.
	_, err := f.cfg.Coins.ReleaseStale(func(coin wire.OutPoint) bool { return held[coin] })
	if err != nil {
		return fmt.Errorf("chanfactory: release coins of openings that were cut off: %w", err)
	}
	var resumed sync.WaitGroup
	for _, ch := range stored {
		if ch.HasChanStatus(channeldb.ChanStatusRestored) {
			continue // from a backup: the court alone waits for its end
		}
		key := [33]byte(ch.IdentityPub.SerializeCompressed())
		resumed.Add(1)
		f.post(key, func(w *worker) {
			defer resumed.Done()
			w.resume(ch)
		})
	}
	resumed.Wait()
	return nil
}

// settleAbsent is for a record whose channel is not in the store of open channels.
//
// A channel may be closed on chain before its funding was as deep as we wait for. Its transaction was
// out: told as Dropped, its coins and its tag would be used again, and the payer would get back what
// the client can claim.
func (f *Factory) settleAbsent(r *record) error {
	switch r.state {
	case recordConfirmed:
		return nil // closed since
	case recordDropped:
		return f.journal.thin(r)
	}
	closed, err := f.cfg.Channels.FetchClosedChannel(&r.point)
	switch {
	case err == nil && closed.CloseType != channeldb.FundingCanceled:
		return f.journal.move(r.tag, recordConfirmed)
	case err != nil && !errors.Is(err, channeldb.ErrClosedChannelNotFound):
		return fmt.Errorf("chanfactory: look up closed channel %v: %w", r.point, err)
	case r.state == recordReleased:
		return nil
	}
	if err := f.journal.forget(r.tag, r.point); err != nil {
		return err
	}
	f.log.Info("forgot an opening that was cut off", "order", r.tag, "chan", r.point.String())
	f.cfg.Events(Dropped{
		Subject: Subject{Tag: r.tag, Peer: r.peer}, Point: r.point,
		Reason: "the node stopped before the peer had signed",
	})
	return nil
}

// resume takes a stored channel up where it was.
func (w *worker) resume(ch *channeldb.OpenChannel) {
	f, r := w.f, w.f.journal.findPoint(ch.FundingOutpoint)
	if !ch.IsInitiator {
		r = nil
	}
	if ch.RemoteNextRevocation != nil {
		f.journal.markReady(ch.FundingOutpoint)
	}
	subject, tx := Subject{Peer: w.key}, ch.FundingTxn
	if r != nil {
		subject.Tag = r.tag
		if r.tx != nil {
			tx = r.tx // also for funding transactions that channeldb doesn't keep
		}
	}
	w.resumeClosing(ch)
	if r != nil && r.state == recordDropped {
		w.finishDrop(ch, subject, tx)
		return
	}
	machine := funding.Channel{Tx: w.txState(ch, r), Use: useState(ch)}
	if machine.Done() {
		return
	}
	c := w.newChannel(ch, subject, tx)
	machine, out := funding.Resume(factsOf(ch), machine.Tx, machine.Use)
	w.follow(c, machine, out)
}

// txState is where the funding transaction is, as the store knows it.
func (w *worker) txState(ch *channeldb.OpenChannel, r *record) funding.TxState {
	switch {
	case ch.IsZeroConf() && ch.ZeroConfConfirmed():
		return funding.Deep{Scid: ch.ZeroConfRealScid()}
	case !ch.IsZeroConf() && !ch.IsPending:
		return funding.Deep{Scid: ch.ShortChannelID}
	case !ch.IsInitiator:
		return funding.Theirs{}
	}
	renew := w.f.clock.Now().Add(funding.RenewEvery)
	if r != nil && !r.mayBeOut() {
		return funding.Withheld{RenewAt: renew}
	}
	return funding.Leaving{RenewAt: renew}
}

// useState is how far channel_ready was exchanged, as the store knows it.
func useState(ch *channeldb.OpenChannel) funding.UseState {
	switch {
	case ch.IsPending && ch.IsZeroConf():
		return funding.AwaitOpen{} // cut off between storing and marking
	case ch.IsPending:
		return funding.AwaitDepth{}
	case ch.RemoteNextRevocation == nil:
		return funding.AwaitChannelReady{}
	}
	return funding.Usable{}
}

// finishDrop ends a channel whose drop was journalled and then cut off.
func (w *worker) finishDrop(ch *channeldb.OpenChannel, s Subject, tx *wire.MsgTx) {
	renew := w.f.clock.Now()
	c := w.newChannel(ch, s, tx)
	c.machine = funding.Channel{
		Facts: factsOf(ch), Tx: funding.Withheld{RenewAt: renew}, Use: useState(ch),
	}
	w.step(c, funding.DropKept{Reason: "the funding was dropped"})
}

// Release lets a withheld funding out: journalled first, then broadcast. It returns when it is
// journalled and was tried once; from then on it is repeated with each block until it confirms.
// Releasing twice is fine. Errors: ErrUnknownChannel, ErrNotWithheld (dropped), ErrStopped.
func (f *Factory) Release(ctx context.Context, point wire.OutPoint) error {
	return f.decide(ctx, point, "release", (*worker).releaseFunding)
}

// Drop ends a withheld funding for good: `error` to the peer, the link removed, the channel
// marked FundingCanceled, the coins free when Drop returns. HTLCs on the channel are void: who
// forwarded them answers for them. Errors: ErrUnknownChannel, ErrNotWithheld, ErrStopped.
func (f *Factory) Drop(ctx context.Context, point wire.OutPoint, reason string) error {
	return f.decide(ctx, point, "drop", func(w *worker, r *record, done chan error) {
		w.dropFunding(r, reason, done)
	})
}

// decide has a funding's worker do something and waits for it.
func (f *Factory) decide(ctx context.Context, point wire.OutPoint, verb string,
	do func(*worker, *record, chan error)) error {

	wrap := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("chanfactory: %s funding %v: %w", verb, point, err)
	}
	if !f.isRunning() {
		return wrap(ErrStopped)
	}
	r := f.journal.findPoint(point)
	if r == nil {
		return wrap(ErrUnknownChannel)
	}
	done := make(chan error, 1)
	if !f.post(r.peer, func(w *worker) { do(w, r, done) }) {
		return wrap(ErrStopped)
	}
	select {
	case err := <-done:
		return wrap(err)
	case <-f.quit:
		return wrap(ErrStopped)
	case <-ctx.Done():
		return wrap(ctx.Err())
	}
}

func (w *worker) releaseFunding(r *record, done chan error) {
	c, ok := w.channels[lnwire.NewChanIDFromOutPoint(r.point)]
	if !ok {
		done <- w.absent(r)
		return
	}
	if err := w.tryStep(c, funding.Release{}); err != nil {
		done <- ErrNotWithheld
		return
	}
	if _, still := c.machine.Tx.(funding.Withheld); still {
		done <- errors.New("the release could not be written; nothing was broadcast")
		return
	}
	if !c.publishing {
		done <- nil
		return
	}
	c.released = append(c.released, done)
}

// absent is the answer about a funding that has no channel on its way here.
func (w *worker) absent(r *record) error {
	switch w.f.journal.state(r).State {
	case Settled, Released:
		return nil
	case Gone:
		return ErrNotWithheld
	}
	return ErrUnknownChannel
}

func (w *worker) dropFunding(r *record, reason string, done chan error) {
	c, ok := w.channels[lnwire.NewChanIDFromOutPoint(r.point)]
	if !ok {
		switch w.f.journal.state(r).State {
		case Gone:
			done <- nil
		case Intended:
			done <- ErrUnknownChannel
		default:
			done <- ErrNotWithheld
		}
		return
	}
	if err := w.tryStep(c, funding.Drop{Reason: reason}); err != nil {
		done <- ErrNotWithheld
		return
	}
	if _, still := c.machine.Tx.(funding.Withheld); still {
		done <- errors.New("the end could not be written; the funding is withheld still")
		return
	}
	done <- nil
}
