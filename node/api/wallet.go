package api

import "context"

// Wallet shows the on-chain coins.
type Wallet interface {
	// NewAddress returns an address that was never handed out before.
	NewAddress(ctx context.Context) (*Address, error)

	Balance(ctx context.Context) (*Balance, error)

	Utxos(ctx context.Context) (*Utxos, error)
}

// Spender moves on-chain coins. Once a transaction is signed, the end of ctx doesn't take it back.
type Spender interface {
	Send(ctx context.Context, r SendRequest) (*Transaction, error)

	// Bump makes a transaction of ours confirm sooner, by replacing it or by spending our change
	// from it, and returns the new transaction.
	Bump(ctx context.Context, r BumpRequest) (*Transaction, error)
}

// Address is the answer of /v1/wallet/address.
type Address struct {
	Address string `json:"address"`
}

// Balance is the answer of /v1/wallet/balance.
type Balance struct {
	// ConfirmedSat and UnconfirmedSat add up to all coins of the wallet.
	ConfirmedSat   Sat `json:"confirmed_sat"`
	UnconfirmedSat Sat `json:"unconfirmed_sat"`

	// LeasedSat is locked for channel openings under way.
	LeasedSat Sat `json:"leased_sat"`

	// ReservedSat is kept back to raise the fee of commitment transactions.
	ReservedSat Sat `json:"reserved_sat"`

	// SpendableSat can be sent or put into channels now.
	SpendableSat Sat `json:"spendable_sat"`
}

// Utxos is the answer of /v1/wallet/utxos.
type Utxos struct {
	Utxos []Utxo `json:"utxos"`
}

// Utxo is one unspent output.
type Utxo struct {
	// Outpoint is TXID:INDEX.
	Outpoint      string `json:"outpoint"`
	AmountSat     Sat    `json:"amount_sat"`
	Address       string `json:"address"`
	Confirmations int    `json:"confirmations"`

	// Leased is true while a channel opening holds the coin.
	Leased bool `json:"leased"`

	// Ready is true for a coin that the next opening can use, of the size that is kept ready
	// (onchain.ready_coin_sat).
	Ready bool `json:"ready"`
}

// SendRequest is the request of /v1/wallet/send. Exactly one of AmountSat and All is given.
type SendRequest struct {
	Address   string `json:"address"`
	AmountSat Sat    `json:"amount_sat,omitempty"`

	// All sends every spendable coin, less the fee.
	All bool `json:"all,omitempty"`

	// FeeRateSatPerVb is the fee rate in sat per virtual byte; 0 estimates it.
	FeeRateSatPerVb uint64 `json:"fee_rate_sat_per_vb,omitempty"`
}

// BumpRequest is the request of /v1/wallet/bump.
type BumpRequest struct {
	Txid string `json:"txid"`

	// FeeRateSatPerVb is the wanted fee rate in sat per virtual byte; 0 estimates it.
	FeeRateSatPerVb uint64 `json:"fee_rate_sat_per_vb,omitempty"`
}

// Transaction is the answer of /v1/wallet/send and /v1/wallet/bump.
type Transaction struct {
	Txid string `json:"txid"`
}

func (r SendRequest) validate() *Error {
	switch {
	case r.Address == "":
		return missing("address", "the address to send to")
	case r.All && r.AmountSat != 0:
		return invalid("amount_sat and all exclude each other", "give one of them")
	case !r.All && r.AmountSat == 0:
		return invalid("no amount to send", "give amount_sat, or all to empty the wallet")
	}
	return nil
}

func (r BumpRequest) validate() *Error {
	if r.Txid == "" {
		return missing("txid", "the transaction to speed up")
	}
	return nil
}
