package chanfactory_test

import (
	"errors"
	"sync"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
)

// fakeCourt notes what it is to watch.
type fakeCourt struct {
	mu      sync.Mutex
	watched map[wire.OutPoint]bool
	err     error
}

func (c *fakeCourt) WatchNewChannel(ch *channeldb.OpenChannel) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched[ch.FundingOutpoint] = true
	return c.err
}

func (c *fakeCourt) Forget(point wire.OutPoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watched, point)
	return nil
}

func (c *fakeCourt) watches(point wire.OutPoint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watched[point]
}

var errNoLink = errors.New("no link now")

// fakeLinks has a real LightningChannel for each channel, and a link that runs hooks but no HTLC.
type fakeLinks struct {
	signer input.Signer

	mu        sync.Mutex
	links     map[lnwire.ChannelID]*fakeLink
	refreshed *record[lnwire.ChannelID]
	refuse    bool // Ready fails
	wg        sync.WaitGroup
}

func newFakeLinks(signer input.Signer) *fakeLinks {
	return &fakeLinks{
		signer: signer, links: map[lnwire.ChannelID]*fakeLink{},
		refreshed: newRecord[lnwire.ChannelID](),
	}
}

func (l *fakeLinks) Ready(p chanfactory.Peer, ch *channeldb.OpenChannel,
	m *lnwire.ChannelReady) error {

	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-p.QuitSignal(): // clear may have been here
		return errNoLink
	default:
	}
	if l.refuse {
		return errNoLink
	}
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	if one, ok := l.links[id]; ok {
		return one.lc.InitNextRevocation(m.NextPerCommitmentPoint)
	}
	if err := ch.InsertNextRevocation(m.NextPerCommitmentPoint); err != nil {
		return err
	}
	return l.add(ch)
}

// add makes a link. The caller holds l.mu.
func (l *fakeLinks) add(ch *channeldb.OpenChannel) error {
	lc, err := lnwallet.NewLightningChannel(l.signer, ch, nil)
	if err != nil {
		return err
	}
	one := &fakeLink{
		id: lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint), lc: lc,
		hooks: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	l.links[one.id] = one
	l.wg.Go(one.routineHooks)
	return nil
}

func (l *fakeLinks) Find(id lnwire.ChannelID) (htlcswitch.ChannelUpdateHandler,
	*lnwallet.LightningChannel, bool) {

	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.links[id]
	if !ok {
		return nil, nil, false
	}
	return one, one.lc, true
}

func (l *fakeLinks) Refresh(id lnwire.ChannelID) { l.refreshed.add(id) }

func (l *fakeLinks) Remove(id lnwire.ChannelID) {
	l.mu.Lock()
	one, ok := l.links[id]
	delete(l.links, id)
	l.mu.Unlock()
	if ok {
		close(one.quit)
		<-one.ended
	}
}

// load makes the links of a peer's open channels, as the node does on a new connection, and
// returns the messages that go first.
func (l *fakeLinks) load(chans []*channeldb.OpenChannel) ([]lnwire.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first []lnwire.Message
	for _, ch := range chans {
		if ch.IsPending || !ch.HasChanStatus(channeldb.ChanStatusDefault) {
			m, err := ch.ChanSyncMsg()
			if err != nil {
				return nil, err
			}
			first = append(first, m)
			continue
		}
		if err := l.add(ch); err != nil {
			return nil, err
		}
		one := l.links[lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)]
		ms, err := one.resume(ch)
		if err != nil {
			return nil, err
		}
		first = append(first, ms...)
	}
	return first, nil
}

func (l *fakeLinks) clear() {
	l.mu.Lock()
	var ids []lnwire.ChannelID
	for id := range l.links {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	for _, id := range ids {
		l.Remove(id)
	}
}

func (l *fakeLinks) stop() {
	l.clear()
	l.wg.Wait()
}

// fakeLink runs hooks in its goroutine at once: there is never an HTLC.
type fakeLink struct {
	id    lnwire.ChannelID
	lc    *lnwallet.LightningChannel
	hooks chan func()
	quit  chan struct{}
	ended chan struct{}

	mu   sync.Mutex
	held []func() // hooks that wait, while holding is set
	hold bool
}

func (f *fakeLink) routineHooks() {
	defer close(f.ended)
	for {
		select {
		case hook := <-f.hooks:
			f.mu.Lock()
			hold := f.hold
			if hold {
				f.held = append(f.held, hook)
			}
			f.mu.Unlock()
			if !hold {
				hook()
			}
		case <-f.quit:
			return
		}
	}
}

// resume is what lnd's link sends first on a new connection.
func (f *fakeLink) resume(ch *channeldb.OpenChannel) ([]lnwire.Message, error) {
	sync, err := ch.ChanSyncMsg()
	if err != nil {
		return nil, err
	}
	out := []lnwire.Message{sync}
	if sync.NextLocalCommitHeight == 1 {
		point, err := ch.SecondCommitmentPoint()
		if err != nil {
			return nil, err
		}
		ready := lnwire.NewChannelReady(f.id, point)
		scid := ch.ShortChannelID
		ready.AliasScid = &scid
		out = append(out, ready)
	}
	info, err := ch.ShutdownInfo()
	if err != nil {
		return out, nil //nolint:nilerr // no shutdown was sent
	}
	info.WhenSome(func(i channeldb.ShutdownInfo) {
		out = append(out, lnwire.NewShutdown(f.id, i.DeliveryScript.Val))
	})
	return out, nil
}

func (f *fakeLink) run(hook func()) {
	select {
	case f.hooks <- hook:
	case <-f.quit:
	}
}

func (f *fakeLink) OnFlushedOnce(hook func()) { f.run(hook) }

func (f *fakeLink) OnCommitOnce(_ htlcswitch.LinkDirection, hook func()) { f.run(hook) }

func (f *fakeLink) HandleChannelUpdate(lnwire.Message)           {}
func (f *fakeLink) ChanID() lnwire.ChannelID                     { return f.id }
func (f *fakeLink) Bandwidth() lnwire.MilliSatoshi               { return f.lc.AvailableBalance() }
func (f *fakeLink) EligibleToForward() bool                      { return true }
func (f *fakeLink) MayAddOutgoingHtlc(lnwire.MilliSatoshi) error { return nil }
func (f *fakeLink) EnableAdds(htlcswitch.LinkDirection) bool     { return true }
func (f *fakeLink) DisableAdds(htlcswitch.LinkDirection) bool    { return true }
func (f *fakeLink) IsFlushing(htlcswitch.LinkDirection) bool     { return false }

func (f *fakeLink) InitStfu() <-chan fn.Result[lntypes.ChannelParty] { return nil }
