package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// jitStage is how far a sale has come when a channel is closed by force.
type jitStage struct {
	name string
	// stop stops the sale there, and returns what waits for that and what lets it go on.
	stop func(*scene) (reached, open func())
}

var jitStages = []jitStage{
	{"funding signed", func(s *scene) (reached, open func()) {
		return s.holdsBack(s.client, true, lnwire.MsgChannelReady)
	}},
	{"channel ready", func(s *scene) (reached, open func()) {
		return s.holdsBack(s.seller, true, lnwire.MsgUpdateAddHTLC)
	}},
	{"forwarded", func(s *scene) (reached, open func()) {
		return s.holdsBack(s.client, true, lnwire.MsgUpdateFulfillHTLC)
	}},
	{"claimed", func(s *scene) (reached, open func()) {
		return s.holdsBack(s.seller, true, lnwire.MsgUpdateFulfillHTLC)
	}},
}

// holdsBack holds a kind of message at a node's gate.
func (s *scene) holdsBack(at *member, sent bool, kind lnwire.MessageType) (reached, open func()) {
	g := s.gates[at]
	held := g.hold(sent, kind)
	return func() { held.reached(s.t) }, func() { g.clear(); g.open(held) }
}

// TestEndingJIT: a channel is closed by force while a JIT channel is being sold over it.
func TestEndingJIT(t *testing.T) {
	var th *theatre
	for _, stage := range jitStages {
		for _, by := range []string{"LSP", "client", "payer"} {
			fast := stage.name == "forwarded" && by == "LSP" || stage.name == "claimed" && by == "payer"
			if !fast && !allEndings {
				continue
			}
			if th == nil {
				th = newTheatre(t)
			}
			name := fmt.Sprintf("%s, the %s closes", stage.name, by)
			if !t.Run(name, func(t *testing.T) { th.stageJIT(t, name, stage, by) }) {
				th = nil
			}
		}
	}
}

func (th *theatre) stageJIT(t *testing.T, name string, stage jitStage, by string) {
	s := th.scene(t)
	s.newClient()
	s.upper = s.opens(s.payer, s.seller)
	s.begin(name)
	inv := s.buy(s.client, 100_000_000)
	reached, open := stage.stop(s)
	out := s.paying(s.payer, pay.PayRequest{
		Invoice: inv.Invoice.Bolt11, MaxParts: 1, Timeout: 30 * time.Second,
	})
	reached()
	s.soon(waitLink, func(context.Context) bool { return s.order(inv).Point != nil })
	point := *s.order(inv).Point
	s.forcesJIT(by, point)
	s.l.mine(3)
	open()
	got := s.mineTo(out)
	must(t, got.err)
	t.Logf("the payment is %s", got.payment.Status)
	if got.payment.Status == pay.Succeeded {
		fee := inv.OpeningFee.ToSatoshis()
		s.l.move(s.payer, s.client, 100_000-fee)
		s.l.move(s.payer, s.seller, fee)
	}
	s.end()
}

// newClient gives the scene a client that has bought nothing yet.
func (s *scene) newClient() {
	s.t.Helper()
	own := *s.theatre
	s.theatre = &own
	g := newGateway()
	s.client = s.node("buyer", func(o *node.Options) { o.SetMischief(node.Mischief{Gate: g.handle}) })
	s.gates[s.client] = g
	s.client.Fund(200_000, 2)
}

// forcesJIT closes the JIT channel, or the payer's. A client can't before it sees the funding.
func (s *scene) forcesJIT(by string, point wire.OutPoint) {
	s.t.Helper()
	switch by {
	case "LSP":
		s.forces(s.seller, point)
	case "payer":
		s.forces(s.payer, s.upper)
	case "client":
		if _, err := s.client.ForceClose(point); !errors.Is(err, node.ErrUnseenFunding) {
			s.t.Errorf("the client closes a channel whose funding it has not seen: %v", err)
		}
		s.l.mine(6)
		s.soon(waitLink, func(context.Context) bool {
			_, err := s.client.ForceClose(point)
			return err == nil
		})
		s.mempool(1)
	}
}

// mineTo mines until a payment has ended.
func (s *scene) mineTo(out <-chan paid) paid {
	s.t.Helper()
	for range 400 {
		select {
		case got := <-out:
			return got
		default:
			s.l.mine(1)
		}
	}
	return <-out
}
