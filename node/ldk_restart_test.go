package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// comesBack connects the client to the LSP, which by itself it would do within a
// minute.
func (m *ldkMarket) comesBack(client *ldk.Client) {
	m.t.Helper()
	m.soon(waitLink, func(context.Context) bool {
		return client.Connect(m.seller.NodeID(), m.seller.Addr()) == nil
	})
}

// trusting says whether the funding is held back until the client has claimed.
func trusting(client bool) func(*node.Options) {
	return func(o *node.Options) { o.LSP.Offer.ClientTrustsLSP = client }
}

// TestLDKRestartBeforeForward: the LSP ends between the opening and the forward. The
// client keeps its word that a fee may be withheld, for it was not restarted; but the
// LSP can't know that, and replaces a channel that it can have anew for nothing.
func TestLDKRestartBeforeForward(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("funding held back %v", held), func(t *testing.T) {
			m := newLDKMarket(t, trusting(held))
			client := m.client(t, "client")
			invoice := client.JIT(50_000_000)
			m.log.on(orders.StageFundingSigned, m.seller.Node.Node.Stop)
			out := m.paying(m.payer, pay.PayRequest{Invoice: invoice})
			m.await(orders.StageFundingSigned, 1)
			m.log.on(orders.StageFundingSigned, func() {})
			m.seller.Stop()
			m.seller.Start()
			m.comesBack(client)
			got := <-out
			must(t, got.err)
			wantPaid(t, got.payment, client, 48_000_000)
		})
	}
}

// TestLDKKilledBeforeForward: kill -9 of the client between the opening and the
// forward. LDK comes back with the channel and without its word that a fee may be
// withheld. A channel whose funding was held back is replaced; with another one the
// LSP takes the risk once, is refused, and then waives the fee.
func TestLDKKilledBeforeForward(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("funding held back %v", held), func(t *testing.T) {
			m := newLDKMarket(t, trusting(held))
			client := m.client(t, "client")
			invoice := client.JIT(50_000_000)
			killed := make(chan struct{})
			// Nobody hears that the channel is ready before the client is gone.
			m.bad.do(t, func(bad *culprit) {
				bad.wire = func(_ bool, msg lnwire.Message) {
					if _, ok := msg.(*lnwire.ChannelReady); ok {
						<-killed
					}
				}
			})
			out := m.paying(m.payer, pay.PayRequest{Invoice: invoice})
			client.Event("ChannelPending")
			client.Persisted()
			client.Kill()
			close(killed)
			client.Start()
			m.comesBack(client)
			got := <-out
			must(t, got.err)
			if held {
				wantPaid(t, got.payment, client, 48_000_000)
				return
			}
			wantCode(t, got.payment, "final_incorrect_htlc_amount")
			wantPaid(t, m.attempt(t, invoice, 0), client, 50_000_000)
		})
	}
}

// TestLDKRestartCollecting: the LSP restarts when it holds one part of two.
func TestLDKRestartCollecting(t *testing.T) {
	m := newLDKMarket(t, nil)
	client := m.client(t, "client")
	var mu sync.Mutex
	var first lnwire.ChannelID
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	m.payerBad.do(t, func(bad *culprit) {
		bad.wire = func(sent bool, msg lnwire.Message) {
			add, ok := msg.(*lnwire.UpdateAddHTLC)
			if !ok || !sent {
				return
			}
			mu.Lock()
			if first == (lnwire.ChannelID{}) {
				first = add.ChanID
			}
			second := first != add.ChanID
			mu.Unlock()
			if second {
				<-hold
			}
		}
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: client.JIT(3_900_000_000)})
	m.await(orders.StageFirstPart, 1)
	m.seller.Stop()
	release()
	m.seller.Start()
	m.comesBack(client)
	got := <-out
	must(t, got.err)
	if n := got.payment.Live(); n < 2 {
		t.Errorf("the payment went in %d parts", n)
	}
	wantPaid(t, got.payment, client, 3_861_000_000)
}

// TestLDKOverHints: a second payment over the jit_channel_scid costs nothing, one
// over the alias that LDK writes into its invoices costs what the channel charges.
func TestLDKOverHints(t *testing.T) {
	m := newLDKMarket(t, func(o *node.Options) {
		o.Channels = node.ChannelOptions{BaseFee: 1000, FeePPM: 100}
	})
	client := m.client(t, "client")
	jit := client.JIT(50_000_000)
	wantPaid(t, m.attempt(t, jit, 0), client, 48_000_000)
	hints := func(inv *zpay32.Invoice) { // those of the invoice that the channel was bought for
		bought := rewrite(t, client, jit, func(old *zpay32.Invoice) { inv.RouteHints = old.RouteHints })
		if bought == "" || len(inv.RouteHints) != 1 {
			t.Fatalf("route hints of the JIT invoice: %v", inv.RouteHints)
		}
	}
	for _, blocks := range []int{0, 1, 6} {
		m.mine(blocks, client)
		over := rewrite(t, client, client.Invoice(3_000_000), hints)
		p := m.attempt(t, over, 0)
		wantPaid(t, p, client, 3_000_000)
		if p.Fee != 0 {
			t.Errorf("over the jit_channel_scid: a fee of %d msat", p.Fee)
		}
		p = m.attempt(t, client.Invoice(3_000_000), 0)
		wantPaid(t, p, client, 3_000_000)
		if p.Fee != 1000+300 {
			t.Errorf("over the alias: a fee of %d msat", p.Fee)
		}
		must(t, client.Pay(m.invoice(m.payer, pay.InvoiceRequest{Amount: 1_000_000})))
		client.Event("PaymentSuccessful")
	}
}
