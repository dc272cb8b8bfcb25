package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// LSPS2-115: a channel that is paid for is not closed by the LSP before it is min_lifetime blocks
// deep, neither by agreement nor by force, but for an operator who breaks the promise knowingly.
func TestMinLifetime(t *testing.T) {
	checklist.Shows(t, "LSPS2-115", "Node.mayClose lets everything be closed")
	m := newMarket(t, marketPlan{seller: func(o *node.Options) { o.LSP.Offer.MinLifetime = 10 }})
	client := m.node("client", nil)
	inv, second := m.buy(client, 50_000_000), m.buy(client, 50_000_000)
	for _, i := range []node.JITInvoice{inv, second} {
		m.pay(m.payer, i.Invoice.Bolt11, 0)
		m.paidOver(i)
	}
	point := m.order(inv).Point
	m.wantStays(point.String(), "10 blocks (min_lifetime), and it is 0 blocks deep")
	m.Mine(9)
	m.sellerHasConfirmed(client, point.String())
	m.wantStays(point.String(), "it is 9 blocks deep: close it in 1 blocks")
	m.Mine(1)
	m.reachAll(client)

	ctx, cancel := m.Context()
	defer cancel()
	_, err := m.seller.CloseChannel(ctx, *point, 0)
	must(t, err)

	// Another one, which the operator closes all the same.
	late := m.buy(client, 50_000_000)
	m.pay(m.payer, late.Invoice.Bolt11, 0)
	m.paidOver(late)
	m.Mine(6)
	point = m.order(late).Point
	m.sellerHasConfirmed(client, point.String())
	m.wantStays(point.String(), "6 blocks deep")
	c := m.admin(m.seller)
	defer c.Close()
	_, err = c.CloseChannel(ctx, api.CloseRequest{
		ChannelPoint: point.String(), BreakMinLifetime: true,
	})
	must(t, err)
}

// wantStays has the LSP refuse to close a channel, whichever way.
func (m *market) wantStays(point, why string) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(m.seller)
	defer c.Close()
	for _, force := range []bool{false, true} {
		_, err := c.CloseChannel(ctx, api.CloseRequest{ChannelPoint: point, Force: force})
		var e *api.Error
		if !errors.As(err, &e) || e.Code != api.FailedPrecondition ||
			!strings.Contains(e.Message, why) {
			m.t.Errorf("force %v: %v, want %q", force, err, why)
		}
	}
}

// sellerHasConfirmed waits until the LSP has stored where a channel's funding confirmed. It does so
// in the link's own time, which may be after the event.
func (m *market) sellerHasConfirmed(client *member, point string) {
	m.t.Helper()
	m.event(m.seller, node.ChannelConfirmed, point)
	m.reachAll(client)
	m.soon(waitLink, func(context.Context) bool {
		return slices.ContainsFunc(m.channels(m.seller, client), func(ch api.Channel) bool {
			return ch.ChannelPoint == point && ch.Confirmed
		})
	})
}

// reachAll waits until the client and the LSP have followed the chain.
func (m *market) reachAll(client *member) {
	m.t.Helper()
	height, err := m.Chain.Height()
	must(m.t, err)
	m.reach(height, m.seller, client)
}

// TestNoCloseDuringPayment: while the payment is under way the channel stays too.
func TestNoCloseDuringPayment(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 100_000_000)
	var hold sync.Once
	var release func()
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	m.holds(client)
	m.wantStays(m.order(inv).Point.String(), "payment for this channel is under way")
	release()
	got := <-out
	must(t, got.err)
	m.wantReceived(client, inv, 100_000_000)
}

// LSPS2-116: an unpaid channel can be closed at once, and counts against its client all the same.
func TestUnpaidIsClosed(t *testing.T) {
	checklist.Shows(t, "LSPS2-116", "Node.mayClose keeps an owed channel as it keeps a paid one")
	var left atomic.Int32
	left.Store(1 << 20)
	m := newMarket(t, marketPlan{seller: refusing(&left)})
	client := m.node("client", nil)
	inv := m.buy(client, 50_000_000)
	m.payInVain(inv)
	m.wantState(inv, "owed")
	point := m.order(inv).Point
	m.Mine(6)
	m.event(m.seller, node.ChannelConfirmed, point.String())
	ctx, cancel := m.Context()
	defer cancel()
	_, err := m.seller.CloseChannel(ctx, *point, 0)
	must(t, err)
	m.Mine(6)
	m.event(m.seller, node.ChannelClosed, point.String())
	m.wantState(inv, "dead")
	r, err := m.seller.Admission()
	must(t, err)
	if r.All.Unpaid != 1 || r.All.AtRisk != 0 || r.Clients[0].Unpaid != 1 {
		t.Errorf("%+v", r)
	}
}

// TestUnpaidIsClosedByItself: long after the offer has run out the LSP closes what nobody has paid
// for, with the client if it is there, else by force. What is paid for stays.
func TestUnpaidIsClosedByItself(t *testing.T) {
	const after = 2 * time.Hour
	var left atomic.Int32
	m := newMarket(t, marketPlan{seller: func(o *node.Options) {
		refusing(&left)(o)
		o.LSP.CloseUnpaidAfter = after
	}})
	client, away := m.node("client", nil), m.node("away", nil)
	good := m.buy(client, 50_000_000)
	m.pay(m.payer, good.Invoice.Bolt11, 0)
	m.paidOver(good)
	left.Store(1 << 20)
	bad, gone := m.buy(client, 50_000_000), m.buy(away, 50_000_000)
	for _, inv := range []node.JITInvoice{bad, gone} {
		m.payInVain(inv)
		m.wantState(inv, "owed")
	}
	m.Mine(6)
	m.soon(waitLink, func(ctx context.Context) bool {
		for _, ch := range m.channelsOf(ctx, m.seller) {
			if !ch.Confirmed {
				return false
			}
		}
		return ctx.Err() == nil
	})
	away.Stop()

	must(t, m.seller.EndLifetimes(time.Hour+after-time.Minute)) // the offer is good for an hour
	for _, inv := range []node.JITInvoice{good, bad, gone} {
		if state := m.channelState(inv); state != api.ChannelOpen {
			t.Errorf("before its time a channel is %s", state)
		}
	}
	must(t, m.seller.EndLifetimes(time.Hour+after))
	m.soon(waitLink, func(context.Context) bool { return m.channelState(bad) == api.ChannelClosing })
	if state := m.channelState(gone); state != api.ChannelOpen {
		t.Errorf("the client is away, and its channel is %s", state)
	}
	must(t, m.seller.EndLifetimes(time.Hour+2*after))
	m.soon(waitLink, func(context.Context) bool {
		return m.channelState(gone) == api.ChannelForceClosing
	})
	if state := m.channelState(good); state != api.ChannelOpen {
		t.Errorf("the channel that is paid for is %s", state)
	}
}

// channelState is the state of an order's channel.
func (m *market) channelState(inv node.JITInvoice) api.ChannelState {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	point := m.order(inv).Point.String()
	for _, ch := range m.channelsOf(ctx, m.seller) {
		if ch.ChannelPoint == point {
			return ch.State
		}
	}
	return "closed"
}
