package funding

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Params is what is fixed for an opening.
type Params struct {
	// PendingID is temporary_channel_id.
	PendingID [32]byte
	Chain     chainhash.Hash
	Type      ChanType
	Capacity  btcutil.Amount
	// Push is given to the acceptor in the first commitment.
	Push          lnwire.MilliSatoshi
	CommitFeeRate chainfee.SatPerKWeight
	// ZeroConf says that the channel is used unconfirmed, with or without bit 50 in its type.
	ZeroConf bool
	Private  bool
	// MaxToSelfDelay is the longest delay that we let the peer put on us, in blocks.
	MaxToSelfDelay uint16
	// Demands is what we ask of the peer.
	Demands Demands
	// Room is what must fit through; opener only.
	Room Room
	// Deadline ends the opening unless the channel is stored by then.
	Deadline time.Time
}

// Opening is one channel from the wish to the stored channel, seen from one side. It is lost in
// a restart, and with it nothing but the coins' lease: see the intent.
type Opening struct {
	Params Params
	State  State
}

// State is what an opening awaits: the peer, or the answer to a command. While it awaits an
// answer, nothing else is expected: the shell answers before it looks at anything else.
type State interface {
	// step answers an event; a nil state means that the event is unexpected.
	step(p *Params, ev Event) (State, []Command)
	// awaits says whose turn it is.
	awaits() turn
	// hold is what must be given back when the opening fails in this state.
	hold() []Command
}

// turn is who moves next.
type turn uint8

const (
	ofShell turn = iota + 1
	ofPeer
	ofNobody
)

// The states, in the order of BOLT 2's ladder. The opener's:
type (
	// AwaitReservation: the wallet picks coins and keys.
	AwaitReservation struct{}
	// AwaitAcceptChannel: open_channel is out.
	AwaitAcceptChannel struct{}
	// AwaitSignature: the wallet builds and signs the funding transaction and the peer's
	// commitment.
	AwaitSignature struct{ Depth uint16 }
	// AwaitIntent: the store writes what we are about to fund.
	AwaitIntent struct{ Signed Signed }
	// AwaitFundingSigned: funding_created is out.
	AwaitFundingSigned struct{ Point wire.OutPoint }
	// AwaitChannel: the peer's signature is checked and the channel written.
	AwaitChannel struct{ Point wire.OutPoint }
)

// The acceptor's:
type (
	// AwaitVerdict: our Acceptor is asked.
	AwaitVerdict struct{ Open *lnwire.OpenChannel }
	// AwaitKeys: the wallet picks keys.
	AwaitKeys struct {
		Open  *lnwire.OpenChannel
		Depth uint16
	}
	// AwaitFundingCreated: accept_channel is out.
	AwaitFundingCreated struct{}
	// AwaitAcceptedChannel: the opener's signature is checked, the channel written, and the
	// opener's commitment signed.
	AwaitAcceptedChannel struct{ Point wire.OutPoint }
)

// The ends of both:
type (
	// Stored: the channel is in the store; a Channel carries it on.
	Stored struct{ Point wire.OutPoint }
	// Failed: everything is given back.
	Failed struct {
		Fault  Fault
		Reason string
	}
)

// Event is something that happened.
type Event interface{ event() }

// What the peer did:
type (
	// RecvAcceptChannel: accept_channel came.
	RecvAcceptChannel struct{ Msg *lnwire.AcceptChannel }
	// RecvFundingCreated: funding_created came.
	RecvFundingCreated struct{ Msg *lnwire.FundingCreated }
	// RecvFundingSigned: funding_signed came.
	RecvFundingSigned struct{ Msg *lnwire.FundingSigned }
	// RecvDuplicateOpen: open_channel came with the temporary_channel_id of this opening.
	RecvDuplicateOpen struct{}
	// RecvError: the peer failed the channel.
	RecvError struct{ Text string }
	// Disconnected: the connection ended.
	Disconnected struct{}
)

// What became of our commands:
type (
	// Judged: our Acceptor takes the channel.
	Judged struct {
		ZeroConf bool
		Depth    uint16
		Demands  Demands
	}
	// Refused: our Acceptor doesn't; Reason is for the peer.
	Refused struct{ Reason string }
	// Reserved: the wallet made the reservation.
	Reserved struct{ Keys Keys }
	// Signed: the funding transaction is made and the peer's commitment signed.
	Signed struct {
		Point wire.OutPoint
		Sig   lnwire.Sig
	}
	// IntentStored: the intent is on disk.
	IntentStored struct{}
	// ChannelStored: the channel is on disk; Sig is the acceptor's signature.
	ChannelStored struct{ Sig lnwire.Sig }
	// CommandFailed: the wallet or the store could not do it.
	CommandFailed struct {
		// Fault is PeerTerms when the peer's signature was bad, else Ours.
		Fault  Fault
		Reason string
	}
	// Cancelled: our caller gave it up.
	Cancelled struct{ Reason string }
	// Tick: time has passed.
	Tick struct{}
)

// Command is what the shell is to do, in the given order. Those that say so answer with an
// event, at once and once.
type Command interface{ command() }

type (
	// Judge asks our Acceptor: Judged or Refused.
	Judge struct{}
	// Reserve makes the wallet's reservation: Reserved or CommandFailed.
	Reserve struct{}
	// TakeAlias gives the reservation its alias, while the peer thinks: nothing, or
	// CommandFailed.
	TakeAlias struct{}
	// Sign hands the peer's terms to the wallet: Signed or CommandFailed.
	Sign struct {
		Accept *lnwire.AcceptChannel
		Depth  uint16
	}
	// TakeTerms hands the opener's terms to the wallet, before accept_channel: nothing, or
	// CommandFailed.
	TakeTerms struct {
		Open  *lnwire.OpenChannel
		Depth uint16
	}
	// StoreIntent writes what we are about to fund: IntentStored or CommandFailed.
	StoreIntent struct{ Point wire.OutPoint }
	// StoreChannel completes the reservation: ChannelStored or CommandFailed.
	StoreChannel struct {
		Point wire.OutPoint
		Sig   lnwire.Sig
	}
	// Send sends a message.
	Send struct{ Msg lnwire.Message }
	// CancelReservation gives coins and keys back.
	CancelReservation struct{}
	// DropIntent takes the intent back, after CancelReservation.
	DropIntent struct{ Point wire.OutPoint }
	// CarryOn hands the stored channel to a Channel.
	CarryOn struct{ Point wire.OutPoint }
	// Tell reports to our caller.
	Tell struct{ What Report }
)

// Report is news for the caller of an opening.
type Report interface{ report() }

type (
	// ToldSent: open_channel has left.
	ToldSent struct{}
	// ToldAccepted: accept_channel passed every check.
	ToldAccepted struct{}
	// ToldCreated: funding_created is leaving.
	ToldCreated struct{ Point wire.OutPoint }
	// ToldSigned: the channel is stored.
	ToldSigned struct{ Point wire.OutPoint }
	// ToldFailed: it is over.
	ToldFailed struct {
		Fault  Fault
		Reason string
		// CanRetryWithoutAnchors: the peer refused a channel with anchors.
		CanRetryWithoutAnchors bool
	}
)

// NewOpener starts an opening of ours.
func NewOpener(p Params) (Opening, []Command) {
	return Opening{Params: p, State: AwaitReservation{}}, []Command{Reserve{}}
}

// NewAcceptor starts an opening of a peer's, whose open_channel passed Proposal.Check.
func NewAcceptor(p Params, m *lnwire.OpenChannel) (Opening, []Command) {
	return Opening{Params: p, State: AwaitVerdict{Open: m}}, []Command{Judge{}}
}

// UnexpectedError says that an event has no place in a state; the opening is as it was.
type UnexpectedError struct {
	State State
	Event Event
}

func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("funding: %T is unexpected in %T", e.Event, e.State)
}

func (RecvAcceptChannel) event()  {}
func (RecvFundingCreated) event() {}
func (RecvFundingSigned) event()  {}
func (RecvDuplicateOpen) event()  {}
func (RecvError) event()          {}
func (Disconnected) event()       {}
func (Judged) event()             {}
func (Refused) event()            {}
func (Reserved) event()           {}
func (Signed) event()             {}
func (IntentStored) event()       {}
func (ChannelStored) event()      {}
func (CommandFailed) event()      {}
func (Cancelled) event()          {}
func (Tick) event()               {}

func (Judge) command()             {}
func (Reserve) command()           {}
func (TakeAlias) command()         {}
func (Sign) command()              {}
func (TakeTerms) command()         {}
func (StoreIntent) command()       {}
func (StoreChannel) command()      {}
func (Send) command()              {}
func (CancelReservation) command() {}
func (DropIntent) command()        {}
func (CarryOn) command()           {}
func (Tell) command()              {}

func (ToldSent) report()     {}
func (ToldAccepted) report() {}
func (ToldCreated) report()  {}
func (ToldSigned) report()   {}
func (ToldFailed) report()   {}
