package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/pay"
)

// shortDelta gives the LSP the fewest blocks between what it gets and gives.
func shortDelta(o *node.Options) {
	o.LSP.Offer.CLTVExpiryDelta = 48
	o.Channels.CLTVExpiryDelta = 48
}

// TestTenSalesToOneClient: the client has a larger channel already. lnd's switch
// takes any channel of the peer by lot; each payment must use the channel that it
// pays for, or that stays empty and its fee is taken on another.
func TestTenSalesToOneClient(t *testing.T) {
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.LSP.Limits.ClientPerSecond = 100 // each sale takes some 50 ms and two requests
	}})
	client := m.node("client", nil)
	m.open(m.seller, client, 4_000_000)
	const size = lnwire.MilliSatoshi(50_000_000)
	for range 10 {
		inv := m.buy(client, size)
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		m.wantReceived(client, inv, size)
		m.paidOver(inv)
		wantFeeOnce(t, m.order(inv), inv.OpeningFee)
	}
	m.soon(waitLink, func(context.Context) bool {
		right := 0
		for _, ch := range m.channels(m.seller, client) {
			if ch.OrderID != "" && ch.RemoteMsat == api.Msat(size-2_000_000) {
				right++
			}
		}
		return right == 10
	})
}

// TestRefusedPayments: what the payer is told, and that nothing stays behind.
func TestRefusedPayments(t *testing.T) {
	checklist.Shows(t, "LSPS2-50", "Desk.Offer takes HTLCs that are no order's")
	checklist.Shows(t, "LSPS2-73", "the encrypter encrypts a failure of ours as if it came from downstream")
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		o.LSP.Offer.Rules.Hold = 2 * time.Second
	}})
	client := m.node("client", nil)

	late := m.buy(client, 50_000_000)
	variable := m.buy(client, 0)
	m.wantRefused(variable.Invoice.Bolt11, 5_000_000, "unknown_next_peer")
	unknown := m.invoice(client, pay.InvoiceRequest{
		Amount: 50_000_000, Hints: [][]zpay32.HopHint{{{
			NodeID: m.seller.Key(), ChannelID: late.SCID.ToUint64() + 1, CLTVExpiryDelta: 144,
		}}},
	})
	m.wantRefused(unknown, 0, "unknown_next_peer")
	client.Stop() // and it does not come
	m.wantRefused(late.Invoice.Bolt11, 0, "temporary_channel_failure")
	m.wantNothingLeft(client)
}

// TestNoCoins: an LSP that can't fund a channel says so, and keeps nothing locked.
func TestNoCoins(t *testing.T) {
	m := newMarket(t, marketPlan{coins: 1})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	m.open(m.seller, client, 4_900_000) // all that it has
	m.wantRefused(inv.Invoice.Bolt11, 0, "temporary_channel_failure")
	if n := len(m.channels(m.seller, client)); n != 1 {
		t.Errorf("the LSP has %d channels with the client", n)
	}
	m.wantNoLeases()
}

// TestExpiredOffer: past valid_until the jit_channel_scid is nobody's.
func TestExpiredOffer(t *testing.T) {
	now := clock.NewTestClock(time.Now())
	m := newMarket(t, marketPlan{seller: func(o *node.Options) { o.SetClock(now) }})
	client := m.node("client", nil)
	inv := m.buy(client, 50_000_000)
	now.SetTime(time.Now().Add(offer().ValidFor + time.Minute))
	m.wantRefused(inv.Invoice.Bolt11, 0, "unknown_next_peer")
	m.wantNothingLeft(client)
}

// wantRefused pays and wants the failure that BOLT 4 names so.
func (m *market) wantRefused(bolt11 string, amount lnwire.MilliSatoshi, code string) {
	m.t.Helper()
	got := <-m.paying(m.payer, pay.PayRequest{
		Invoice: bolt11, Amount: amount, Timeout: 4 * time.Second,
	})
	must(m.t, got.err)
	refused := 0
	for _, p := range got.payment.Parts {
		switch {
		case p.Status == pay.InFlight: // tried again, and held again
		case p.Failure == nil || p.Failure.Code != code || p.Failure.Source == "this node":
			m.t.Errorf("a part is %s, with %+v, want %s", p.Status, p.Failure, code)
		default:
			refused++
		}
	}
	if refused == 0 || got.payment.Status == pay.Succeeded {
		m.t.Errorf("the payment is %s: %+v", got.payment.Status, got.payment.Failure)
	}
}

// wantNothingLeft wants no channel with the client and no coin locked.
func (m *market) wantNothingLeft(client *member) {
	m.t.Helper()
	if n := len(m.channels(m.seller, client)); n != 0 {
		m.t.Errorf("the LSP has %d channels with a client that was not paid", n)
	}
	m.wantNoLeases()
}

func (m *market) wantNoLeases() {
	m.t.Helper()
	coins, err := m.seller.Utxos()
	must(m.t, err)
	for _, c := range coins {
		if c.Leased {
			m.t.Errorf("coin %v is still leased", c)
		}
	}
}
