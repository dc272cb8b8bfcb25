package chanfactory_test

import (
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
)

// setHold makes a link keep hooks, as one with HTLCs or signatures under way does, or run them.
func (p *party) setHold(id lnwire.ChannelID, hold bool) {
	p.t.Helper()
	p.links.mu.Lock()
	one := p.links.links[id]
	p.links.mu.Unlock()
	require.NotNil(p.t, one)
	one.mu.Lock()
	one.hold = hold
	held := one.held
	one.held = nil
	one.mu.Unlock()
	for _, hook := range held {
		one.run(hook)
	}
}

// The confirmed scid is stored in the link's goroutine, on the link's copy, and by nobody else as
// long as the link lives. A link that ends first takes the hook with it.
func TestConfirmationWaitsForTheLink(t *testing.T) {
	us, them, l := pair(t)
	mustOpen(t, us, jit(l.peer(us), "order"))
	ready := await[chanfactory.Ready](us)
	await[chanfactory.Ready](them)
	inMempool(t, ready.Point)
	us.setHold(ready.ChanID, true)
	mine(t, 2)
	scid := await[chanfactory.Confirmed](us).Scid
	us.closeFails(ready.Point) // the worker has done all that it does by itself
	require.False(t, us.stored(ready.Point).ZeroConfConfirmed(), "no other copy is written to")

	// A link that ends drops its hooks; the one of the next connection is told.
	l.cut()
	// With no link for a moment the scid may be stored before the next link is made, which
	// then begins with it.
	l = connect(us, them)
	_, lc, ok := us.links.Find(ready.ChanID)
	require.True(t, ok)
	if lc.State().ZeroConfRealScid() != scid {
		us.awaitRefresh(ready.ChanID)
	}
	require.Equal(t, scid, lc.State().ZeroConfRealScid())
	require.Equal(t, scid, us.stored(ready.Point).ZeroConfRealScid())
	l.cut()
}

// closeFails asks for a close that can't be, which also says that the worker has no other work.
func (p *party) closeFails(point wire.OutPoint) {
	p.t.Helper()
	_, err := p.Close(p.t.Context(), chanfactory.CloseRequest{Point: point, Address: legacy(p.t)})
	require.ErrorIs(p.t, err, chanfactory.ErrBadRequest)
}

// Without a link there is nobody to wait for.
func TestConfirmationWhileThePeerIsAway(t *testing.T) {
	us, them, l := pair(t)
	mustOpen(t, us, jit(l.peer(us), "order"))
	ready := await[chanfactory.Ready](us)
	await[chanfactory.Ready](them)
	inMempool(t, ready.Point)
	l.cut()
	mine(t, 2)
	scid := await[chanfactory.Confirmed](us).Scid
	require.Equal(t, scid, us.stored(ready.Point).ZeroConfRealScid())
	us.restart()
	connect(us, them)
	mine(t, 1)
	for _, e := range us.events.all() {
		require.False(t, isEvent[chanfactory.Confirmed](e), "a restart does not tell it again")
	}
}

// Shutdown waits until nothing of ours is unsigned, the negotiation until no HTLC is left.
func TestCloseWaitsForTheLink(t *testing.T) {
	us, them, l, point := opened(t)
	id := lnwire.NewChanIDFromOutPoint(point)
	us.setHold(id, true)
	them.setHold(id, true)
	updates, err := us.Close(t.Context(), chanfactory.CloseRequest{Point: point, FeeRate: 1000})
	require.NoError(t, err)
	us.barrierClosing(point)
	require.Empty(t, updates, "shutdown waits for our commitment_signed")
	us.setHold(id, false)
	stage(t, updates, chanfactory.CloseShutdownSent)
	heard[*lnwire.Shutdown](l, us)
	them.barrierClosing(point)
	for _, s := range l.seen.all() {
		require.NotEqual(t, lnwire.MsgClosingSigned, s.msg.MsgType(), "HTLCs are left")
	}
	_, _, live := them.links.Find(id)
	require.True(t, live)
	them.setHold(id, false)
	stage(t, updates, chanfactory.ClosePending)
	mine(t, 6)
	stage(t, updates, chanfactory.CloseConfirmed)
}

// barrierClosing returns when the worker of a channel that is being closed has done all that came
// before.
func (p *party) barrierClosing(point wire.OutPoint) {
	p.t.Helper()
	_, err := p.Close(p.t.Context(), chanfactory.CloseRequest{Point: point})
	if err != nil { // or it is followed from now on
		require.ErrorIs(p.t, err, chanfactory.ErrClosing)
	}
}

// hidden is an assembler of which lnwallet does not know that it has the transaction, like the
// one for PSBTs: channeldb does not store it then.
type hidden struct{ chanfunding.Assembler }

type hiddenCoins struct{ chanfactory.Coins }

func (c hiddenCoins) Funder() chanfunding.Assembler { return hidden{c.Coins.Funder()} }

// The transaction is broadcast from our own record.
func TestFundingTxIsOurs(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	us.coins = func(c chanfactory.Coins) chanfactory.Coins { return hiddenCoins{c} }
	us.restart()
	l := connect(us, them)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	point := await[chanfactory.Ready](us).Point
	us.restart()
	ch := us.stored(point)
	require.False(t, ch.ChanType.HasFundingTx())
	require.Nil(t, ch.FundingTxn)
	require.NoError(t, us.Release(t.Context(), point))
	inMempool(t, point)
	mine(t, 1)
}

// A link that can't be made is made on the next connection.
func TestLinkFails(t *testing.T) {
	us, them, l := pair(t)
	us.links.refuse = true
	mustOpen(t, us, jit(l.peer(us), "order"))
	point := await[chanfactory.Signed](us).Point
	await[chanfactory.Ready](them)
	l.cut()
	us.links.mu.Lock()
	us.links.refuse = false
	us.links.mu.Unlock()
	connect(us, them)
	require.Equal(t, point, await[chanfactory.Ready](us).Point)
	require.NotNil(t, us.stored(point).RemoteNextRevocation)
}

// A closed channel that comes back to life in the log must not stop the start.
func TestRestartAfterClose(t *testing.T) {
	us, them, l, point := opened(t)
	updates, err := us.Close(t.Context(), chanfactory.CloseRequest{Point: point})
	require.NoError(t, err)
	stage(t, updates, chanfactory.CloseShutdownSent)
	stage(t, updates, chanfactory.ClosePending)
	l.cut()
	us.restart()
	them.restart()
	mine(t, 6)
	await[chanfactory.Closed](us)

	// The court marks it as closed; then the record's channel is not there any more.
	ch := us.stored(point)
	require.NoError(t, ch.CloseChannel(&channeldb.ChannelCloseSummary{
		ChanPoint: point, RemotePub: ch.IdentityPub, CloseType: channeldb.CooperativeClose,
		RemoteCurrentRevocation: ch.RemoteCurrentRevocation, LocalChanConfig: ch.LocalChanCfg,
	}))
	us.restart()
	require.Equal(t, chanfactory.Settled, us.state("order"))
	r := jit(connect(us, them).peer(us), "order")
	require.ErrorIs(t, us.Open(t.Context(), r), chanfactory.ErrTagUsed, "one order, one channel")
}
