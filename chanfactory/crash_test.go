package chanfactory_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
)

// The process dies at each event of an opening, and starts again from what is on disk then.
func TestCrash(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       func(chanfactory.Event) bool
		withhold bool
		want     chanfactory.FundingState
	}{
		{"sent", isEvent[chanfactory.Sent], false, ""},
		{"accepted", isEvent[chanfactory.Accepted], false, ""},
		{"created", isEvent[chanfactory.Created], false, ""},
		{"created, withheld", isEvent[chanfactory.Created], true, ""},
		{"signed", isEvent[chanfactory.Signed], false, chanfactory.Released},
		{"signed, withheld", isEvent[chanfactory.Signed], true, chanfactory.Withheld},
		{"ready", isEvent[chanfactory.Ready], false, chanfactory.Released},
		{"ready, withheld", isEvent[chanfactory.Ready], true, chanfactory.Withheld},
	} {
		t.Run(c.name, func(t *testing.T) {
			us, them := newParty(t, "us", 2), newParty(t, "them", 0)
			dir := make(chan string, 1)
			us.onTell = func(e chanfactory.Event) {
				if c.at(e) {
					dir <- us.snapshot()
				}
			}
			l := connect(us, them)
			r := jit(l.peer(us), "order")
			r.Withhold = c.withhold
			mustOpen(t, us, r)
			await[chanfactory.Ready](us)
			await[chanfactory.Ready](them)
			l.cut()
			us.revive(<-dir)

			require.Equal(t, c.want, us.state("order"))
			l = connect(us, them)
			if c.want == "" {
				us.startsAgain(them, l, r)
				return
			}
			f, _, err := us.Funding("order")
			require.NoError(t, err)
			if !f.Ready {
				require.Equal(t, f.Point, await[chanfactory.Ready](us).Point)
			}
			if c.want == chanfactory.Withheld {
				require.NotZero(t, us.leased())
				require.NoError(t, us.Release(context.Background(), f.Point))
			}
			inMempool(t, f.Point)
			mine(t, 2)
			require.Equal(t, f.Point, await[chanfactory.Confirmed](us).Point)
			require.Equal(t, f.Point, await[chanfactory.Confirmed](them).Point)
			require.Equal(t, chanfactory.Settled, us.state("order"))
		})
	}
}

// startsAgain checks that nothing is left of an opening that was cut off, on either side, and
// that the tag can be used.
func (p *party) startsAgain(them *party, l *line, r chanfactory.OpenRequest) {
	p.t.Helper()
	require.Zero(p.t, p.leased())
	await[chanfactory.Dropped](them) // it had stored the channel, and heard now that we have not
	r.Peer = l.peer(p)
	mustOpen(p.t, p, r)
	await[chanfactory.Ready](p)
	await[chanfactory.Ready](them)
}

func isEvent[E chanfactory.Event](e chanfactory.Event) bool {
	_, ok := e.(E)
	return ok
}

// An opening that was cut off between the intent and the channel is told as Dropped at the start.
func TestCutOffIsTold(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	dir := make(chan string, 1)
	us.onTell = func(e chanfactory.Event) {
		if isEvent[chanfactory.Created](e) {
			dir <- us.snapshot()
		}
	}
	l := connect(us, them)
	mustOpen(t, us, jit(l.peer(us), "order"))
	point := await[chanfactory.Ready](us).Point
	l.cut()
	us.revive(<-dir)
	dropped := await[chanfactory.Dropped](us)
	require.Equal(t, "order", dropped.Tag)
	require.Equal(t, point, dropped.Point)
}

// A release survives a crash that comes right after it, a drop as well.
func TestCrashAfterDecision(t *testing.T) {
	for _, release := range []bool{true, false} {
		us, them := newParty(t, "us", 1), newParty(t, "them", 0)
		l := connect(us, them)
		r := jit(l.peer(us), "order")
		r.Withhold = true
		mustOpen(t, us, r)
		point := await[chanfactory.Ready](us).Point
		l.cut()
		if release {
			require.NoError(t, us.Release(context.Background(), point))
		} else {
			require.NoError(t, us.Drop(context.Background(), point, "no"))
		}
		us.revive(us.snapshot())
		if release {
			require.Equal(t, chanfactory.Released, us.state("order"))
			inMempool(t, point)
			continue
		}
		require.Equal(t, chanfactory.Gone, us.state("order"))
		require.True(t, unknown(t, point))
		require.Zero(t, us.leased())

		us.restart()
		f, ok, err := us.Funding("order")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, chanfactory.Gone, f.State)
		require.Nil(t, f.Tx, "what came to nothing is kept without its transaction")
	}
}

// An ordinary channel waits on for its confirmations after a restart, on both sides.
func TestRestartWhilePending(t *testing.T) {
	us, them, l := pair(t)
	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "manual", Capacity: 200_000, FeeRate: 1000, Private: true,
	})
	point := await[chanfactory.Broadcast](us).Point
	await[chanfactory.Signed](them)
	inMempool(t, point)
	l.cut()
	us.restart()
	them.restart()
	l = connect(us, them)
	require.True(t, us.stored(point).IsPending)
	mine(t, 2)
	for _, p := range []*party{us, them} {
		require.Equal(t, point, await[chanfactory.Confirmed](p).Point)
		require.Equal(t, point, await[chanfactory.Ready](p).Point)
	}

	// And while nobody was there to see it.
	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "second", Capacity: 200_000, FeeRate: 1000, Private: true,
	})
	point = await[chanfactory.Signed](us).Point
	await[chanfactory.Signed](them)
	inMempool(t, point)
	l.cut()
	us.stop()
	them.stop()
	mine(t, 3)
	us.start()
	them.start()
	connect(us, them)
	for _, p := range []*party{us, them} {
		require.Equal(t, point, await[chanfactory.Ready](p).Point)
	}
}

// The client may close by force before the funding is as deep as we want it: the funding and the
// commitment confirm together. A start that finds the channel closed must not take it for one that
// never was, or the order would give the payer its money back and open another channel.
func TestClosedOnChainBeforeItIsDeep(t *testing.T) {
	for _, withhold := range []bool{false, true} {
		us, _, l := pair(t)
		r := jit(l.peer(us), "order")
		r.Withhold = withhold
		mustOpen(t, us, r)
		point := await[chanfactory.Ready](us).Point
		if withhold {
			require.NoError(t, us.Release(t.Context(), point))
		}
		inMempool(t, point)
		l.cut()
		us.closedByForce(point)
		us.restart()
		require.Equal(t, chanfactory.Settled, us.state("order"))
		for _, e := range us.events.all() {
			require.False(t, isEvent[chanfactory.Dropped](e), "it was funded: %+v", e)
		}
		us.restart()
		require.Equal(t, chanfactory.Settled, us.state("order"))
		r.Peer = connect(us, newParty(t, "other", 0)).peer(us)
		require.ErrorIs(t, us.Open(t.Context(), r), chanfactory.ErrTagUsed)
		mine(t, 1)
	}
}

// closedByForce writes what the court does when it has seen the peer's commitment.
func (p *party) closedByForce(point wire.OutPoint) {
	p.t.Helper()
	ch := p.stored(point)
	require.NoError(p.t, ch.CloseChannel(&channeldb.ChannelCloseSummary{
		ChanPoint: point, RemotePub: ch.IdentityPub, CloseType: channeldb.RemoteForceClose,
		IsPending: true, RemoteCurrentRevocation: ch.RemoteCurrentRevocation,
		LocalChanConfig: ch.LocalChanCfg,
	}, channeldb.ChanStatusRemoteCloseInitiator))
}
