package chanfactory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/store"
)

// swallow loses the first message of the type that a party sends, and the connection with it.
func swallow(from *party, like lnwire.Message) func(*line) {
	done := false
	return func(l *line) {
		l.watch = func(p *party, m lnwire.Message) (lnwire.Message, bool) {
			if !done && p == from && m.MsgType() == like.MsgType() {
				done = true
				l.ends[0].Disconnect(nil)
				return nil, false
			}
			return m, true
		}
	}
}

// The connection ends with each message of the flow. Before funding_signed nothing is left on
// our side, and what the peer stored it forgets; after it the channel comes up on the next
// connection.
func TestConnectionLost(t *testing.T) {
	us, them := newParty(t, "us", 3), newParty(t, "them", 0)
	for i, c := range []struct {
		name  string
		from  *party
		msg   lnwire.Message
		fails bool
	}{
		{"open_channel", us, &lnwire.OpenChannel{}, true},
		{"accept_channel", them, &lnwire.AcceptChannel{}, true},
		{"funding_created", us, &lnwire.FundingCreated{}, true},
		{"funding_signed", them, &lnwire.FundingSigned{}, true},
		{"our channel_ready", us, &lnwire.ChannelReady{}, false},
		{"their channel_ready", them, &lnwire.ChannelReady{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			us.t, them.t = t, t
			tag := fmt.Sprint("order", i)
			l := connect(us, them, swallow(c.from, c.msg))
			r := jit(l.peer(us), tag)
			r.Withhold = true
			mustOpen(t, us, r)
			l.wg.Wait()

			if c.fails {
				require.Equal(t, chanfactory.PeerGone, await[chanfactory.Failed](us).Fault)
				require.Empty(t, us.state(tag))
				require.Zero(t, us.leased())
			}
			l = connect(us, them)
			if c.fails {
				r.Peer = l.peer(us)
				mustOpen(t, us, r) // the tag is free again
			}
			point := await[chanfactory.Ready](us).Point
			for await[chanfactory.Ready](them).Point != point {
				continue
			}
			require.Equal(t, chanfactory.Withheld, us.state(tag))
			require.NoError(t, us.Drop(t.Context(), point, "enough"))
			them.awaitNoChannel()
			l.cut()
		})
	}
	us.t, them.t = t, t
}

// A peer that is back while we still write the channel that it has signed must not be told that there
// is none. So a new connection waits for what the last one has brought.
func TestBackWhileWeWrite(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	writing, free := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(writing); <-free })
	us.disk = func(done bool, writes []store.Write) error {
		for _, w := range writes {
			if !done && slices.Contains(w.Buckets, "open-chan-bucket") {
				first()
			}
		}
		return nil
	}
	us.restart()
	l := connect(us, them)
	mustOpen(t, us, jit(l.peer(us), "order"))
	<-writing
	l.cut()

	back := make(chan *line, 1)
	go func() { back <- connect(us, them) }() // awaited below
	select {
	case l = <-back:
		back <- l
		t.Error("a connection began while the channel was being written")
	case <-time.After(50 * time.Millisecond):
	}
	close(free)
	l = <-back
	point := await[chanfactory.Ready](us).Point
	require.Equal(t, point, await[chanfactory.Ready](them).Point)
	l.cut()
}

// awaitNoChannel waits until everything is dropped: one that is left would speak up on the
// next connection.
func (p *party) awaitNoChannel() {
	p.t.Helper()
	for {
		chans, err := p.channels.FetchAllChannels()
		require.NoError(p.t, err)
		if len(chans) == 0 {
			return
		}
		await[chanfactory.Dropped](p)
	}
}

// A peer that stops answering loses the opening at the deadline, and is told.
func TestSilentPeer(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	now := clock.NewTestClock(time.Now())
	us.clock = now
	us.restart()
	for i, silent := range []lnwire.MessageType{lnwire.MsgAcceptChannel, lnwire.MsgFundingSigned} {
		l := connect(us, them, func(l *line) {
			l.watch = func(_ *party, m lnwire.Message) (lnwire.Message, bool) {
				return m, m.MsgType() != silent
			}
		})
		mustOpen(t, us, jit(l.peer(us), "order"))
		if silent == lnwire.MsgAcceptChannel {
			heard[*lnwire.OpenChannel](l, us)
		} else {
			heard[*lnwire.FundingCreated](l, us)
		}
		now.SetTime(now.Now().Add(14 * time.Second))
		require.NotEmpty(t, us.leased())
		now.SetTime(now.Now().Add(2 * time.Second))
		require.Equal(t, chanfactory.Timeout, await[chanfactory.Failed](us).Fault)
		require.Zero(t, us.leased())
		heard[*lnwire.Error](l, us)
		if i == 0 {
			require.Equal(t, chanfactory.PeerRefused, await[chanfactory.Failed](them).Fault)
		} else {
			await[chanfactory.Dropped](them)
		}
		l.cut()
	}
}

// Leases end after ten minutes. As long as the funding is withheld they are renewed before.
func TestLeasesAreRenewed(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	now := clock.NewTestClock(time.Now())
	us.clock = now
	us.restart()
	l := connect(us, them)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	point := await[chanfactory.Ready](us).Point
	until := func() time.Time {
		leases, err := us.wallet.Leases()
		require.NoError(t, err)
		require.Len(t, leases, 1)
		return leases[0].Until
	}
	for range 5 {
		before := until()
		now.SetTime(now.Now().Add(5 * time.Minute))
		us.barrier(point)
		require.True(t, until().After(before.Add(4*time.Minute)), "renewed after %v", before)
	}
}
