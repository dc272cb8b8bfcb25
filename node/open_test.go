package node_test

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/wallet"
)

// TestReserveOfAnOpening: the coins for the fee bumps of a channel are kept back before it is there,
// or the first channels could take the whole wallet.
func TestReserveOfAnOpening(t *testing.T) {
	net := nodetest.New(t)
	sent, answer := make(chan struct{}), make(chan struct{})
	opener := net.Node("opener", func(o *node.Options) {
		o.SetMischief(node.Mischief{Wire: func(out bool, m lnwire.Message) {
			if out && m.MsgType() == lnwire.MsgOpenChannel {
				close(sent)
				<-answer
			}
		}})
	})
	acceptor := net.Node("acceptor", nil)
	opener.Fund(1_000_000, 2)
	ctx, cancel := net.Context()
	defer cancel()
	reserved := func(want btcutil.Amount) {
		t.Helper()
		if got, err := opener.Reserved(); err != nil || got != want {
			t.Errorf("%v are kept back (%v), want %v", got, err, want)
		}
	}
	open := func(capacity btcutil.Amount) error {
		_, err := opener.OpenChannel(ctx, node.OpenRequest{
			Peer: acceptor.Key(), Addr: acceptor.Addr(), Capacity: capacity, FeeRate: 1,
		})
		return err
	}
	if err := open(1_995_000); !errors.Is(err, wallet.ErrInsufficientFunds) {
		t.Errorf("the whole wallet goes into a channel: %v", err)
	}
	reserved(0)
	done := make(chan error, 1)
	go func() { done <- open(500_000) }() // awaited below
	<-sent
	reserved(10_000)
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
	reserved(10_000)
}

// TestUnfundedChannelIsNothing: a stranger can say without end that it opens channels. Until one
// confirms, no coin of ours is kept back for it, and its opener has no place before others.
func TestUnfundedChannelIsNothing(t *testing.T) {
	net := nodetest.New(t)
	opener, acceptor := net.Node("opener", nil), net.Node("acceptor", nil)
	opener.Fund(1_000_000, 1)
	acceptor.Fund(1_000_000, 1)
	ctx, cancel := net.Context()
	defer cancel()
	look := func(when string, reserve btcutil.Amount, known bool) {
		t.Helper()
		if got, err := acceptor.Reserved(); err != nil || got != reserve {
			t.Errorf("%s: %v are kept back (%v), want %v", when, got, err, reserve)
		}
		if acceptor.Knows([33]byte(opener.Key().SerializeCompressed())) != known {
			t.Errorf("%s: the opener has a place: %t", when, !known)
		}
	}
	if _, err := opener.OpenChannel(ctx, node.OpenRequest{
		Peer: acceptor.Key(), Addr: acceptor.Addr(), Capacity: 500_000,
	}); err != nil {
		t.Fatal(err)
	}
	look("unconfirmed", 0, false)
	acceptor.Stop()
	acceptor.Start()
	look("unconfirmed, after a restart", 0, false)
	if err := opener.Connect(ctx, acceptor.Key(), acceptor.Addr()); err != nil {
		t.Fatal(err)
	}
	net.Mine(6)
	for ev, err := range acceptor.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == node.ChannelOpened {
			break
		}
	}
	look("open", 10_000, true)
	acceptor.Stop()
	acceptor.Start()
	look("open, after a restart", 10_000, true)
}

// TestOpenAndPay: an ordinary channel, a payment over it, and back.
func TestOpenAndPay(t *testing.T) {
	net := nodetest.New(t)
	opener, acceptor := net.Node("opener", nil), net.Node("acceptor", nil)
	opener.Fund(20_000_000, 1)
	nodetest.OpenConfirmed(opener, acceptor, 10_000_000)

	payTo := func(from, to *nodetest.Node, amount lnwire.MilliSatoshi) {
		t.Helper()
		ctx, cancel := net.Context()
		defer cancel()
		inv, err := to.Invoice(ctx, pay.InvoiceRequest{Amount: amount, Description: "test"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := from.Pay(ctx, pay.PayRequest{Invoice: inv.Bolt11})
		if err != nil {
			t.Fatal(err)
		}
		if p.Status != pay.Succeeded {
			t.Fatalf("payment of %v: %+v", amount, p.Failure)
		}
	}
	payTo(opener, acceptor, 500_000_000)
	payTo(acceptor, opener, 100_000_000)
}
