package pay

import (
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Circuit says how far the switch has got with an attempt.
type Circuit int

const (
	// NoCircuit: the switch does not know the attempt, or is done with it.
	NoCircuit Circuit = iota

	// LiveCircuit: the attempt is on its way or waits in a link's mailbox.
	LiveCircuit

	// DeadCircuit: the node stopped after the attempt was noted and before a commitment held it.
	// Its HTLC never left and never will.
	DeadCircuit
)

// Switch is what payments need of lnd's switch.
type Switch interface {
	// SendHTLC hands an HTLC to the link of a channel of ours.
	SendHTLC(firstHop lnwire.ShortChannelID, attempt uint64, add *lnwire.UpdateAddHTLC) error

	// GetAttemptResult gives a channel with the attempt's one result. It is closed without one
	// when the switch stops. htlcswitch.ErrPaymentIDNotFound: the attempt is not known.
	GetAttemptResult(attempt uint64, hash lntypes.Hash, decrypter htlcswitch.ErrorDecrypter) (
		<-chan *htlcswitch.PaymentResult, error)

	// Circuit says how far the attempt has got.
	Circuit(attempt uint64) Circuit

	// DropCircuit forgets a DeadCircuit.
	DropCircuit(attempt uint64) error

	// CleanStore forgets the results of all attempts but those to keep.
	CleanStore(keep map[uint64]struct{}) error

	// BestHeight is the height of the best block.
	BestHeight() uint32
}

// FromSwitch makes a Switch of lnd's. It must be started before Payments runs.
func FromSwitch(s *htlcswitch.Switch) Switch { return lndSwitch{Switch: s} }

type lndSwitch struct {
	*htlcswitch.Switch
}

// Circuit implements Switch. A circuit without a keystone that was read from disk belongs to an
// HTLC which was lost with the mailbox: lnd opens a circuit before it signs the commitment that
// holds the HTLC, and rolls back on start what was opened and not signed.
func (s lndSwitch) Circuit(attempt uint64) Circuit {
	circuit := s.CircuitLookup().LookupCircuit(localKey(attempt))
	switch {
	case circuit == nil:
		return NoCircuit

	case circuit.LoadedFromDisk && !circuit.HasKeystone():
		return DeadCircuit

	default:
		return LiveCircuit
	}
}

// DropCircuit implements Switch.
func (s lndSwitch) DropCircuit(attempt uint64) error {
	return s.CircuitModifier().DeleteCircuits(localKey(attempt))
}

func localKey(attempt uint64) models.CircuitKey {
	return models.CircuitKey{ChanID: hop.Source, HtlcID: attempt}
}
