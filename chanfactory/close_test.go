package chanfactory_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chancloser"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/wallet"
)

// opened is a confirmed channel in which both have money.
func opened(t *testing.T) (us, them *party, l *line, point wire.OutPoint) {
	us, them, l = pair(t)
	r := jit(l.peer(us), "order")
	r.Capacity, r.Push = 500_000, 200_000_000
	mustOpen(t, us, r)
	point = await[chanfactory.Ready](us).Point
	await[chanfactory.Ready](them)
	inMempool(t, point)
	mine(t, 2)
	await[chanfactory.Confirmed](us)
	await[chanfactory.Confirmed](them)
	return us, them, l, point
}

// stage waits for the next update of a close.
func stage(t *testing.T, updates <-chan chanfactory.CloseUpdate,
	want chanfactory.CloseStage) chanfactory.CloseUpdate {

	t.Helper()
	var u chanfactory.CloseUpdate
	ok := false
	select {
	case u, ok = <-updates:
	case <-time.After(patience):
	}
	require.True(t, ok, "the close never came to stage %d", want)
	require.NoError(t, u.Err)
	if want != 0 { // zero takes any stage
		require.Equal(t, want, u.Stage)
	}
	return u
}

func TestCloseFromEitherSide(t *testing.T) {
	for _, byOpener := range []bool{true, false} {
		us, them, l, point := opened(t)
		closer, other := us, them
		if !byOpener {
			closer, other = them, us
		}
		address, err := closer.wallet.NewAddress()
		require.NoError(t, err)
		updates, err := closer.Close(t.Context(), chanfactory.CloseRequest{
			Point: point, FeeRate: 2000, Address: address,
		})
		require.NoError(t, err)
		_, err = closer.Close(t.Context(), chanfactory.CloseRequest{Point: point})
		require.ErrorIs(t, err, chanfactory.ErrClosing)

		stage(t, updates, chanfactory.CloseShutdownSent)
		pending := stage(t, updates, chanfactory.ClosePending)
		tx := inMempool(t, wire.OutPoint{Hash: pending.Txid})
		require.Len(t, tx.TxOut, 2)
		script, err := txscript.PayToAddrScript(address)
		require.NoError(t, err)
		require.Contains(t, [][]byte{tx.TxOut[0].PkScript, tx.TxOut[1].PkScript}, script)
		for _, p := range []*party{us, them} {
			require.True(t, p.stored(point).HasChanStatus(channeldb.ChanStatusCoopBroadcasted))
			_, _, live := p.links.Find(lnwire.NewChanIDFromOutPoint(point))
			require.False(t, live, "the link has done its work")
		}
		mine(t, 6)
		require.Equal(t, pending.Txid, stage(t, updates, chanfactory.CloseConfirmed).Txid)
		_, more := <-updates
		require.False(t, more)
		for _, p := range []*party{closer, other} {
			done := await[chanfactory.Closed](p)
			require.Equal(t, pending.Txid, done.ClosingTx)
			require.Equal(t, point, done.Point)
		}
		l.cut()
	}
}

// A taproot address needs a peer that pays to it, and the upfront fee bound holds.
func TestCloseRefused(t *testing.T) {
	us, them, l := pair(t)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	withheld := await[chanfactory.Ready](us).Point
	await[chanfactory.Ready](them)
	_, err := us.Close(t.Context(), chanfactory.CloseRequest{Point: withheld})
	require.ErrorIs(t, err, chanfactory.ErrPendingOpen)
	require.ErrorContains(t, err, "drop that instead")
	_, err = us.Close(t.Context(), chanfactory.CloseRequest{})
	require.ErrorIs(t, err, chanfactory.ErrUnknownChannel)

	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "manual", Capacity: 100_000, FeeRate: 1000,
	})
	pending := await[chanfactory.Broadcast](us).Point
	_, err = us.Close(t.Context(), chanfactory.CloseRequest{Point: pending})
	require.ErrorIs(t, err, chanfactory.ErrPendingOpen)
	inMempool(t, pending)
	mine(t, 2)
	await[chanfactory.Ready](us)
	l.cut()
	_, err = us.Close(t.Context(), chanfactory.CloseRequest{Point: pending})
	require.ErrorIs(t, err, chanfactory.ErrPeerGone)

	connect(us, them, func(l *line) {
		l.ends[0].bits[1] = without(lnwire.ShutdownAnySegwitOptional)
	})
	taproot, err := us.wallet.NewAddress()
	require.NoError(t, err)
	_, err = us.Close(t.Context(), chanfactory.CloseRequest{Point: pending, Address: taproot})
	require.ErrorIs(t, err, chanfactory.ErrBadRequest)
	script := us.stored(pending).LocalShutdownScript
	require.Empty(t, script)
	updates, err := us.Close(t.Context(), chanfactory.CloseRequest{Point: pending})
	require.NoError(t, err, "a refused close leaves the channel as it was")
	stage(t, updates, chanfactory.CloseShutdownSent)
	closing := stage(t, updates, chanfactory.ClosePending)
	tx := inMempool(t, wire.OutPoint{Hash: closing.Txid})
	ours := false
	for _, out := range tx.TxOut {
		version, _, err := txscript.ExtractWitnessProgramInfo(out.PkScript)
		require.NoError(t, err)
		ours = ours || version == 0 && out.Value > 50_000
	}
	require.True(t, ours, "our part goes to a version 0 address")
	mine(t, 6)
	stage(t, updates, chanfactory.CloseConfirmed)
}

// The peer of a withheld funding asks to close: there is nothing to close yet.
func TestShutdownOfWithheld(t *testing.T) {
	us, them, l := pair(t)
	r := jit(l.peer(us), "order")
	r.Withhold = true
	mustOpen(t, us, r)
	ready := await[chanfactory.Ready](us)
	l.say(them, lnwire.NewShutdown(ready.ChanID, append([]byte{0, 20}, make([]byte, 20)...)))
	require.Equal(t, ready.Point, await[chanfactory.Dropped](us).Point)
	require.Zero(t, us.leased())
}

// A shutdown that we refuse costs us no address: a peer that repeats it would take the wallet's
// addresses so far that a restore from the words stops before the coins.
func TestBadShutdownTakesNoAddress(t *testing.T) {
	us, them, l, point := opened(t)
	id := lnwire.NewChanIDFromOutPoint(point)
	before := us.addresses()
	refused := func(script lnwire.DeliveryAddress, promised lnwire.DeliveryAddress) {
		t.Helper()
		l.cut()
		l = connect(us, them)
		_, lc, _ := us.links.Find(id)
		lc.State().RemoteShutdownScript = promised
		l.say(them, lnwire.NewShutdown(id, script))
		select {
		case <-l.peer(us).QuitSignal():
		case <-time.After(patience):
			t.Fatalf("a shutdown to %x is taken", script)
		}
		heard[*lnwire.Warning](l, us)
	}
	for range 3 {
		refused(lnwire.DeliveryAddress{0x6a}, nil)
	}
	require.Equal(t, before, us.addresses())

	// One that only the closer refuses takes one, for as long as the channel is there.
	program := func(first byte) []byte { return append([]byte{0, 20, first}, make([]byte, 19)...) }
	for range 3 {
		refused(program(1), program(2))
	}
	require.LessOrEqual(t, us.addresses(), before+1)
}

// addresses is how many the wallet has given out, without change.
func (p *party) addresses() (n int) {
	p.t.Helper()
	all, err := p.wallet.Controller().ListAddresses(lnwallet.DefaultAccountName, false)
	require.NoError(p.t, err)
	for _, list := range all {
		for _, a := range list {
			if !a.Internal {
				n++
			}
		}
	}
	return n
}

// The connection is lost at each message of a close, on either side's words. It goes on when the
// peer is back, and the caller's updates with it.
func TestCloseSurvivesReconnect(t *testing.T) {
	for _, lost := range []lnwire.MessageType{lnwire.MsgShutdown, lnwire.MsgClosingSigned} {
		for _, byUs := range []bool{true, false} {
			us, them, l, point := opened(t)
			from := us
			if !byUs {
				from = them
			}
			l.cut()
			var gone *line
			var like lnwire.Message = &lnwire.Shutdown{}
			if lost == lnwire.MsgClosingSigned {
				like = &lnwire.ClosingSigned{}
			}
			gone = connect(us, them, swallow(from, like))
			updates, err := us.Close(t.Context(), chanfactory.CloseRequest{
				Point: point, FeeRate: 2000,
			})
			require.NoError(t, err)
			gone.wg.Wait()
			connect(us, them)
			u := stage(t, updates, 0)
			if u.Stage == chanfactory.CloseShutdownSent {
				u = stage(t, updates, chanfactory.ClosePending)
			}
			require.Equal(t, chanfactory.ClosePending, u.Stage)
			inMempool(t, wire.OutPoint{Hash: u.Txid})
			mine(t, 6)
			stage(t, updates, chanfactory.CloseConfirmed)
			await[chanfactory.Closed](them)
		}
	}
}

// Both processes end in the middle of a close, and take it up again.
func TestCloseSurvivesRestart(t *testing.T) {
	us, them, l, point := opened(t)
	l.cut()
	l = connect(us, them, swallow(us, &lnwire.ClosingSigned{}))
	updates, err := us.Close(t.Context(), chanfactory.CloseRequest{Point: point, FeeRate: 2000})
	require.NoError(t, err)
	stage(t, updates, chanfactory.CloseShutdownSent)
	l.wg.Wait()
	us.restart()
	them.restart()
	connect(us, them)
	closing, ok := us.sent.await(func(tx *wire.MsgTx) bool {
		return tx.TxIn[0].PreviousOutPoint == point
	})
	require.True(t, ok)
	inMempool(t, wire.OutPoint{Hash: closing.TxHash()})
	us.restart()
	mine(t, 6)
	require.Equal(t, closing.TxHash(), await[chanfactory.Closed](us).ClosingTx)
	require.Equal(t, closing.TxHash(), await[chanfactory.Closed](them).ClosingTx)
	us.awaitBalance("what was ours in the channel", func(b wallet.Balance) bool {
		return b.Confirmed > 3_000_000-250_000 && b.Confirmed < btcutil.Amount(3_000_000)
	})
}

// A fee bound is kept over the reconnect that follows the failure, and another one can be given.
func TestCloseFeeBound(t *testing.T) {
	us, them, l, point := opened(t)
	dear := chanfactory.CloseRequest{Point: point, FeeRate: 20_000}
	updates, err := them.Close(t.Context(), dear)
	require.NoError(t, err)
	bound := chanfactory.CloseRequest{Point: point, FeeRate: 300, MaxFeeRate: 300}
	ours := us.joins(bound)
	for range 3 {
		failed := stageOf(t, ours, chanfactory.CloseFailed)
		require.ErrorIs(t, failed.Err, chancloser.ErrProposalExceedsMaxFee)
		l.wg.Wait()
		ours = us.joins(bound)
		l = connect(us, them)
	}
	stageOf(t, ours, chanfactory.CloseFailed)
	l.wg.Wait()
	ours = us.joins(chanfactory.CloseRequest{Point: point, FeeRate: 300, MaxFeeRate: 50_000})
	connect(us, them)
	txid := stageOf(t, ours, chanfactory.ClosePending).Txid
	require.Equal(t, txid, stageOf(t, updates, chanfactory.ClosePending).Txid)
	mine(t, 6)
	stageOf(t, ours, chanfactory.CloseConfirmed)
}

// joins follows a close that the peer began, as soon as it has.
func (p *party) joins(r chanfactory.CloseRequest) <-chan chanfactory.CloseUpdate {
	p.t.Helper()
	updates, err := p.Close(p.t.Context(), r)
	require.NoError(p.t, err)
	return updates
}

// stageOf waits for a stage, past others.
func stageOf(t *testing.T, updates <-chan chanfactory.CloseUpdate,
	want chanfactory.CloseStage) chanfactory.CloseUpdate {

	t.Helper()
	for {
		select {
		case u, ok := <-updates:
			require.True(t, ok, "the close ended without stage %d", want)
			if u.Stage == want {
				return u
			}
			require.NoError(t, u.Err)
		case <-time.After(patience):
			t.Fatalf("the close never came to stage %d", want)
		}
	}
}

// legacy is an address that closing transactions don't pay to.
func legacy(t testing.TB) btcutil.Address {
	t.Helper()
	addr, err := btcutil.NewAddressPubKeyHash(make([]byte, 20), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return addr
}
