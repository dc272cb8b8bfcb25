package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// TestRestartAfterJIT: LSP and client stop after the payment, before the funding
// confirms, and pay again within ten seconds of coming back.
func TestRestartAfterJIT(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 500_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)

	for _, restart := range []struct {
		name  string
		nodes []*member
	}{
		{"client", []*member{client}},
		{"LSP", []*member{m.seller}},
		{"both", []*member{client, m.seller}},
	} {
		for _, n := range restart.nodes {
			n.Stop()
		}
		m.Mine(1)
		for _, n := range restart.nodes {
			n.Start()
		}
		began := time.Now()
		m.sendSoon(m.payer, client, 10_000_000, 10*time.Second)
		m.sendSoon(client, m.payer, 10_000_000, 10*time.Second)
		t.Logf("%s: paid again after %v", restart.name, time.Since(began))
	}
	m.wantBalance(client, 500_000_000-inv.OpeningFee)
}

// TestClientComesLate: the parts are held for a client that is not there, over a
// restart of the LSP, and are served when it comes: once.
func TestClientComesLate(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	for _, c := range []struct {
		name    string
		restart bool
	}{{"the LSP waits", false}, {"the LSP restarts", true}} {
		inv := m.buy(client, 50_000_000)
		client.Stop()
		sets := m.log.count(orders.StageSetComplete)
		out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
		m.await(orders.StageSetComplete, sets+1)
		if c.restart {
			before := heldKeys(m.order(inv))
			m.seller.Stop()
			m.seller.Start()
			m.soon(waitLink, func(context.Context) bool {
				return slices.Equal(heldKeys(m.order(inv)), before)
			})
		}
		client.Start()
		got := <-out
		must(t, got.err)
		if got.payment.Status != pay.Succeeded {
			t.Fatalf("%s: %+v", c.name, got.payment.Failure)
		}
		m.wantReceived(client, inv, 50_000_000)
		if n := len(got.payment.Parts); n != 1 {
			t.Errorf("%s: the payer needed %d attempts", c.name, n)
		}
	}
	if n := len(m.channels(m.seller, client)); n != 2 {
		t.Errorf("two sales made %d channels", n)
	}
}

func heldKeys(r orders.Record) []jit.CircuitKey {
	var keys []jit.CircuitKey
	for _, p := range r.Order.Held() {
		keys = append(keys, p.Key)
	}
	return keys
}

// TestRestartDuringOpen: the LSP ends between funding_signed and the forward. It
// comes back with the one channel that it has and the payment goes through.
func TestRestartDuringOpen(t *testing.T) {
	m := newMarket(t, marketPlan{})
	for _, stage := range []orders.Stage{
		orders.StageOpenSent, orders.StageFundingSigned, orders.StageChannelReady,
		orders.StageForwarded,
	} {
		client := m.node("client at "+string(stage), nil)
		inv := m.buy(client, 50_000_000)
		// Asked to end right there; what is under way may or may not get further.
		m.log.on(stage, m.seller.Node.Node.Stop)
		sum := m.log.count(stage)
		out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
		m.await(stage, sum+1)
		m.log.on(stage, func() {})
		m.seller.Stop()
		m.seller.Start()
		got := <-out
		must(t, got.err)
		if got.payment.Status != pay.Succeeded {
			t.Fatalf("%s: %+v", stage, got.payment.Failure)
		}
		m.wantReceived(client, inv, 50_000_000)
		if n := len(got.payment.Parts); n != 1 {
			t.Errorf("%s: the payer needed %d attempts", stage, n)
		}
		open := 0
		for _, ch := range m.channels(m.seller, client) {
			if ch.State == api.ChannelOpen {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%s: the order has %d channels", stage, open)
		}
	}
}
