package chanfactory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/checklist"
)

// otherTx shows another transaction than the confirmed one.
type otherTx struct {
	chainntnfs.ChainNotifier
	change func(*wire.MsgTx)
}

func (n otherTx) RegisterConfirmationsNtfn(txid *chainhash.Hash, script []byte, confs,
	hint uint32, opts ...chainntnfs.NotifierOption) (*chainntnfs.ConfirmationEvent, error) {

	ev, err := n.ChainNotifier.RegisterConfirmationsNtfn(txid, script, confs, hint, opts...)
	if err != nil {
		return nil, err
	}
	changed := *ev
	changed.Confirmed = make(chan *chainntnfs.TxConfirmation, 1)
	go func() { // ends when the notification does
		if conf := <-ev.Confirmed; conf != nil {
			conf.Tx = conf.Tx.Copy()
			n.change(conf.Tx)
			changed.Confirmed <- conf
		}
	}()
	return &changed, nil
}

// An opener may sign for one amount and fund another. The acceptor looks, and will have none of
// it; neither when the channel is in use already.
func TestWrongFunding(t *testing.T) {
	checklist.Shows(t, "LSPS2-47", "the funding output is not looked at")
	for _, zeroConf := range []bool{false, true} {
		us, them := newParty(t, "us", 1), newParty(t, "them", 0)
		them.tamper = func(n chainntnfs.ChainNotifier) chainntnfs.ChainNotifier {
			return otherTx{n, func(tx *wire.MsgTx) {
				for _, out := range tx.TxOut {
					out.Value--
				}
			}}
		}
		them.restart()
		l := connect(us, them)
		r := jit(l.peer(us), "order")
		r.ZeroConf = zeroConf
		mustOpen(t, us, r)
		point := await[chanfactory.Signed](them).Point
		inMempool(t, point)
		mine(t, 2)
		require.Contains(t, await[chanfactory.Dropped](them).Reason, "funding transaction is wrong")
		require.True(t, them.gone(point))
		require.False(t, them.court.watches(point))
		m := heard[*lnwire.Error](l, them)
		require.Equal(t, lnwire.NewChanIDFromOutPoint(point), m.ChanID)
	}
}

// lateBlocks adds blocks that nobody mined.
type lateBlocks struct {
	chainntnfs.ChainNotifier
	more chan *chainntnfs.BlockEpoch
}

func (n lateBlocks) RegisterBlockEpochNtfn(best *chainntnfs.BlockEpoch) (
	*chainntnfs.BlockEpochEvent, error) {

	ev, err := n.ChainNotifier.RegisterBlockEpochNtfn(best)
	if err != nil {
		return nil, err
	}
	return &chainntnfs.BlockEpochEvent{Epochs: n.more, Cancel: ev.Cancel}, nil
}

// An acceptor forgets an ordinary channel that is not funded in 2016 blocks, an opener never.
func TestFundeeForgets(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	more := make(chan *chainntnfs.BlockEpoch)
	them.tamper = func(n chainntnfs.ChainNotifier) chainntnfs.ChainNotifier {
		return lateBlocks{n, more}
	}
	them.restart()
	l := connect(us, them)
	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "manual", Capacity: 100_000, FeeRate: 1000,
	})
	point := await[chanfactory.Signed](them).Point
	await[chanfactory.Signed](us) // Close reads the store before it asks the worker
	height := int32(them.stored(point).BroadcastHeight())
	more <- &chainntnfs.BlockEpoch{Height: height + 2015}
	more <- &chainntnfs.BlockEpoch{Height: height + 2015}
	require.False(t, them.gone(point))
	them.away.Store(true)
	more <- &chainntnfs.BlockEpoch{Height: height + 2016}
	more <- &chainntnfs.BlockEpoch{Height: height + 2016}
	them.barrierOpen(point)
	require.False(t, them.gone(point), "it may be in a block that was not searched yet")
	them.away.Store(false)
	them.blocksUntilGone(point, more, height+2017)
	require.Contains(t, await[chanfactory.Dropped](them).Reason, "2016 blocks")
	require.True(t, them.gone(point))
	heard[*lnwire.Error](l, them)
	us.barrierOpen(point)
	require.Equal(t, chanfactory.Released, us.state("manual"), "an opener's money is in it")
	mine(t, 1)
}

// blocksUntilGone tells of blocks until a channel is forgotten: one that comes before the past is
// searched leaves it to the next.
func (p *party) blocksUntilGone(point wire.OutPoint, more chan<- *chainntnfs.BlockEpoch, height int32) {
	p.t.Helper()
	tick, late := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for ; !p.gone(point); height++ {
		more <- &chainntnfs.BlockEpoch{Height: height}
		select {
		case <-tick.C:
		case <-late:
			p.t.Fatal("the channel is never forgotten")
		}
	}
}

// An acceptor that was away for so long that the channel's time is over first sees whether it was
// funded: what the opener gave it is in there. Nor does it give up what is in a block already.
func TestFundeeLooksBeforeItForgets(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	l := connect(us, them)
	mustOpen(t, us, chanfactory.OpenRequest{
		Peer: l.peer(us), Tag: "manual", Capacity: 200_000, FeeRate: 1000, Push: 90_000_000,
	})
	point := await[chanfactory.Signed](them).Point
	await[chanfactory.Signed](us)
	inMempool(t, point)
	l.cut()
	late := int32(them.stored(point).BroadcastHeight()) + 2016
	more := make(chan *chainntnfs.BlockEpoch, 1)
	them.tamper = func(n chainntnfs.ChainNotifier) chainntnfs.ChainNotifier {
		return lateBlocks{n, more}
	}
	them.stop()
	mine(t, 1) // of 2 that it wants
	more <- &chainntnfs.BlockEpoch{Height: late}
	them.start()
	for i := range int32(3) {
		more <- &chainntnfs.BlockEpoch{Height: late + 1 + i}
	}
	require.False(t, them.gone(point))
	mine(t, 1)
	require.Equal(t, point, await[chanfactory.Confirmed](them).Point)
	for _, e := range them.events.all() {
		require.False(t, isEvent[chanfactory.Dropped](e), "%+v", e)
	}
}

// A broadcast that fails is repeated with each block until it succeeds.
func TestBroadcastIsRepeated(t *testing.T) {
	checklist.Shows(t, "LSPS2-104", "Channel.Step: a block does not publish again")
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	tried, failures := newRecord[int](), 3
	us.publish = func(tx *wire.MsgTx, label string) error {
		tried.add(failures)
		if failures > 0 {
			failures--
			return errors.New("the backend is away")
		}
		return us.wallet.Publish(tx, label)
	}
	us.restart()
	l := connect(us, them)
	mustOpen(t, us, jit(l.peer(us), "order"))
	point := await[chanfactory.Ready](us).Point
	for n := 3; n > 0; n-- {
		_, ok := tried.await(func(left int) bool { return left == n })
		require.True(t, ok)
		require.True(t, unknown(t, point))
		mine(t, 1)
	}
	require.Equal(t, point, await[chanfactory.Broadcast](us).Point)
	inMempool(t, point)
}
