package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// ledger follows the money of some parties from a moment at which all is at rest: what each
// has then in its wallet and in channels, what they say that they owe each other since, and
// what the chain shows in the end. Fees are read from the chain, transaction by transaction,
// and booked to who paid them, so nothing is left to explain.
type ledger struct {
	m        *market
	name     string
	accounts []*account
	from     uint32 // the block after which the books begin
	blocks   int    // mined by settle

	funders map[wire.OutPoint]*account // of channels, once the chain is read
	takers  map[wire.OutPoint]*account // who gets all of a channel, its fees included
	txs     map[chainhash.Hash]*bookedTx
	spender map[wire.OutPoint]*bookedTx
}

// account is one party's.
type account struct {
	*member
	name string
	down bool // the node does not run

	coins btcutil.Amount // in the wallet at the beginning
	stake btcutil.Amount // in channels at the beginning; a funder's has their fees and anchors
	moved btcutil.Amount // got since, or given
	burnt btcutil.Amount // dust that became a fee

	fees btcutil.Amount // of the transactions that it paid
	left btcutil.Amount // in outputs that nobody takes: anchors
}

// bookedTx is a transaction of the scenario.
type bookedTx struct {
	*wire.MsgTx
	in  []*wire.TxOut
	fee btcutil.Amount
}

// newLedger opens the books of a scenario.
func newLedger(m *market, name string, members map[string]*member) *ledger {
	m.t.Helper()
	l := &ledger{m: m, name: name, takers: map[wire.OutPoint]*account{}}
	for name, who := range members {
		l.accounts = append(l.accounts, &account{member: who, name: name})
	}
	slices.SortFunc(l.accounts, func(a, b *account) int { return strings.Compare(a.name, b.name) })
	l.atRest()
	var err error
	l.from, err = m.Chain.Height()
	must(m.t, err)
	for _, a := range l.accounts {
		b, err := a.WalletBalance()
		must(m.t, err)
		a.coins = b.Confirmed + b.Unconfirmed
		list, err := a.ChannelStates()
		must(m.t, err)
		for _, ch := range list {
			if ch.Ours {
				a.stake += ch.Capacity
				continue
			}
			if ch.Balance%1000 != 0 {
				m.t.Fatalf("%s has %v in a channel: the books are in whole satoshi", a.name, ch.Balance)
			}
			a.stake += ch.Balance.ToSatoshis()
			l.account(l.byNode(ch.Peer)).stake -= ch.Balance.ToSatoshis()
		}
	}
	return l
}

// atRest waits until no update of a channel is under way and all coins are confirmed.
func (l *ledger) atRest() {
	l.m.t.Helper()
	l.m.soon(waitLink, func(context.Context) bool {
		for _, a := range l.accounts {
			list, err := a.ChannelStates()
			must(l.m.t, err)
			b, err := a.WalletBalance()
			must(l.m.t, err)
			if b.Unconfirmed != 0 || slices.ContainsFunc(list, func(ch channelState) bool { return !ch.Quiet }) {
				return false
			}
		}
		return true
	})
}

func (l *ledger) byNode(id [33]byte) *member {
	for _, a := range l.accounts {
		if [33]byte(a.Key().SerializeCompressed()) == id {
			return a.member
		}
	}
	l.m.t.Fatalf("node %x has no account", id)
	return nil
}

func (l *ledger) account(of *member) *account {
	i := slices.IndexFunc(l.accounts, func(a *account) bool { return a.member == of })
	return l.accounts[i]
}

// move books what one gives another outside of transactions.
func (l *ledger) move(from, to *member, amount btcutil.Amount) {
	l.account(from).moved -= amount
	l.account(to).moved += amount
}

// burn books the dust that its offerer loses with a commitment: it is a part of that
// transaction's fee, which the channel's funder does not pay.
func (l *ledger) burn(offerer, funder *member, amount btcutil.Amount) {
	l.account(offerer).burnt += amount
	l.account(funder).burnt -= amount
}

// forfeit books all of a channel to one side: the other has cheated.
func (l *ledger) forfeit(point wire.OutPoint, cheat, honest *member, stake btcutil.Amount) {
	l.move(cheat, honest, stake)
	l.takers[point] = l.account(honest)
}

// stop ends a party's node; start brings it back.
func (l *ledger) stop(who *member) { who.Stop(); l.account(who).down = true }

func (l *ledger) start(who *member) { who.Start(); l.account(who).down = false }

// settle mines until nothing is unresolved. Sweepers act on blocks, so they get time after each.
func (l *ledger) settle(limit int) {
	l.m.t.Helper()
	idle := 0
	for l.blocks < limit {
		open := l.unresolved()
		if len(open) == 0 {
			return
		}
		waiting, err := l.m.Chain.Mempool()
		must(l.m.t, err)
		if idle++; len(waiting) != 0 {
			idle = 0
		}
		if idle > 3 {
			l.mine(10)
		} else {
			l.mine(1)
		}
	}
	l.m.t.Fatalf("unresolved after %d blocks: %s", l.blocks, strings.Join(l.unresolved(), "; "))
}

// mine mines blocks and waits until all have dealt with them.
func (l *ledger) mine(blocks int) {
	l.m.t.Helper()
	l.m.Mine(blocks)
	l.blocks += blocks
	l.dealtWith()
}

func (l *ledger) dealtWith() {
	l.m.t.Helper()
	height, err := l.m.Chain.Height()
	must(l.m.t, err)
	for _, a := range l.accounts {
		if a.down {
			continue
		}
		l.m.reach(height, a.member)
		l.m.soon(waitLink, func(context.Context) bool { return a.CourtHeight() >= height })
	}
	// What a block began may take a moment: resolvers have goroutines of their own.
	<-time.After(80 * time.Millisecond)
}

func (l *ledger) unresolved() []string {
	l.m.t.Helper()
	var all []string
	for _, a := range l.accounts {
		if a.down {
			continue
		}
		list, err := a.Unresolved()
		must(l.m.t, err)
		for _, what := range list {
			all = append(all, a.name+": "+what)
		}
	}
	waiting, err := l.m.Chain.Mempool()
	must(l.m.t, err)
	if len(waiting) > 0 {
		all = append(all, fmt.Sprintf("mempool: %v", waiting))
	}
	return all
}

// check compares what each has in its wallet now with what it should have, to the satoshi.
func (l *ledger) check() {
	l.m.t.Helper()
	l.read()
	l.bookFees()
	l.bookRests()
	for _, a := range l.accounts {
		b, err := a.WalletBalance()
		must(l.m.t, err)
		list, err := a.ChannelStates()
		must(l.m.t, err)
		if len(list) != 0 {
			l.m.t.Errorf("%s has channels left: %+v", a.name, list)
		}
		want := a.coins + a.stake + a.moved - a.burnt - a.fees - a.left
		if got := b.Confirmed + b.Unconfirmed; got != want {
			l.m.t.Errorf("%s has %d sat, want %d (%+d): began with %d and %d in channels, got %d, "+
				"lost %d as dust, paid %d in fees, left %d in anchors", a.name, got, want, got-want,
				a.coins, a.stake, a.moved, a.burnt, a.fees, a.left)
		}
		l.m.t.Logf("books of %q: %-6s %9d + %7d in channels %+8d moved - %4d dust - %5d fees - "+
			"%3d anchors = %9d sat; %d transactions, %d blocks", l.name, a.name, a.coins, a.stake,
			a.moved, a.burnt, a.fees, a.left, want, len(l.txs), l.blocks)
	}
	if open := l.unresolved(); len(open) != 0 {
		l.m.t.Errorf("unresolved: %s", strings.Join(open, "; "))
	}
}

// read collects the transactions since the beginning.
func (l *ledger) read() {
	l.m.t.Helper()
	ctx, cancel := l.m.Context()
	defer cancel()
	l.txs, l.spender = map[chainhash.Hash]*bookedTx{}, map[wire.OutPoint]*bookedTx{}
	tip, err := l.m.Chain.Height()
	must(l.m.t, err)
	for h := l.from + 1; h <= tip; h++ {
		hash, err := l.m.Chain.RPC().BlockHash(ctx, int64(h))
		must(l.m.t, err)
		block, err := l.m.Chain.RPC().Block(ctx, hash)
		must(l.m.t, err)
		for _, raw := range block.Transactions[1:] {
			l.add(raw)
		}
	}
	l.funders = map[wire.OutPoint]*account{}
	for _, a := range l.accounts {
		list, err := a.ChannelHistory()
		must(l.m.t, err)
		for _, ch := range list {
			if ch.Ours {
				l.funders[ch.Point] = a
			}
		}
	}
}

func (l *ledger) add(raw *wire.MsgTx) {
	l.m.t.Helper()
	tx := &bookedTx{MsgTx: raw}
	l.txs[raw.TxHash()] = tx
	for _, in := range raw.TxIn {
		l.spender[in.PreviousOutPoint] = tx
		from, err := l.m.Chain.Tx(in.PreviousOutPoint.Hash)
		must(l.m.t, err)
		out := from.Tx.TxOut[in.PreviousOutPoint.Index]
		tx.in = append(tx.in, out)
		tx.fee += btcutil.Amount(out.Value)
	}
	for _, out := range raw.TxOut {
		tx.fee -= btcutil.Amount(out.Value)
	}
}

// bookFees books each transaction's fee.
func (l *ledger) bookFees() {
	l.m.t.Helper()
	for hash, tx := range l.txs {
		payer := l.payer(tx)
		if payer == nil {
			l.m.t.Errorf("nobody has paid the %d sat of %v", tx.fee, hash)
			continue
		}
		payer.fees += tx.fee
	}
}

// payer is who pays a transaction: of one that spends a channel its funder, else who gives
// coins to it, or gets them.
func (l *ledger) payer(tx *bookedTx) *account {
	for _, in := range tx.TxIn {
		if taker := l.takers[in.PreviousOutPoint]; taker != nil {
			return taker
		}
		if funder := l.funders[in.PreviousOutPoint]; funder != nil {
			return funder
		}
	}
	for _, outs := range [][]*wire.TxOut{tx.in, tx.TxOut} {
		for _, out := range outs {
			if a := l.owner(out.PkScript); a != nil {
				return a
			}
		}
	}
	hash := tx.TxHash()
	for i := range tx.TxOut {
		if next := l.spender[wire.OutPoint{Hash: hash, Index: uint32(i)}]; next != nil {
			return l.payer(next)
		}
	}
	return nil
}

func (l *ledger) owner(script []byte) *account {
	for _, a := range l.accounts {
		if a.Owns(script) {
			return a
		}
	}
	return nil
}

// anchorSize is what an anchor output has (BOLT 3).
const anchorSize = 330

// bookRests books the anchors, both of which the funder has paid for: what nobody has taken is the
// funder's loss, what the other side has taken its gain. No other output may be left.
func (l *ledger) bookRests() {
	l.m.t.Helper()
	for hash, tx := range l.txs {
		first := tx.TxIn[0].PreviousOutPoint
		funder := l.takers[first]
		if funder == nil {
			funder = l.funders[first]
		}
		for i, out := range tx.TxOut {
			point := wire.OutPoint{Hash: hash, Index: uint32(i)}
			next, anchor := l.spender[point], funder != nil && out.Value == anchorSize
			switch {
			case next != nil && anchor:
				if by := l.payer(next); by != nil {
					funder.moved -= anchorSize
					by.moved += anchorSize
				}
			case next != nil, l.owner(out.PkScript) != nil, l.funded(point):
			case anchor:
				funder.left += anchorSize
			default:
				l.m.t.Errorf("%d sat of %v belong to nobody", out.Value, point)
			}
		}
	}
}

// funded says that a channel lives in this output; check finds it elsewhere.
func (l *ledger) funded(point wire.OutPoint) bool { return l.funders[point] != nil }

// rate is what a transaction pays, in sat/vB.
func (tx *bookedTx) rate() int64 {
	weight := blockchain.GetTransactionWeight(btcutil.NewTx(tx.MsgTx))
	return int64(tx.fee) * 4 / weight
}
