package wallet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"

	"github.com/inletlsp/inlet/chain"
)

const (
	// replaceable signals replacement by BIP 125, so that Bump can raise the fee.
	replaceable = wire.MaxTxInSequenceNum - 2

	// sendLease holds the coins of a send while it is signed and broadcast. It ends by itself
	// if the process dies in between.
	sendLease = 10 * time.Minute

	// maxSendFeeRatio lets the fee be as high as the amount; what nobody wants to pay is bounded
	// by the fee rate.
	maxSendFeeRatio = 1.0
)

// Labels that the wallet stores with its own transactions. Only a transaction with one of them
// is ever replaced: replacing the funding of a channel would lose the channel.
const (
	labelSend    = "inlet: send"
	labelSendAll = "inlet: send-all"
	labelBump    = "inlet: bump"
)

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

// draft is a transaction to be signed: coins in, outputs out.
type draft struct {
	in  []coin
	out []*wire.TxOut
}

// Send pays from the wallet and returns the transaction's id once it is stored and broadcast.
// Errors: ErrAddress, ErrAmount, ErrDust, ErrFeeRate, *FundsError, and what Publish returns. When
// the chain cannot be reached the id comes with the error: the payment is stored and goes out
// when the chain is back.
func (w *Wallet) Send(ctx context.Context, r SendRequest) (chainhash.Hash, error) {
	txid, err := w.send(ctx, r)
	if err != nil {
		err = fmt.Errorf("wallet: send: %w", err)
	}

	return txid, err
}

func (w *Wallet) send(ctx context.Context, r SendRequest) (chainhash.Hash, error) {
	if !w.running() {
		return chainhash.Hash{}, ErrStopped
	}
	if r.All == (r.Amount != 0) || r.Amount < 0 || r.Amount > btcutil.MaxSatoshi {
		return chainhash.Hash{}, ErrAmount
	}
	script, err := payScript(r.Address, w.opts.Params)
	if err != nil {
		return chainhash.Hash{}, err
	}
	if dust := dustOf(len(script)); !r.All && r.Amount < dust {
		return chainhash.Hash{}, fmt.Errorf("%w: %d sat; the least that this address can get "+
			"is %d sat", ErrDust, int64(r.Amount), int64(dust))
	}
	rate, err := w.feeRate(r.FeeRate, r.ConfTarget)
	if err != nil {
		return chainhash.Hash{}, err
	}

	label, choose := labelSend, func(p *purse) (*draft, error) {
		return w.draftSend(p, script, r.Amount, rate)
	}
	if r.All {
		label, choose = labelSendAll, func(p *purse) (*draft, error) {
			return w.draftAll(p, script, rate)
		}
	}
	d, err := w.lease(choose)
	if err != nil {
		return chainhash.Hash{}, err
	}

	return w.finish(ctx, d, withNote(label, r.Label))
}

func withNote(label, note string) string {
	if note == "" {
		return label
	}

	return label + ": " + note
}

// lease chooses coins and holds them, all under the coin lock.
func (w *Wallet) lease(choose func(*purse) (*draft, error)) (*draft, error) {
	w.spend.Lock()
	defer w.spend.Unlock()

	var d *draft
	err := w.lightning.WithCoinSelectLock(func() error {
		p, err := w.purse(0)
		if err != nil {
			return err
		}
		if d, err = choose(p); err != nil {
			return err
		}

		return w.updateLeases(func(l *leases) error {
			for i := range d.in {
				err := l.lock(chanfunding.LndInternalLockID, d.in[i].point,
					time.Now().Add(sendLease))
				if err != nil {
					return err
				}
			}

			return nil
		})
	})

	return d, err
}

// draftSend pays a fixed amount, with the change back to us.
func (w *Wallet) draftSend(p *purse, script []byte, amount btcutil.Amount,
	rate chainfee.SatPerKWeight) (*draft, error) {

	var rest input.TxWeightEstimator
	rest.AddOutput(script)
	coins, order := p.inOrder(0, maxConfirmations)
	chosen, change, err := chanfunding.CoinSelect(rate, amount, dustOf(input.P2TRSize), coins,
		order, rest, chanfunding.P2TRChangeAddress, maxSendFeeRatio)
	if err != nil {
		return nil, p.selectError(err, amount, rate, rest)
	}
	if err := p.check(sumCoins(chosen), change); err != nil {
		return nil, err
	}

	d := &draft{out: []*wire.TxOut{wire.NewTxOut(int64(amount), script)}}
	for i := range chosen {
		d.in = append(d.in, *order[chosen[i].OutPoint])
	}

	return d, w.addChange(d, change, nil)
}

// draftAll pays everything but the fee and the reserve.
func (w *Wallet) draftAll(p *purse, script []byte, rate chainfee.SatPerKWeight) (*draft, error) {
	coins, order := p.inOrder(0, maxConfirmations)
	worth, err := order.ArrangeCoins(coins, btcutil.Amount(rate.FeePerKVByte()))
	if err != nil {
		return nil, err
	}

	d, sum := &draft{}, btcutil.Amount(0)
	var size input.TxWeightEstimator
	size.AddOutput(script)
	for i := range worth {
		c := order[worth[i].OutPoint]
		d.in, sum = append(d.in, *c), sum+c.value
		addInput(&size, c.pkScript)
	}

	// What stays behind because it is not worth its fee counts towards the reserve.
	change := max(0, p.reserve-(p.total-sum))
	if change > 0 {
		change = max(change, dustOf(input.P2TRSize))
		size.AddP2TROutput()
	}
	fee, dust := rate.FeeForWeight(size.Weight()), dustOf(len(script))
	amount := sum - fee - change
	if amount < dust {
		return nil, p.short(fee + dust)
	}
	d.out = []*wire.TxOut{wire.NewTxOut(int64(amount), script)}

	return d, w.addChange(d, change, nil)
}

// addChange adds an output back to us, when there is something to give back: to the script, or
// to a fresh address.
func (w *Wallet) addChange(d *draft, change btcutil.Amount, script []byte) error {
	if change == 0 {
		return nil
	}
	if script == nil {
		var err error
		if script, err = w.changeScript(); err != nil {
			return err
		}
	}
	d.out = append(d.out, wire.NewTxOut(int64(change), script))

	return nil
}

// finish signs, stores and broadcasts, and frees the coins whatever happens: in a stored
// transaction they are spent.
func (w *Wallet) finish(ctx context.Context, d *draft, label string) (chainhash.Hash, error) {
	points := make([]wire.OutPoint, 0, len(d.in))
	for i := range d.in {
		points = append(points, d.in[i].point)
	}
	txid, err := w.signAndPublish(ctx, d, label)
	if freed := w.Release(points); freed != nil {
		w.log.Error("coins of a send stay leased for ten minutes", "txid", txid, "err", freed)
	}

	return txid, err
}

func (w *Wallet) signAndPublish(ctx context.Context, d *draft,
	label string) (chainhash.Hash, error) {

	tx, err := w.sign(d)
	if err != nil {
		return chainhash.Hash{}, err
	}
	if err := ctx.Err(); err != nil {
		return chainhash.Hash{}, err
	}

	txid := tx.TxHash()
	err = w.Publish(tx, label)
	var refused *chain.RejectedError
	switch {
	case err == nil:
		w.log.Info("sent", "txid", txid, "label", label)
		return txid, nil

	case errors.As(err, &refused):
		return chainhash.Hash{}, err
	}
	if stored, _ := w.details(txid); stored == nil {
		return chainhash.Hash{}, err
	}

	return txid, fmt.Errorf("transaction %v is stored and goes out when the chain backend is "+
		"back: %w", txid, err)
}

// sign makes the transaction and checks each signature: a wrong one would be found by the
// backend, but as a refusal that says little.
func (w *Wallet) sign(d *draft) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for i := range d.in {
		c := &d.in[i]
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.point, Sequence: replaceable})
		fetcher.AddPrevOut(c.point, wire.NewTxOut(int64(c.value), c.pkScript))
	}
	tx.TxOut = d.out
	// The order must not tell which output is the change.
	rand.Shuffle(len(tx.TxOut), func(i, j int) {
		tx.TxOut[i], tx.TxOut[j] = tx.TxOut[j], tx.TxOut[i]
	})

	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i := range tx.TxIn {
		prev := fetcher.FetchPrevOutput(tx.TxIn[i].PreviousOutPoint)
		desc := &input.SignDescriptor{
			Output: prev, InputIndex: i, SigHashes: hashes, PrevOutputFetcher: fetcher,
			HashType: txscript.SigHashAll,
		}
		if txscript.IsPayToTaproot(prev.PkScript) {
			desc.HashType = txscript.SigHashDefault
		}
		script, err := w.signer.ComputeInputScript(tx, desc)
		if err != nil {
			return nil, fmt.Errorf("sign input %v: %w", tx.TxIn[i].PreviousOutPoint, err)
		}
		tx.TxIn[i].Witness, tx.TxIn[i].SignatureScript = script.Witness, script.SigScript

		vm, err := txscript.NewEngine(prev.PkScript, tx, i, txscript.StandardVerifyFlags, nil,
			hashes, prev.Value, fetcher)
		if err == nil {
			err = vm.Execute()
		}
		if err != nil {
			return nil, fmt.Errorf("check input %v: %w", tx.TxIn[i].PreviousOutPoint, err)
		}
	}

	return tx, nil
}
