package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/wallet"
)

// signs is what only a node may send that knows the state of its channel, and what one sends that has
// lost it.
type signs struct{ count, asked atomic.Int64 }

func (s *signs) see(sent bool, m lnwire.Message) {
	switch m := m.(type) {
	case *lnwire.Error:
		if sent && strings.Contains(string(m.Data), "please close it by force") {
			s.asked.Add(1)
		}
	case *lnwire.CommitSig, *lnwire.RevokeAndAck, *lnwire.Shutdown, *lnwire.ClosingSigned,
		*lnwire.FundingCreated, *lnwire.FundingSigned, *lnwire.ChannelReady:
		if sent {
			s.count.Add(1)
		}
	}
}

// backupOf waits until a node's backup is as wanted and returns the file.
func (m *market) backupOf(n *member, wanted func(backup.Contents) bool) []byte {
	m.t.Helper()
	var raw []byte
	m.soon(waitLink, func(context.Context) bool {
		var err error
		raw, err = os.ReadFile(filepath.Join(n.dir, backup.FileName))
		if err != nil {
			return false
		}
		c, err := readBackup(raw, n.Words())
		must(m.t, err)
		return wanted(c)
	})
	return raw
}

func confirmedChannels(c backup.Contents) int {
	count := 0
	for _, ch := range c.Channels {
		if ch.Scid.BlockHeight != 0 {
			count++
		}
	}
	return count
}

// TestLSPRestored: the machine of an LSP is lost with everything on it. From the words and the
// backup it comes back, its peers close, and all that it had is in its wallet, less the fees.
func TestLSPRestored(t *testing.T) {
	var s signs
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.SetMischief(node.Mischief{Wire: s.see})
	}})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.Mine(6)
	point := *m.order(inv).Point
	m.event(m.seller, node.ChannelConfirmed, point.String())
	m.event(client, node.ChannelConfirmed, point.String())
	m.send(client, m.payer, 100_000_000)
	open := m.buy(client, 200_000_000) // an order that nobody has paid
	file := m.backupOf(m.seller, func(c backup.Contents) bool {
		return confirmedChannels(c) == 2 && len(c.Orders) == 2
	})
	was := m.accounts(m.seller)

	m.seller.Burn()
	s.count.Store(0)
	m.seller.Restore(file)
	for _, state := range m.states(m.seller) {
		if state != api.ChannelRestored {
			t.Errorf("a channel is %s", state)
		}
	}
	m.nothingCanBeSigned(m.seller, point)
	m.booksAreClosed(inv, open)
	m.wantAllBack(m.seller, was)
	for _, peer := range []*member{client, m.payer} {
		m.gone(peer)
	}
	if n := s.count.Load(); n != 0 {
		t.Errorf("the restored node has sent %d messages that sign or agree to something", n)
	}
	if s.asked.Load() < 2 {
		t.Errorf("%d peers were asked to close, want 2", s.asked.Load())
	}
	m.backupOf(m.seller, func(c backup.Contents) bool {
		return len(c.Channels) == 0 && len(c.Orders) == 0
	})
}

// TestClientRestored: the same for a client, whose channel is not even confirmed.
func TestClientRestored(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.received(client, inv.Invoice.Hash)
	file := m.backupOf(client, func(c backup.Contents) bool { return len(c.Channels) == 1 })
	was := m.accounts(client)

	client.Burn()
	client.Restore(file)
	m.Mine(6)
	m.event(m.seller, node.ChannelConfirmed, m.order(inv).Point.String())
	m.flap(client, m.seller) // the LSP closes by force only what is confirmed
	m.wantAllBack(client, was)
	m.gone(client)
}

// TestFundingRestored: the LSP had signed for a channel, and its disk went before the funding had
// reached anybody. The backup has it, and so the client gets its channel's money.
func TestFundingRestored(t *testing.T) {
	var off atomic.Bool
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.SetMischief(node.Mischief{Lifeline: node.Lifeline{Broadcast: func(*wire.MsgTx) error {
			if off.Load() {
				return errors.New("the network is away")
			}
			return nil
		}}})
	}})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	off.Store(true)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.received(client, inv.Invoice.Hash)
	point := *m.order(inv).Point
	file := m.backupOf(m.seller, func(c backup.Contents) bool {
		for _, ch := range c.Channels {
			if ch.Point == point {
				return ch.FundingTx != nil
			}
		}
		return false
	})
	m.seller.Burn()
	off.Store(false)
	m.seller.Restore(file)
	ctx, cancel := m.Context()
	defer cancel()
	must(t, m.Chain.WaitTx(ctx, point.Hash))
	m.Mine(6)
	m.event(client, node.ChannelConfirmed, point.String())
	m.soon(waitLink, func(context.Context) bool { // the client's part comes back to it
		m.Mine(1)
		return m.confirmed(client) > 490_000
	})
}

// states are those of a node's channels.
func (m *market) states(n *member) []api.ChannelState {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	var all []api.ChannelState
	for _, ch := range m.channelsOf(ctx, n) {
		all = append(all, ch.State)
	}
	if len(all) == 0 {
		m.t.Error("there is no channel")
	}
	return all
}

// nothingCanBeSigned asks for everything that would need a signature.
func (m *market) nothingCanBeSigned(n *member, point wire.OutPoint) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	if _, err := n.ForceClose(point, node.BreakMinLifetime); !errors.Is(err, node.ErrRestored) {
		m.t.Errorf("force close: %v, want ErrRestored", err)
	}
	_, err := n.CloseChannel(ctx, point, 0, node.BreakMinLifetime)
	if err == nil || !strings.Contains(err.Error(), "restored from a backup") {
		m.t.Errorf("close by agreement: %v", err)
	}
}

// booksAreClosed wants the orders of before, and none of them open.
func (m *market) booksAreClosed(paid, open node.JITInvoice) {
	m.t.Helper()
	if n := len(m.seller.Orders()); n != 2 {
		m.t.Fatalf("%d orders are listed", n)
	}
	s, ok := m.order(paid).Order.State.(jit.Paid)
	if !ok || !s.Channel.Gone || s.Fee != paid.OpeningFee {
		m.t.Errorf("the paid order is %+v", m.order(paid).Order.State)
	}
	r := m.order(open)
	if r.Order.State != (jit.Dead{}) || r.Failure == nil || r.Failure.Reason == "" {
		m.t.Errorf("the open order is %+v, %+v", r.Order.State, r.Failure)
	}
	if r.Timeline[0].Stage != orders.StageBought {
		m.t.Errorf("its timeline is %v", r.Timeline)
	}
}

// belongings are what a node has.
type belongings struct {
	onchain  btcutil.Amount
	coins    map[wire.OutPoint]btcutil.Amount
	channels map[wire.OutPoint]btcutil.Amount // our parts
}

func (m *market) accounts(n *member) belongings {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	a := belongings{
		onchain: m.confirmed(n), coins: map[wire.OutPoint]btcutil.Amount{},
		channels: map[wire.OutPoint]btcutil.Amount{},
	}
	coins, err := n.Utxos()
	must(m.t, err)
	for _, c := range coins {
		a.coins[c.Outpoint] = c.Value
	}
	for _, ch := range m.channelsOf(ctx, n) {
		point, err := wire.NewOutPointFromString(ch.ChannelPoint)
		must(m.t, err)
		a.channels[*point] = lnwire.MilliSatoshi(ch.LocalMsat).ToSatoshis()
	}
	return a
}

// wantAllBack mines until all of a node's money is in its wallet, and wants every satoshi: what was
// on chain, its part of each channel, less the fees of the transactions that brought that home.
func (m *market) wantAllBack(n *member, was belongings) {
	m.t.Helper()
	parts := btcutil.Amount(0)
	for _, part := range was.channels {
		parts += part
	}
	const enough = 5_000 // for the fees: what is missing is counted below
	m.soon(2*waitLink, func(context.Context) bool {
		m.Mine(1)
		return m.confirmed(n) >= was.onchain+parts-enough
	})
	got := m.accounts(n)
	var fromChannels, fees btcutil.Amount
	seen := map[chainhash.Hash]bool{}
	for coin := range got.coins {
		if _, old := was.coins[coin]; old || seen[coin.Hash] {
			continue
		}
		seen[coin.Hash] = true
		tx, err := m.Chain.Tx(coin.Hash)
		must(m.t, err)
		for _, in := range tx.Tx.TxIn {
			value := m.value(in.PreviousOutPoint)
			fees += value
			if _, own := was.coins[in.PreviousOutPoint]; !own && value != anchorSize {
				fromChannels += value
			}
		}
		for _, out := range tx.Tx.TxOut {
			fees -= btcutil.Amount(out.Value)
		}
	}
	if fromChannels != parts {
		m.t.Errorf("the channels gave %v, our parts were %v", fromChannels, parts)
	}
	if got.onchain != was.onchain+parts-fees {
		m.t.Errorf("the wallet has %v: %v + %v from channels - %v of fees is %v", got.onchain,
			was.onchain, parts, fees, was.onchain+parts-fees)
	}
	m.t.Logf("%v on chain and %v in channels are %v now: %v were fees", was.onchain, parts,
		got.onchain, fees)
}

func (m *market) value(p wire.OutPoint) btcutil.Amount {
	m.t.Helper()
	tx, err := m.Chain.Tx(p.Hash)
	must(m.t, err)
	return btcutil.Amount(tx.Tx.TxOut[p.Index].Value)
}

// readBackup opens a backup with the words alone.
func readBackup(raw []byte, words []string) (backup.Contents, error) {
	keys, err := wallet.KeysOfWords(words, nil, &chaincfg.RegressionNetParams)
	if err != nil {
		return backup.Contents{}, err
	}
	return backup.Decode(raw, keys.DeriveSecret(backup.Purpose))
}
