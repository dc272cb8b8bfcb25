package rpc

import (
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcutil"
)

// Amount is an amount of money as the nodes write it: a decimal number of bitcoin. It is read
// exactly, without a float in between.
type Amount btcutil.Amount

// UnmarshalJSON implements json.Unmarshaler.
func (a *Amount) UnmarshalJSON(text []byte) error {
	value, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return fmt.Errorf("rpc: %q is no amount", text)
	}
	value.Mul(value, big.NewRat(btcutil.SatoshiPerBitcoin, 1))
	// Estimates have more digits than there are satoshis: round down.
	sat := new(big.Int).Quo(value.Num(), value.Denom())
	if !sat.IsInt64() {
		return fmt.Errorf("rpc: amount %s is out of range", text)
	}
	*a = Amount(sat.Int64())
	return nil
}
