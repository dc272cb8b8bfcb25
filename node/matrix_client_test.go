package node_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/peer"
)

// hearsSoon finds a silent peer in seconds instead of a minute.
func hearsSoon(o *node.Options) {
	o.SetPeerLimits(func(l *peer.Limits) { l.Ping, l.Pong = time.Second, 4*time.Second })
}

// clientSilent is F2: the connection lives and nothing comes or goes on it.
func clientSilent() row {
	return row{fault: "F2", name: "the client is silent", seller: hearsSoon, cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.line.set(lineSilent)
			c.away() // by the ping
			c.inState("awaiting_parts")
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageReceived)
			c.line.set(lineSilent)
			c.free()
			c.opens.reached(t)
			c.gaveUp(t, "")
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			c.line.set(lineSilent)
			c.advance(hold)
			c.failed(later, hold, "awaiting_parts")
			c.kept(0)
			c.serves()
		}},
		stageOpening: {run: silentWhileOpening(stageOpening),
			differs: "15 seconds are for one attempt, of which the hold has three (design 8)"},
		stageCreated: {run: silentWhileOpening(stageCreated),
			differs: "15 seconds are for one attempt, of which the hold has three (design 8)"},
		stageSigned: {na: "no reply of the client is due"},
		stageAwaited: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageAwaited)
			c.line.set(lineSilent)
			c.advance(hold)
			c.failed(later, hold, "owed")
			c.kept(1)
			c.serves()
		}, differs: "to the end of the hold, not 15 seconds: the channel exists, no other " +
			"attempt can follow, and the client may be back (LSPS2-100)"},
		stageForwarded: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageForwarded)
			c.line.set(lineSilent)
			c.away()
			c.unanswered()
			c.heal()
			c.paid()
			c.serves()
		}, differs: "the deadline on chain is F9's"},
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageClaimed)
			c.line.set(lineSilent)
			c.free()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageSettled: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageSettled)
			c.line.set(lineSilent)
			c.away()
			c.serves()
		}},
	}}
}

// gaveUp has the attempts of a silent client run out, one after the other.
func (c *trial) gaveUp(t *testing.T, state string) {
	t.Helper()
	if state == "" {
		state = "awaiting_parts"
	}
	for n := range 3 {
		if !c.eventually(func() bool { return c.opens.seen() > n || c.answered() }) {
			t.Fatalf("attempt %d was not made", n+1)
		}
		if c.answered() {
			break // the ping was faster
		}
		c.advance(15 * time.Second)
	}
	c.failed(later, 45*time.Second, state)
	c.kept(0)
	c.serves()
}

// answered says that the payer has an answer.
func (c *trial) answered() bool {
	for _, s := range c.wire.of(c.inv.Invoice.Hash) {
		if !s.to.IsZero() {
			return true
		}
	}
	return false
}

func silentWhileOpening(stage int) func(*arena, *testing.T) {
	return func(a *arena, t *testing.T) {
		c := a.at(t, stage)
		c.line.set(lineSilent)
		c.gaveUp(t, "")
	}
}

// clientRefuses is F3: the client sends `error`.
func clientRefuses() row {
	return row{fault: "F3", name: "the client sends error", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.says(&lnwire.Error{ChanID: lnwire.ChannelID{1}, Data: []byte("no")})
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageReceived)
			c.says(&lnwire.Error{ChanID: lnwire.ChannelID{1}, Data: []byte("no")})
			c.free()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			// For all channels: the connection ends, and the client comes back.
			c.says(&lnwire.Error{Data: []byte("no")})
			c.send(saleSize / 2)
			c.heal()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		// bLIP-52: a channel that the client rejects by `error` fails the payment with
		// unknown_next_peer.
		stageOpening: {run: func(a *arena, t *testing.T) {
			refusesAfter(a, t, 2, func(c *trial) {
				c.gate.replace(false, lnwire.MsgOpenChannel, 0, func(m lnwire.Message) []lnwire.Message {
					must(t, c.client.Say(c.seller.Key(), &lnwire.Error{
						ChanID: m.(*lnwire.OpenChannel).PendingChannelID, Data: []byte("no")}))
					return nil
				})
			})
		}},
		stageCreated: {run: func(a *arena, t *testing.T) {
			refusesAfter(a, t, 1, func(c *trial) {
				// It forgets the channel and says so.
				c.gate.replace(false, lnwire.MsgFundingCreated, 0, func(m lnwire.Message) []lnwire.Message {
					no := &lnwire.Error{ChanID: m.(*lnwire.FundingCreated).PendingChannelID, Data: []byte("no")}
					must(t, c.client.Say(c.seller.Key(), no))
					return []lnwire.Message{no}
				})
			})
		}},
		stageSigned:  {run: refusesWhenSigned(stageSigned)},
		stageAwaited: {run: refusesWhenSigned(stageAwaited)},
		stageForwarded: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageForwarded)
			c.fails()
			c.unanswered()
			c.cut()
			c.heal()
			c.paid()
			c.serves()
		}, differs: "the link ends and goes on after a reconnect, as lnd's does; on chain only at " +
			"the HTLC's deadline (F9), else any `error` would cost us a closing"},
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageClaimed)
			c.fails()
			c.free()
			c.paid()
			c.bound(atOnce)
			c.cut()
			c.serves()
		}},
		stageSettled: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageSettled)
			c.fails()
			c.cut()
			c.serves()
			c.kept(1)
		}},
	}}
}

// says has the client send a message, past its gate.
func (c *trial) says(m lnwire.Message) {
	c.t.Helper()
	must(c.t, c.client.Say(c.seller.Key(), m))
	if !c.eventually(func() bool { return c.came(m) }) {
		c.t.Fatalf("the LSP did not get %T", m)
	}
}

// came says that the LSP has got a message of this type from the client since begin.
func (c *trial) came(m lnwire.Message) bool {
	return c.lsp.got(lane{c.id(), false}, m.MsgType()) > 0
}

// fails has the client fail its channel.
func (c *trial) fails() {
	c.t.Helper()
	point := *c.rec().Point
	c.says(&lnwire.Error{ChanID: lnwire.NewChanIDFromOutPoint(point), Data: []byte("no")})
}

// refusesAfter: before accept_channel the LSP tries once more, without anchors, which the
// refusal may be about.
func refusesAfter(a *arena, t *testing.T, attempts int, arm func(*trial)) {
	c := a.begin(t)
	arm(c)
	c.send(saleSize)
	c.failed(never, atOnce, "awaiting_parts")
	c.kept(0)
	if n := c.opens.seen(); n != attempts {
		t.Errorf("the LSP made %d attempts, want %d", n, attempts)
	}
	c.serves()
}

func refusesWhenSigned(stage int) func(*arena, *testing.T) {
	return func(a *arena, t *testing.T) {
		c := a.at(t, stage)
		c.fails()
		c.failed(never, atOnce, "owed")
		c.kept(1)
		c.cut()
		c.serves()
		c.kept(1)
	}
}

// clientLies is F4: what the client sends breaks the protocol.
func clientLies() row {
	return row{fault: "F4", name: "the client sends what is wrong", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.asks(`{"jsonrpc":"2.0","id":"a","method":"lsps2.buy","params":{"no":1}}`, `-32602`)
			c.asks(`{"jsonrpc":"2.0","id":"b","method":"lsps2.sell","params":{}}`, `-32601`)
			c.asks(`[`, `-32700`)
			c.serves()
		}},
		stageReceived: {na: "the client is not asked for anything"},
		stageHeld:     {na: "the client is not asked for anything"},
		stageOpening: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			told := c.gate.watch(false, lnwire.MsgError, [33]byte{}, nil)
			c.gate.replace(true, lnwire.MsgAcceptChannel, 1, func(m lnwire.Message) []lnwire.Message {
				bad := *m.(*lnwire.AcceptChannel)
				bad.CsvDelay = 2017 // more than max_client_to_self_delay
				return []lnwire.Message{&bad}
			})
			c.send(saleSize)
			c.failed(never, atOnce, "awaiting_parts")
			c.kept(0)
			told.reached(t)
			c.serves()
		}},
		stageCreated: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			told := c.gate.watch(false, lnwire.MsgError, [33]byte{}, nil)
			c.gate.replace(true, lnwire.MsgFundingSigned, 1, func(m lnwire.Message) []lnwire.Message {
				bad := *m.(*lnwire.FundingSigned)
				bad.CommitSig = otherSig(bad.CommitSig)
				return []lnwire.Message{&bad}
			})
			c.send(saleSize)
			c.failed(never, atOnce, "awaiting_parts")
			c.kept(0)
			told.reached(t)
			c.serves()
		}},
		stageSigned: {na: "no reply of the client is due"},
		stageAwaited: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageAwaited)
			c.says(lnwire.NewChannelReady(lnwire.ChannelID{7}, c.client.Key())) // of no channel
			c.unanswered()
			c.free()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageForwarded: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			// Its signature of the commitment that has the HTLC: the LSP's last good one has it not.
			c.lies(lnwire.MsgCommitSig, func(m lnwire.Message) lnwire.Message {
				bad := *m.(*lnwire.CommitSig)
				bad.CommitSig = otherSig(bad.CommitSig)
				return &bad
			})
			c.failed(lnwire.CodePermanentChannelFailure, atOnce, "dead")
		}},
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			c.lies(lnwire.MsgUpdateFulfillHTLC, func(m lnwire.Message) lnwire.Message {
				bad := *m.(*lnwire.UpdateFulfillHTLC)
				bad.PaymentPreimage[0] ^= 1
				return &bad
			})
			c.paid() // the client claims on chain
		}, differs: "before the preimage is known: what comes after it is refused by lnd's link " +
			"in the same way"},
		stageSettled: {na: "nothing that is due could be wrong"},
	}}
}

// asks has the client ask something and wants the answer to have a text in it.
func (c *trial) asks(request, want string) []byte {
	c.t.Helper()
	var got atomic.Value
	r := c.gate.watch(false, lsp.MessageType, [33]byte{}, func(m lnwire.Message) {
		got.Store(m.(*lnwire.Custom).Data)
	})
	m, err := lnwire.NewCustom(lsp.MessageType, []byte(request))
	must(c.t, err)
	must(c.t, c.client.Say(c.seller.Key(), m))
	r.reached(c.t)
	c.gate.clear()
	reply := got.Load().([]byte)
	if !bytes.Contains(reply, []byte(want)) {
		c.t.Errorf("%s was answered with %s, want %s", request, reply, want)
	}
	return reply
}

// otherSig is a signature, but not this one.
func otherSig(s lnwire.Sig) lnwire.Sig {
	raw := bytes.Clone(s.RawBytes())
	raw[40] ^= 1
	other, err := lnwire.NewSigFromWireECDSA(raw)
	if err != nil {
		panic(err)
	}
	return other
}

// lies: what the client sends makes the LSP close the channel by force. Only the chain
// answers the payer.
func (c *trial) lies(kind lnwire.MessageType, change func(lnwire.Message) lnwire.Message) {
	c.t.Helper()
	told := c.gate.watch(false, lnwire.MsgError, [33]byte{}, nil)
	c.gate.replace(true, kind, 1, func(m lnwire.Message) []lnwire.Message {
		return []lnwire.Message{change(m)}
	})
	c.send(saleSize)
	told.reached(c.t)
	c.soon(waitLink, func(context.Context) bool {
		for _, ch := range c.channels(c.seller, c.client) {
			if ch.State == api.ChannelForceClosing {
				return true
			}
		}
		return false
	})
	c.unanswered()
	c.gate.clear()
	if !c.eventually(func() bool { c.Mine(1); return c.answered() }) {
		c.t.Fatal("the payer has no answer")
	}
}
