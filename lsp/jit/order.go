package jit

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Order is one purchase and where it stands. It is a value: Step returns the next
// one and leaves this one as it was.
type Order struct {
	// ID names the order for all time; it is also the tag of its channel open.
	ID string

	// Terms are what the client bought. They never change.
	Terms Terms

	// State is what the order waits for.
	State State

	// Answered remembers the parts that were forwarded or failed and that the
	// switch may still offer again, oldest first and at most maxAnswered.
	Answered []Answer

	// Overrun says that a part was failed when there was no room to remember it.
	// From then on every unknown part is failed, else a replay of that part would
	// be forwarded while its failure is still on the way. A restart ends it.
	Overrun bool
}

// State is where an order stands; each is named for what it awaits.
//
//sumtype:decl
type State interface {
	// Name is the state's name in JSON, for example "awaiting_parts".
	Name() string

	// step handles one event; nil means that it was not expected.
	step(c *turn, ev Event) State

	// hold gives the sets whose parts are neither forwarded nor failed, and with
	// goes on with only these of them, of which some may have lost parts.
	hold() []Set
	with(c *turn, sets []Set) State

	// restarted goes on in a new life of the node, with what the store has.
	restarted(c *turn, f *Funding) State

	// due is a deadline beyond those of the held sets, and late acts on it.
	due(t *Terms) (time.Time, bool)
	late(c *turn) State
}

type (
	// AwaitParts holds HTLCs until those of one payment cover its size.
	AwaitParts struct {
		Sets   []Set
		Ending *Ending // what is left of an earlier open; nil: nothing
	}

	// AwaitClient has a complete payment, Sets[0], and waits until the client is
	// connected and until nothing is left of an earlier open.
	AwaitClient struct {
		Sets   []Set
		Fee    lnwire.MilliSatoshi
		Try    Try
		Ending *Ending
	}

	// AwaitChannel waits for the channel to be usable, for the payment Sets[0].
	AwaitChannel struct {
		Sets    []Set
		Fee     lnwire.MilliSatoshi
		Try     Try
		Channel *Channel // nil until funding_signed is stored
	}

	// AwaitClaim waits for the client to claim or fail what was forwarded.
	AwaitClaim struct {
		Sets   []Set // of other payments
		Hash   lntypes.Hash
		Fee    lnwire.MilliSatoshi // taken from the forwarded parts
		Waived lnwire.MilliSatoshi // not taken, because the client cannot skim
		// Collected is what was claimed of Fee. The order is paid when that is all: a client
		// may claim a part that bears little of it and fail the rest.
		Collected lnwire.MilliSatoshi
		Pending   []CircuitKey // forwarded, outcome not known
		Claimed   bool         // a part was claimed
		Refused   bool         // the client has failed a part
		Channel   Channel

		// Dropping says that the channel is being given up: its funding is withheld, and the
		// client has neither claimed nor failed the payment in time.
		Dropping bool
	}

	// Owed has a channel that nobody has paid for. The next payment pays.
	Owed struct {
		Sets    []Set
		Channel Channel
	}

	// Paid has a channel and its fee. Until Terms.AliasUntil the scid is one more
	// alias of it. Sets are parts that came while the client was away.
	Paid struct {
		Sets      []Set
		Channel   Channel
		Fee       lnwire.MilliSatoshi // charged
		Collected lnwire.MilliSatoshi // of Fee, on parts claimed so far
		Waived    lnwire.MilliSatoshi
	}

	// Dead is the end of an order that can have no channel any more.
	Dead struct{}
)

// Set is the parts of one payment that we hold.
type Set struct {
	Hash  lntypes.Hash
	Since time.Time // arrival of the first part; the hold counts from here
	Parts []Part    // in order of arrival
}

// Part is one incoming HTLC that names the order's scid.
type Part struct {
	Key  CircuitKey
	Hash lntypes.Hash

	// Amount is what the onion tells us to forward.
	Amount lnwire.MilliSatoshi

	// IncomingAmount is what the HTLC is worth to us, at least Amount.
	IncomingAmount lnwire.MilliSatoshi

	// IncomingExpiry and OutgoingExpiry are absolute heights: of the HTLC that we
	// hold and of the one that its onion asks for.
	IncomingExpiry, OutgoingExpiry uint32
}

// CircuitKey names an incoming HTLC for all time.
type CircuitKey struct {
	Chan  lnwire.ShortChannelID
	Index uint64
}

// Conn is one connection of the client, peer.Conn's ID. Zero is none.
type Conn uint64

// Try is the open under way, or the last one, for the payment being served.
type Try struct {
	Attempt        int // 1 is the first for this payment, 0 none yet
	Since          time.Time
	Conn           Conn // the client's connection, which the open goes over
	WithoutAnchors bool
}

// Ending is an open that was cancelled or a channel that is being dropped. The
// order opens nothing before the shell has said how it ended, else it could fund
// two channels.
type Ending struct {
	// Point is nil for a cancelled open. Its end is OpenFailed, or OpenSigned when
	// it was too late; that of a dropped channel is ChannelGone.
	Point *wire.OutPoint
}

// Channel is the one channel of an order.
type Channel struct {
	Point    wire.OutPoint
	Withheld bool // its funding transaction is not broadcast
	Gone     bool // closed; what was forwarded over it ends on chain

	// HTLCMin and MaxHTLCs are the client's limits on what we add.
	HTLCMin  lnwire.MilliSatoshi
	MaxHTLCs int // 0: not told

	// Conn is the connection over which the channel is usable now; 0: it is not.
	Conn Conn

	// OpenedOn is the connection that the client accepted the channel on, UsedOn
	// the first on which it was usable; 0 after a restart. An LDK client forgets
	// at its restart that the channel may take less than the onion says.
	OpenedOn, UsedOn Conn

	// Collected is what earlier payments have left of the fee, without paying all of it. It is
	// not taken again.
	Collected lnwire.MilliSatoshi

	Tried bool // the client has refused a payment with extra_fee
	Alias bool // RegisterAlias was commanded
}

// Answer is a part that was forwarded (Code 0) or failed.
type Answer struct {
	Key      CircuitKey
	Code     lnwire.FailCode
	Amount   lnwire.MilliSatoshi // forwarded, without ExtraFee
	ExtraFee lnwire.MilliSatoshi
	Expiry   uint32 // of the incoming HTLC
	// Until is the end of the hold of a forwarded part that has not left: a link is down.
	Until    time.Time
	Resolved bool // forwarded, and the client has claimed or failed it
}

// Forwarded says that the part went to the client.
func (a Answer) Forwarded() bool { return a.Code == 0 }

// Command is work for the node. It is data, and doing one twice is harmless. The
// node does the commands of a step in their order, after the order is stored.
//
//sumtype:decl
type Command interface{ command() }

type (
	// WakeClient asks for a ClientOnline: at once when the client is connected,
	// else when it comes (here a sleeping client is to be woken).
	WakeClient struct{}

	// OpenChannel asks for a channel to the client on which Receives in Parts
	// HTLCs fits at once. Withhold keeps its funding from being broadcast.
	OpenChannel struct {
		Attempt        int
		Conn           Conn
		Receives       lnwire.MilliSatoshi
		Parts          int
		WithoutAnchors bool
		Withhold       bool
	}

	// CancelOpen hastens the end of the open, if it can be had.
	CancelOpen struct{}

	// DropChannel asks to forget a channel whose funding was never broadcast. The
	// answer is ChannelGone.
	DropChannel struct{ Point wire.OutPoint }

	// BroadcastFunding asks to broadcast a funding that was withheld.
	BroadcastFunding struct{ Point wire.OutPoint }

	// RegisterAlias makes the scid an alias of the channel. It comes just before
	// the first ForwardPart, and again after a restart.
	RegisterAlias struct {
		SCID  lnwire.ShortChannelID
		Point wire.OutPoint
		Chan  lnwire.ChannelID
	}

	// ForwardPart sends a part to the client over this channel and no other.
	// Amount is what is left after ExtraFee; no ExtraFee, no record. If it can't leave
	// before Until, PartStuck is wanted then.
	ForwardPart struct {
		Chan     lnwire.ChannelID
		Key      CircuitKey
		Amount   lnwire.MilliSatoshi
		ExtraFee lnwire.MilliSatoshi
		Until    time.Time
	}

	// ResumePart hands a part to the switch at once: one that was forwarded before
	// (the circuit map drops it if it has it; if not, it goes now with its fee), or
	// a payment over the scid of a paid order (no fee). Until is as in ForwardPart.
	ResumePart struct {
		Key      CircuitKey
		Amount   lnwire.MilliSatoshi
		ExtraFee lnwire.MilliSatoshi
		Until    time.Time
	}

	// FailPart fails a part with this BOLT 4 code. Reason is for the operator.
	FailPart struct {
		Key    CircuitKey
		Code   lnwire.FailCode
		Reason string
	}

	// Finished says that the order became paid or dead: its slot among the open
	// orders is free.
	Finished struct{}
)

func (WakeClient) command()       {}
func (OpenChannel) command()      {}
func (CancelOpen) command()       {}
func (DropChannel) command()      {}
func (BroadcastFunding) command() {}
func (RegisterAlias) command()    {}
func (ForwardPart) command()      {}
func (ResumePart) command()       {}
func (FailPart) command()         {}
func (Finished) command()         {}

// UnexpectedError says that an event means nothing in a state. The order did not
// change and nothing is to be done.
type UnexpectedError struct {
	State State
	Event Event
}

func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("jit: unexpected %T in state %s", e.Event, e.State.Name())
}
