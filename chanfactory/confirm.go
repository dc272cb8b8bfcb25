package chanfactory

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// depth is how many confirmations the channel waits for.
func (c *channel) depth() uint32 {
	if c.ch.IsZeroConf() {
		return uint32(c.w.f.policy.ZeroConfDepth)
	}
	return uint32(max(c.ch.NumConfsRequired, 1))
}

// waitDepth starts to wait for the confirmations.
func (c *channel) waitDepth() {
	if c.waiting {
		return
	}
	f, key, id := c.w.f, c.w.key, c.id
	w := confirmation{
		f: f, ended: c.ended, point: c.machine.Facts.Point, depth: c.depth(),
		hint: c.ch.BroadcastHeight(),
	}
	var err error
	if w.script, err = fundingScript(c.ch); err != nil {
		c.log().Error("cannot make the funding script", "err", err)
		return
	}
	c.waiting = true
	f.spawn(func() {
		ev, err := w.wait()
		f.post(key, func(w *worker) {
			c, ok := w.channels[id]
			if !ok {
				return
			}
			c.waiting = false // a block later it is tried again
			if err != nil {
				c.log().Warn("cannot wait for the funding's confirmations", "err", err)
			}
			if ev != nil {
				w.step(c, ev)
			}
		})
	})
}

// lookForFunding looks whether the funding is in a block. A search of the past that has not ended
// knows nothing; then the next block asks again.
func (c *channel) lookForFunding(reason string) funding.ChannelEvent {
	point := c.machine.Facts.Point
	script, err := fundingScript(c.ch)
	if err != nil {
		c.log().Error("cannot make the funding script", "err", err)
		return nil
	}
	n, err := c.w.f.cfg.Notifier.RegisterConfirmationsNtfn(&point.Hash, script, 1,
		c.ch.BroadcastHeight())
	if err != nil {
		c.log().Warn("cannot look for the funding", "err", err)
		return nil
	}
	defer n.Cancel()
	// What the search has found is told before it counts as ended.
	if searched := c.w.f.cfg.Searched; searched != nil && !searched(&point.Hash, script) {
		return nil
	}
	select {
	case <-n.Confirmed: // or the notifier has stopped
		return nil
	default:
		return funding.Worthless{Reason: reason}
	}
}

// fundingScript is the output script of the funding transaction.
func fundingScript(ch *channeldb.OpenChannel) ([]byte, error) {
	multisig, err := input.GenMultiSigScript(
		ch.LocalChanCfg.MultiSigKey.PubKey.SerializeCompressed(),
		ch.RemoteChanCfg.MultiSigKey.PubKey.SerializeCompressed())
	if err != nil {
		return nil, err
	}
	return input.WitnessScriptHash(multisig)
}

// confirmation is the wait for one funding transaction.
type confirmation struct {
	f      *Factory
	ended  <-chan struct{}
	point  wire.OutPoint
	script []byte
	depth  uint32
	hint   uint32
}

// wait returns when the transaction is deep enough; nil when the wait is over without. Until
// then a reorganisation changes nothing: the notifier starts to count anew.
func (w confirmation) wait() (funding.ChannelEvent, error) {
	conf, err := w.reach(w.depth)
	if conf == nil || err != nil {
		return nil, err
	}
	// The output of a coinbase transaction can't be spent before it is mature.
	if maturity := uint32(w.f.cfg.Params.CoinbaseMaturity); blockchain.IsCoinBaseTx(conf.Tx) &&
		w.depth < maturity {
		if conf, err = w.reach(maturity); conf == nil || err != nil {
			return nil, err
		}
	}
	ch, err := w.f.cfg.Channels.FetchChannel(w.point)
	if err == nil {
		// The opener may have funded something else than what was signed for.
		if err := w.check(conf.Tx, ch.Capacity); err != nil {
			return funding.BadFunding{
				Reason: fmt.Sprintf("the funding transaction is wrong: %v", err),
			}, nil
		}
	} else if !noChannel(err) {
		return nil, fmt.Errorf("chanfactory: look up channel %v: %w", w.point, err)
	}
	return funding.Confirmed{Scid: lnwire.ShortChannelID{
		BlockHeight: conf.BlockHeight, TxIndex: conf.TxIndex, TxPosition: uint16(w.point.Index),
	}}, nil
}

// check compares the output with what was agreed. Our signatures and the peer's were
// checked against that output when the commitments were made.
//
// lnwallet's ValidateChannel would do it by running the script with our commitment. But for that
// it makes a channel from what is stored, which fails while an update of the peer's waits to be
// signed: a good channel would be given up because it confirmed during a payment.
func (w confirmation) check(tx *wire.MsgTx, capacity btcutil.Amount) error {
	if w.point.Index >= uint32(len(tx.TxOut)) {
		return fmt.Errorf("it has no output %d", w.point.Index)
	}
	out := tx.TxOut[w.point.Index]
	if got := btcutil.Amount(out.Value); got != capacity {
		return fmt.Errorf("its output has %v, not the %v of the channel", got, capacity)
	}
	if !bytes.Equal(out.PkScript, w.script) {
		return errors.New("its output is not the 2-of-2 of the channel")
	}
	return nil
}

func (w confirmation) reach(depth uint32) (*chainntnfs.TxConfirmation, error) {
	n, err := w.f.cfg.Notifier.RegisterConfirmationsNtfn(
		&w.point.Hash, w.script, depth, w.hint)
	if err != nil {
		return nil, fmt.Errorf("chanfactory: wait for %v: %w", w.point, err)
	}
	defer n.Cancel()
	for {
		select {
		case conf := <-n.Confirmed: // nil when the notifier has stopped
			return conf, nil
		case <-n.Updates:
		case <-n.NegativeConf:
		case <-w.ended:
			return nil, nil
		case <-w.f.quit:
			return nil, nil
		}
	}
}

// publish broadcasts the funding transaction, off the worker's goroutine: the backend may take
// its time, and channel_ready is waiting to be handled.
func (c *channel) publish() {
	if c.publishing || c.tx == nil {
		return
	}
	c.publishing = true
	f, key, id, tx := c.w.f, c.w.key, c.id, c.tx
	f.spawn(func() {
		err := f.cfg.Publish(tx, "open channel")
		f.post(key, func(w *worker) {
			if c, ok := w.channels[id]; ok {
				w.published(c, err)
			}
		})
	})
}

func (w *worker) published(c *channel, err error) {
	c.publishing = false
	for _, done := range c.released {
		done <- nil
	}
	c.released = nil
	if err != nil {
		c.log().Warn("cannot broadcast the funding transaction; tried again with each block",
			"err", err)
		return
	}
	w.step(c, funding.Published{})
}

// block tells the channels of a new tip, and tries again what failed.
func (w *worker) newBlock() {
	height := w.f.height.Load()
	for _, c := range w.channels {
		w.step(c, funding.Block{Height: height})
		if _, stuck := c.machine.Use.(funding.Stuck); !stuck && !c.deep() {
			c.waitDepth()
		}
	}
	for _, c := range w.closings {
		c.rebroadcast()
	}
}

func (c *channel) deep() bool {
	switch c.machine.Tx.(type) {
	case funding.Deep, funding.Abandoned:
		return true
	}
	return false
}

// markReal stores the confirmed scid of a channel that lives by its alias, if that is not done.
//
// A link's channel must be changed in the link's own goroutine: between the in-memory and the
// stored part of a revocation, any other copy is out of step, and lnwallet would sign from it or
// write over it. lnd's own Switch.UpdateShortChanID does that from outside, and loses channels by
// it. Nor may another copy be changed while the link lives: the link's next commitment writes
// its own copy back, without the scid.
func (w *worker) markReal(c *channel) {
	if c.unmarked == nil {
		return
	}
	scid, id, f := *c.unmarked, c.id, w.f
	link, lc, ok := f.cfg.Links.Find(id)
	if !ok {
		ch, err := f.cfg.Channels.FetchChannel(c.machine.Facts.Point)
		if err == nil {
			err = ch.MarkRealScid(scid)
		}
		w.marked(id, err)
		return
	}
	f.spawn(func() {
		// The hook is dropped when the link ends first; gone and online mark again then.
		link.OnCommitOnce(htlcswitch.Incoming, func() {
			err := lc.State().MarkRealScid(scid)
			// The switch takes the link's lock, which this hook may be running under.
			f.spawn(func() {
				f.cfg.Links.Refresh(id)
				f.post(w.key, func(w *worker) { w.marked(id, err) })
			})
		})
	})
}

// marked notes that the confirmed scid is stored.
func (w *worker) marked(id lnwire.ChannelID, err error) {
	c, ok := w.channels[id]
	if !ok {
		return
	}
	if err != nil && !noChannel(err) { // it may be closed meanwhile
		c.log().Error("cannot store the confirmed scid; tried again at the next start", "err", err)
	}
	c.unmarked = nil
	if c.machine.Done() {
		w.forget(c)
	}
}

// reestablished looks whether a link was made from a record that is older than the confirmation.
func (w *worker) reestablished(id lnwire.ChannelID) {
	_, lc, ok := w.f.cfg.Links.Find(id)
	if !ok || !lc.State().IsZeroConf() || lc.State().ZeroConfConfirmed() {
		return
	}
	stored, err := w.fetch(id)
	if err != nil || stored == nil || !stored.ZeroConfConfirmed() {
		return
	}
	scid := stored.ZeroConfRealScid()
	link, lc, ok := w.f.cfg.Links.Find(id)
	if !ok {
		return
	}
	f := w.f
	f.spawn(func() {
		link.OnCommitOnce(htlcswitch.Incoming, func() {
			if err := lc.State().MarkRealScid(scid); err == nil {
				f.spawn(func() { f.cfg.Links.Refresh(id) })
			}
		})
	})
}
