package wallet

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
)

// Balance is what the wallet has, in satoshis. Confirmed plus Unconfirmed is everything.
type Balance struct {
	// Confirmed is the value of all outputs in blocks, leased ones and immature coinbase outputs
	// included.
	Confirmed btcutil.Amount

	// Unconfirmed is the value of all outputs in the mempool, leased ones included.
	Unconfirmed btcutil.Amount

	// Leased is held for channel openings and withheld funding transactions.
	Leased btcutil.Amount

	// Reserved is kept back for fee bumps of force closes; at most what is there.
	Reserved btcutil.Amount

	// Spendable is what Send and openings may use: mature, unleased, confirmed or our own
	// change, without the reserve.
	Spendable btcutil.Amount
}

// Utxo is one unspent output of ours.
type Utxo struct {
	Outpoint      wire.OutPoint
	Address       btcutil.Address
	Value         btcutil.Amount
	Confirmations int64

	// Trusted says that it may be spent: in a block and mature, or unconfirmed change of ours
	// that depends on nobody else's unconfirmed transaction.
	Trusted bool

	// Leased says that it is held, and LeasedUntil until when.
	Leased      bool
	LeasedUntil time.Time
}

// AddressKind chooses the script of an address.
type AddressKind uint8

// The kinds of addresses.
const (
	// Taproot is a BIP 86 address, the default.
	Taproot AddressKind = iota

	// WitnessPubKey is a BIP 84 address, for senders that cannot pay taproot.
	WitnessPubKey
)

// Lease is a held output.
type Lease struct {
	Outpoint wire.OutPoint
	ID       wtxmgr.LockID
	Value    btcutil.Amount
	Until    time.Time
}

// SendRequest says what to pay.
type SendRequest struct {
	// Address is where to.
	Address string

	// Amount is how much, in satoshis; zero with All.
	Amount btcutil.Amount

	// All sends everything spendable, the fee taken off.
	All bool

	// FeeRate in sat/vB; 0 means an estimate for ConfTarget.
	FeeRate chainfee.SatPerVByte

	// ConfTarget in blocks; 0 means 6.
	ConfTarget uint32

	// Label is stored with the transaction.
	Label string
}

// Balance sums the coins.
func (w *Wallet) Balance() (Balance, error) {
	return Balance{}, ErrStopped
}

// Utxos lists the unspent outputs, leased ones too, largest first.
func (w *Wallet) Utxos() ([]Utxo, error) {
	return nil, ErrStopped
}

// NewAddress gives a fresh taproot address.
func (w *Wallet) NewAddress() (btcutil.Address, error) {
	return nil, ErrStopped
}

// NewAddressOf gives a fresh address of the kind.
func (w *Wallet) NewAddressOf(kind AddressKind) (btcutil.Address, error) {
	return nil, ErrStopped
}

// SweepScript gives a fresh taproot output script with its internal key, for sweeps and
// cooperative closes.
func (w *Wallet) SweepScript() (lnwallet.AddrWithKey, error) {
	return lnwallet.AddrWithKey{}, ErrStopped
}

// Send pays from the wallet and returns the transaction's id once it is stored and broadcast.
// Errors: ErrAddress, ErrAmount, ErrDust, ErrFeeRate, *FundsError, and what Publish returns.
func (w *Wallet) Send(ctx context.Context, r SendRequest) (chainhash.Hash, error) {
	return chainhash.Hash{}, ErrStopped
}

// Bump makes an unconfirmed transaction confirm at feeRate (sat/vB): it replaces it when all of
// its inputs are ours and signal replacement, else it spends an output of ours in it (CPFP). It
// returns the id of the new transaction. Errors: ErrUnknownTx, ErrCannotBump, ErrFeeRate,
// *FundsError.
func (w *Wallet) Bump(ctx context.Context, txid chainhash.Hash,
	feeRate chainfee.SatPerVByte) (chainhash.Hash, error) {

	return chainhash.Hash{}, ErrStopped
}

// Publish stores a transaction and broadcasts it through the chain. When the chain refuses it,
// it is forgotten again and the error says why (lnwallet.ErrDoubleSpend, lnwallet.ErrMempoolFee,
// and the chain's own error, by errors.Is and errors.As). When the chain cannot be reached it
// stays stored, the error is the chain's, and it is broadcast at the next connect.
func (w *Wallet) Publish(tx *wire.MsgTx, label string) error {
	return ErrStopped
}

// CanFund says whether an opening of the amount at the fee rate would leave the reserve alone;
// nil, or a *FundsError. It is a look ahead: Funder decides, under the coin lock.
func (w *Wallet) CanFund(amount btcutil.Amount, feeRate chainfee.SatPerKWeight) error {
	return ErrStopped
}

// AllowUtxo says whether a coin may fund a channel: confirmed and mature, or unconfirmed change
// of ours within the mempool's chain limits. It fits
// lnwallet.InitFundingReserveMsg.AllowUtxoForFunding.
func (w *Wallet) AllowUtxo(u lnwallet.Utxo) bool {
	return false
}

// Funder gives the assembler for one opening (lnwallet.InitFundingReserveMsg.ChanFunder): it
// takes only coins that AllowUtxo allows, confirmed ones first, and refuses with a *FundsError
// to touch the reserve.
func (w *Wallet) Funder() chanfunding.Assembler {
	return nil
}

// Lease holds outputs of ours under id until the time, or prolongs their lease.
// Errors: ErrNotOurs, ErrLeased; then none is held.
func (w *Wallet) Lease(points []wire.OutPoint, id wtxmgr.LockID, until time.Time) error {
	return ErrStopped
}

// RenewLeases prolongs leases under the ids that they have; an output whose lease has ended is
// leased anew under lnwallet's own id. Errors: ErrNotOurs when one has been spent.
func (w *Wallet) RenewLeases(points []wire.OutPoint, until time.Time) error {
	return ErrStopped
}

// Release frees outputs; one that is not leased, spent or unknown is no error.
func (w *Wallet) Release(points []wire.OutPoint) error {
	return ErrStopped
}

// Leases lists the leases that have not ended.
func (w *Wallet) Leases() ([]Lease, error) {
	return nil, ErrStopped
}

// ReleaseStale frees every lease that keep does not claim, and returns them. It is for the
// start, before the first opening: reservations die with the process, their leases do not.
func (w *Wallet) ReleaseStale(keep func(wire.OutPoint) bool) ([]wire.OutPoint, error) {
	return nil, ErrStopped
}
