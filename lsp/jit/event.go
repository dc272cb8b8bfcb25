package jit

import (
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Event is something that happened.
//
//sumtype:decl
type Event interface{ event() }

type (
	// PartArrived is an HTLC that names the scid, new or offered again. Height is
	// the best block. Refuse, when not zero, is the node's wish not to hold one
	// more: a part that is not known yet is failed with it.
	PartArrived struct {
		Part   Part
		Height uint32
		Refuse lnwire.FailCode
	}

	// ClientOnline says that the client is connected, and over which connection.
	// It is wanted when that happens and in answer to WakeClient.
	ClientOnline struct{ Conn Conn }

	// ClientGone says that the client's connection has ended.
	ClientGone struct{}

	// OpenSigned says that funding_signed is stored: from here the channel exists.
	OpenSigned struct{ Point wire.OutPoint }

	// OpenFailed ends an open without a channel. Each OpenChannel ends in exactly
	// one OpenSigned or OpenFailed, after CancelOpen too.
	OpenFailed struct {
		Fault                  Fault
		Reason                 string
		CanRetryWithoutAnchors bool
	}

	// ChannelUsable says that both channel_ready are exchanged and that the link
	// is active. It is wanted again after each reconnect.
	ChannelUsable struct {
		Point    wire.OutPoint
		Conn     Conn
		HTLCMin  lnwire.MilliSatoshi
		MaxHTLCs int
	}

	// ChannelRefused says that the client sent `error` for the channel. It may be wanted
	// again on the client's next connection.
	ChannelRefused struct {
		Point  wire.OutPoint
		Reason string
	}

	// ChannelGone says that the channel is closed, or with Unfunded that it was dropped and
	// its funding will never be there.
	ChannelGone struct {
		Point    wire.OutPoint
		Unfunded bool
	}

	// PartClaimed says that the client gave the preimage for this part.
	PartClaimed struct{ Key CircuitKey }

	// PreimageKnown says that the preimage of a payment is known, before it is known
	// which of the parts the client claims: it may claim one and fail the others, or have
	// the preimage from another payment. A withheld funding goes out with it, for from now
	// on the client's money is in a transaction that only we can broadcast.
	PreimageKnown struct{ Hash lntypes.Hash }

	// PartFailed says that this part failed: Ours says by our own switch, so that the
	// client has not seen it.
	PartFailed struct {
		Key  CircuitKey
		Ours bool
	}

	// PartStuck says that a forward did not leave in time, because the payer or the
	// client was away, and that it will not leave any more.
	PartStuck struct{ Key CircuitKey }

	// PartGone says that the incoming HTLC is off both commitments, or that its
	// channel is on chain: it will not be offered again.
	PartGone struct{ Key CircuitKey }

	// Height is a new best block. It is wanted as soon as DeadlineHeight is
	// reached, before any other event.
	Height struct{ Height uint32 }

	// Tick is wanted at Deadline.
	Tick struct{}

	// Restarted is what the node found when it started. It comes before any other
	// event of the new life. Connections of the life before are all gone.
	Restarted struct {
		Height uint32

		// Funding is the channel of the order as the store has it, nil for none:
		// an open of which funding_signed was not stored is none.
		Funding *Funding

		// Outstanding are the incoming HTLCs of the order that are still there, and those
		// that were forwarded of which the client's outcome is to come.
		Outstanding []CircuitKey

		// Claimed are the forwarded parts whose preimage the node knows and that are not
		// there any more. What became of those that are is told later, as always.
		Claimed []CircuitKey
	}
)

// Funding is a stored channel of an order.
type Funding struct {
	Point    wire.OutPoint
	Withheld bool // not broadcast yet
	Gone     bool // closed, or dropped unfunded
}

// Fault says why an open failed.
type Fault uint8

const (
	FaultOurs    Fault = iota + 1 // no coins, or anything else on our side
	FaultRefused                  // the client sent `error`
	FaultGone                     // the client left before funding_signed
	FaultTerms                    // its accept_channel cannot carry the payment
	FaultTimeout                  // it was silent
)

func (PartArrived) event()    {}
func (ClientOnline) event()   {}
func (ClientGone) event()     {}
func (OpenSigned) event()     {}
func (OpenFailed) event()     {}
func (ChannelUsable) event()  {}
func (ChannelGone) event()    {}
func (ChannelRefused) event() {}
func (PartClaimed) event()    {}
func (PreimageKnown) event()  {}
func (PartFailed) event()     {}
func (PartStuck) event()      {}
func (PartGone) event()       {}
func (Height) event()         {}
func (Tick) event()           {}
func (Restarted) event()      {}
