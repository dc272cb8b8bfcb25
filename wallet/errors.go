package wallet

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
)

// Errors of creating and opening. Callers use errors.Is.
var (
	// ErrExists: Create was called on a store that has a wallet already.
	ErrExists = errors.New("this data directory has a wallet already; use another directory")

	// ErrMissing: the store has no wallet.
	ErrMissing = errors.New("there is no wallet here yet; make one with `inlet create`")

	// ErrWrongPassphrase: the passphrase does not open the stored seed.
	ErrWrongPassphrase = errors.New("wrong passphrase; try again")

	// ErrPassphraseNeeded: the wallet is under a passphrase and none was given.
	ErrPassphraseNeeded = errors.New("this wallet is under a passphrase; give it")

	// ErrNotEncrypted: a passphrase was given for a wallet that was made without one.
	ErrNotEncrypted = errors.New("this wallet was made without a passphrase; " +
		"open it with --insecure-no-passphrase, or set a passphrase first")

	// ErrPassphraseRule: neither a passphrase nor Insecure was given, or both were.
	ErrPassphraseRule = errors.New("give either a passphrase or, for test networks only, " +
		"--insecure-no-passphrase")

	// ErrBadWords: the seed words cannot be used; the text around it says which and why.
	ErrBadWords = errors.New("the seed words are not right")

	// ErrWrongNetwork: the wallet was made for another network.
	ErrWrongNetwork = errors.New("this wallet belongs to another network")

	// ErrNewer: the record was written by a newer version of this program.
	ErrNewer = errors.New("this wallet was written by a newer version; update the program")

	// ErrDamaged: the stored record cannot be read; the seed words bring the coins back.
	ErrDamaged = errors.New("the wallet's record is damaged; restore it from a backup or " +
		"from the seed words")
)

// Errors of spending.
var (
	// ErrStopped: the wallet has been stopped or was not started.
	ErrStopped = errors.New("the wallet is not running")

	// ErrAddress: the address cannot be paid on this network.
	ErrAddress = errors.New("cannot pay this address")

	// ErrAmount: the amount is zero, negative, or given together with All.
	ErrAmount = errors.New("give either a positive amount or all")

	// ErrDust: the output would be too small to be relayed.
	ErrDust = errors.New("the amount is below the dust limit")

	// ErrFeeRate: the fee rate is outside of what the node may pay.
	ErrFeeRate = errors.New("fee rate out of bounds")

	// ErrInsufficientFunds is matched by every *FundsError.
	ErrInsufficientFunds = errors.New("insufficient funds")

	// ErrUnknownTx: the wallet does not know the transaction.
	ErrUnknownTx = errors.New("the wallet does not know this transaction")

	// ErrCannotBump: the transaction is confirmed, or nothing in it is ours to bump with.
	ErrCannotBump = errors.New("cannot bump this transaction")

	// ErrNotOurs: the outpoint is not an unspent output of this wallet.
	ErrNotOurs = errors.New("not an unspent output of this wallet")

	// ErrLeased: the outpoint is leased under another id.
	ErrLeased = errors.New("the output is leased already")
)

// FundsError says how much a spend would have needed. It matches ErrInsufficientFunds.
type FundsError struct {
	// Needed is the amount with its fee, in satoshis.
	Needed btcutil.Amount

	// Spendable is what could be spent at most: unleased, mature, reserve taken off.
	Spendable btcutil.Amount

	// Reserved is what is kept back for fee bumps of force closes.
	Reserved btcutil.Amount

	// Leased is what openings in progress hold.
	Leased btcutil.Amount
}

// Error says the numbers and what to do.
func (e *FundsError) Error() string {
	text := fmt.Sprintf("%v: %d sat needed with fees, %d sat spendable", ErrInsufficientFunds,
		int64(e.Needed), int64(e.Spendable))
	if e.Reserved > 0 {
		text += fmt.Sprintf(" (%d sat are kept back for fee bumps of channel closes)",
			int64(e.Reserved))
	}
	if e.Leased > 0 {
		text += fmt.Sprintf(" (%d sat are held by channel openings in progress)", int64(e.Leased))
	}

	return text + "; send coins to `inlet wallet address`, or use less"
}

// Is makes errors.Is(err, ErrInsufficientFunds) true.
func (e *FundsError) Is(target error) bool {
	return target == ErrInsufficientFunds
}
