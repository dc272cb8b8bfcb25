package chanfactory

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// message routes one message of the peer to the machine that it concerns.
func (w *worker) message(p Peer, m lnwire.Message) {
	if w.conn == nil || w.conn.ID() != p.ID() {
		return // what a connection carried ended with it
	}
	switch m := m.(type) {
	case *lnwire.OpenChannel:
		w.openChannel(m)
	case *lnwire.AcceptChannel:
		w.pending(m.PendingChannelID, funding.RecvAcceptChannel{Msg: m})
	case *lnwire.FundingCreated:
		w.pending(m.PendingChannelID, funding.RecvFundingCreated{Msg: m})
	case *lnwire.FundingSigned:
		w.fundingSigned(m)
	case *lnwire.ChannelReady:
		w.channelReady(m)
	case *lnwire.Shutdown:
		w.shutdown(m)
	case *lnwire.ClosingSigned:
		w.closingSigned(m)
	case *lnwire.Error:
		w.failed(m.ChanID, funding.Printable(m.Data))
	case *lnwire.Warning:
		// BOLT 1: "SHOULD log the message for later diagnosis."
		w.log.Warn("peer warns", "chan", m.ChanID.String(), "err", funding.Printable(m.Data))
	}
}

// openChannel judges a peer's wish for a channel.
func (w *worker) openChannel(m *lnwire.OpenChannel) {
	if o, ok := w.openings[m.PendingChannelID]; ok {
		w.drive(o, funding.RecvDuplicateOpen{})
		return
	}
	p, err := w.propose(m)
	if err != nil {
		w.log.Info("refused open_channel", "err", err)
		w.sendError(m.PendingChannelID, err.Error())
		return
	}
	machine, out := funding.NewAcceptor(p, m)
	w.begin(&opening{w: w, peer: w.conn}, machine, out)
}

// propose applies the limits and BOLT 2's rules.
func (w *worker) propose(m *lnwire.OpenChannel) (funding.Params, error) {
	f := w.f
	if w.inbound >= f.policy.MaxPendingPerPeer {
		return funding.Params{}, fmt.Errorf("more than %d unconfirmed channels",
			f.policy.MaxPendingPerPeer)
	}
	if int(f.inbound.Load()) >= f.policy.MaxPending && !f.cfg.Accept.Expects(w.key) {
		return funding.Params{}, errors.New("too many channels are being opened, try again later")
	}
	p, err := funding.Proposal{
		Chain: *f.cfg.Params.GenesisHash, Msg: m, Limits: f.policy.limits(),
		Local: w.conn.LocalFeatures(), Remote: w.conn.RemoteFeatures(),
	}.Check()
	if err != nil {
		return funding.Params{}, err
	}
	p.Deadline = f.clock.Now().Add(f.policy.OpenTimeout)
	return p, nil
}

// pending is for messages that name an opening by its temporary id.
func (w *worker) pending(id [32]byte, ev funding.Event) {
	if o, ok := w.openings[id]; ok {
		w.drive(o, ev)
		return
	}
	w.unknown(id)
}

// unknown answers a message about a channel that is not there.
//
// BOLT 1: "SHOULD send `error` with the unknown `channel_id` in reply to messages of type
// `32`-`255` related to unknown channels."
func (w *worker) unknown(id lnwire.ChannelID) { w.sendError(id, "unknown channel") }

// fundingSigned names the opening by the channel's id.
func (w *worker) fundingSigned(m *lnwire.FundingSigned) {
	for _, o := range w.openings {
		if o.hasID(m.ChanID) {
			w.drive(o, funding.RecvFundingSigned{Msg: m})
			return
		}
	}
	if c, ok := w.channels[m.ChanID]; ok {
		c.log().Warn("peer sent funding_signed again")
		return
	}
	w.unknown(m.ChanID)
}

// hasID says whether the opening's channel has the id.
func (o *opening) hasID(id lnwire.ChannelID) bool {
	s, ok := o.machine.State.(funding.AwaitFundingSigned)
	return ok && lnwire.NewChanIDFromOutPoint(s.Point) == id
}

// channelReady is for a channel on its way, or says a second time that a channel is ready, maybe
// with another alias.
func (w *worker) channelReady(m *lnwire.ChannelReady) {
	if c, ok := w.channels[m.ChanID]; ok {
		w.step(c, funding.RecvChannelReady{Msg: m})
		return
	}
	ch, err := w.fetch(m.ChanID)
	switch {
	case err != nil:
		w.log.Error("cannot look up channel", "chan", m.ChanID.String(), "err", err)
	case ch == nil:
		w.unknown(m.ChanID)
	case m.AliasScid != nil:
		w.keepAlias(m.ChanID, *m.AliasScid)
	}
}

// fetch reads a channel with this peer; nil if there is none.
func (w *worker) fetch(id lnwire.ChannelID) (*channeldb.OpenChannel, error) {
	ch, err := w.f.cfg.Channels.FetchChannelByID(nil, id)
	switch {
	case noChannel(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if [33]byte(ch.IdentityPub.SerializeCompressed()) != w.key {
		return nil, nil // another peer's is none of its business
	}
	return ch, nil
}

// failed is for `error`. An error about a channel that is in use is also the link's.
func (w *worker) failed(id lnwire.ChannelID, text string) {
	// BOLT 1: "if `channel_id` is all zero:"
	// BOLT 1: "MUST fail all channels with the sending node."
	all := id == lnwire.ConnectionWideID
	for _, o := range w.openings {
		if all || id == o.machine.Params.PendingID || o.hasID(id) {
			w.drive(o, funding.RecvError{Text: text})
		}
	}
	for _, c := range w.channels {
		if all || c.id == id {
			w.step(c, funding.RecvChannelError{Text: text})
		}
	}
	for _, c := range w.closings {
		if all || c.id == id {
			c.refused(text)
		}
	}
}
