package wallet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/wtxmgr"
	"github.com/lightningnetwork/lnd/kvdb"
)

// maxAncestors is how many unconfirmed transactions a coin may stand on, its own included.
// Nodes relay chains of 25; the rest is room for the spend and for a bump of it.
const maxAncestors = 20

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

// coin is an unspent output with what decides about its use.
type coin struct {
	point    wire.OutPoint
	value    btcutil.Amount
	pkScript []byte
	confs    int32 // 0: in the mempool

	// trusted: see Utxo. ancestors counts the unconfirmed transactions that it stands on.
	trusted   bool
	ancestors int

	lease *wtxmgr.LockedOutput // nil: free
}

func (c *coin) spendable() bool { return c.trusted && c.lease == nil }

// coins reads all unspent outputs at one moment, in no order.
func (w *Wallet) coins() ([]coin, error) {
	var all []coin
	err := kvdb.View(w.opts.DB, func(tx kvdb.RTx) error {
		s := newScan(w, tx)
		free, err := w.base.TxStore.UnspentOutputs(s.ns)
		if err != nil {
			return err
		}
		for _, credit := range free {
			c, err := s.coin(credit)
			if err != nil {
				return err
			}
			all = append(all, c)
		}

		leased, err := s.leased()
		all = append(all, leased...)

		return err
	}, func() { all = nil })
	if err != nil {
		return nil, fmt.Errorf("wallet: read coins: %w", err)
	}

	return all, nil
}

// scan reads coins inside of one read transaction.
type scan struct {
	wallet *Wallet
	ns     kvdb.RBucket
	height int32

	// ancestors remembers, for unconfirmed transactions, the set that they stand on, themselves
	// included; nil for those that we do not trust.
	ancestors map[chainhash.Hash]map[chainhash.Hash]bool
}

func newScan(w *Wallet, tx kvdb.RTx) *scan {
	return &scan{
		wallet: w, ns: tx.ReadBucket([]byte(txmgrBucket)), height: w.base.SyncedTo().Height,
		ancestors: make(map[chainhash.Hash]map[chainhash.Hash]bool),
	}
}

func (s *scan) coin(credit wtxmgr.Credit) (coin, error) {
	c := coin{point: credit.OutPoint, value: credit.Amount, pkScript: credit.PkScript}
	if credit.Height >= 0 {
		c.confs = max(1, s.height-credit.Height+1)
		maturity := int32(s.wallet.opts.Params.CoinbaseMaturity)
		c.trusted = !credit.FromCoinBase || c.confs >= maturity

		return c, nil
	}
	set, err := s.stands(credit.OutPoint.Hash)
	if err != nil {
		return coin{}, err
	}
	c.ancestors, c.trusted = len(set), set != nil && len(set) <= maxAncestors

	return c, nil
}

// stands gives the unconfirmed transactions that one stands on, itself included, or nil when one
// of them is not entirely ours: somebody else could replace it and the coin would be gone.
func (s *scan) stands(txid chainhash.Hash) (map[chainhash.Hash]bool, error) {
	if set, ok := s.ancestors[txid]; ok {
		return set, nil
	}
	details, err := s.wallet.base.TxStore.TxDetails(s.ns, &txid)
	if err != nil {
		return nil, err
	}
	s.ancestors[txid] = nil
	if details == nil || len(details.Debits) != len(details.MsgTx.TxIn) {
		return nil, nil
	}

	set := map[chainhash.Hash]bool{txid: true}
	for _, in := range details.MsgTx.TxIn {
		parent := in.PreviousOutPoint.Hash
		known, err := s.wallet.base.TxStore.TxDetails(s.ns, &parent)
		if err != nil {
			return nil, err
		}
		if known != nil && known.Block.Height >= 0 {
			continue
		}
		above, err := s.stands(parent)
		if err != nil || above == nil {
			return nil, err
		}
		for id := range above {
			set[id] = true
		}
		if len(set) > maxAncestors {
			break
		}
	}
	s.ancestors[txid] = set

	return set, nil
}

// leased reads the outputs that are held and still unspent.
func (s *scan) leased() ([]coin, error) {
	locks, err := s.wallet.base.TxStore.ListLockedOutputs(s.ns)
	if err != nil {
		return nil, err
	}

	var held []coin
	for _, lock := range locks {
		hash, index := lock.Outpoint.Hash, lock.Outpoint.Index
		details, err := s.wallet.base.TxStore.TxDetails(s.ns, &hash)
		if err != nil {
			return nil, err
		}
		if details == nil || !unspentCredit(details, index) {
			continue
		}
		out := details.MsgTx.TxOut[index]
		c, err := s.coin(wtxmgr.Credit{
			OutPoint: lock.Outpoint, BlockMeta: details.Block,
			Amount: btcutil.Amount(out.Value), PkScript: out.PkScript,
			FromCoinBase: fromCoinbase(&details.MsgTx),
		})
		if err != nil {
			return nil, err
		}
		c.lease = lock
		held = append(held, c)
	}

	return held, nil
}

// unspentCredit says whether an output is ours and unspent, in the mempool too.
func unspentCredit(details *wtxmgr.TxDetails, index uint32) bool {
	for _, credit := range details.Credits {
		if credit.Index == index {
			return !credit.Spent
		}
	}

	return false
}

func fromCoinbase(tx *wire.MsgTx) bool {
	return len(tx.TxIn) == 1 && tx.TxIn[0].PreviousOutPoint.Index == wire.MaxPrevOutIndex &&
		tx.TxIn[0].PreviousOutPoint.Hash == chainhash.Hash{}
}

// Balance sums the coins.
func (w *Wallet) Balance() (Balance, error) {
	coins, err := w.coins()
	if err != nil {
		return Balance{}, err
	}
	reserve := w.opts.AnchorReserve(0)

	var b Balance
	for i := range coins {
		c := &coins[i]
		if c.confs > 0 {
			b.Confirmed += c.value
		} else {
			b.Unconfirmed += c.value
		}
		if c.lease != nil {
			b.Leased += c.value
		}
		if c.spendable() {
			b.Spendable += c.value
		}
	}
	b.Reserved = min(reserve, b.Spendable)
	b.Spendable -= b.Reserved

	return b, nil
}

// Utxos lists the unspent outputs, leased ones too, largest first.
func (w *Wallet) Utxos() ([]Utxo, error) {
	coins, err := w.coins()
	if err != nil {
		return nil, err
	}

	utxos := make([]Utxo, 0, len(coins))
	for i := range coins {
		c := &coins[i]
		_, addrs, _, err := txscript.ExtractPkScriptAddrs(c.pkScript, w.opts.Params)
		if err != nil || len(addrs) != 1 {
			return nil, fmt.Errorf("wallet: address of %v: %w", c.point, errNoAddress)
		}
		u := Utxo{
			Outpoint: c.point, Address: addrs[0], Value: c.value,
			Confirmations: int64(c.confs), Trusted: c.trusted,
		}
		if c.lease != nil {
			u.Leased, u.LeasedUntil = true, c.lease.Expiration
		}
		utxos = append(utxos, u)
	}
	slices.SortFunc(utxos, func(a, b Utxo) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), comparePoints(a.Outpoint, b.Outpoint))
	})

	return utxos, nil
}

var errNoAddress = errors.New("the script has no address")

func comparePoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}

// concerns says whether a transaction spends from the wallet or pays to it.
func (w *Wallet) concerns(tx *wire.MsgTx) (bool, error) {
	for _, out := range tx.TxOut {
		_, addrs, _, err := txscript.ExtractPkScriptAddrs(out.PkScript, w.opts.Params)
		if err == nil && len(addrs) == 1 && w.btcw.IsOurAddress(addrs[0]) {
			return true, nil
		}
	}

	ours := false
	err := kvdb.View(w.opts.DB, func(dbtx kvdb.RTx) error {
		ns := dbtx.ReadBucket([]byte(txmgrBucket))
		for _, in := range tx.TxIn {
			details, err := w.base.TxStore.TxDetails(ns, &in.PreviousOutPoint.Hash)
			if err != nil {
				return err
			}
			if details == nil {
				continue
			}
			for _, credit := range details.Credits {
				ours = ours || credit.Index == in.PreviousOutPoint.Index
			}
		}

		return nil
	}, func() { ours = false })

	return ours, err
}

// allInputsOurs says whether all inputs of a stored transaction are the wallet's.
func (w *Wallet) allInputsOurs(txid chainhash.Hash) bool {
	details, err := w.details(txid)

	return err == nil && details != nil && len(details.Debits) == len(details.MsgTx.TxIn)
}

// details reads a transaction that the wallet has stored; nil when it has not.
func (w *Wallet) details(txid chainhash.Hash) (*wtxmgr.TxDetails, error) {
	var details *wtxmgr.TxDetails
	err := kvdb.View(w.opts.DB, func(tx kvdb.RTx) error {
		var err error
		details, err = w.base.TxStore.TxDetails(tx.ReadBucket([]byte(txmgrBucket)), &txid)

		return err
	}, func() { details = nil })
	if err != nil {
		return nil, fmt.Errorf("wallet: read a transaction: %w", err)
	}

	return details, nil
}
