package chanfactory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chancloser"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// closeConfTarget is the confirmation target of a closing transaction without a feerate, in
// blocks.
const closeConfTarget = 6

// closing is one cooperative close, negotiated by lnd's closer. It belongs to its worker's
// goroutine. A lost connection loses the negotiation, not the close: shutdown was stored and is
// sent again.
type closing struct {
	w     *worker
	id    lnwire.ChannelID
	point wire.OutPoint
	req   CloseRequest
	local bool // we began it

	updates chan CloseUpdate // nil when nobody listens; closed after the last update
	stage   CloseStage       // the last one told

	// fresh is an address of ours that no shutdown has named yet, by whether it needs
	// option_shutdown_anysegwit.
	fresh map[bool]btcutil.Address

	talk *talk         // nil while the peer is away
	tx   *wire.MsgTx   // the closing transaction, once both have signed
	over chan struct{} // closed when the close is over
}

// talk is what lives as long as the connection.
type talk struct {
	closer *chancloser.ChanCloser
	lc     *lnwallet.LightningChannel
	// link is nil when the channel had none when the talk began: then nothing is to be flushed.
	link htlcswitch.ChannelUpdateHandler
	// hooked is closed when the last hook was handed to the link. Hooks go in order: if the link
	// were flushed before our shutdown was sent, it never would be.
	hooked chan struct{}
}

func (c *closing) log() *slog.Logger { return c.w.log.With("chan", c.point.String()) }

// Close starts a cooperative close, or follows one that is under way with nobody who listens: the
// peer's, or one from before a restart. The last update is CloseConfirmed or CloseFailed, then the
// channel is closed. What was begun can't be taken back: after CloseFailed it is tried again with
// each new connection; a new Close follows that, with other fees. Errors: ErrUnknownChannel,
// ErrPendingOpen, ErrClosing, ErrPeerGone, ErrBadRequest, ErrStopped.
func (f *Factory) Close(ctx context.Context, r CloseRequest) (<-chan CloseUpdate, error) {
	fail := func(err error) (<-chan CloseUpdate, error) {
		return nil, fmt.Errorf("chanfactory: close channel %v: %w", r.Point, err)
	}
	if !f.isRunning() {
		return fail(ErrStopped)
	}
	ch, err := f.cfg.Channels.FetchChannel(r.Point)
	switch {
	case noChannel(err):
		return fail(ErrUnknownChannel)
	case err != nil:
		return fail(err)
	}
	type answer struct {
		updates <-chan CloseUpdate
		err     error
	}
	done := make(chan answer, 1)
	key := [33]byte(ch.IdentityPub.SerializeCompressed())
	if !f.post(key, func(w *worker) {
		updates, err := w.startClose(r)
		done <- answer{updates, err}
	}) {
		return fail(ErrStopped)
	}
	select {
	case a := <-done:
		if a.err != nil {
			return fail(a.err)
		}
		return a.updates, nil
	case <-f.quit:
		return fail(ErrStopped)
	case <-ctx.Done():
		return fail(ctx.Err())
	}
}

// noChannel says that an error of channeldb means that there is no such channel.
func noChannel(err error) bool {
	return errors.Is(err, channeldb.ErrChannelNotFound) ||
		errors.Is(err, channeldb.ErrNoChanDBExists) ||
		errors.Is(err, channeldb.ErrNoActiveChannels)
}

// startClose begins a close of ours.
func (w *worker) startClose(r CloseRequest) (<-chan CloseUpdate, error) {
	id := lnwire.NewChanIDFromOutPoint(r.Point)
	if c, ok := w.closings[id]; ok {
		return c.join(r)
	}
	if err := w.closable(id); err != nil {
		return nil, err
	}
	link, lc, ok := w.f.cfg.Links.Find(id)
	if !ok || w.conn == nil {
		return nil, fmt.Errorf("%w, or the channel is not up; try again, or close by force",
			ErrPeerGone)
	}
	c := w.newClosing(r.Point, r, true)
	c.listen()
	shutdown, err := c.open(link, lc)
	if err != nil {
		delete(w.closings, id)
		close(c.over)
		return nil, err
	}
	c.sendShutdown(shutdown)
	return c.updates, nil
}

// listen makes room for one update of each stage, so that telling never blocks.
func (c *closing) listen() {
	c.updates, c.stage = make(chan CloseUpdate, CloseFailed), 0
}

// join follows a close that is under way. Its fees count from the next negotiation on.
func (c *closing) join(r CloseRequest) (<-chan CloseUpdate, error) {
	if c.updates != nil {
		return nil, ErrClosing
	}
	c.req = r
	c.listen()
	if c.tx != nil {
		c.update(CloseUpdate{Stage: ClosePending, Txid: c.tx.TxHash()})
	}
	return c.updates, nil
}

// closable says why a channel can't be closed by agreement now.
func (w *worker) closable(id lnwire.ChannelID) error {
	ch, err := w.fetch(id)
	switch {
	case err != nil:
		return err
	case ch == nil:
		return ErrUnknownChannel
	case ch.IsPending:
		return fmt.Errorf("%w; wait for its funding to confirm", ErrPendingOpen)
	case ch.HasChanStatus(channeldb.ChanStatusRestored):
		return ErrRestored
	case !ch.HasChanStatus(channeldb.ChanStatusDefault):
		return fmt.Errorf("%w, or broken: its status is %v", ErrClosing, ch.ChanStatus())
	}
	if c, ok := w.channels[id]; ok {
		if _, withheld := c.machine.Tx.(funding.Withheld); withheld {
			return fmt.Errorf("%w: its funding is withheld; drop that instead", ErrPendingOpen)
		}
	}
	return nil
}

func (w *worker) newClosing(point wire.OutPoint, r CloseRequest, local bool) *closing {
	c := &closing{
		w: w, id: lnwire.NewChanIDFromOutPoint(point), point: point, req: r, local: local,
		over: make(chan struct{}), fresh: map[bool]btcutil.Address{},
	}
	w.closings[c.id] = c
	c.watchSpend()
	return c
}
