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

// TestOpenAndPay: an ordinary channel, a payment over it, back, and after a
// restart of each side.
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
