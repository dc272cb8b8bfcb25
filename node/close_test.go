package node_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
)

// TestCloseByAgreement: either side asks, and the chain shows who got what.
func TestCloseByAgreement(t *testing.T) {
	m := newMarket(t, marketPlan{})
	for _, by := range []string{"client", "LSP"} {
		client := m.node("client of "+by, nil)
		inv := m.buy(client, 500_000_000)
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		want := lnwire.MilliSatoshi(500_000_000) - inv.OpeningFee
		m.wantBalance(client, want)
		m.Mine(6)
		point := m.order(inv).Point
		m.event(client, node.ChannelConfirmed, point.String())

		closer := client
		if by == "LSP" {
			closer = m.seller
		}
		ctx, cancel := m.Context()
		defer cancel()
		txid, err := closer.CloseChannel(ctx, *point, 0, node.BreakMinLifetime)
		must(t, err)
		m.wantOutput(txid, want.ToSatoshis())
		m.Mine(6)
		for _, n := range []*member{client, m.seller} {
			m.event(n, node.ChannelClosed, point.String())
		}
		must(t, client.AwaitBalance(ctx, want.ToSatoshis()))
		m.gone(client)
	}
}

// wantOutput wants a transaction to pay exactly this to someone.
func (m *market) wantOutput(txid chainhash.Hash, want btcutil.Amount) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	must(m.t, m.Chain.WaitTx(ctx, txid))
	tx, err := m.Chain.Tx(txid)
	must(m.t, err)
	for _, out := range tx.Tx.TxOut {
		if btcutil.Amount(out.Value) == want {
			return
		}
	}
	m.t.Errorf("no output of %v is %v", txid, want)
}

// gone waits until neither side has a channel with the other.
func (m *market) gone(client *member) {
	m.t.Helper()
	m.soon(waitLink, func(context.Context) bool {
		return len(m.channels(client, m.seller))+len(m.channels(m.seller, client)) == 0
	})
}

// TestForceClose: the LSP publishes its commitment; both get what is theirs.
func TestForceClose(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	want := 500_000_000 - inv.OpeningFee
	m.wantBalance(client, want)
	m.Mine(6)
	point := m.order(inv).Point
	for _, n := range []*member{client, m.seller} {
		m.event(n, node.ChannelConfirmed, point.String())
	}
	ch := m.channels(m.seller, client)[0]
	before := m.confirmed(m.seller)
	txid, err := m.seller.ForceClose(*point, node.BreakMinLifetime)
	must(t, err)
	m.wantOutput(txid, want.ToSatoshis())
	m.Mine(6)
	for _, n := range []*member{client, m.seller} {
		m.event(n, node.ChannelClosed, point.String())
	}
	// The client's output waits for one block, the LSP's for the client's
	// to_self_delay; then each is swept, at the cost of a fee.
	const fees = 5_000
	ours := btcutil.Amount(ch.LocalMsat / 1000)
	m.soon(60*waitLink/10, func(context.Context) bool {
		m.Mine(10)
		return m.confirmed(client) >= want.ToSatoshis()-fees &&
			m.confirmed(m.seller) >= before+ours-fees
	})
	m.gone(client)
}

func (m *market) confirmed(n *member) btcutil.Amount {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(n)
	defer c.Close()
	b, err := c.Balance(ctx)
	must(m.t, err)
	return btcutil.Amount(b.ConfirmedSat)
}
