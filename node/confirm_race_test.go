package node_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// TestBlocksDuringPayments: the funding confirms while HTLCs and revocations are in
// flight. lnd's own way to refresh a zero-conf channel corrupts it then: the peer
// refuses the next signature and the channel is closed by force.
func TestBlocksDuringPayments(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 1_000_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.Mine(1)
	m.paidOver(inv)

	const count = 50
	var group errgroup.Group
	for _, way := range [][2]*member{{m.payer, client}, {client, m.payer}} {
		group.Go(func() error {
			for i := range count {
				if i%5 == 4 {
					m.Mine(1)
				}
				if err := m.trySend(way[0], way[1]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, group.Wait())
	point := m.order(inv).Point.String()
	for _, n := range []*member{client, m.seller} {
		m.event(n, node.ChannelConfirmed, point)
	}
	m.wantBalance(client, 1_000_000_000-inv.OpeningFee)
	for _, ch := range append(m.channels(client, m.seller), m.channels(m.seller, client)...) {
		if !ch.Confirmed || ch.State != "open" {
			t.Errorf("the channel is %s, confirmed %v", ch.State, ch.Confirmed)
		}
	}
}

// trySend pays 1,000 sat with an ordinary invoice.
func (m *market) trySend(from, to *member) error {
	ctx, cancel := m.Context()
	defer cancel()
	inv, err := to.Invoice(ctx, pay.InvoiceRequest{Amount: 1_000_000})
	if err != nil {
		return err
	}
	p, err := from.Pay(ctx, pay.PayRequest{Invoice: inv.Bolt11})
	if err != nil {
		return fmt.Errorf("pay %s: %w", inv.Bolt11, err)
	}
	if err == nil && p.Status != pay.Succeeded {
		err = &failedPayment{p}
	}
	return err
}

// failedPayment is a payment that should have succeeded.
type failedPayment struct{ pay.Payment }

func (f *failedPayment) Error() string { return f.Failure.Text }
