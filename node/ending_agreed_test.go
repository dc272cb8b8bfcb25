package node_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/pay"
)

// TestEndingAgreed: closes by agreement.
func TestEndingAgreed(t *testing.T) {
	playEndings(t, []ending{
		{"the LSP closes", false, func(s *scene) { s.closes(s.seller, s.lower) }},
		{"the client closes", true, func(s *scene) { s.closes(s.client, s.lower) }},
		{"the payer closes", false, func(s *scene) { s.closes(s.payer, s.upper) }},
		{"the LSP closes with HTLCs in flight", false, func(s *scene) { closeInFlight(s, s.seller) }},
		{"the client closes with HTLCs in flight", true, func(s *scene) { closeInFlight(s, s.client) }},
	})
}

// closing is a close by agreement that waits.
type closeWait struct {
	s   *scene
	out chan closeResult
}

type closeResult struct {
	txid chainhash.Hash
	err  error
}

func (s *scene) closing(by *member) *closeWait {
	c := &closeWait{s, make(chan closeResult, 1)}
	n := by.Node.Node
	go func() {
		ctx, cancel := s.Context()
		defer cancel()
		txid, err := n.CloseChannel(ctx, s.lower, 0, node.BreakMinLifetime)
		c.out <- closeResult{txid, err}
	}()
	return c
}

// waits wants the close not to be over while an HTLC is in flight.
func (c *closeWait) waits() {
	c.s.t.Helper()
	select {
	case got := <-c.out:
		c.s.t.Fatalf("the close is over with HTLCs in flight: %+v", got)
	default:
	}
	if tx, err := c.s.Chain.Mempool(); err != nil || len(tx) != 0 {
		c.s.t.Fatalf("broadcast with HTLCs in flight: %v, %v", tx, err)
	}
}

func (c *closeWait) done() {
	c.s.t.Helper()
	got := <-c.out
	must(c.s.t, got.err)
	ctx, cancel := c.s.Context()
	defer cancel()
	must(c.s.t, c.s.Chain.WaitTx(ctx, got.txid))
}

// shutdown waits until both sides have said shutdown.
func (s *scene) shutdown() {
	s.t.Helper()
	s.soon(waitLink, func(context.Context) bool {
		return s.seller.SaidShutdown(s.lower) && s.client.SaidShutdown(s.lower)
	})
}

func (s *scene) other(n *member) *member {
	if n == s.client {
		return s.seller
	}
	return s.client
}

// closeInFlight: four HTLCs, forwarded and not, in both directions; two are claimed.
func closeInFlight(s *scene, by *member) {
	flights := []*flight{
		s.flies(s.seller, s.client, 30_000), s.flies(s.payer, s.client, 20_000),
		s.flies(s.client, s.seller, 10_000), s.flies(s.client, s.payer, 15_000),
	}
	c := s.closing(by)
	s.shutdown()
	for _, n := range []*member{s.seller, s.client} {
		if list := s.channels(n, s.other(n)); list[0].State != api.ChannelClosing {
			s.t.Errorf("the channel is shown as %s", list[0].State)
		}
	}
	c.waits()
	for i, f := range flights {
		if i%2 == 0 {
			f.claims()
			f.ends(pay.Succeeded)
		} else {
			f.refuses()
			f.ends(pay.Failed)
		}
		if i < len(flights)-1 {
			s.still()
			c.waits()
		}
	}
	c.done()
}
