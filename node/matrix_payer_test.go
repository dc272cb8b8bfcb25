package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
)

// payerCut ends the payer's connection; it can't come back before payerBack.
func (c *trial) payerCut() {
	c.t.Helper()
	c.toPay.set(lineCut)
	if !c.eventually(func() bool { return c.seller.ConnOf(c.payer.Key()) == 0 }) {
		c.t.Fatal("the LSP keeps the payer's connection")
	}
}

// payerBack connects the payer again and waits for its channel.
func (c *trial) payerBack() {
	c.t.Helper()
	c.toPay.set(lineOpen)
	ctx, cancel := c.Context()
	defer cancel()
	admin := c.admin(c.payer)
	defer admin.Close()
	c.soon(waitLink, func(context.Context) bool {
		_, err := admin.Connect(ctx, api.ConnectRequest{Peer: c.seller.NodeID() + "@" + c.toPay.addr()})
		if err != nil {
			return false
		}
		for _, n := range []*member{c.payer, c.seller} {
			for _, ch := range c.channels(n, c.peerOf(n)) {
				if ch.State == api.ChannelOpen && !ch.Active {
					return false
				}
			}
		}
		return true
	})
}

// payerFlaps makes the payer reconnect: the switch is offered its HTLCs again.
func (c *trial) payerFlaps() {
	c.t.Helper()
	c.payerCut()
	c.payerBack()
}

// payerDrops is F8: the payer's connection ends.
func payerDrops() row {
	goesOn := func(stage int) cell {
		return cell{run: func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.payerCut()
			c.free()
			c.payerBack()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}}
	}
	return row{fault: "F8", name: "the payer's connection ends", cells: [stages]cell{
		stageOrdered:  {na: "no payer is there yet"},
		stageReceived: goesOn(stageReceived),
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			c.payerCut()
			c.advance(hold)
			c.inState("awaiting_parts")
			c.soon(waitLink, func(context.Context) bool { return len(c.rec().Order.Held()) == 0 })
			c.payerBack()
			c.failed(later, hold, "awaiting_parts")
			c.kept(0)
			c.serves()
		}},
		stageOpening: goesOn(stageOpening), stageCreated: goesOn(stageCreated),
		stageSigned: goesOn(stageSigned), stageAwaited: goesOn(stageAwaited),
		stageForwarded: goesOn(stageForwarded), stageClaimed: goesOn(stageClaimed),
		stageSettled: {na: "the payer has its preimage"},
	}}
}

// blocksPass is F9: the HTLC comes near its expiry.
func blocksPass() row {
	return row{fault: "F9", name: "the HTLC comes near its expiry", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.advance(offer().ValidFor)
			c.send(saleSize)
			c.failed(never, atOnce, "dead")
			c.kept(0)
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			c.sendPart(node.PartRequest{Amount: saleSize, Final: 20})
			c.failed(later, atOnce, "awaiting_parts")
			c.sendPart(node.PartRequest{Amount: saleSize, Delta: 143})
			c.failed(lnwire.CodeIncorrectCltvExpiry, atOnce, "awaiting_parts")
			c.kept(0)
			c.serves()
		}, differs: "temporary_channel_failure and incorrect_cltv_expiry tell the payer more: " +
			"another try, with more blocks, can succeed"},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			c.Mine(1)
			c.nearExpiry("awaiting_parts", 0)
		}, differs: nearer},
		stageOpening: {run: expiresAt(stageOpening, "awaiting_parts", 0), differs: nearer},
		stageCreated: {run: expiresAt(stageCreated, "awaiting_parts", 0), differs: nearer},
		stageSigned:  {run: expiresAt(stageSigned, "owed", 1), differs: nearer},
		stageAwaited: {run: expiresAt(stageAwaited, "owed", 1), differs: nearer},
		stageForwarded: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageForwarded)
			c.client.Stop() // with the preimage
			c.Mine(1)
			c.Mine(35)
			c.unanswered()
			c.mineUntil(40, c.answered)
			c.failed(lnwire.CodePermanentChannelFailure, atOnce, "dead")
			for _, s := range c.wire.of(c.inv.Invoice.Hash) {
				if expiry := c.rec().Parts[0].Expiry; s.toHeight >= expiry-24 {
					t.Errorf("the payer has its answer at %d, its HTLC expires at %d", s.toHeight, expiry)
				}
			}
		}},
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageClaimed)
			expiry := c.rec().Parts[0].Expiry
			c.payerCut()
			c.Mine(1)
			height, err := c.Chain.Height()
			must(t, err)
			c.Mine(int(expiry - 17 - height))
			c.reach(expiry-17, c.seller, c.payer)
			if c.closing() {
				t.Error("the LSP closed the payer's channel early")
			}
			c.mineUntil(4, c.closing)
			c.mineUntil(12, func() bool { return c.resultSoon() })
			c.paid()
		}}, // the payer has no channel any more
		stageSettled: {na: "nothing is held any more"},
	}}
}

const nearer = "at expiry - 24 at the latest; here when the client, which checks to the block, " +
	"would refuse it: its own expiry less 44 (LDK)"

// nearExpiry wants the payment to have failed a block later.
func (c *trial) nearExpiry(state string, channels int) {
	c.t.Helper()
	c.failed(later, atOnce, state)
	for _, s := range c.wire.of(c.inv.Invoice.Hash) {
		if s.toHeight > s.fromHeight+1 {
			c.t.Errorf("it was held for %d blocks, want 1", s.toHeight-s.fromHeight)
		}
	}
	c.kept(channels)
	c.serves()
	c.kept(1)
}

func expiresAt(stage int, state string, channels int) func(*arena, *testing.T) {
	return func(a *arena, t *testing.T) {
		c := a.at(t, stage)
		c.Mine(1)
		c.nearExpiry(state, channels)
	}
}

// mineUntil mines a block each time the LSP and the payer have followed.
func (c *trial) mineUntil(blocks int, done func() bool) {
	c.t.Helper()
	for range blocks {
		if done() {
			return
		}
		c.Mine(1)
		height, err := c.Chain.Height()
		must(c.t, err)
		c.reach(height, c.seller, c.payer)
		if c.within(200*time.Millisecond, done) { // what the block began may take a moment
			return
		}
	}
	if !c.eventually(done) {
		c.t.Fatalf("%d blocks brought nothing", blocks)
	}
}

// closing says that the LSP has closed the payer's channel by force.
func (c *trial) closing() bool {
	return slices.ContainsFunc(c.channels(c.seller, c.payer), func(ch api.Channel) bool {
		return ch.State == api.ChannelForceClosing
	})
}

// resultSoon says that the payer's switch has an end of the last part.
func (c *trial) resultSoon() bool { return len(c.parts[len(c.parts)-1]) > 0 }

// comesTwice is F14: something is said or offered again.
func comesTwice() row {
	again := func(stage, parts int) cell {
		return cell{run: func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.payerFlaps()
			c.payerFlaps()
			c.unanswered()
			c.free()
			c.paid()
			c.bound(atOnce)
			c.wantParts(parts)
			if n := c.opens.seen(); n != 1 {
				t.Errorf("%d channels were asked for", n)
			}
			if n := c.gate.got(lane{c.lspID(), false}, lnwire.MsgUpdateAddHTLC); n != 1 {
				t.Errorf("the client got %d HTLCs", n)
			}
			c.serves()
		}}
	}
	return row{fault: "F14", name: "something comes twice", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			other := c.sell(saleSize)
			if other.SCID == c.inv.SCID || c.order(other).Order.ID == c.rec().Order.ID {
				t.Error("a second purchase is the first one")
			}
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageReceived)
			c.payerCut()
			c.free()
			c.payerBack()
			c.payerFlaps()
			c.paid()
			c.wantParts(1)
			c.serves()
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			c.payerFlaps()
			c.payerFlaps()
			c.holds(1)
			c.inState("awaiting_parts")
			c.send(saleSize / 2)
			c.paid()
			c.bound(atOnce)
			c.wantParts(2)
			c.serves()
		}},
		stageOpening: again(stageOpening, 1), stageCreated: again(stageCreated, 1),
		stageSigned: again(stageSigned, 1), stageAwaited: again(stageAwaited, 1),
		stageForwarded: again(stageForwarded, 1),
		stageClaimed: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageClaimed)
			c.cut()
			c.line.set(lineOpen)
			c.payerCut()
			c.free()
			c.payerBack()
			c.paid()
			c.bound(atOnce)
			c.wantParts(1)
			c.serves()
		}},
		stageSettled: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageSettled)
			c.payerFlaps()
			c.wantParts(1)
			c.cut()
			c.serves()
		}},
	}}
}

func (c *trial) lspID() [33]byte { return [33]byte(c.seller.Key().SerializeCompressed()) }

// wantParts wants the order to tell of so many HTLCs, each forwarded and held for no time.
func (c *trial) wantParts(n int) {
	c.t.Helper()
	parts := c.rec().Parts
	if len(parts) != n {
		c.t.Errorf("the order tells of %d parts, want %d", len(parts), n)
	}
	for _, p := range parts {
		if p.Ended != orders.PartForwarded || p.State != orders.PartClaimed {
			c.t.Errorf("a part is %s, its hold ended with %q", p.State, p.Ended)
		}
	}
}

// wrongAmounts is F15: parts are too many, too few, too small or too late.
func wrongAmounts() row {
	late := func(stage int) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.send(saleSize / 10)
			extra := c.parts[len(c.parts)-1]
			c.parts = c.parts[:len(c.parts)-1]
			if stage == stageAwaited {
				c.holds(2)
			}
			c.free()
			c.paid()
			select {
			case r := <-extra: // the client judges it: more than its invoice asks for
				if r.Code != 0 && r.Hop != 2 && r.Code != later {
					t.Errorf("the late part failed with %v of hop %d", r.Code, r.Hop)
				}
			case <-time.After(waitLink):
				t.Error("the late part has no answer")
			}
			c.bound(atOnce)
			c.serves()
		}
	}
	const bears = "the channel is under way, and its size was fixed with open_channel"
	return row{fault: "F15", name: "the amounts are wrong", seller: func(o *node.Options) {
		o.LSP.Offer.MaxPaymentSize = 1_000_000_000
		o.LSP.Offer.Rules.MaxParts = 3
	}, cells: [stages]cell{
		stageOrdered: {na: "nothing was paid"},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			c.inv = c.sell(0)
			for _, size := range []lnwire.MilliSatoshi{9_999_999, 1_000_000_001} {
				c.send(size)
				c.failed(never, atOnce, "awaiting_parts")
			}
			c.kept(0)
			c.inv = c.sell(saleSize)
			c.serves()
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageHeld)
			for range 3 { // one more than may be
				c.send(saleSize / 10)
			}
			c.failed(never, atOnce, "awaiting_parts")
			c.kept(0)

			c.advance(offer().ValidFor - hold/2)
			c.send(saleSize / 2)
			c.holds(1)
			c.advance(hold / 2)
			c.failed(never, hold, "dead")
			c.kept(0)
			c.serves()
		}},
		stageOpening: {na: bears}, stageCreated: {na: bears}, stageSigned: {na: bears},
		stageAwaited:   {run: late(stageAwaited)},
		stageForwarded: {run: late(stageForwarded)},
		stageClaimed: {run: late(stageClaimed), differs: "not failed by us: it goes to the client, " +
			"which answers it"},
		stageSettled: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageSettled)
			c.serves()
			c.kept(1)
		}},
	}}
}
