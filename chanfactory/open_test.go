package chanfactory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/wallet"
)

var _ chanfactory.Coins = (*wallet.Wallet)(nil)

// pair is an LSP with coins and a client without, connected.
func pair(t *testing.T) (us, them *party, l *line) {
	us, them = newParty(t, "us", 3), newParty(t, "them", 0)
	return us, them, connect(us, them)
}

// jit is the opening that an order makes.
func jit(p chanfactory.Peer, tag string) chanfactory.OpenRequest {
	return chanfactory.OpenRequest{
		Peer: p, Tag: tag, Capacity: 100_000, Private: true, ZeroConf: true,
		CommitFeeRate: 2500, FeeRate: 1000, MaxToSelfDelay: 2016,
		Room: chanfactory.Room{Forward: 48_000_000, Parts: 2},
	}
}

func mustOpen(t testing.TB, p *party, r chanfactory.OpenRequest) {
	t.Helper()
	require.NoError(t, p.Open(context.Background(), r))
}

func TestZeroConf(t *testing.T) {
	us, them, l := pair(t)
	mustOpen(t, us, jit(l.peer(us), "order"))

	require.Equal(t, l.peer(us).ID(), await[chanfactory.Sent](us).PeerID)
	open := heard[*lnwire.OpenChannel](l, us)
	require.NotNil(t, open.ChannelType)
	require.Zero(t, open.ChannelFlags)
	require.Zero(t, heard[*lnwire.AcceptChannel](l, them).MinAcceptDepth)
	await[chanfactory.Accepted](us)
	point := await[chanfactory.Created](us).Point
	require.Equal(t, point, await[chanfactory.Signed](us).Point)
	require.Equal(t, point, await[chanfactory.Signed](them).Point)

	ready := await[chanfactory.Ready](us)
	theirs := await[chanfactory.Ready](them)
	require.Equal(t, chanfactory.Subject{
		Tag: "order", Peer: l.peer(us).PubKey(), PendingID: open.PendingChannelID,
	}, ready.Subject)
	require.Equal(t, ready.Alias, theirs.PeerAlias)
	require.Equal(t, ready.PeerAlias, theirs.Alias)
	require.Equal(t, []lnwire.ShortChannelID{ready.Alias}, us.aliases.GetAliases(ready.Alias))
	require.Equal(t, point, await[chanfactory.Broadcast](us).Point)
	inMempool(t, point)
	require.True(t, us.court.watches(point))
	require.True(t, them.court.watches(point))
	require.Equal(t, chanfactory.Released, us.state("order"))

	mine(t, 2)
	for _, p := range []*party{us, them} {
		scid := await[chanfactory.Confirmed](p).Scid
		_, lc, _ := p.links.Find(ready.ChanID)
		p.awaitRefresh(ready.ChanID)
		require.Equal(t, scid, lc.State().ZeroConfRealScid(), "the link's own copy knows the scid")
		require.Equal(t, scid, p.stored(point).ZeroConfRealScid())
	}
	require.Equal(t, chanfactory.Settled, us.state("order"))
	us.awaitBalance("the change", func(b wallet.Balance) bool { return b.Leased == 0 })
}

// TestDelayIsBounded: an acceptor that has agreed to a most asks for no more.
func TestDelayIsBounded(t *testing.T) {
	checklist.Shows(t, "LSPS2-40", "what was agreed does not bound our delay")
	us, them, l := pair(t)
	for agreed, want := range map[uint16]uint16{0: 144, 100: 100, 2016: 144} {
		them.accept = func(chanfactory.Proposal) (chanfactory.Terms, error) {
			return chanfactory.Terms{ZeroConf: true, MaxToSelfDelay: agreed}, nil
		}
		mustOpen(t, us, jit(l.peer(us), fmt.Sprint("order ", agreed)))
		require.Equal(t, want, heard[*lnwire.AcceptChannel](l, them).CsvDelay)
		await[chanfactory.Ready](us)
	}
}

// awaitRefresh waits until the switch was told of a link's new scid.
func (p *party) awaitRefresh(id lnwire.ChannelID) {
	p.t.Helper()
	_, ok := p.links.refreshed.await(func(got lnwire.ChannelID) bool { return got == id })
	require.True(p.t, ok, "the switch was never told")
}

func TestOrdinaryPublicWithPush(t *testing.T) {
	us, them, l := pair(t)
	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "manual", Capacity: 500_000, Push: 100_000_500, FeeRate: 1000,
	})
	open := heard[*lnwire.OpenChannel](l, us)
	require.Equal(t, lnwire.FFAnnounceChannel, open.ChannelFlags)
	require.EqualValues(t, 2, heard[*lnwire.AcceptChannel](l, them).MinAcceptDepth)
	point := await[chanfactory.Broadcast](us).Point
	inMempool(t, point)
	require.True(t, us.stored(point).IsPending)

	mine(t, 1)
	mine(t, 1)
	scid := await[chanfactory.Confirmed](us).Scid
	require.Equal(t, scid, await[chanfactory.Confirmed](them).Scid)
	ready := await[chanfactory.Ready](us)
	theirs := await[chanfactory.Ready](them)
	require.NotEqual(t, scid, ready.Alias)
	require.Equal(t, ready.Alias, theirs.PeerAlias)
	for _, p := range []*party{us, them} {
		ch := p.stored(point)
		require.False(t, ch.IsPending)
		require.Equal(t, scid, ch.ShortChannelID)
		require.Equal(t, lnwire.FFAnnounceChannel, ch.ChannelFlags)
	}
	require.Equal(t, lnwire.MilliSatoshi(100_000_500), them.stored(point).LocalCommitment.LocalBalance)
	require.Equal(t, chanfactory.Settled, us.state("manual"))
}

// An opening is counted until its channel is: what is kept back for fee bumps relies on it.
func TestOpening(t *testing.T) {
	us, them, l := pair(t)
	require.Zero(t, us.Opening())
	counted := make(chan int, 10)
	us.onTell = func(e chanfactory.Event) {
		if isEvent[chanfactory.Sent](e) || isEvent[chanfactory.Signed](e) {
			counted <- us.Opening()
		}
	}
	mustOpen(t, us, jit(l.peer(us), "order"))
	require.Equal(t, 1, <-counted)
	require.Equal(t, 1, <-counted)
	await[chanfactory.Ready](us)
	await[chanfactory.Ready](them)
	require.Zero(t, us.Opening())
}

// The leases of a funding end ten minutes after the process has. A start takes them again before
// anything else of the node may choose coins, for what is released or withheld, not for what is dropped.
func TestHoldCoins(t *testing.T) {
	us, them := newParty(t, "us", 2), newParty(t, "them", 0)
	l := connect(us, them)
	for _, tag := range []string{"kept", "dropped"} {
		r := jit(l.peer(us), tag)
		r.Withhold = true
		mustOpen(t, us, r)
		point := await[chanfactory.Ready](us).Point
		await[chanfactory.Ready](them)
		if tag == "dropped" {
			require.NoError(t, us.Drop(t.Context(), point, "no"))
		}
	}
	_, err := us.wallet.ReleaseStale(func(wire.OutPoint) bool { return false })
	require.NoError(t, err)
	require.Zero(t, us.leased())
	require.NoError(t, us.HoldCoins())
	require.Equal(t, btcutil.Amount(1_000_000), us.leased())
}

func TestWithheldUntilRelease(t *testing.T) {
	us, _, l := pair(t)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	point := await[chanfactory.Ready](us).Point
	require.Equal(t, chanfactory.Withheld, us.state("order"))
	require.True(t, unknown(t, point))
	require.Equal(t, btcutil.Amount(1_000_000), us.leased())
	mine(t, 1)

	us.restart()
	require.True(t, unknown(t, point), "a restart must not broadcast it")
	require.Equal(t, chanfactory.Withheld, us.state("order"))
	require.Equal(t, btcutil.Amount(1_000_000), us.leased())
	require.ErrorIs(t, us.Open(context.Background(), r), chanfactory.ErrTagUsed)

	require.NoError(t, us.Release(context.Background(), point))
	inMempool(t, point)
	require.Equal(t, chanfactory.Released, us.state("order"))
	require.NoError(t, us.Release(context.Background(), point), "twice is fine")
	require.ErrorIs(t, us.Drop(context.Background(), point, "late"), chanfactory.ErrNotWithheld)
	mine(t, 2)
	await[chanfactory.Confirmed](us)
	require.NoError(t, us.Release(context.Background(), point))
}

func TestWithheldDropped(t *testing.T) {
	us, them, l := pair(t)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	point := await[chanfactory.Ready](us).Point
	await[chanfactory.Ready](them)

	require.NoError(t, us.Drop(context.Background(), point, "the client restarted"))
	require.Zero(t, us.leased(), "the coins are free at once")
	require.True(t, us.gone(point))
	require.False(t, us.court.watches(point))
	require.Equal(t, "the client restarted", await[chanfactory.Dropped](us).Reason)
	await[chanfactory.Dropped](them)
	require.True(t, them.gone(point), "an acceptor forgets a channel that was never used")
	require.ErrorIs(t, us.Release(context.Background(), point), chanfactory.ErrNotWithheld)
	require.Equal(t, chanfactory.Gone, us.state("order"))

	// The order opens another one in the same hold.
	mustOpen(t, us, r)
	require.NotEqual(t, point, await[chanfactory.Ready](us).Point)
	us.restart()
	require.True(t, unknown(t, point))
	require.Equal(t, chanfactory.Withheld, us.state("order"))
}
