package wallet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

// relayStep is what a replacement must pay for its own relay, in sat/kw (BIP 125 rule 4).
const relayStep = chainfee.FeePerKwFloor

// Bump makes an unconfirmed transaction confirm at feeRate (sat/vB). A payment that Send made is
// replaced (BIP 125) unless something of it is spent already; for every other transaction an
// output of ours in it is spent with a fee for both (CPFP). What the transaction pays itself
// counts when all of its inputs are ours, else it counts as nothing. The reserve may be used: it
// is there for fee bumps. It returns the id of the new transaction. Errors: ErrUnknownTx,
// ErrCannotBump, ErrFeeRate, *FundsError, and what Publish returns.
func (w *Wallet) Bump(ctx context.Context, txid chainhash.Hash,
	feeRate chainfee.SatPerVByte) (chainhash.Hash, error) {

	made, err := w.bump(ctx, txid, feeRate)
	if err != nil {
		err = fmt.Errorf("wallet: bump %v: %w", txid, err)
	}

	return made, err
}

func (w *Wallet) bump(ctx context.Context, txid chainhash.Hash,
	asked chainfee.SatPerVByte) (chainhash.Hash, error) {

	if !w.running() {
		return chainhash.Hash{}, ErrStopped
	}
	if asked == 0 {
		return chainhash.Hash{}, fmt.Errorf("%w: give one", ErrFeeRate)
	}
	rate, err := w.feeRate(asked, 0)
	if err != nil {
		return chainhash.Hash{}, err
	}

	old, err := w.bumpable(txid)
	if err != nil {
		return chainhash.Hash{}, err
	}
	if pays := old.rate(); pays >= rate {
		return chainhash.Hash{}, fmt.Errorf("%w: it pays %d sat/vB already", ErrCannotBump,
			uint64(pays.FeePerVByte()))
	}

	if !old.canReplace() {
		d, err := w.lease(func(p *purse) (*draft, error) { return w.draftChild(p, old, rate) })
		if err != nil {
			return chainhash.Hash{}, err
		}

		return w.finish(ctx, d, withNote(labelBump, txid.String()))
	}

	d, err := w.lease(func(p *purse) (*draft, error) { return w.draftReplacement(p, old, rate) })
	if err != nil {
		return chainhash.Hash{}, err
	}
	made, err := w.finish(ctx, d, old.Label)
	if err != nil {
		return made, err
	}
	// btcwallet would drop the old one only when the new one confirms, and count both till then.
	if err := w.base.RemoveDescendants(&old.MsgTx); err != nil {
		w.log.Error("the replaced transaction is still listed", "txid", txid, "err", err)
	}

	return made, nil
}

// bumpee is a transaction to be bumped.
type bumpee struct {
	*wtxmgr.TxDetails

	in     []coin // its inputs, when all are ours
	fee    btcutil.Amount
	weight lntypes.WeightUnit
	leased map[wire.OutPoint]bool
}

// bumpable reads a transaction that may be bumped.
func (w *Wallet) bumpable(txid chainhash.Hash) (*bumpee, error) {
	details, err := w.details(txid)
	if err != nil {
		return nil, err
	}
	if details == nil {
		return nil, ErrUnknownTx
	}
	if details.Block.Height >= 0 {
		return nil, fmt.Errorf("%w: it is confirmed in block %d", ErrCannotBump,
			details.Block.Height)
	}

	b := &bumpee{TxDetails: details, leased: make(map[wire.OutPoint]bool)}
	b.weight = lntypes.WeightUnit(blockchain.GetTransactionWeight(btcutil.NewTx(&details.MsgTx)))
	leased, err := w.Leases()
	if err != nil {
		return nil, err
	}
	for _, l := range leased {
		b.leased[l.Outpoint] = true
	}
	if len(details.Debits) != len(details.MsgTx.TxIn) {
		return b, nil
	}
	for _, in := range details.MsgTx.TxIn {
		parent, err := w.details(in.PreviousOutPoint.Hash)
		if err != nil {
			return nil, err
		}
		if parent == nil {
			return nil, ErrUnknownTx
		}
		out := parent.MsgTx.TxOut[in.PreviousOutPoint.Index]
		b.in = append(b.in, coin{
			point: in.PreviousOutPoint, value: btcutil.Amount(out.Value), pkScript: out.PkScript,
		})
		b.fee += btcutil.Amount(out.Value)
	}
	for _, out := range details.MsgTx.TxOut {
		b.fee -= btcutil.Amount(out.Value)
	}

	return b, nil
}

// rate is what the transaction pays, in sat/kw; zero when we do not know.
func (b *bumpee) rate() chainfee.SatPerKWeight {
	return chainfee.SatPerKWeight(int64(b.fee) * 1000 / int64(b.weight))
}

func (b *bumpee) sendsAll() bool { return strings.HasPrefix(b.Label, labelSendAll) }

// canReplace says whether a new version of the transaction harms nobody: Send made it, and
// nothing stands on it.
func (b *bumpee) canReplace() bool {
	if len(b.in) == 0 || !strings.HasPrefix(b.Label, labelSend) {
		return false
	}
	for _, in := range b.MsgTx.TxIn {
		if in.Sequence > replaceable {
			return false
		}
	}

	return !slices.ContainsFunc(b.Credits, func(c wtxmgr.CreditRecord) bool {
		return c.Spent || b.leased[wire.OutPoint{Hash: b.Hash, Index: c.Index}]
	})
}

// draftReplacement makes the same payment again with a higher fee: from the change, or from the
// amount when everything is sent, or with more confirmed coins.
func (w *Wallet) draftReplacement(p *purse, old *bumpee,
	rate chainfee.SatPerKWeight) (*draft, error) {

	change := slices.DeleteFunc(slices.Clone(old.Credits), func(c wtxmgr.CreditRecord) bool {
		return !c.Change
	})
	d := &draft{in: slices.Clone(old.in)}
	var paid btcutil.Amount
	var size input.TxWeightEstimator
	var changeScript []byte
	for i, out := range old.MsgTx.TxOut {
		if len(change) > 0 && int(change[0].Index) == i {
			changeScript = out.PkScript
			continue
		}
		d.out = append(d.out, wire.NewTxOut(out.Value, out.PkScript))
		paid += btcutil.Amount(out.Value)
		size.AddOutput(out.PkScript)
	}

	// BIP 125 rule 4: "The additional fees pay for the replacement transaction's bandwidth"
	least := func(weight lntypes.WeightUnit) btcutil.Amount {
		return max(rate.FeeForWeight(weight), old.fee+relayStep.FeeForWeight(weight))
	}
	if old.sendsAll() {
		return w.shrinkAll(d, old, size, least)
	}

	// BIP 125 rule 2 forbids new unconfirmed inputs.
	return w.cover(p, d, coverage{
		size: size, paid: paid, script: changeScript, minConfs: 1, fee: least,
	})
}

// shrinkAll takes the higher fee of a send-all from what it pays.
func (w *Wallet) shrinkAll(d *draft, old *bumpee, size input.TxWeightEstimator,
	fee func(lntypes.WeightUnit) btcutil.Amount) (*draft, error) {

	d.out = nil
	for _, out := range old.MsgTx.TxOut {
		d.out = append(d.out, wire.NewTxOut(out.Value, out.PkScript))
	}
	ours := make(map[uint32]bool)
	for _, credit := range old.Credits {
		ours[credit.Index] = credit.Change
	}
	for i, out := range d.out {
		if ours[uint32(i)] {
			size.AddOutput(out.PkScript)
		}
	}
	for i := range d.in {
		addInput(&size, d.in[i].pkScript)
	}

	more := fee(size.Weight()) - old.fee
	for i, out := range d.out {
		if ours[uint32(i)] {
			continue
		}
		out.Value -= int64(more)
		if dust := dustOf(len(out.PkScript)); out.Value < int64(dust) {
			return nil, fmt.Errorf("%w: the fee would leave less than the dust limit",
				ErrCannotBump)
		}

		return d, nil
	}

	return nil, fmt.Errorf("%w: it pays only ourselves", ErrCannotBump)
}

// draftChild spends our largest free output in the transaction with a fee for both.
func (w *Wallet) draftChild(p *purse, old *bumpee, rate chainfee.SatPerKWeight) (*draft, error) {
	best, spent := -1, false
	for i, credit := range old.Credits {
		point := wire.OutPoint{Hash: old.Hash, Index: credit.Index}
		if credit.Spent || old.leased[point] {
			spent = true
			continue
		}
		if best < 0 || credit.Amount > old.Credits[best].Amount {
			best = i
		}
	}
	switch {
	case best < 0 && spent:
		return nil, fmt.Errorf("%w: our outputs in it are spent or leased already; bump the "+
			"transaction that spends them", ErrCannotBump)

	case best < 0:
		return nil, fmt.Errorf("%w: it has no output of ours", ErrCannotBump)
	}

	credit := old.Credits[best]
	out := old.MsgTx.TxOut[credit.Index]
	d := &draft{in: []coin{{
		point: wire.OutPoint{Hash: old.Hash, Index: credit.Index}, value: credit.Amount,
		pkScript: out.PkScript,
	}}}

	return w.cover(p, d, coverage{minConfs: 1, mustChange: true,
		fee: func(weight lntypes.WeightUnit) btcutil.Amount {
			both := rate.FeeForWeight(weight+old.weight) - old.fee
			return max(both, relayStep.FeeForWeight(weight))
		},
	})
}

// coverage says what the inputs of a draft have to pay for.
type coverage struct {
	size       input.TxWeightEstimator // of the outputs
	paid       btcutil.Amount          // their sum
	script     []byte                  // of the change; nil: a fresh address
	minConfs   int32                   // of coins that are added
	mustChange bool                    // there is no other output
	fee        func(lntypes.WeightUnit) btcutil.Amount
}

// cover adds coins to the draft until it pays for everything, and the change.
func (w *Wallet) cover(p *purse, d *draft, c coverage) (*draft, error) {
	coins, order := p.inOrder(c.minConfs, maxConfirmations)
	more, err := order.ArrangeCoins(coins, 0)
	if err != nil {
		return nil, err
	}
	more = slices.DeleteFunc(more, func(candidate base.Coin) bool {
		return slices.ContainsFunc(d.in, func(c coin) bool {
			return c.point == candidate.OutPoint
		})
	})

	size, have := c.size, btcutil.Amount(0)
	for i := range d.in {
		addInput(&size, d.in[i].pkScript)
		have += d.in[i].value
	}
	for {
		with := size
		with.AddP2TROutput()
		change := have - c.paid - c.fee(with.Weight())
		if change >= dustOf(input.P2TRSize) {
			return d, w.addChange(d, change, c.script)
		}
		needed := c.paid + c.fee(size.Weight())
		if !c.mustChange && have >= needed {
			return d, nil
		}
		if len(more) == 0 {
			return nil, p.short(c.paid + c.fee(with.Weight()))
		}
		next := order[more[0].OutPoint]
		more = more[1:]
		d.in, have = append(d.in, *next), have+next.value
		addInput(&size, next.pkScript)
	}
}
