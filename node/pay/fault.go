package pay

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// fault is why a part failed, as the switch tells it.
type fault struct {
	kind faultKind

	// source is the place of the node that failed it: 0 is us, n the nth node of the route.
	source int

	// code is the BOLT 4 code, for faultNetwork.
	code lnwire.FailCode

	// update is the policy that came with the failure, for the channel update; nil if none did.
	update  *policy
	updated lnwire.ShortChannelID

	// text is an error of our own, for faultOurs.
	text string
}

type faultKind int

const (
	// faultNetwork: a node of the route, or we, failed it with a BOLT 4 failure.
	faultNetwork faultKind = iota //nolint:unused // the zero value

	// faultUnreadable: someone failed it, and it cannot be told who.
	faultUnreadable

	// faultLost: it never left, because the node stopped first.
	faultLost

	// faultOurs: it could not be made or sent. Trying again would end the same.
	faultOurs
)

// faultOf reads an error of the switch.
func faultOf(err error) fault {
	switch {
	case errors.Is(err, htlcswitch.ErrPaymentIDNotFound):
		return fault{kind: faultLost}

	case errors.Is(err, htlcswitch.ErrUnreadableFailureMessage):
		return fault{kind: faultUnreadable}
	}
	var clear htlcswitch.ClearTextError
	if !errors.As(err, &clear) {
		return fault{kind: faultOurs, text: err.Error()}
	}
	f := fault{}
	var forwarding *htlcswitch.ForwardingError
	if errors.As(err, &forwarding) {
		f.source = forwarding.FailureSourceIdx
	}
	msg := clear.WireMessage()
	if msg == nil {
		return f
	}
	f.code = msg.Code()
	if update := updateOf(msg); update != nil {
		f.updated = update.ShortChannelID
		f.update = &policy{
			base:  lnwire.MilliSatoshi(update.BaseFee),
			ppm:   update.FeeRate,
			delta: uint32(update.TimeLockDelta),
			min:   update.HtlcMinimumMsat,
		}
	}
	return f
}

// refusalOf reads an error of SendHTLC. One without a BOLT 4 failure, such as too much dust on the
// channel, is that of one channel of ours: another may do.
func refusalOf(err error) fault {
	f := faultOf(err)
	if f.kind == faultOurs {
		return fault{code: lnwire.CodeTemporaryChannelFailure, text: f.text}
	}
	return f
}

// updateOf is the channel_update inside a failure, if it brings one.
func updateOf(msg lnwire.FailureMessage) *lnwire.ChannelUpdate1 {
	switch m := msg.(type) {
	case *lnwire.FailTemporaryChannelFailure:
		return m.Update
	case *lnwire.FailAmountBelowMinimum:
		return &m.Update
	case *lnwire.FailFeeInsufficient:
		return &m.Update
	case *lnwire.FailIncorrectCltvExpiry:
		return &m.Update
	case *lnwire.FailExpiryTooSoon:
		return &m.Update
	case *lnwire.FailChannelDisabled:
		return &m.Update
	default:
		return nil
	}
}

// failure is the fault of a part with this route, for a person.
func (f fault) failure(hops []routeHop) *Failure {
	switch f.kind {
	case faultUnreadable:
		return &Failure{Source: "unknown", Text: "a node on the way failed the payment and gave " +
			"no readable reason: try again later"}

	case faultLost:
		return &Failure{Source: sourceUs, Text: "the node stopped before the payment had left: " +
			"pay again"}

	case faultOurs:
		return &Failure{Source: sourceUs, Text: f.text}
	}
	out := &Failure{Source: f.place(hops)}
	name, ok := codeNames[f.code]
	switch {
	case !ok:
		out.Text = fmt.Sprintf("%s gave a failure that is not known (code %d)",
			out.Source, uint16(f.code))

	case f.source == 0 && f.code == lnwire.CodeTemporaryChannelFailure:
		out.Code = name
		out.Text = "our own channel could not carry the payment: its peer may be offline or its " +
			"balance too low"

	default:
		out.Code = name
		out.Text = fmt.Sprintf("%s says %s: %s", out.Source, name, codeText(f.code))
	}
	if f.text != "" {
		out.Text += " (" + f.text + ")"
	}
	return out
}

const (
	sourceUs        = "this node"
	sourceRecipient = "the recipient"
)

// place names the node that gave the fault.
func (f fault) place(hops []routeHop) string {
	switch {
	case f.source <= 0:
		return sourceUs
	case f.source >= len(hops):
		return sourceRecipient
	case f.source == 1:
		return "peer " + hops[0].node.String()
	default:
		return "node " + hops[f.source-1].node.String()
	}
}
