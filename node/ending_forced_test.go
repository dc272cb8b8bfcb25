package node_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/pay"
)

// TestEndingForced: closes by force, with HTLCs of all kinds.
func TestEndingForced(t *testing.T) {
	playEndings(t, []ending{
		{"the LSP forces with everything in flight", true, func(s *scene) {
			everythingInFlight(s, s.seller, false)
		}},
		{"the client forces with everything in flight", true, func(s *scene) {
			everythingInFlight(s, s.client, false)
		}},
		{"the LSP forces and all restart", false, func(s *scene) {
			everythingInFlight(s, s.seller, true)
		}},
		{"the client forces and all restart", false, func(s *scene) {
			everythingInFlight(s, s.client, true)
		}},
		{"the payer forces, the preimage comes off chain", true, func(s *scene) {
			upperForced(s, s.payer, false)
		}},
		{"the LSP forces the payer's channel, the preimage comes off chain", false, func(s *scene) {
			upperForced(s, s.seller, false)
		}},
		{"the payer forces while the LSP is down", false, func(s *scene) {
			upperForced(s, s.payer, true)
		}},
		{"both channels are forced", false, bothForced},
		{"the client knows the preimage and the LSP does not listen", false, deafLSP},
		{"the client is silent to the expiry", true, silentClient},
		{"the client refuses at the expiry", false, lateRefusal},
		{"claim and timeout race, the claim is first", false, claimFirst},
		{"claim and timeout race, the timeout is first", false, timeoutFirst},
		{"the fee rate rises after the commitment", true, feeRises},
	})
}

// everythingInFlight: HTLCs in both directions, ours and forwarded, dust and not, claimed on
// chain, by a preimage from elsewhere, and never.
func everythingInFlight(s *scene, by *member, restarts bool) {
	own := s.flies(s.seller, s.client, 30_000)
	forwarded := s.flies(s.payer, s.client, 20_000)
	stays := s.flies(s.payer, s.client, 25_000)
	dust := s.flies(s.payer, s.client, 300)
	in := s.flies(s.client, s.seller, 10_000)
	passes := s.flies(s.client, s.payer, 12_000)
	refused := s.flies(s.client, s.payer, 14_000)
	dustIn := s.flies(s.client, s.seller, 310)

	s.forces(by, s.lower)
	s.l.burn(s.seller, s.seller, 300)
	s.l.burn(s.client, s.seller, 310)
	s.l.mine(1)
	if restarts {
		s.restart(s.client)
		s.restart(s.seller)
		s.linkedUpper()
	}
	own.claims()
	forwarded.claims()
	in.claims()
	passes.claims()
	refused.refuses()
	s.l.mine(6)
	if restarts {
		s.restart(s.client)
		s.restart(s.seller)
		s.linkedUpper()
	}
	for _, f := range []*flight{own, forwarded, in, passes} {
		f.ends(pay.Succeeded)
	}
	for _, f := range []*flight{dust, refused, stays, dustIn} {
		f.ends(pay.Failed)
	}
}

// linkedUpper waits until the payer's channel is active.
func (s *scene) linkedUpper() {
	s.t.Helper()
	s.active(s.payer, s.upper)
	s.active(s.seller, s.upper)
}

func (s *scene) active(n *member, point wire.OutPoint) {
	s.t.Helper()
	s.soon(waitLink, func(ctx context.Context) bool {
		for _, ch := range s.channelsOf(ctx, n) {
			if ch.ChannelPoint == point.String() && ch.Active {
				return true
			}
		}
		return false
	})
}

// upperForced: the channel by which a payment has come is on chain when its preimage comes from
// the other; a second payment fails there.
func upperForced(s *scene, by *member, down bool) {
	paid := s.flies(s.payer, s.client, 20_000)
	failed := s.flies(s.payer, s.client, 25_000)
	dust := s.flies(s.payer, s.client, 300)
	back := s.flies(s.client, s.payer, 15_000)
	if down {
		s.l.stop(s.seller)
	}
	s.forces(by, s.upper)
	s.l.burn(s.payer, s.payer, 300)
	s.l.mine(6)
	if down {
		s.l.start(s.seller)
		s.soon(waitLink, func(ctx context.Context) bool { return s.ready(ctx, s.client) })
	}
	paid.claims()
	failed.refuses()
	back.claims()
	paid.ends(pay.Succeeded)
	failed.ends(pay.Failed)
	back.ends(pay.Succeeded)
	// The payer has lost the dust already, and the LSP would pay it to the client.
	dust.refuses()
	dust.ends(pay.Failed)
}

// bothForced: the LSP has an HTLC on chain at both sides, and reads the preimage at the one.
func bothForced(s *scene) {
	paid := s.flies(s.payer, s.client, 20_000)
	stays := s.flies(s.payer, s.client, 25_000)
	s.forces(s.payer, s.upper)
	s.forces(s.client, s.lower)
	s.l.mine(6)
	paid.claims()
	paid.ends(pay.Succeeded)
	stays.ends(pay.Failed)
}

// deafLSP: the client goes on chain by itself before its HTLC expires.
func deafLSP(s *scene) {
	paid := s.flies(s.payer, s.client, 20_000)
	s.gates[s.seller].replace(false, lnwire.MsgUpdateFulfillHTLC, 0,
		func(lnwire.Message) []lnwire.Message { return nil })
	paid.claims()
	paid.ends(pay.Succeeded)
	s.gates[s.seller].clear()
	s.ended(s.lower)
}

// ended wants a channel not to be open any more.
func (s *scene) ended(point wire.OutPoint) {
	s.t.Helper()
	for _, n := range []*member{s.payer, s.seller, s.client} {
		if s.l.account(n).down {
			continue
		}
		list, err := n.ChannelStates()
		must(s.t, err)
		for _, ch := range list {
			if ch.Point == point {
				s.t.Errorf("%v is open", point)
			}
		}
	}
}

// silentClient: the LSP goes on chain when its HTLC expires, and the payer's channel lives.
func silentClient(s *scene) {
	stays := s.flies(s.payer, s.client, 25_000)
	s.gates[s.client].silence(true)
	stays.ends(pay.Failed)
	s.gates[s.client].silence(false)
	s.ended(s.lower)
	if list := s.channels(s.payer, s.seller); len(list) != 1 || list[0].State != api.ChannelOpen {
		s.t.Errorf("the payer's channel: %+v", list)
	}
}

// lateRefusal: a client that says no at any time before keeps its channel.
func lateRefusal(s *scene) {
	f := s.flies(s.payer, s.client, 25_000)
	s.l.mine(55)
	f.refuses()
	f.ends(pay.Failed)
	if list := s.channels(s.seller, s.client); len(list) != 1 || list[0].State != api.ChannelOpen {
		s.t.Errorf("the client's channel: %+v", list)
	}
}

// claimFirst: the client's claim waits in the mempool when the HTLC expires. The LSP's timeout
// can't replace it, and the LSP has the preimage.
func claimFirst(s *scene) {
	paid := s.flies(s.payer, s.client, 20_000)
	s.forces(s.seller, s.lower)
	s.l.mine(6)
	paid.claims()
	s.mempool(1)
	s.mineEmpty(90)
	paid.ends(pay.Succeeded)
}

// timeoutFirst: the LSP's timeout waits in the mempool when the client comes with the preimage.
// Whichever the miners take, nobody loses but by his own lateness.
func timeoutFirst(s *scene) {
	late := s.flies(s.payer, s.client, 20_000)
	s.l.stop(s.client)
	s.forces(s.seller, s.lower)
	s.l.mine(70)
	s.mineEmpty(20)
	s.mempool(1)
	s.l.start(s.client)
	ctx, cancel := s.Context()
	defer cancel()
	_ = s.client.SettleHeld(ctx, late.preimage) // it may have given up
	s.l.mine(6)
	late.ends(pay.Failed)
}

// mempool waits until so many transactions are in the mempool at least.
func (s *scene) mempool(least int) {
	s.t.Helper()
	s.soon(waitLink, func(context.Context) bool {
		list, err := s.Chain.Mempool()
		must(s.t, err)
		return len(list) >= least
	})
}

// mineEmpty mines blocks that leave the mempool as it is.
func (s *scene) mineEmpty(blocks int) {
	s.t.Helper()
	for range blocks {
		_, err := s.Chain.MineEmpty(1)
		must(s.t, err)
		s.l.blocks++
		s.l.dealtWith()
	}
}

// feeRises: the commitment pays too little for the next block; its anchor brings it there.
func feeRises(s *scene) {
	f := s.fliesFor(s.payer, s.client, 100_000, 40)
	commitment := s.forces(s.seller, s.lower)
	for _, rate := range []chainfee.SatPerVByte{20, 40, 80} {
		s.fees[s.seller].set(rate)
		s.mineEmpty(4)
	}
	s.mempool(2)
	s.l.mine(1)
	f.claims()
	f.ends(pay.Succeeded)
	s.fees[s.seller].set(0)
	s.l.settle(600)
	s.l.read()
	hash, spent := commitment.TxHash(), 0
	for i, out := range commitment.TxOut {
		if out.Value != anchorSize {
			continue
		}
		if tx := s.l.spender[wire.OutPoint{Hash: hash, Index: uint32(i)}]; tx != nil {
			spent++
			if rate := tx.rate(); rate < 15 {
				s.t.Errorf("the anchor's transaction pays %d sat/vB", rate)
			}
		}
	}
	if spent == 0 {
		s.t.Error("no anchor was spent")
	}
}
