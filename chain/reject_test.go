package chain

import (
	"errors"
	"fmt"
	"testing"

	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/rpc"
)

// TestMapRPCErr: lnd hands over the reason of testmempoolaccept as a text of its own making. Were
// it not understood, lnd's sweeper would take each refusal for the end and never try to sweep
// the output again before a restart, also where a little more fee would do.
func TestMapRPCErr(t *testing.T) {
	w := &walletSource{}
	for _, c := range []struct {
		text string
		want error
	}{
		{"9240a21d: replacement transaction has an insufficient absolute fee: needs 268, has 267",
			btcwchain.ErrInsufficientFee},
		{"replacement transaction 9240a21d has an insufficient fee rate: needs more than 253, has 253",
			btcwchain.ErrInsufficientFee},
		{"insufficient fee, rejecting replacement 9240a21d", btcwchain.ErrInsufficientFee},
		{"min relay fee not met", btcwchain.ErrMinRelayFeeNotMet},
		{"mempool min fee not met", btcwchain.ErrMempoolMinFeeNotMet},
		{"bad-txns-inputs-missingorspent", btcwchain.ErrMissingInputsOrSpent},
		{"missing-inputs", btcwchain.ErrMissingInputs},
		{"txn-mempool-conflict", btcwchain.ErrMempoolConflict},
	} {
		require.ErrorIs(t, w.MapRPCErr(errors.New(c.text)), c.want)
		require.ErrorIs(t, w.MapRPCErr(&rpc.Error{Message: c.text}), c.want)
		require.ErrorIs(t, w.MapRPCErr(c.want), c.want, "it is told twice")
	}
	away := fmt.Errorf("%w: dust on the line", ErrUnreachable)
	require.Equal(t, away, w.MapRPCErr(away))
	odd := errors.New("something else")
	require.Equal(t, odd, w.MapRPCErr(odd))
}
