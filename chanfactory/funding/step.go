package funding

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Deadline is when a Tick ends the opening; false while it does not wait for the peer.
func (o Opening) Deadline() (time.Time, bool) {
	return o.Params.Deadline, o.State.awaits() == ofPeer
}

// Ended says that the opening has nothing left to do: it failed, or its channel is stored.
func (o Opening) Ended() bool { return o.State.awaits() == ofNobody }

// Step moves the opening on. A peer's message that has no place in the state ends the opening
// with an error to the peer; any other unexpected event is an UnexpectedError and changes
// nothing.
//
// The commands are for the shell to do in order. When one of them answers with CommandFailed,
// the rest of the list must not be done.
func (o Opening) Step(now time.Time, ev Event) (Opening, []Command, error) {
	if o.Ended() {
		return o, nil, &UnexpectedError{o.State, ev}
	}
	switch ev := ev.(type) {
	case CommandFailed:
		return o.fail(ToldFailed{Fault: ev.Fault, Reason: ev.Reason})
	}
	if o.State.awaits() == ofShell {
		return o.follow(ev)
	}
	switch ev := ev.(type) {
	case Tick:
		if now.Before(o.Params.Deadline) {
			return o, nil, nil
		}
		return o.fail(ToldFailed{Fault: Timeout, Reason: "the peer did not answer in time"})

	case Cancelled:
		return o.fail(ToldFailed{Fault: Ours, Reason: ev.Reason})

	case Disconnected:
		// BOLT 2: "SHOULD NOT remember the channel for reconnection."
		return o.fail(ToldFailed{Fault: PeerGone, Reason: "the connection ended"})

	case RecvError:
		_, first := o.State.(AwaitAcceptChannel)
		return o.fail(ToldFailed{
			Fault: PeerRefused, Reason: ev.Text,
			// ldk-node without money on chain says no more than "Channel request rejected".
			CanRetryWithoutAnchors: first && o.Params.Type.Anchors,
		})
	}
	return o.follow(ev)
}

// follow lets the state answer.
func (o Opening) follow(ev Event) (Opening, []Command, error) {
	p := o.Params
	next, out := o.State.step(&p, ev)
	if next != nil {
		if failed, ok := next.(Failed); ok {
			return o.fail(ToldFailed{Fault: failed.Fault, Reason: failed.Reason})
		}
		return Opening{Params: p, State: next}, out, nil
	}
	if message := nameOf(ev); message != "" && o.State.awaits() == ofPeer {
		return o.fail(ToldFailed{Fault: PeerTerms, Reason: "unexpected " + message})
	}
	return o, nil, &UnexpectedError{o.State, ev}
}

// fail ends the opening: what it holds is given back, the peer and our caller are told.
func (o Opening) fail(why ToldFailed) (Opening, []Command, error) {
	out := o.State.hold()
	if why.Fault != PeerGone && why.Fault != PeerRefused {
		text := why.Reason
		if why.Fault == Ours {
			text = "the channel can't be opened now" // our insides are nobody's business
		}
		for _, id := range o.names() {
			out = append(out, Send{&lnwire.Error{ChanID: id, Data: lnwire.ErrorData(text)}})
		}
	}
	out = append(out, Tell{why})
	return Opening{Params: o.Params, State: Failed{why.Fault, why.Reason}}, out, nil
}

// names are the channel ids by which the peer may know this opening.
//
// BOLT 1: "MUST use `temporary_channel_id` in lieu of `channel_id`." up to funding_created; while
// that is on its way, the peer may know either.
func (o Opening) names() []lnwire.ChannelID {
	temporary := lnwire.ChannelID(o.Params.PendingID)
	switch s := o.State.(type) {
	case AwaitReservation:
		return nil // the peer has not heard of it
	case AwaitFundingSigned:
		return []lnwire.ChannelID{temporary, lnwire.NewChanIDFromOutPoint(s.Point)}
	case AwaitChannel:
		return []lnwire.ChannelID{lnwire.NewChanIDFromOutPoint(s.Point)}
	}
	return []lnwire.ChannelID{temporary}
}

// nameOf is the BOLT name of a peer's message, or empty.
func nameOf(ev Event) string {
	switch ev.(type) {
	case RecvAcceptChannel:
		return "accept_channel"
	case RecvFundingCreated:
		return "funding_created"
	case RecvFundingSigned:
		return "funding_signed"
	case RecvDuplicateOpen:
		return "open_channel with a temporary_channel_id that is in use"
	}
	return ""
}

// The opener's states, in ladder order.

func (AwaitReservation) step(p *Params, ev Event) (State, []Command) {
	reserved, ok := ev.(Reserved)
	if !ok {
		return nil, nil
	}
	out := []Command{Send{openChannel(*p, reserved.Keys)}, Tell{ToldSent{}}}
	if p.ZeroConf {
		out = append(out, TakeAlias{})
	}
	return AwaitAcceptChannel{}, out
}

func (AwaitAcceptChannel) step(p *Params, ev Event) (State, []Command) {
	accept, ok := ev.(RecvAcceptChannel)
	if !ok {
		return nil, nil
	}
	if err := CheckAccept(*p, accept.Msg); err != nil {
		return Failed{PeerTerms, err.Error()}, nil
	}
	depth := uint16(max(accept.Msg.MinAcceptDepth, 1))
	if p.ZeroConf {
		depth = 0
	}
	return AwaitSignature{}, []Command{Tell{ToldAccepted{}}, Sign{accept.Msg, depth}}
}

func (AwaitSignature) step(_ *Params, ev Event) (State, []Command) {
	signed, ok := ev.(Signed)
	if !ok {
		return nil, nil
	}
	return AwaitIntent{signed}, []Command{StoreIntent{signed.Point}}
}

func (s AwaitIntent) step(p *Params, ev Event) (State, []Command) {
	if _, ok := ev.(IntentStored); !ok {
		return nil, nil
	}
	return AwaitFundingSigned{s.Signed.Point}, []Command{
		Tell{ToldCreated{s.Signed.Point}},
		Send{&lnwire.FundingCreated{
			PendingChannelID: p.PendingID,
			FundingPoint:     s.Signed.Point,
			CommitSig:        s.Signed.Sig,
		}},
	}
}

func (s AwaitFundingSigned) step(_ *Params, ev Event) (State, []Command) {
	signed, ok := ev.(RecvFundingSigned)
	if !ok || signed.Msg.ChanID != lnwire.NewChanIDFromOutPoint(s.Point) {
		return nil, nil
	}
	return AwaitChannel(s), []Command{StoreChannel{s.Point, signed.Msg.CommitSig}}
}

func (s AwaitChannel) step(_ *Params, ev Event) (State, []Command) {
	if _, ok := ev.(ChannelStored); !ok {
		return nil, nil
	}
	return Stored(s), []Command{Tell{ToldSigned{s.Point}}, CarryOn(s)}
}

// The acceptor's states, in ladder order.

func (s AwaitVerdict) step(p *Params, ev Event) (State, []Command) {
	switch ev := ev.(type) {
	case Refused:
		return Failed{PeerTerms, ev.Reason}, nil

	case Judged:
		// BOLT 2: "the `channel_type` includes `option_zeroconf` and it does not trust the sender
		// to open an unconfirmed channel."
		if p.Type.ZeroConf && !ev.ZeroConf {
			return Failed{PeerTerms, "no zero-conf channel is expected from this node"}, nil
		}
		p.ZeroConf, p.Demands = ev.ZeroConf, ev.Demands
		// BOLT 2: "MUST set `channel_reserve_satoshis` greater than or equal to
		// `dust_limit_satoshis` from the `open_channel` message."
		p.Demands.Reserve = max(p.Demands.Reserve, s.Open.DustLimit, minDustLimit)
		depth := max(ev.Depth, 1)
		if p.ZeroConf {
			// BOLT 2: "MUST set `minimum_depth` to zero."
			depth = 0
		}
		return AwaitKeys{s.Open, depth}, []Command{Reserve{}}
	}
	return nil, nil
}

func (s AwaitKeys) step(p *Params, ev Event) (State, []Command) {
	reserved, ok := ev.(Reserved)
	if !ok {
		return nil, nil
	}
	out := []Command{
		TakeTerms(s),
		Send{acceptChannel(*p, s.Depth, reserved.Keys)},
	}
	if p.ZeroConf {
		out = append(out, TakeAlias{})
	}
	return AwaitFundingCreated{}, out
}

func (AwaitFundingCreated) step(_ *Params, ev Event) (State, []Command) {
	created, ok := ev.(RecvFundingCreated)
	if !ok {
		return nil, nil
	}
	point := created.Msg.FundingPoint
	return AwaitAcceptedChannel{point}, []Command{StoreChannel{point, created.Msg.CommitSig}}
}

func (s AwaitAcceptedChannel) step(_ *Params, ev Event) (State, []Command) {
	stored, ok := ev.(ChannelStored)
	if !ok {
		return nil, nil
	}
	return Stored(s), []Command{
		Send{&lnwire.FundingSigned{
			ChanID:    lnwire.NewChanIDFromOutPoint(s.Point),
			CommitSig: stored.Sig,
		}},
		Tell{ToldSigned(s)},
		CarryOn(s),
	}
}

// The ends.

func (Stored) step(*Params, Event) (State, []Command) { return nil, nil }
func (Failed) step(*Params, Event) (State, []Command) { return nil, nil }

func (AwaitReservation) awaits() turn     { return ofShell }
func (AwaitAcceptChannel) awaits() turn   { return ofPeer }
func (AwaitSignature) awaits() turn       { return ofShell }
func (AwaitIntent) awaits() turn          { return ofShell }
func (AwaitFundingSigned) awaits() turn   { return ofPeer }
func (AwaitChannel) awaits() turn         { return ofShell }
func (AwaitVerdict) awaits() turn         { return ofShell }
func (AwaitKeys) awaits() turn            { return ofShell }
func (AwaitFundingCreated) awaits() turn  { return ofPeer }
func (AwaitAcceptedChannel) awaits() turn { return ofShell }
func (Stored) awaits() turn               { return ofNobody }
func (Failed) awaits() turn               { return ofNobody }

// What each state holds. Until the wallet has answered there is no reservation to give back.

func (AwaitReservation) hold() []Command     { return nil }
func (AwaitAcceptChannel) hold() []Command   { return []Command{CancelReservation{}} }
func (AwaitSignature) hold() []Command       { return []Command{CancelReservation{}} }
func (s AwaitIntent) hold() []Command        { return holdFunding(s.Signed.Point) }
func (s AwaitFundingSigned) hold() []Command { return holdFunding(s.Point) }
func (s AwaitChannel) hold() []Command       { return holdFunding(s.Point) }
func (AwaitVerdict) hold() []Command         { return nil }
func (AwaitKeys) hold() []Command            { return nil }
func (AwaitFundingCreated) hold() []Command  { return []Command{CancelReservation{}} }
func (AwaitAcceptedChannel) hold() []Command { return []Command{CancelReservation{}} }
func (Stored) hold() []Command               { return nil }
func (Failed) hold() []Command               { return nil }

func holdFunding(point wire.OutPoint) []Command {
	return []Command{CancelReservation{}, DropIntent{point}}
}

// String names the state.
func (o Opening) String() string { return fmt.Sprintf("%T", o.State)[len("funding."):] }
