package node_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/pay"
)

// TestEndingCheat: a peer publishes what it must not, or says what is not so.
func TestEndingCheat(t *testing.T) {
	client := func(s *scene) *member { return s.client }
	seller := func(s *scene) *member { return s.seller }
	playEndings(t, []ending{
		{"the client publishes its first state", true, revoked(client, 0)},
		{"the client publishes a state with HTLCs", true, revoked(client, 1)},
		{"the client publishes the state before the last", false, revoked(client, 2)},
		{"the LSP publishes its first state", false, revoked(seller, 0)},
		{"the LSP publishes a state with HTLCs", true, revoked(seller, 1)},
		{"the LSP publishes the state before the last", false, revoked(seller, 2)},
		{"the honest side was down", false, func(s *scene) {
			publishRevoked(s, s.client, 1, func() { s.restart(s.seller) })
		}},
		{"an older state that is not revoked", true, olderValid},
		{"the client claims to know a later state", true, func(s *scene) {
			liesAbout(s, func(m *lnwire.ChannelReestablish) {
				m.NextLocalCommitHeight += 10
				m.RemoteCommitTailHeight += 10
				m.LastRemoteCommitSecret[0] ^= 1
			})
		}},
		{"the client has a wrong last secret", false, func(s *scene) {
			liesAbout(s, func(m *lnwire.ChannelReestablish) { m.LastRemoteCommitSecret[0] ^= 1 })
		}},
		{"the client says that it is behind", false, func(s *scene) {
			liesAbout(s, func(m *lnwire.ChannelReestablish) { m.NextLocalCommitHeight-- })
		}},
		{"the client has an old database", true, func(s *scene) { oldDatabase(s, s.client) }},
		{"the LSP has an old database", true, func(s *scene) { oldDatabase(s, s.seller) }},
	})
}

func revoked(by func(*scene) *member, state int) func(*scene) {
	return func(s *scene) { publishRevoked(s, by(s), state, func() {}) }
}

// publishRevoked has one side publish a revoked state while it is down otherwise: the other takes
// the whole channel, HTLCs included.
func publishRevoked(s *scene, cheat *member, state int, meanwhile func()) {
	var states []*wire.MsgTx
	keep := func() {
		tx, err := cheat.OwnCommitment(s.lower)
		must(s.t, err)
		states = append(states, tx)
	}
	keep()
	s.pays(s.seller, s.client, 50_000)
	flights := []*flight{
		s.flies(s.seller, s.client, 30_000), s.flies(s.client, s.seller, 40_000),
		s.flies(s.seller, s.client, 20_000), s.flies(s.client, s.seller, 300),
	}
	keep()
	for _, f := range flights[:2] {
		f.claims()
		f.ends(pay.Succeeded)
	}
	for _, f := range flights[2:] {
		f.refuses()
		f.ends(pay.Failed)
	}
	s.l.atRest()
	keep()
	s.pays(s.client, s.seller, 60_000)
	s.l.atRest()
	s.robs(cheat, states[state], meanwhile)
}

// robs publishes a revoked commitment of the lower channel, and books all of it to the other.
func (s *scene) robs(cheat *member, tx *wire.MsgTx, meanwhile func()) {
	s.t.Helper()
	stake := s.stakeOf(cheat)
	s.l.stop(cheat)
	_, err := s.Chain.Send(tx)
	must(s.t, err)
	s.l.mine(1)
	meanwhile()
	s.sees(s.other(cheat))
	s.l.settle(100)
	s.l.forfeit(s.lower, cheat, s.other(cheat), stake)
	s.l.start(cheat)
	s.sees(cheat)
	s.linkedUpper()
}

// sees mines until a side takes the lower channel for closed: lnd wants some confirmations.
func (s *scene) sees(who *member) {
	s.t.Helper()
	for range 12 {
		list, err := who.ChannelStates()
		must(s.t, err)
		if !slices.ContainsFunc(list, func(ch channelState) bool { return ch.Point == s.lower }) {
			return
		}
		s.l.mine(1)
	}
	s.t.Errorf("%s does not see the close", s.l.account(who).name)
}

// stakeOf is what a side of the lower channel has there, a funder with fees and anchors.
func (s *scene) stakeOf(who *member) btcutil.Amount {
	s.t.Helper()
	list, err := s.client.ChannelStates()
	must(s.t, err)
	balance := list[0].Balance.ToSatoshis()
	if who == s.client {
		return balance
	}
	return sceneChannel - balance
}

// pays makes a payment.
func (s *scene) pays(from, to *member, amount btcutil.Amount) {
	s.t.Helper()
	f := s.flies(from, to, amount)
	f.claims()
	f.ends(pay.Succeeded)
	s.l.atRest()
}

// olderValid: the client has been signed a new state and does not revoke the last one, which it
// publishes. That is no breach.
func olderValid(s *scene) {
	tx, err := s.client.OwnCommitment(s.lower)
	must(s.t, err)
	held := s.gates[s.client].hold(true, lnwire.MsgRevokeAndAck)
	f := s.launches(s.seller, s.client, 30_000, 80)
	held.reached(s.t)
	s.l.stop(s.client)
	s.gates[s.client].clear()
	s.gates[s.client].open(held)
	_, err = s.Chain.Send(tx)
	must(s.t, err)
	s.l.mine(6)
	s.l.start(s.client)
	f.ends(pay.Failed)
}

// liesAbout has the client lie in its channel_reestablish. Whatever comes of it, both get what is
// theirs.
func liesAbout(s *scene, how func(*lnwire.ChannelReestablish)) {
	s.pays(s.seller, s.client, 50_000)
	s.pays(s.client, s.seller, 10_000)
	latest := s.latest()
	lie := s.gates[s.client].replace(true, lnwire.MsgChannelReestablish, 1,
		func(m lnwire.Message) []lnwire.Message {
			other := *m.(*lnwire.ChannelReestablish)
			how(&other)
			return []lnwire.Message{&other}
		})
	s.flap(s.seller, s.client)
	lie.reached(s.t)
	s.closedOrWell(latest)
	s.gates[s.client].clear()
}

// closedOrWell lets the channel come to whatever end it takes: one of the latest commitments on
// chain, or a channel that works again.
func (s *scene) closedOrWell(latest map[chainhash.Hash]bool) {
	s.t.Helper()
	s.soon(waitLink, func(ctx context.Context) bool {
		list, err := s.Chain.Mempool()
		must(s.t, err)
		return len(list) > 0 || s.ready(ctx, s.seller) && s.ready(ctx, s.client)
	})
	s.l.mine(6)
	s.l.read()
	if tx := s.l.spender[s.lower]; tx != nil && !latest[tx.TxHash()] {
		s.t.Errorf("the channel is closed by %v, which is none of the latest commitments", tx.TxHash())
	}
}

// latest are the newest commitments of both sides.
func (s *scene) latest() map[chainhash.Hash]bool {
	s.t.Helper()
	hashes := map[chainhash.Hash]bool{}
	for _, n := range []*member{s.seller, s.client} {
		tx, err := n.OwnCommitment(s.lower)
		must(s.t, err)
		hashes[tx.TxHash()] = true
	}
	return hashes
}

// oldDatabase: a side comes back with an old copy of its database. It must not publish what it has
// revoked; the other closes, and both get what is theirs.
func oldDatabase(s *scene, who *member) {
	file := filepath.Join(who.dir, "inlet.db")
	s.l.stop(who)
	old, err := os.ReadFile(file)
	must(s.t, err)
	s.l.start(who)
	s.linked()
	s.pays(s.seller, s.client, 50_000)
	s.pays(s.client, s.seller, 10_000)
	latest := s.latest()
	s.l.stop(who)
	must(s.t, os.WriteFile(file, old, 0o600))
	must(s.t, os.Remove(filepath.Join(who.dir, "inlet.marker"))) // it would refuse the copy
	s.l.start(who)
	s.soon(waitLink, func(context.Context) bool {
		list, err := s.Chain.Mempool()
		must(s.t, err)
		return len(list) > 0
	})
	s.l.mine(6)
	s.l.read()
	tx := s.l.spender[s.lower]
	if tx == nil || !latest[tx.TxHash()] {
		s.t.Errorf("the channel's end: %+v", tx)
	}
}
