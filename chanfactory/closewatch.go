package chanfactory

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

// errForced says that a close by agreement was overtaken.
var errForced = errors.New("the channel was closed by force")

// update tells the caller of a stage, once: a reconnect repeats some. There is a place for each.
func (c *closing) update(u CloseUpdate) {
	if c.updates == nil || u.Stage <= c.stage {
		return
	}
	c.stage = u.Stage
	c.updates <- u
}

// fail ends a negotiation. The connection ends too: it is the one way to a clean state, from
// which both sides begin again. The close itself lives on, with the fees that were asked for.
func (c *closing) fail(err error) {
	c.log().Warn("channel close failed", "err", err)
	w := c.w
	w.send(&lnwire.Warning{ChanID: c.id, Data: []byte("closing failed")})
	if c.talk != nil {
		c.talk.lc.ResetState()
	}
	c.talk = nil
	c.last(CloseUpdate{Stage: CloseFailed, Err: err})
	if w.conn != nil {
		w.conn.Disconnect(fmt.Errorf("chanfactory: close of %v: %w", c.point, err))
	}
}

// last tells the caller of the end.
func (c *closing) last(u CloseUpdate) {
	if c.updates == nil {
		return
	}
	c.update(u)
	close(c.updates)
	c.updates = nil
}

// refused: the peer answered with error.
func (c *closing) refused(text string) {
	if c.tx != nil {
		return // signed by both, it can't be taken back
	}
	c.fail(fmt.Errorf("the peer failed the channel: %s", text))
}

// finish ends a close.
func (c *closing) finish(last CloseUpdate) {
	delete(c.w.closings, c.id)
	close(c.over)
	c.last(last)
}

// suspend forgets the negotiation with the connection that carried it.
func (c *closing) suspend() { c.talk = nil }

// rebroadcast sends the closing transaction again, with each block until it is confirmed.
func (c *closing) rebroadcast() {
	if c.tx == nil {
		return
	}
	tx := c.tx
	c.w.f.spawn(func() { _ = c.broadcast(tx, "close channel") })
}

// resumeClosing takes a signed close up after a restart. One that was not signed goes on when
// the peer is back.
func (w *worker) resumeClosing(ch *channeldb.OpenChannel) {
	if !ch.HasChanStatus(channeldb.ChanStatusCoopBroadcasted) {
		return
	}
	tx, err := ch.BroadcastedCooperative()
	if errors.Is(err, channeldb.ErrNoCloseTx) {
		return
	}
	if err != nil {
		w.log.Error("cannot read the closing transaction", "err", err)
		return
	}
	c := w.newClosing(ch.FundingOutpoint, CloseRequest{}, closedByUs(ch))
	c.tx = tx
	c.rebroadcast()
}

func closedByUs(ch *channeldb.OpenChannel) bool {
	return ch.HasChanStatus(channeldb.ChanStatusLocalCloseInitiator)
}

// resumeCloses takes up the closes that a lost connection or a restart cut off, when the peer is
// back. A link, if there is one, sends our shutdown again by itself.
func (w *worker) resumeCloses() {
	chans, err := w.f.cfg.Channels.FetchOpenChannels(w.conn.IdentityKey())
	if err != nil {
		w.log.Error("cannot load channels", "err", err)
		return
	}
	for _, ch := range chans {
		if err := w.resumeClose(ch); err != nil {
			w.log.Error("cannot resume close", "chan", ch.FundingOutpoint.String(), "err", err)
		}
	}
}

func (w *worker) resumeClose(ch *channeldb.OpenChannel) error {
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	c := w.closings[id]
	if c != nil && c.tx != nil {
		return nil // signed by both
	}
	info, err := ch.ShutdownInfo()
	switch {
	case errors.Is(err, channeldb.ErrNoShutdownInfo):
		return nil
	case err != nil:
		return err
	}
	if c == nil {
		local := false
		info.WhenSome(func(i channeldb.ShutdownInfo) { local = i.Closer().IsLocal() })
		c = w.newClosing(ch.FundingOutpoint, CloseRequest{}, local)
	}
	link, lc, linked := w.f.cfg.Links.Find(id)
	if linked {
		_, err := c.open(link, lc)
		return err
	}
	if !ch.HasChanStatus(channeldb.ChanStatusCoopBroadcasted) {
		return nil // broken in another way; the court has it
	}
	// The HTLCs were gone already, so there is no link any more. Channel_reestablish is out.
	lc, err = lnwallet.NewLightningChannel(w.f.cfg.Wallet.Cfg.Signer, ch, nil)
	if err != nil {
		return err
	}
	shutdown, err := c.open(nil, lc)
	if err != nil {
		return err
	}
	c.sendShutdown(shutdown)
	return nil
}

// watchSpend waits for the end on chain, whoever brings it about: a peer may broadcast an
// earlier offer of ours, or close by force.
func (c *closing) watchSpend() {
	f, key, id, over := c.w.f, c.w.key, c.id, c.over
	ch, err := f.cfg.Channels.FetchChannel(c.point)
	if err != nil {
		c.log().Error("cannot look up channel", "err", err)
		return
	}
	f.spawn(func() {
		tx, agreed, err := f.awaitSpend(ch, over)
		if err != nil {
			f.log.Warn("cannot wait for the closing transaction",
				"chan", ch.FundingOutpoint.String(), "err", err)
			return
		}
		if tx == nil {
			return
		}
		f.post(key, func(w *worker) {
			if c, ok := w.closings[id]; ok {
				c.spent(*tx, agreed)
			}
		})
	})
}

// spent: the channel is closed on chain.
func (c *closing) spent(tx chainhash.Hash, agreed bool) {
	if !agreed {
		c.finish(CloseUpdate{Stage: CloseFailed, Txid: tx, Err: errForced})
		return
	}
	c.log().Info("channel close is confirmed", "tx", tx.String())
	c.finish(CloseUpdate{Stage: CloseConfirmed, Txid: tx})
	tag := ""
	if r := c.w.f.journal.findPoint(c.point); r != nil {
		tag = r.tag
	}
	c.w.emit(Closed{Subject: Subject{Tag: tag, Peer: c.w.key}, Point: c.point, ClosingTx: tx})
}

// awaitSpend returns the id of the transaction that closed the channel, when it is as deep as
// the court wants it, and whether it was an agreed one. Nil when the wait is over without.
func (f *Factory) awaitSpend(ch *channeldb.OpenChannel, over <-chan struct{}) (
	*chainhash.Hash, bool, error) {

	script, err := fundingScript(ch)
	if err != nil {
		return nil, false, err
	}
	point, hint := ch.FundingOutpoint, ch.DeriveHeightHint()
	spends, err := f.cfg.Notifier.RegisterSpendNtfn(&point, script, hint)
	if err != nil {
		return nil, false, err
	}
	defer spends.Cancel()
	depth := lnwallet.CloseConfsForCapacity(ch.Capacity)
	for {
		var spend *chainntnfs.SpendDetail
		select {
		case spend = <-spends.Spend:
		case <-over:
		case <-f.quit:
		}
		if spend == nil {
			return nil, false, nil
		}
		deep, err := f.awaitDepth(spend, depth, over, spends.Reorg)
		if err != nil {
			return nil, false, err
		}
		if deep {
			return spend.SpenderTxHash, agreedClose(spend), nil
		}
		select {
		case <-over:
			return nil, false, nil
		case <-f.quit:
			return nil, false, nil
		default: // reorganised away: wait for the next spend
		}
	}
}

// agreedClose tells a closing transaction from a commitment, whose sequence hides its number.
func agreedClose(spend *chainntnfs.SpendDetail) bool {
	return spend.SpendingTx.TxIn[spend.SpenderInputIndex].Sequence == wire.MaxTxInSequenceNum
}

// awaitDepth is true when the spending transaction has its confirmations.
func (f *Factory) awaitDepth(spend *chainntnfs.SpendDetail, depth uint32,
	over <-chan struct{}, reorg <-chan struct{}) (bool, error) {

	n, err := f.cfg.Notifier.RegisterConfirmationsNtfn(spend.SpenderTxHash,
		spend.SpendingTx.TxOut[0].PkScript, depth, uint32(spend.SpendingHeight))
	if err != nil {
		return false, err
	}
	defer n.Cancel()
	for {
		select {
		case conf := <-n.Confirmed:
			return conf != nil, nil
		case <-n.Updates:
		case <-n.NegativeConf:
		case <-reorg:
			return false, nil
		case <-over:
			return false, nil
		case <-f.quit:
			return false, nil
		}
	}
}
