package forward

import (
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Routes says how HTLCs that name a jit_channel_scid leave. Its answers come from
// memory: the switch asks for every HTLC.
type Routes interface {
	// Route reports whether the scid belongs to an order. Until the order's fee
	// is claimed, only is the one channel its parts may take; afterwards, and
	// where the order has no channel, it is zero.
	Route(scid lnwire.ShortChannelID) (only lnwire.ChannelID, isJIT bool)

	// Delta is the lsp_cltv_expiry_delta that the client was told for the scid.
	Delta(scid lnwire.ShortChannelID) (blocks uint16, isJIT bool)
}

// strictLink is a link of lnd's with three rules more.
//
// The switch sends an HTLC over any channel of the next peer, by lot. A part of a
// JIT payment carries a fee that the client agreed to for one channel: over
// another one LDK refuses it, or the channel that we paid for stays empty.
//
// bLIP-52 puts a fee of zero into the invoice's hint, so HTLCs that name a
// jit_channel_scid pay no forwarding fee, whatever the channel's policy says.
//
// A channel whose funding is withheld carries its order's parts alone: it may be
// dropped, and whatever else was on it would be owed to somebody.
type strictLink struct {
	htlcswitch.ChannelLink
	routes Routes
	// withheld says that the channel's funding is withheld now; nil: it never is.
	withheld func() bool
	// delta is what the HTLC must leave us between its two expiries, in blocks.
	delta uint32
	// update makes the channel_update that goes with a failure.
	update func(lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error)
	// box is where packets wait for the link.
	box htlcswitch.MailBox
}

// AttachMailBox notes the mailbox that the switch hands to the link, which it keeps
// from one link of the channel to the next, and after the channel's end.
func (s *strictLink) AttachMailBox(box htlcswitch.MailBox) {
	s.box = box
	s.ChannelLink.AttachMailBox(box)
}

// CheckHtlcForward says whether this link may forward the HTLC. scid is the one
// that the payer's onion named.
func (s *strictLink) CheckHtlcForward(hash [32]byte, in, out lnwire.MilliSatoshi,
	inExpiry, outExpiry uint32, inbound models.InboundFee, height uint32,
	scid lnwire.ShortChannelID, records lnwire.CustomRecords) *htlcswitch.LinkError {

	only, isJIT := s.routes.Route(scid)
	if only != s.ChanID() && s.withheld != nil && s.withheld() {
		return htlcswitch.NewLinkError(lnwire.NewTemporaryChannelFailure(nil))
	}
	if !isJIT {
		return s.ChannelLink.CheckHtlcForward(hash, in, out, inExpiry, outExpiry,
			inbound, height, scid, records)
	}
	if only != (lnwire.ChannelID{}) && only != s.ChanID() {
		return htlcswitch.NewLinkError(lnwire.NewTemporaryChannelFailure(nil))
	}
	if in < out || inExpiry < outExpiry || inExpiry-outExpiry < s.delta {
		update, err := s.update(scid)
		if err != nil {
			return htlcswitch.NewLinkError(lnwire.NewTemporaryChannelFailure(nil))
		}
		if in < out {
			return htlcswitch.NewLinkError(lnwire.NewFeeInsufficient(in, *update))
		}
		return htlcswitch.NewLinkError(lnwire.NewIncorrectCltvExpiry(inExpiry, *update))
	}
	return s.CheckHtlcTransit(hash, out, outExpiry, height, records)
}
