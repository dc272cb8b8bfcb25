package wallet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
)

// purse is the wallet's money at one moment, as a spend sees it.
type purse struct {
	coins   []coin // spendable ones
	total   btcutil.Amount
	leased  btcutil.Amount
	reserve btcutil.Amount
}

// purse reads what could be spent now, with what is kept back for so many more channels. The caller
// holds spend when it goes on to choose coins.
func (w *Wallet) purse(more int) (*purse, error) {
	coins, err := w.coins()
	if err != nil {
		return nil, err
	}

	p := &purse{reserve: w.opts.AnchorReserve(more)}
	for i := range coins {
		switch {
		case coins[i].spendable():
			p.coins = append(p.coins, coins[i])
			p.total += coins[i].value

		case coins[i].lease != nil:
			p.leased += coins[i].value
		}
	}

	return p, nil
}

// short makes the error for a spend that needs more than there is.
func (p *purse) short(needed btcutil.Amount) error {
	return &FundsError{
		Needed: needed, Spendable: max(0, p.total-p.reserve), Leased: p.leased,
		Reserved: min(p.reserve, p.total),
	}
}

// inOrder gives the coins as lnd's coin selection takes them, with the order to use them in:
// confirmed ones first, large before small, then the change that stands on the fewest
// unconfirmed transactions. Coins that cost more than they bring are left out.
func (p *purse) inOrder(minConfs, maxConfs int32) ([]base.Coin, ordered) {
	order := make(ordered, len(p.coins))
	var list []base.Coin
	for i := range p.coins {
		c := &p.coins[i]
		if c.confs < minConfs || c.confs > maxConfs {
			continue
		}
		order[c.point] = c
		list = append(list, base.Coin{
			OutPoint: c.point, TxOut: wire.TxOut{Value: int64(c.value), PkScript: c.pkScript},
		})
	}

	return list, order
}

// ordered is a base.CoinSelectionStrategy over a snapshot.
type ordered map[wire.OutPoint]*coin

// ArrangeCoins sorts the coins and leaves out the ones that are not worth their fee.
func (o ordered) ArrangeCoins(coins []base.Coin, perKB btcutil.Amount) ([]base.Coin, error) {
	worth := slices.DeleteFunc(slices.Clone(coins), func(c base.Coin) bool {
		return inputFee(c.PkScript, perKB) >= btcutil.Amount(c.Value)
	})
	slices.SortFunc(worth, func(x, y base.Coin) int {
		a, b := o[x.OutPoint], o[y.OutPoint]

		return cmp.Or(cmp.Compare(a.ancestors, b.ancestors), cmp.Compare(b.value, a.value),
			comparePoints(a.point, b.point))
	})

	return worth, nil
}

// inputFee is what spending an output of ours costs at a rate in sat/kvB.
func inputFee(pkScript []byte, perKB btcutil.Amount) btcutil.Amount {
	var size input.TxWeightEstimator
	empty := size.VSize()
	addInput(&size, pkScript)

	return perKB * btcutil.Amount(size.VSize()-empty) / 1000
}

// addInput adds an input that spends one of our outputs.
func addInput(size *input.TxWeightEstimator, pkScript []byte) {
	if txscript.IsPayToTaproot(pkScript) {
		size.AddTaprootKeySpendInput(txscript.SigHashDefault)
		return
	}
	size.AddP2WKHInput()
}

// CanFund says whether one more opening of the amount at the fee rate would leave the reserve alone,
// its own channel's too; nil, or a *FundsError. It is a look ahead: Funder decides, under the coin lock.
func (w *Wallet) CanFund(amount btcutil.Amount, feeRate chainfee.SatPerKWeight) error {
	p, err := w.purse(1)
	if err != nil {
		return err
	}
	coins, order := p.inOrder(0, maxConfirmations)

	var funding input.TxWeightEstimator
	funding.AddP2WSHOutput()
	chosen, change, err := chanfunding.CoinSelect(feeRate, amount, dustOf(input.P2WSHSize), coins,
		order, funding, chanfunding.P2TRChangeAddress, chanfunding.DefaultMaxFeeRatio)
	if err != nil {
		return p.selectError(err, amount, feeRate, funding)
	}

	return p.check(sumCoins(chosen), change)
}

// Fundable is what one more opening that wants confirmed coins may spend, in satoshis: unconfirmed
// change counts for the reserve only, and the new channel's part of that is taken off.
func (w *Wallet) Fundable() (btcutil.Amount, error) {
	p, err := w.purse(1)
	if err != nil {
		return 0, err
	}
	var confirmed btcutil.Amount
	for i := range p.coins {
		if p.coins[i].confs > 0 {
			confirmed += p.coins[i].value
		}
	}

	return max(0, min(confirmed, p.total-p.reserve)), nil
}

// selectError turns lnd's coin selection error into ours; rest is the transaction without its
// inputs.
func (p *purse) selectError(err error, amount btcutil.Amount, rate chainfee.SatPerKWeight,
	rest input.TxWeightEstimator) error {

	var short *chanfunding.ErrInsufficientFunds
	if !errors.As(err, &short) {
		return fmt.Errorf("wallet: choose coins: %w", err)
	}
	for i := range p.coins {
		addInput(&rest, p.coins[i].pkScript)
	}

	return p.short(amount + rate.FeeForWeight(rest.Weight()))
}

// maxConfirmations is no limit.
const maxConfirmations = 1<<31 - 1

// check refuses a spend that would leave less than the reserve.
func (p *purse) check(in, change btcutil.Amount) error {
	if p.total-in+change < p.reserve {
		return p.short(in - change)
	}

	return nil
}

func sumCoins(coins []base.Coin) (sum btcutil.Amount) {
	for i := range coins {
		sum += btcutil.Amount(coins[i].Value)
	}

	return sum
}

func dustOf(scriptSize int) btcutil.Amount { return lnwallet.DustLimitForSize(scriptSize) }

// AllowUtxo says whether a coin may fund a channel: confirmed and mature, or unconfirmed change
// of ours within the mempool's chain limits. It fits
// lnwallet.InitFundingReserveMsg.AllowUtxoForFunding, but reads all coins for each one asked;
// Funder does not.
func (w *Wallet) AllowUtxo(u lnwallet.Utxo) bool {
	coins, err := w.coins()
	if err != nil {
		return false
	}

	return slices.ContainsFunc(coins, func(c coin) bool {
		return c.point == u.OutPoint && c.spendable()
	})
}

// Funder gives the assembler for one opening (lnwallet.InitFundingReserveMsg.ChanFunder): it
// takes only coins that AllowUtxo allows, confirmed ones first, and refuses with a *FundsError
// to touch the reserve.
func (w *Wallet) Funder() chanfunding.Assembler { return &funder{wallet: w} }

// funder provisions channels from the wallet's coins.
type funder struct {
	wallet *Wallet
}

var _ chanfunding.FundingTxAssembler = (*funder)(nil)

// FundingTxAvailable tells lnwallet that the funding transaction is ours, so that it is stored
// with the channel.
func (f *funder) FundingTxAvailable() {}

// ProvisionChannel chooses and leases the coins of one opening.
func (f *funder) ProvisionChannel(r *chanfunding.Request) (chanfunding.Intent, error) {
	w := f.wallet
	w.spend.Lock()
	defer w.spend.Unlock()

	pick := &picker{wallet: w, amount: r.LocalAmt}
	request := *r
	if request.FundUpToMaxAmt > 0 {
		request.WalletReserve = max(request.WalletReserve, w.opts.AnchorReserve(0))
	}
	intent, err := chanfunding.NewWalletAssembler(chanfunding.WalletConfig{
		CoinSource: pick, CoinSelectionStrategy: pick, CoinSelectLocker: w.lightning,
		CoinLeaser: pick, Signer: w.signer, DustLimit: dustOf(input.P2WSHSize),
	}).ProvisionChannel(&request)
	if err != nil {
		return nil, pick.undo(pick.explain(err, r.LocalAmt, r.FeeRate))
	}

	full, ok := intent.(*chanfunding.FullIntent)
	if !ok {
		intent.Cancel()
		return nil, fmt.Errorf("wallet: fund a channel: unexpected intent %T", intent)
	}
	if len(full.InputCoins) == 0 {
		return intent, nil // the peer funds it
	}
	var change btcutil.Amount
	for _, out := range full.ChangeOutputs {
		change += btcutil.Amount(out.Value)
	}
	if err := pick.purse.check(sumCoins(full.InputCoins), change); err != nil {
		intent.Cancel()
		return nil, err
	}

	return intent, nil
}

// picker gives lnd's coin selection the coins of one snapshot, and remembers what it leased.
type picker struct {
	wallet *Wallet
	amount btcutil.Amount // of the channel
	purse  *purse         // read under the coin lock
	ordered
	leased []wire.OutPoint
}

// ArrangeCoins puts the smallest confirmed coin first that funds the channel alone: what it takes
// more is bound until the next block, and other openings need the large ones.
func (p *picker) ArrangeCoins(coins []base.Coin, perKB btcutil.Amount) ([]base.Coin, error) {
	worth, err := p.ordered.ArrangeCoins(coins, perKB)
	if err != nil {
		return nil, err
	}
	var size input.TxWeightEstimator
	size.AddP2WSHOutput().AddP2TROutput().AddP2WKHInput() // the larger of our inputs
	need := p.amount + perKB*btcutil.Amount(size.VSize())/1000 + dustOf(input.P2TRSize)
	best := -1
	for i, c := range worth { // by value, falling, the confirmed ones first
		if p.ordered[c.OutPoint].confs > 0 && btcutil.Amount(c.Value) >= need {
			best = i
		}
	}
	if best > 0 {
		fits := worth[best]
		worth = slices.Insert(slices.Delete(worth, best, best+1), 0, fits)
	}
	return worth, nil
}

// load takes the snapshot. It is called with the coin lock held: a coin that another opening has
// leased meanwhile would be spent twice, since lnwallet's leases all have the same id.
func (p *picker) load() error {
	if p.purse != nil {
		return nil
	}
	var err error
	p.purse, err = p.wallet.purse(0)

	return err
}

// ListCoins gives the coins that may fund the channel.
func (p *picker) ListCoins(minConfs, maxConfs int32) ([]base.Coin, error) {
	if err := p.load(); err != nil {
		return nil, err
	}
	var coins []base.Coin
	coins, p.ordered = p.purse.inOrder(minConfs, maxConfs)

	return coins, nil
}

// CoinFromOutPoint finds a coin by its outpoint.
func (p *picker) CoinFromOutPoint(point wire.OutPoint) (*base.Coin, error) {
	if err := p.load(); err != nil {
		return nil, err
	}
	for i := range p.purse.coins {
		c := &p.purse.coins[i]
		if c.point == point {
			return &base.Coin{
				OutPoint: point, TxOut: wire.TxOut{Value: int64(c.value), PkScript: c.pkScript},
			}, nil
		}
	}

	return nil, fmt.Errorf("wallet: coin %v: %w", point, ErrNotOurs)
}

// LeaseOutput holds a coin; the coin lock is held.
func (p *picker) LeaseOutput(id wtxmgr.LockID, point wire.OutPoint,
	d time.Duration) (time.Time, error) {

	until, err := p.wallet.btcw.LeaseOutput(id, point, d)
	if err == nil {
		p.leased = append(p.leased, point)
		p.wallet.news.change()
	}

	return until, err
}

// ReleaseOutput frees a coin.
func (p *picker) ReleaseOutput(id wtxmgr.LockID, point wire.OutPoint) error {
	defer p.wallet.news.change()

	return p.wallet.btcw.ReleaseOutput(id, point)
}

// explain turns lnd's error of coin selection into ours.
func (p *picker) explain(err error, amount btcutil.Amount, rate chainfee.SatPerKWeight) error {
	if p.purse == nil {
		return fmt.Errorf("wallet: fund a channel: %w", err)
	}
	var funding input.TxWeightEstimator
	funding.AddP2WSHOutput()

	return p.purse.selectError(err, amount, rate, funding)
}

// undo frees what a failed selection has leased; lnd's code leaves it leased.
func (p *picker) undo(cause error) error {
	if len(p.leased) == 0 {
		return cause
	}
	if err := p.wallet.Release(p.leased); err != nil {
		return fmt.Errorf("%w (and its coins stay leased for ten minutes: %w)", cause, err)
	}

	return cause
}
