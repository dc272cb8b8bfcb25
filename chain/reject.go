package chain

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"

	btcwchain "github.com/btcsuite/btcwallet/chain"

	"github.com/inletlsp/inlet/chain/rpc"
)

// unknownRPCErr is the text of the first value behind btcwallet's list of known refusals.
const unknownRPCErr = "unknown error"

// kinds sorts the refusals that btcwallet knows by name into ours.
var kinds = map[btcwchain.RPCErr]error{
	btcwchain.ErrTxAlreadyKnown:     errKnown,
	btcwchain.ErrTxAlreadyConfirmed: errKnown,
	btcwchain.ErrTxAlreadyInMempool: errKnown,
	btcwchain.ErrSameNonWitnessData: errKnown, // the same txid

	btcwchain.ErrMissingInputsOrSpent: ErrMissingInputs,
	btcwchain.ErrMissingInputs:        ErrMissingInputs,

	btcwchain.ErrMempoolConflict:              ErrDoubleSpend,
	btcwchain.ErrConflictingTx:                ErrDoubleSpend,
	btcwchain.ErrBIP125ReplacementDisallowed:  ErrDoubleSpend,
	btcwchain.ErrReplacementAddsUnconfirmed:   ErrDoubleSpend,
	btcwchain.ErrTooManyReplacements:          ErrDoubleSpend,
	btcwchain.ErrInsufficientFee:              ErrFeeTooLow,
	btcwchain.ErrMempoolMinFeeNotMet:          ErrFeeTooLow,
	btcwchain.ErrMinRelayFeeNotMet:            ErrFeeTooLow,
	btcwchain.ErrMempoolFull:                  ErrFeeTooLow,
	btcwchain.ErrMaxFeeExceeded:               ErrFeeTooHigh,
	btcwchain.ErrMaxFeeRateExceeded:           ErrFeeTooHigh,
	btcwchain.ErrNonFinal:                     ErrNonFinal,
	btcwchain.ErrNonBIP68Final:                ErrNonFinal,
	btcwchain.ErrMaxBurnExceeded:              ErrNonStandard,
	btcwchain.ErrMempoolChainTooLong:          ErrNonStandard,
	btcwchain.ErrTRUCViolation:                ErrNonStandard,
	btcwchain.ErrTxTooSmall:                   ErrNonStandard,
	btcwchain.ErrTxTooLarge:                   ErrNonStandard,
	btcwchain.ErrNonStandardVersion:           ErrNonStandard,
	btcwchain.ErrNonStandardScript:            ErrNonStandard,
	btcwchain.ErrBareMultiSig:                 ErrNonStandard,
	btcwchain.ErrScriptSigNotPushOnly:         ErrNonStandard,
	btcwchain.ErrScriptSigSize:                ErrNonStandard,
	btcwchain.ErrDust:                         ErrNonStandard,
	btcwchain.ErrMultiOpReturn:                ErrNonStandard,
	btcwchain.ErrNonStandardInputs:            ErrNonStandard,
	btcwchain.ErrBadWitnessNonStandard:        ErrNonStandard,
	btcwchain.ErrEmptyOutput:                  ErrInvalid,
	btcwchain.ErrEmptyInput:                   ErrInvalid,
	btcwchain.ErrDuplicateInput:               ErrInvalid,
	btcwchain.ErrEmptyPrevOut:                 ErrInvalid,
	btcwchain.ErrBelowOutValue:                ErrInvalid,
	btcwchain.ErrNegativeOutput:               ErrInvalid,
	btcwchain.ErrLargeOutput:                  ErrInvalid,
	btcwchain.ErrLargeTotalOutput:             ErrInvalid,
	btcwchain.ErrScriptVerifyFlag:             ErrInvalid,
	btcwchain.ErrNonMandatoryScriptVerifyFlag: ErrInvalid,
	btcwchain.ErrTooManySigOps:                ErrInvalid,
	btcwchain.ErrInvalidOpcode:                ErrInvalid,
	btcwchain.ErrOversizeTx:                   ErrInvalid,
	btcwchain.ErrCoinbaseTx:                   ErrInvalid,
}

// ours are refusals that btcwallet's lists don't have: those of btcd's script engine, of Knots'
// filters and of newer versions.
var ours = map[string]error{
	"failed to validate input":        ErrInvalid,
	"failed to execute":               ErrInvalid,
	"tx decode failed":                ErrInvalid,
	"which is less than":              ErrInvalid, // btcd: outputs exceed inputs
	"immature coinbase":               ErrNonFinal,
	"premature spend of coinbase":     ErrNonFinal,
	"insufficient fee rate":           ErrFeeTooLow,
	"rejecting replacement":           ErrFeeTooLow,
	"replacement failed":              ErrFeeTooLow,
	"output already spent":            ErrDoubleSpend,
	"already spent by transaction":    ErrDoubleSpend,
	"datacarrier":                     ErrNonStandard,
	"tokens runes":                    ErrNonStandard,
	"parasite":                        ErrNonStandard,
	"not standard":                    ErrNonStandard,
	"multiple unconfirmed ancestors":  ErrNonStandard,
	"too many unconfirmed":            ErrNonStandard,
	"exceeds ancestor size limit":     ErrNonStandard,
	"exceeds descendant size limit":   ErrNonStandard,
	"fee exceeds maximum configured":  ErrFeeTooHigh,
	"absurdly high fee":               ErrFeeTooHigh,
	"missing inputs":                  ErrMissingInputs,
	"missing or spent":                ErrMissingInputs,
	"unable to find unspent output":   ErrMissingInputs,
	"references outputs of unknown":   ErrMissingInputs,
	"conflicts with in mempool":       ErrDoubleSpend,
	"transaction already in mempool":  errKnown,
	"outputs already in utxo set":     errKnown,
	"already have transaction":        errKnown,
	"transaction already exists":      errKnown,
	"txn already in mempool":          errKnown,
	"txn already known":               errKnown,
	"transaction already in block ch": errKnown,
}

// errKnown is the kind of a refusal of what the backend has already.
var errKnown = errors.New("chain: the backend has the transaction")

// isKnown tells a refusal of what the backend has already.
func isKnown(err error) bool {
	var refusal *rpc.Error
	return errors.As(err, &refusal) && errors.Is(kindOf(refusal), errKnown)
}

// kindOf finds the kind of a refusal.
func kindOf(refusal *rpc.Error) error {
	reason := plain(refusal.Message)
	kind := ErrRefused
	length, theirs := match(reason, upstream)
	if theirs != nil {
		kind = kindOfNamed(theirs)
	}
	if longer, own := match(reason, maps.All(ours)); longer > length {
		kind = own
	}
	if errors.Is(kind, ErrFeeTooLow) && strings.Contains(reason, "replac") {
		return errReplacementFee
	}
	return kind
}

// upstream lists btcwallet's errors with the texts that mean them, of both programs.
func upstream(yield func(string, error) bool) {
	for e := btcwchain.RPCErr(0); e.Error() != unknownRPCErr; e++ {
		if !yield(e.Error(), e) {
			return
		}
	}
	for _, m := range []map[string]error{btcwchain.BtcdErrMap, btcwchain.Bitcoind28ErrMap} {
		for text, e := range m {
			if !yield(text, e) {
				return
			}
		}
	}
}

// match finds the longest text that is in the reason: "min relay fee not met" says more than
// "version" does.
func match(reason string, texts iter.Seq2[string, error]) (length int, found error) {
	for text, err := range texts {
		text = plain(text)
		if len(text) > length && strings.Contains(reason, text) {
			found, length = err, len(text)
		}
	}
	return length, found
}

// errReplacementFee is both: the inputs are spent in the mempool, and the fee is too low to replace
// that.
var errReplacementFee = fmt.Errorf("%w, and %w to replace that", ErrDoubleSpend, ErrFeeTooLow)

func kindOfNamed(theirs error) error {
	var e btcwchain.RPCErr
	if !errors.As(theirs, &e) {
		return ErrRefused
	}
	if kind, ok := kinds[e]; ok {
		return kind
	}
	return ErrRefused
}

// plain makes texts comparable: the programs write the same words with hyphens or without.
func plain(text string) string {
	return strings.ToLower(strings.ReplaceAll(text, "-", " "))
}

// walletError is btcwallet's own error for a refusal, which btcwallet and lnd compare with. lnd
// also hands over the mere text of one.
func walletError(err error) error {
	var refusal *rpc.Error
	if errors.As(err, &refusal) {
		if _, theirs := match(plain(refusal.Message), upstream); theirs != nil {
			return theirs
		}
		return fmt.Errorf("%w: %w", btcwchain.ErrUndefined, err)
	}
	var known btcwchain.RPCErr
	if errors.As(err, &known) || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrStopped) {
		return err
	}
	if _, theirs := match(plain(err.Error()), upstream); theirs != nil {
		return fmt.Errorf("%w: %w", theirs, err)
	}
	return err
}
