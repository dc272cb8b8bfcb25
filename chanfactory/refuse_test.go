package chanfactory_test

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/checklist"
)

// fails opens a channel that comes to nothing and checks that nothing is left of it.
func (p *party) fails(r chanfactory.OpenRequest) chanfactory.Failed {
	p.t.Helper()
	mustOpen(p.t, p, r)
	failed := await[chanfactory.Failed](p)
	require.Equal(p.t, r.Tag, failed.Tag)
	require.Zero(p.t, p.leased(), "all coins are back")
	require.Empty(p.t, p.state(r.Tag))
	require.Empty(p.t, p.aliases.ListAliases(), "no alias is left")
	return failed
}

// An ldk-node without money on chain refuses anchors, in words that say nothing.
func TestLadderOfTypes(t *testing.T) {
	us, them, l := pair(t)
	them.accept = func(o chanfactory.Proposal) (chanfactory.Terms, error) {
		if o.Type.Anchors {
			return chanfactory.Terms{}, errors.New("Channel request rejected")
		}
		return chanfactory.Terms{ZeroConf: true}, nil
	}
	r := jit(l.peer(us), "order")
	failed := us.fails(r)
	require.Equal(t, chanfactory.PeerRefused, failed.Fault)
	require.Equal(t, "Channel request rejected", failed.Reason)
	require.True(t, failed.CanRetryWithoutAnchors)
	require.Equal(t, chanfactory.PeerTerms, await[chanfactory.Failed](them).Fault)

	r.WithoutAnchors = true
	mustOpen(t, us, r)
	point := await[chanfactory.Ready](us).Point
	ch := us.stored(point)
	require.False(t, ch.ChanType.HasAnchors())
	require.True(t, ch.ChanType.HasScidAliasChan())
	require.True(t, ch.IsZeroConf())
}

// Whoever does not trust us with a zero-conf channel gets none, in neither way of asking.
func TestZeroConfRefused(t *testing.T) {
	us, them, l := pair(t)
	them.accept = func(chanfactory.Proposal) (chanfactory.Terms, error) {
		return chanfactory.Terms{}, nil
	}
	failed := us.fails(jit(l.peer(us), "order"))
	require.Equal(t, chanfactory.PeerRefused, failed.Fault)
	l.cut()

	// Without bit 50 the acceptor answers with a depth.
	l = connect(us, them, func(l *line) {
		for _, e := range l.ends {
			e.bits[0], e.bits[1] = without(lnwire.ZeroConfOptional), without(lnwire.ZeroConfOptional)
		}
	})
	failed = us.fails(jit(l.peer(us), "order"))
	require.Equal(t, chanfactory.PeerTerms, failed.Fault)
	require.Contains(t, failed.Reason, "minimum_depth 2")

	// And trusts us with one all the same if it wants to.
	them.accept = func(chanfactory.Proposal) (chanfactory.Terms, error) {
		return chanfactory.Terms{ZeroConf: true}, nil
	}
	mustOpen(t, us, jit(l.peer(us), "order"))
	require.True(t, us.stored(await[chanfactory.Ready](us).Point).IsZeroConf())
}

func without(bits ...lnwire.FeatureBit) *lnwire.FeatureVector {
	v := offers()
	for _, bit := range bits {
		v.Unset(bit)
	}
	return v
}

// Terms that don't fit the order end the opening before anything is signed.
func TestTermsBeforeSignature(t *testing.T) {
	checklist.Shows(t, "LSPS2-82", "CheckAccept does not look at to_self_delay")
	checklist.Shows(t, "LSPS2-83", "CheckAccept does not ask Room.fits")
	us, _, l := pair(t)
	for name, change := range map[string]func(*chanfactory.OpenRequest){
		"to_self_delay": func(r *chanfactory.OpenRequest) { r.MaxToSelfDelay = 143 },
		"channel_reserve_satoshis": func(r *chanfactory.OpenRequest) {
			r.Room = chanfactory.Room{Forward: 95_000_000}
		},
		"htlc_minimum_msat": func(r *chanfactory.OpenRequest) {
			r.Room = chanfactory.Room{Forward: 47, Parts: 48} // a part of nothing
		},
	} {
		r := jit(l.peer(us), "order")
		change(&r)
		failed := us.fails(r)
		require.Equal(t, chanfactory.PeerTerms, failed.Fault, name)
		require.Contains(t, failed.Reason, name)
		heard[*lnwire.Error](l, us)
	}
	for _, e := range us.events.all() {
		require.False(t, isEvent[chanfactory.Created](e), "nothing was signed")
	}
}

// The capacity that the formula asks for is enough for the order, and less is not.
func TestCapacityFits(t *testing.T) {
	us, _, l := pair(t)
	rate, err := us.CommitFeeRate(true)
	require.NoError(t, err)
	r := jit(l.peer(us), "order")
	r.CommitFeeRate, r.Room = 0, chanfactory.Room{Forward: 400_000_000, Parts: 3}
	r.Capacity = chanfactory.Capacity(r.Room, rate, true, chanfactory.Reserve{}) - 1
	require.Contains(t, us.fails(r).Reason, "leaves too little")
	r.Capacity++
	mustOpen(t, us, r)
	await[chanfactory.Ready](us)
}

func TestRequestsRefusedAtOnce(t *testing.T) {
	us, them, l := pair(t)
	ok := jit(l.peer(us), "order")
	for name, c := range map[string]struct {
		change func(*chanfactory.OpenRequest)
		want   error
	}{
		"no tag":  {func(r *chanfactory.OpenRequest) { r.Tag = "" }, chanfactory.ErrBadRequest},
		"no peer": {func(r *chanfactory.OpenRequest) { r.Peer = nil }, chanfactory.ErrBadRequest},
		"too small": {func(r *chanfactory.OpenRequest) { r.Capacity = 19_999 },
			chanfactory.ErrBadRequest},
		"above ten bitcoin": {func(r *chanfactory.OpenRequest) { r.Capacity = 1_000_000_001 },
			chanfactory.ErrBadRequest},
		"push of all": {func(r *chanfactory.OpenRequest) { r.Push = 100_000_000 },
			chanfactory.ErrBadRequest},
		"withheld but ordinary": {func(r *chanfactory.OpenRequest) {
			r.Withhold, r.ZeroConf = true, false
		}, chanfactory.ErrBadRequest},
	} {
		r := ok
		c.change(&r)
		require.ErrorIs(t, us.Open(t.Context(), r), c.want, name)
	}
	l.cut()
	l = connect(us, them, func(l *line) {
		l.ends[0].bits[1] = without(lnwire.ScidAliasOptional, lnwire.WumboChannelsOptional)
	})
	require.ErrorIs(t, us.Open(t.Context(), jit(l.peer(us), "order")), chanfactory.ErrUnsupported)
	large := chanfactory.OpenRequest{Peer: l.peer(us), Tag: "large", Capacity: 1 << 24}
	require.ErrorIs(t, us.Open(t.Context(), large), chanfactory.ErrBadRequest)
	l.cut()
	l = connect(us, them)
	r := jit(l.peer(us), "late")
	l.cut()
	mustOpen(t, us, r)
	require.Equal(t, chanfactory.PeerGone, await[chanfactory.Failed](us).Fault)
}

func TestNoCoins(t *testing.T) {
	us, them := newParty(t, "us", 0), newParty(t, "them", 0)
	l := connect(us, them)
	failed := us.fails(jit(l.peer(us), "order"))
	require.Equal(t, chanfactory.Ours, failed.Fault)
	for _, s := range l.seen.all() {
		require.NotEqual(t, lnwire.MsgOpenChannel, s.msg.MsgType(), "the peer never heard of it")
	}
}

func TestCancel(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	l := connect(us, them, func(l *line) {
		l.watch = func(_ *party, m lnwire.Message) (lnwire.Message, bool) {
			return m, m.MsgType() != lnwire.MsgAcceptChannel
		}
	})
	mustOpen(t, us, jit(l.peer(us), "order"))
	heard[*lnwire.OpenChannel](l, us)
	us.Cancel("nobody's")
	us.Cancel("order")
	require.Equal(t, chanfactory.Ours, await[chanfactory.Failed](us).Fault)
	require.Equal(t, chanfactory.PeerRefused, await[chanfactory.Failed](them).Fault)
	require.Zero(t, us.leased())
}

// A signature that is wrong, on either side.
func TestWrongSignature(t *testing.T) {
	us, them := newParty(t, "us", 1), newParty(t, "them", 0)
	spoil := func(s lnwire.Sig) lnwire.Sig {
		raw := s.RawBytes()
		raw[40] ^= 1
		bad, err := lnwire.NewSigFromWireECDSA(raw)
		require.NoError(t, err)
		return bad
	}
	for _, from := range []*party{us, them} {
		l := connect(us, them, func(l *line) {
			l.watch = func(p *party, m lnwire.Message) (lnwire.Message, bool) {
				switch m := m.(type) {
				case *lnwire.FundingCreated:
					if from == us {
						m.CommitSig = spoil(m.CommitSig)
					}
				case *lnwire.FundingSigned:
					m.CommitSig = spoil(m.CommitSig)
				}
				return m, true
			}
		})
		failed := us.fails(jit(l.peer(us), "order"))
		if from == us {
			require.Equal(t, chanfactory.PeerRefused, failed.Fault)
			require.Equal(t, chanfactory.PeerTerms, await[chanfactory.Failed](them).Fault)
		} else {
			require.Equal(t, chanfactory.PeerTerms, failed.Fault)
			await[chanfactory.Dropped](them)
		}
		l.cut()
	}
}

// noTip fails where lnwallet asks for the tip: after it has forgotten the reservation, before it
// writes the channel.
type noTip struct{ lnwallet.BlockChainIO }

func (noTip) GetBestBlock() (*chainhash.Hash, int32, error) {
	return nil, 0, errors.New("the backend is away")
}

// lnwallet leaves the coins leased when it fails between the signature and the store.
func TestStoringFails(t *testing.T) {
	us, them, l := pair(t)
	ln := us.wallet.Lightning()
	working := ln.Cfg.ChainIO
	ln.Cfg.ChainIO = noTip{working}
	failed := us.fails(jit(l.peer(us), "order"))
	require.Equal(t, chanfactory.Ours, failed.Fault)
	require.Contains(t, failed.Reason, "the backend is away")
	require.Equal(t, "the channel can't be opened now", string(heard[*lnwire.Error](l, us).Data),
		"our insides are nobody's business")
	await[chanfactory.Dropped](them)

	ln.Cfg.ChainIO = working
	mustOpen(t, us, jit(l.peer(us), "order"))
	await[chanfactory.Ready](us)
}

// A court that can't watch stops the broadcast; the next start makes it good.
func TestCourtFails(t *testing.T) {
	us, them, l := pair(t)
	us.court.err = errors.New("disk full")
	mustOpen(t, us, jit(l.peer(us), "order"))
	point := await[chanfactory.Signed](us).Point
	await[chanfactory.Signed](them)
	mine(t, 1)
	us.barrierOpen(point)
	require.True(t, unknown(t, point), "nothing is funded that nobody watches")
	require.Equal(t, chanfactory.Released, us.state("order"))
	l.cut()
	us.restart()
	inMempool(t, point)
	connect(us, them)
	require.Equal(t, point, await[chanfactory.Ready](us).Point)
	mine(t, 2)
	await[chanfactory.Confirmed](us)
}

// barrierOpen returns when the worker of a pending channel has done all that came before.
func (p *party) barrierOpen(point wire.OutPoint) {
	p.t.Helper()
	_, err := p.Close(p.t.Context(), chanfactory.CloseRequest{Point: point})
	require.ErrorIs(p.t, err, chanfactory.ErrPendingOpen)
}
