package chanfactory

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwallet/chancloser"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// open builds the closer and its shutdown message, which is stored before it can be sent.
func (c *closing) open(link htlcswitch.ChannelUpdateHandler,
	lc *lnwallet.LightningChannel) (*lnwire.Shutdown, error) {

	if err := c.build(link, lc); err != nil {
		return nil, err
	}
	shutdown, err := c.talk.closer.ShutdownChan()
	if err != nil {
		c.talk = nil
		return nil, fmt.Errorf("make shutdown: %w", err)
	}
	return shutdown, nil
}

// build makes lnd's closer.
func (c *closing) build(link htlcswitch.ChannelUpdateHandler,
	lc *lnwallet.LightningChannel) error {

	script, err := c.script(lc)
	if err != nil {
		return err
	}
	rate := c.req.FeeRate
	if rate == 0 {
		if rate, err = c.w.f.cfg.Fees.EstimateFeePerKW(closeConfTarget); err != nil {
			return fmt.Errorf("estimate the closing feerate: %w", err)
		}
	}
	party := lntypes.Remote
	if c.local {
		party = lntypes.Local
	}
	conn := c.w.conn
	none := make(chan struct{})
	close(none)
	c.talk = &talk{lc: lc, link: link, hooked: none, closer: chancloser.NewChanCloser(
		chancloser.ChanCloseCfg{
			Channel: lc, BroadcastTx: c.broadcast, MaxFee: c.req.MaxFeeRate,
			DisableChannel: func(wire.OutPoint) error { return nil },
			Disconnect: func() error {
				conn.Disconnect(errors.New("chanfactory: close failed"))
				return nil
			},
			ChainParams: c.w.f.cfg.Params, Quit: c.w.f.quit,
			FeeEstimator: &chancloser.SimpleCoopFeeEstimator{},
		},
		chancloser.DeliveryAddrWithKey{DeliveryAddress: script},
		max(rate, chainfee.FeePerKwFloor), c.w.f.height.Load(), nil, party,
	)}
	return nil
}

// script is where our part goes: what shutdown said before, the upfront script, the caller's
// address, or a new one.
func (c *closing) script(lc *lnwallet.LightningChannel) (lnwire.DeliveryAddress, error) {
	anySegwit := funding.Both(c.w.conn.LocalFeatures(), c.w.conn.RemoteFeatures(),
		lnwire.ShutdownAnySegwitOptional)
	info, err := lc.State().ShutdownInfo()
	if err != nil && !errors.Is(err, channeldb.ErrNoShutdownInfo) {
		return nil, fmt.Errorf("look up shutdown: %w", err)
	}
	var script lnwire.DeliveryAddress
	info.WhenSome(func(i channeldb.ShutdownInfo) { script = i.DeliveryScript.Val })
	if len(script) != 0 {
		return script, nil
	}
	if upfront := lc.LocalUpfrontShutdownScript(); len(upfront) != 0 {
		return upfront, nil
	}
	address := c.req.Address
	if address == nil {
		if address, err = c.newAddress(anySegwit); err != nil {
			return nil, err
		}
	}
	if script, err = txscript.PayToAddrScript(address); err != nil {
		return nil, fmt.Errorf("%w: address: %w", ErrBadRequest, err)
	}
	version, _, err := txscript.ExtractWitnessProgramInfo(script)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %v is not a segwit address", ErrBadRequest, address)
	// BOLT 2: "if (and only if) `option_shutdown_anysegwit` is negotiated:"
	case version > 0 && !anySegwit:
		return nil, fmt.Errorf("%w: the peer does not pay to taproot addresses", ErrBadRequest)
	}
	return script, nil
}

// newAddress is where our part goes if nobody says otherwise. It is the same in all talks of a close:
// a peer that makes them fail could take the wallet's addresses otherwise, until a restore from the
// words gives up before it comes to one with coins.
func (c *closing) newAddress(anySegwit bool) (btcutil.Address, error) {
	if address, ok := c.fresh[anySegwit]; ok {
		return address, nil
	}
	kind := lnwallet.WitnessPubKey
	if anySegwit {
		kind = lnwallet.TaprootPubkey
	}
	address, err := c.w.f.cfg.Wallet.NewAddress(kind, false, lnwallet.DefaultAccountName)
	if err != nil {
		return nil, fmt.Errorf("take a new address: %w", err)
	}
	c.fresh[anySegwit] = address
	return address, nil
}

// broadcast never fails the negotiation: the transaction is stored by now, the peer still needs
// our signature, and it is sent again with each block.
func (c *closing) broadcast(tx *wire.MsgTx, label string) error {
	if err := c.w.f.cfg.Publish(tx, label); err != nil {
		c.log().Warn("cannot broadcast the closing transaction; tried again with each block",
			"err", err)
	}
	return nil
}

// hook runs fn in the link's goroutine at the given moment, after the hooks before it.
func (c *closing) hook(register func(htlcswitch.ChannelUpdateHandler, func()), fn func()) {
	t, before, mine := c.talk, c.talk.hooked, make(chan struct{})
	t.hooked = mine
	c.w.f.spawn(func() {
		defer close(mine)
		select {
		case <-before:
			register(t.link, fn) // returns when the link took it, or has ended
		case <-c.w.f.quit:
		}
	})
}

// sendShutdown sends shutdown as soon as nothing of ours waits for a signature.
//
// BOLT 2: "if there are updates pending on the receiving node's commitment transaction:"
// BOLT 2: "MUST NOT send a `shutdown`."
func (c *closing) sendShutdown(m *lnwire.Shutdown) {
	if c.talk.link == nil {
		c.w.send(m)
		c.update(CloseUpdate{Stage: CloseShutdownSent})
		return
	}
	c.talk.link.DisableAdds(htlcswitch.Outgoing)
	f, key, id, conn := c.w.f, c.w.key, c.id, c.w.conn
	c.hook(func(link htlcswitch.ChannelUpdateHandler, fn func()) {
		link.OnCommitOnce(htlcswitch.Outgoing, fn)
	}, func() {
		// A send that fails is made good when the peer is back.
		_ = conn.SendMessage(false, m)
		f.post(key, func(w *worker) {
			if c, ok := w.closings[id]; ok {
				c.update(CloseUpdate{Stage: CloseShutdownSent})
			}
		})
	})
}

// shutdown: the peer begins a close, or answers ours.
func (w *worker) shutdown(m *lnwire.Shutdown) {
	c, ok := w.closings[m.ChannelID]
	if !ok || c.talk == nil {
		if c, ok = w.answerClose(m); !ok {
			return
		}
	}
	if c.talk.link != nil {
		c.talk.link.DisableAdds(htlcswitch.Incoming)
	}
	reply, err := c.talk.closer.ReceiveShutdown(*m)
	if err != nil {
		c.fail(fmt.Errorf("take the peer's shutdown: %w", err))
		return
	}
	reply.WhenSome(func(m lnwire.Shutdown) { c.sendShutdown(&m) })
	if c.talk.link == nil {
		c.negotiate()
		return
	}
	f, key, id, t := w.f, w.key, c.id, c.talk
	c.hook(func(link htlcswitch.ChannelUpdateHandler, fn func()) {
		link.OnFlushedOnce(fn)
	}, func() {
		f.post(key, func(w *worker) {
			if c, ok := w.closings[id]; ok && c.talk == t {
				c.flushed()
			}
		})
	})
}

// answerClose prepares for a close that the peer began; false when there can't be one.
func (w *worker) answerClose(m *lnwire.Shutdown) (*closing, bool) {
	if c, ok := w.channels[m.ChannelID]; ok {
		if _, withheld := c.machine.Tx.(funding.Withheld); withheld {
			// It does not want the channel, and nothing is on chain yet.
			w.step(c, funding.RecvChannelError{Text: "shutdown before it was funded"})
			return nil, false
		}
	}
	if ch, err := w.fetch(m.ChannelID); err != nil || ch == nil {
		if err != nil {
			w.log.Error("cannot look up channel", "chan", m.ChannelID.String(), "err", err)
		}
		w.unknown(m.ChannelID)
		return nil, false
	}
	link, lc, ok := w.f.cfg.Links.Find(m.ChannelID)
	if !ok {
		w.send(&lnwire.Warning{ChanID: m.ChannelID, Data: []byte("the channel is not open now")})
		return nil, false
	}
	// The closer looks too, but when we have taken an address for our part already.
	//
	// BOLT 2: "if the `scriptpubkey` is not in one of the above forms: SHOULD send a `warning`."
	if !lnwallet.ValidateUpfrontShutdown(m.Address, w.f.cfg.Params) {
		w.log.Warn("peer's shutdown pays to no valid script", "chan", m.ChannelID.String())
		w.send(&lnwire.Warning{ChanID: m.ChannelID, Data: []byte("closing failed")})
		w.conn.Disconnect(errors.New("chanfactory: shutdown with an invalid scriptpubkey"))
		return nil, false
	}
	c, ok := w.closings[m.ChannelID]
	if !ok {
		c = w.newClosing(lc.ChannelPoint(), CloseRequest{}, false)
	}
	if err := c.build(link, lc); err != nil {
		c.log().Error("cannot answer shutdown", "err", err)
		w.send(&lnwire.Warning{ChanID: m.ChannelID, Data: []byte("can't close now")})
		return nil, false
	}
	return c, true
}

// flushed: no HTLC is left, so the link has done its work.
func (c *closing) flushed() {
	c.w.f.cfg.Links.Remove(c.id)
	c.negotiate()
}

// negotiate starts to agree on the fee.
func (c *closing) negotiate() {
	offer, err := c.talk.closer.BeginNegotiation()
	if err != nil {
		c.fail(fmt.Errorf("begin to negotiate: %w", err))
		return
	}
	offer.WhenSome(func(m lnwire.ClosingSigned) { c.w.send(&m) })
	c.agreed()
}

// closingSigned: the peer's offer.
func (w *worker) closingSigned(m *lnwire.ClosingSigned) {
	c, ok := w.closings[m.ChannelID]
	if !ok || c.talk == nil {
		// The echo of the last offer may come when the close is confirmed already.
		w.log.Debug("closing_signed without a close", "chan", m.ChannelID.String())
		w.send(&lnwire.Warning{ChanID: m.ChannelID, Data: []byte("no shutdown was exchanged")})
		return
	}
	reply, err := c.talk.closer.ReceiveClosingSigned(*m)
	if err != nil {
		c.fail(fmt.Errorf("take the peer's closing_signed: %w", err))
		return
	}
	reply.WhenSome(func(m lnwire.ClosingSigned) { w.send(&m) })
	c.agreed()
}

// agreed: once both have signed, the rest is the chain's.
func (c *closing) agreed() {
	tx, err := c.talk.closer.ClosingTx()
	if err != nil || c.tx != nil {
		return // not yet, or known already
	}
	c.tx = tx
	c.log().Info("channel close is signed", "tx", tx.TxHash().String())
	c.update(CloseUpdate{Stage: ClosePending, Txid: tx.TxHash()})
	c.w.f.cfg.Links.Remove(c.id)
}
