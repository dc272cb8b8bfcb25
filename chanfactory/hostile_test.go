package chanfactory_test

import (
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
)

// openChannel is a valid open_channel of a peer that makes its messages by hand.
func openChannel(t testing.TB, id byte) *lnwire.OpenChannel {
	key := func() *btcec.PublicKey {
		k, err := btcec.NewPrivateKey()
		require.NoError(t, err)
		return k.PubKey()
	}
	return &lnwire.OpenChannel{
		ChainHash: *chaincfg.RegressionNetParams.GenesisHash, PendingChannelID: [32]byte{id},
		FundingAmount: 100_000, DustLimit: 354, MaxValueInFlight: 100_000_000,
		ChannelReserve: 1000, HtlcMinimum: 1, FeePerKiloWeight: 2500, CsvDelay: 144,
		MaxAcceptedHTLCs: 483, FundingKey: key(), RevocationPoint: key(), PaymentPoint: key(),
		DelayedPaymentPoint: key(), HtlcPoint: key(), FirstCommitmentPoint: key(),
		ChannelType: chanfactory.ChanType{Anchors: true}.Wire(),
	}
}

// mallory is a connection of which one end is played by the test.
func mallory(t *testing.T) (us *party, l *line, say func(lnwire.Message)) {
	us, them := newParty(t, "us", 1), newParty(t, "mallory", 0)
	l = connect(us, them, func(l *line) {
		l.watch = func(p *party, m lnwire.Message) (lnwire.Message, bool) {
			if p == us { // heard by the test, not by the other factory
				l.seen.add(said{p.name, m})
				return nil, false
			}
			return m, true
		}
	})
	return us, l, func(m lnwire.Message) { l.say(them, m) }
}

// refusal waits for the error that answers what was said.
func refusal(t *testing.T, us *party, l *line, id lnwire.ChannelID) string {
	t.Helper()
	m := heard[*lnwire.Error](l, us)
	require.Equal(t, id, m.ChanID)
	return string(m.Data)
}

// Messages about channels that are not there are answered with an error, and hold nothing.
func TestUnknownChannels(t *testing.T) {
	us, l, say := mallory(t)
	id, point := [32]byte{9}, wire.OutPoint{Hash: chainhash.Hash{9}}
	for _, m := range []lnwire.Message{
		&lnwire.AcceptChannel{
			PendingChannelID: id, FundingKey: openChannel(t, 1).FundingKey,
			RevocationPoint: openChannel(t, 1).FundingKey, PaymentPoint: openChannel(t, 1).FundingKey,
			DelayedPaymentPoint: openChannel(t, 1).FundingKey, HtlcPoint: openChannel(t, 1).FundingKey,
			FirstCommitmentPoint: openChannel(t, 1).FundingKey,
		},
		&lnwire.FundingCreated{PendingChannelID: id, FundingPoint: point},
		&lnwire.FundingSigned{ChanID: id},
		lnwire.NewChannelReady(id, openChannel(t, 1).FundingKey),
		lnwire.NewShutdown(id, append([]byte{0, 20}, make([]byte, 20)...)),
	} {
		say(m)
		require.Equal(t, "unknown channel", refusal(t, us, l, id), "%v", m.MsgType())
	}
	say(&lnwire.ClosingSigned{ChannelID: id})
	require.Equal(t, lnwire.ChannelID(id), heard[*lnwire.Warning](l, us).ChanID)
	say(&lnwire.Error{ChanID: id, Data: []byte("\x1b[2J")})
	say(&lnwire.Error{Data: []byte("all")})
	say(&lnwire.Warning{Data: []byte("careful")})
	say(&lnwire.FundingSigned{ChanID: id}) // it is still there
	refusal(t, us, l, id)
	require.Empty(t, us.events.all())
}

// What doesn't belong in a state ends the opening that it names, on our side too.
func TestUnexpectedMessages(t *testing.T) {
	us, l, say := mallory(t)
	open := openChannel(t, 1)
	signed := &lnwire.FundingSigned{}
	accept := &lnwire.AcceptChannel{
		PendingChannelID: open.PendingChannelID, FundingKey: open.FundingKey,
		RevocationPoint: open.FundingKey, PaymentPoint: open.FundingKey,
		DelayedPaymentPoint: open.FundingKey, HtlcPoint: open.FundingKey,
		FirstCommitmentPoint: open.FundingKey,
	}
	for _, m := range []lnwire.Message{open, accept} {
		say(open)
		heard[*lnwire.AcceptChannel](l, us)
		say(m)
		require.Contains(t, refusal(t, us, l, open.PendingChannelID), "unexpected")
		require.Equal(t, chanfactory.PeerTerms, await[chanfactory.Failed](us).Fault)
	}

	// Ours ends as well, with its coins back.
	for _, m := range []lnwire.Message{
		&lnwire.FundingCreated{}, &lnwire.OpenChannel{}, signed,
		&lnwire.Error{Data: []byte("no more")},
	} {
		mustOpen(t, us, jit(l.peer(us), "order"))
		ours := heard[*lnwire.OpenChannel](l, us)
		switch m := m.(type) {
		case *lnwire.FundingCreated:
			m.PendingChannelID = ours.PendingChannelID
		case *lnwire.OpenChannel:
			*m = *openChannel(t, 0)
			m.PendingChannelID = ours.PendingChannelID
		case *lnwire.FundingSigned: // names no channel of ours: the opening lives
			say(m)
			refusal(t, us, l, m.ChanID)
			us.Cancel("order")
			require.Equal(t, chanfactory.Ours, await[chanfactory.Failed](us).Fault)
			heard[*lnwire.Error](l, us)
			continue
		}
		say(m)
		failed := await[chanfactory.Failed](us)
		if _, isError := m.(*lnwire.Error); !isError {
			require.Equal(t, chanfactory.PeerTerms, failed.Fault)
			refusal(t, us, l, ours.PendingChannelID)
		}
		require.Zero(t, us.leased())
	}
}

// A peer that we open a channel with names our own funding output as the one of a channel that it
// opens. Stored in its place, that channel would make us fund what nobody can spend.
func TestOwnOutpointIsNotTheirs(t *testing.T) {
	us, l, say := mallory(t)
	open := openChannel(t, 1)
	say(open)
	heard[*lnwire.AcceptChannel](l, us)

	mustOpen(t, us, jit(l.peer(us), "order"))
	ours := heard[*lnwire.OpenChannel](l, us)
	say(&lnwire.AcceptChannel{
		PendingChannelID: ours.PendingChannelID, DustLimit: 354, MaxValueInFlight: 100_000_000,
		ChannelReserve: 1000, HtlcMinimum: 1, CsvDelay: 144, MaxAcceptedHTLCs: 50,
		FundingKey: open.FundingKey, RevocationPoint: open.RevocationPoint,
		PaymentPoint: open.PaymentPoint, DelayedPaymentPoint: open.DelayedPaymentPoint,
		HtlcPoint: open.HtlcPoint, FirstCommitmentPoint: open.FirstCommitmentPoint,
		ChannelType: ours.ChannelType,
	})
	created := heard[*lnwire.FundingCreated](l, us)
	say(&lnwire.FundingCreated{
		PendingChannelID: open.PendingChannelID, FundingPoint: created.FundingPoint,
		CommitSig: created.CommitSig,
	})
	require.Contains(t, refusal(t, us, l, open.PendingChannelID), "outpoint is not yours")
	require.True(t, us.gone(created.FundingPoint))
	require.Equal(t, chanfactory.Intended, us.state("order"))
}

// Limits on what peers may open.
func TestInboundLimits(t *testing.T) {
	us, l, say := mallory(t)
	small := openChannel(t, 1)
	small.FundingAmount = 19_999
	say(small)
	require.Contains(t, refusal(t, us, l, small.PendingChannelID), "funding_satoshis 19999")

	say(openChannel(t, 2))
	heard[*lnwire.AcceptChannel](l, us)
	say(openChannel(t, 3))
	require.Contains(t, refusal(t, us, l, [32]byte{3}), "more than 1 unconfirmed")

	// The place is free when the first one is gone.
	say(&lnwire.Error{ChanID: [32]byte{2}})
	await[chanfactory.Failed](us)
	say(openChannel(t, 4))
	heard[*lnwire.AcceptChannel](l, us)
}

func TestInboundLimitOfAll(t *testing.T) {
	us, first, second := newParty(t, "us", 0), newParty(t, "first", 1), newParty(t, "second", 1)
	us.policy.MaxPending = 1
	us.restart()
	l, m := connect(us, first), connect(us, second)
	open := func(p *party, l *line) {
		mustOpen(t, p, chanfactory.OpenRequest{
			Peer: l.peer(p), Tag: "x", Capacity: 100_000, FeeRate: 1000,
		})
	}
	open(first, l)
	point := await[chanfactory.Signed](us).Point
	open(second, m)
	require.Equal(t, chanfactory.PeerRefused, await[chanfactory.Failed](second).Fault)
	require.Contains(t, string(heard[*lnwire.Error](m, us).Data), "too many channels")

	// A restart counts what is pending; a confirmed channel no longer counts.
	inMempool(t, point)
	mine(t, 2)
	await[chanfactory.Confirmed](us)
	await[chanfactory.Ready](us)
	open(second, m)
	await[chanfactory.Signed](second)

	// Our LSP has its place: a payment waits for its channel.
	lsp := newParty(t, "lsp", 1)
	toLSP := connect(us, lsp)
	us.expects = toLSP.peer(us).PubKey()
	open(lsp, toLSP)
	await[chanfactory.Signed](lsp)
}

func TestOwnLimit(t *testing.T) {
	us, them := newParty(t, "us", 2), newParty(t, "them", 0)
	us.policy.MaxOpens = 1
	us.restart()
	l := connect(us, them)
	release := make(chan struct{})
	them.accept = func(chanfactory.Proposal) (chanfactory.Terms, error) {
		<-release
		return chanfactory.Terms{ZeroConf: true}, nil
	}
	mustOpen(t, us, jit(l.peer(us), "first"))
	require.ErrorIs(t, us.Open(t.Context(), jit(l.peer(us), "first")), chanfactory.ErrBusy)
	require.ErrorIs(t, us.Open(t.Context(), jit(l.peer(us), "second")), chanfactory.ErrBusy)
	close(release)
	await[chanfactory.Ready](us)
	require.ErrorIs(t, us.Open(t.Context(), jit(l.peer(us), "first")), chanfactory.ErrTagUsed)
	mustOpen(t, us, jit(l.peer(us), "second"))
	await[chanfactory.Ready](us)
}

// What a dead connection said does not count, nor does another peer's word on a channel.
func TestOtherPeersWord(t *testing.T) {
	us, them, l := pair(t)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	ready := await[chanfactory.Ready](us)

	m := connect(us, newParty(t, "other", 0))
	other := m.b
	m.say(other, &lnwire.Error{ChanID: ready.ChanID, Data: []byte("no")})
	alias := lnwire.NewShortChanIDFromInt(77)
	again := lnwire.NewChannelReady(ready.ChanID, openChannel(t, 1).FundingKey)
	again.AliasScid = &alias
	m.say(other, again)
	require.Equal(t, "unknown channel", string(heard[*lnwire.Error](m, us).Data))
	m.say(other, lnwire.NewShutdown(ready.ChanID, append([]byte{0, 20}, make([]byte, 20)...)))
	require.Equal(t, "unknown channel", string(heard[*lnwire.Error](m, us).Data))
	require.Equal(t, chanfactory.Withheld, us.state("order"))

	// The peer itself may give it another alias.
	l.say(them, again)
	l.say(them, &lnwire.FundingSigned{ChanID: lnwire.ChannelID{5}})
	heard[*lnwire.Error](l, us)
	got, err := us.aliases.GetPeerAlias(ready.ChanID)
	require.NoError(t, err)
	require.Equal(t, alias, got)

	old := l.peer(us)
	l.cut()
	connect(us, them)
	us.Handle(old, &lnwire.Error{ChanID: ready.ChanID, Data: []byte("from the past")})
	us.barrier(ready.Point)
	require.Equal(t, chanfactory.Withheld, us.state("order"))
}

// The temporary id of one peer's opening is another peer's to repeat. lnwallet keeps coins by that id
// for all peers together, so it must never hear it: an opening that is given up would free the coins
// of one that goes on.
func TestPendingIDOfAnotherPeer(t *testing.T) {
	us, b, a := newParty(t, "us", 1), newParty(t, "b", 0), newParty(t, "a", 1)
	ids, held, let := make(chan [32]byte, 1), make(chan struct{}), make(chan struct{})
	hold := sync.OnceFunc(func() { close(held); <-let })
	toB := connect(us, b, func(l *line) {
		l.watch = func(_ *party, m lnwire.Message) (lnwire.Message, bool) {
			switch m := m.(type) {
			case *lnwire.OpenChannel:
				ids <- m.PendingChannelID
			case *lnwire.FundingSigned:
				hold()
			}
			return m, true
		}
	})
	r := jit(toB.peer(us), "one")
	r.Withhold = true
	mustOpen(t, us, r)
	id := <-ids
	<-held
	leased := us.leased()
	require.NotZero(t, leased)

	toA := connect(us, a, func(l *line) {
		l.watch = func(from *party, m lnwire.Message) (lnwire.Message, bool) {
			if m, ok := m.(*lnwire.OpenChannel); ok && from == a {
				m.PendingChannelID = id
			}
			return m, true
		}
	})
	mustOpen(t, a, chanfactory.OpenRequest{
		Peer: toA.peer(a), Tag: "theirs", Capacity: 200_000, FeeRate: 1000,
	})
	heard[*lnwire.AcceptChannel](toA, us) // a knows no such id, and says so in an error
	require.Equal(t, chanfactory.PeerRefused, await[chanfactory.Failed](us).Fault)
	require.Equal(t, leased, us.leased(), "the coins of the other opening")
	close(let)
	point := await[chanfactory.Ready](us).Point
	require.NoError(t, us.Release(t.Context(), point))
	inMempool(t, point)
}
