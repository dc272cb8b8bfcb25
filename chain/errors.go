package chain

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// Errors of reaching the backend: from Start, and from every later call that needs it.
var (
	// ErrUnreachable means that the backend does not answer. The text names the address and
	// the configuration key that holds it.
	ErrUnreachable = errors.New("chain backend is not reachable")

	// ErrAuth means that the backend refuses the user, password or cookie.
	ErrAuth = errors.New("chain backend refuses the credentials")

	// ErrWrongNetwork means that the backend follows another chain than the configured one.
	// The text names both.
	ErrWrongNetwork = errors.New("chain backend is on another network")

	// ErrStopped means that the Source is not running.
	ErrStopped = errors.New("chain source is not running")
)

// ErrOutputSpent means that an output that was asked for is not in the set of unspent outputs.
var ErrOutputSpent = errors.New("output is spent or does not exist")

// Kinds of refusal, for errors.Is on what Broadcast returns.
var (
	// ErrDoubleSpend: an input is spent by another transaction, in a block or in the mempool,
	// and the new one may not replace it. Whether that is for ever the caller finds out by
	// watching the outpoint.
	ErrDoubleSpend = errors.New("an input is spent by another transaction")

	// ErrMissingInputs: an input is unknown to the backend, or a block has spent it.
	ErrMissingInputs = errors.New("an input is missing or spent")

	// ErrFeeTooLow: under the backend's relay fee or its mempool's present minimum, or too
	// little more than the transaction that it would replace.
	ErrFeeTooLow = errors.New("fee is too low")

	// ErrFeeTooHigh: over what the backend takes for a mistake.
	ErrFeeTooHigh = errors.New("fee is absurdly high")

	// ErrNonFinal: its lock time or a relative lock has not passed yet.
	ErrNonFinal = errors.New("transaction is not final yet")

	// ErrNonStandard: valid in a block, but the backend does not relay it (dust, script form,
	// size, too long a chain of unconfirmed ancestors).
	ErrNonStandard = errors.New("transaction is not standard")

	// ErrInvalid: no block could ever contain it (script or signature failure, bad amounts,
	// malformed).
	ErrInvalid = errors.New("transaction is invalid")

	// ErrRefused: refused for a reason that is none of the above.
	ErrRefused = errors.New("transaction was refused")
)

// RejectedError is a transaction that the backend has refused.
type RejectedError struct {
	Txid   chainhash.Hash
	Kind   error  // one of the kinds above
	Reason string // the backend's own words
}

// Error names the transaction, the kind and the backend's words.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("chain: broadcast %s: %v: %s", e.Txid, e.Kind, e.Reason)
}

// Unwrap gives the kind to errors.Is.
func (e *RejectedError) Unwrap() error { return e.Kind }
