package world

import (
	"errors"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
	"github.com/inletlsp/inlet/lsp/jit"
)

// channel is a stored channel that is not closed, or nil.
func (w *world) channel(p wire.OutPoint) *stored {
	if ch := w.disk.channels[p]; ch != nil && !ch.closed {
		return ch
	}
	return nil
}

// carryOn takes over a channel that an opening has stored.
func (k *worker) carryOn(o *opening) {
	renew := k.w.now.Add(funding.RenewEvery)
	var tx funding.TxState = funding.Leaving{RenewAt: renew}
	if o.withhold {
		tx = funding.Withheld{RenewAt: renew}
	}
	ch := &channel{tag: o.tag, coin: o.coin}
	o.coin = -1
	k.channels[o.point] = ch
	machine, out := funding.Begin(funding.Facts{Point: o.point, Opener: true, ZeroConf: true}, tx)
	k.follow(o.point, machine, out)
}

func (k *worker) step(p wire.OutPoint, ev funding.ChannelEvent) {
	// An event that comes too late is an error for the caller of Release and Drop only.
	_ = k.tryStep(p, ev)
}

func (k *worker) tryStep(p wire.OutPoint, ev funding.ChannelEvent) error {
	ch := k.channels[p]
	if ch == nil {
		return errors.New("no channel is on its way")
	}
	next, out, err := ch.machine.Step(k.w.now, ev)
	if err != nil {
		return err
	}
	if len(out) > 0 || next != ch.machine {
		k.w.say("%s channel %d: %s -> %s %s%s", ch.tag, nr(p), bare(ev), bare(next.Tx),
			bare(next.Use), sayFundingCommands(out))
	}
	k.follow(p, next, out)
	return nil
}

func (k *worker) follow(p wire.OutPoint, next funding.Channel, out []funding.Command) {
	ch := k.channels[p]
	ch.machine = next
	for _, c := range out {
		if ev := k.channelCommand(p, ch, c); ev != nil {
			k.step(p, ev)
			break
		}
	}
	if ch.machine.Done() {
		delete(k.channels, p)
	}
}

func (k *worker) channelCommand(p wire.OutPoint, ch *channel, c funding.Command) funding.ChannelEvent {
	w, s := k.w, k.w.disk.channels[p]
	switch c := c.(type) {
	case funding.Watch:
		w.durable("watch", func() { s.watched = true })
	case funding.MarkOpen:
		w.durable("channel marked open", func() { s.open = true })
		return funding.Opened{}
	case funding.MarkReal:
		w.durable("confirmed scid", func() { s.real = true })
	case funding.SendReady:
		w.must(s.open, "channel_ready before the channel is marked open", nr(p))
		if w.lsp.swtch.links[p] == nil {
			k.send(lnwire.NewChannelReady(lnwire.NewChanIDFromOutPoint(p), ourKeys.FirstPoint))
		}
	case funding.Link:
		return k.link(p)
	case funding.Publish:
		k.publish(p, ch)
	case funding.RenewCoins:
		w.durable("lease renewed", func() { w.disk.leases[ch.coin] = w.now.Add(leaseFor) })
	case funding.KeepReleased:
		return k.keep(ch.tag, released, funding.ReleaseKept{})
	case funding.KeepDropped:
		return k.keep(ch.tag, dropped, funding.DropKept(c))
	case funding.KeepConfirmed:
		k.keep(ch.tag, confirmed, nil)
	case funding.WeighLoss:
		if len(s.out) == 0 {
			return funding.Worthless(c)
		}
	case funding.CloseUnfunded:
		w.checkUnfunded(p)
		delete(w.lsp.swtch.links, p)
		w.durable("channel cancelled", func() { s.closed = true })
	case funding.FreeCoins:
		w.checkFree(p, ch.coin)
		w.durable("coins freed", func() { delete(w.disk.leases, ch.coin) })
	case funding.Send:
		k.send(c.Msg)
	case funding.Tell:
		if _, ok := c.What.(funding.ToldDropped); ok {
			w.lsp.desk.post(input{point: &p, event: jit.ChannelGone{Point: p, Unfunded: true}})
		}
	}
	return nil
}

// keep journals a change of state that the record may make.
func (k *worker) keep(tag string, to recordState, done funding.ChannelEvent) funding.ChannelEvent {
	r := k.w.disk.journal[tag]
	follows := map[recordState][]recordState{
		released: {intended}, dropped: {intended}, confirmed: {intended, released},
	}
	switch {
	case r == nil:
		return nil
	case r.state == to:
		return done
	case !slices.Contains(follows[to], r.state), to == dropped && !r.withhold:
		return nil
	}
	k.w.durable("journal: "+string(to), func() {
		next := *r
		next.state = to
		k.w.disk.journal[tag] = &next
	})
	return done
}

// link hands the channel over to the links.
func (k *worker) link(p wire.OutPoint) funding.ChannelEvent {
	if k.conn == 0 || k.c.conn != k.conn || k.w.channel(p) == nil || k.w.lsp.retired[p] {
		return funding.LinkFailed{}
	}
	k.w.durable("their channel_ready", func() { k.w.disk.channels[p].ready = true })
	k.w.linkReady(p, k.conn)
	return funding.Linked{}
}

// publish broadcasts off the worker's goroutine.
func (k *worker) publish(p wire.OutPoint, ch *channel) {
	if ch.publishing {
		return
	}
	ch.publishing = true
	k.w.lsp.publish = append(k.w.lsp.publish, publication{k, p})
}

func (w *world) stepPublisher() bool {
	if w.lsp == nil || len(w.lsp.publish) == 0 {
		return false
	}
	one := w.lsp.publish[0]
	w.lsp.publish = w.lsp.publish[1:]
	w.point("before the broadcast")
	w.checkPublish(one.point)
	ok := w.chain.publish(w, one.point)
	w.point("after the broadcast")
	one.k.post(func() {
		ch := one.k.channels[one.point]
		if ch == nil {
			return
		}
		ch.publishing = false
		for _, done := range ch.asked {
			done(nil)
		}
		ch.asked = nil
		if ok {
			one.k.step(one.point, funding.Published{})
		}
	})
	return true
}

// decide has a funding's worker release or drop it.
func (w *world) decide(b *bought, p wire.OutPoint, ev funding.ChannelEvent, done func(error)) {
	r := w.disk.journal[b.id]
	if r == nil || r.point != p {
		done(errors.New("no such funding"))
		return
	}
	k := w.worker(r.client)
	k.post(func() {
		ch := k.channels[p]
		_, drop := ev.(funding.Drop)
		now := w.disk.journal[b.id]
		switch {
		case ch == nil && drop && now != nil && now.state == dropped:
			done(nil)
		case ch == nil && drop:
			done(errors.New("the transaction is not withheld"))
		case ch == nil && now != nil && now.mayBeOut():
			done(nil)
		case ch == nil:
			done(errors.New("no such funding"))
		default:
			k.decided(p, ev, done)
		}
	})
}

func (k *worker) decided(p wire.OutPoint, ev funding.ChannelEvent, done func(error)) {
	ch := k.channels[p]
	if err := k.tryStep(p, ev); err != nil {
		done(err)
		return
	}
	if _, still := ch.machine.Tx.(funding.Withheld); still {
		done(errors.New("it could not be written"))
		return
	}
	if ch.publishing {
		ch.asked = append(ch.asked, done)
		return
	}
	done(nil)
}

// settle is Factory.settle: every record against the store of channels.
func (w *world) settle() {
	held := map[int]bool{}
	for _, tag := range sortedKeys(w.disk.journal) {
		r := w.disk.journal[tag]
		if w.channel(r.point) == nil {
			if r.state == intended {
				w.durable("intent forgotten", func() { delete(w.disk.journal, tag) })
				p := r.point
				w.lsp.desk.post(input{point: &p, event: jit.ChannelGone{Point: p}})
			}
			continue
		}
		if r.state != dropped && r.state != confirmed {
			held[r.coin] = true
		}
	}
	for _, coin := range sortedKeys(w.disk.leases) {
		if !held[coin] {
			w.durable("stale lease", func() { delete(w.disk.leases, coin) })
		}
	}
	for _, p := range sortedPoints(w.disk.channels) {
		if ch := w.channel(p); ch != nil {
			ch.watched = true // the court loads every channel
			w.resumeChannel(ch)
		}
	}
	// Run waits for that before the orders are told.
	for w.stepWorkers() {
		continue
	}
}

// resumeChannel takes a stored channel up where it was.
func (w *world) resumeChannel(s *stored) {
	k, r := w.worker(s.client), w.disk.journal[s.tag]
	if r != nil && r.point != s.point {
		r = nil
	}
	k.post(func() {
		facts := funding.Facts{Point: s.point, Opener: true, ZeroConf: true}
		renew := w.now.Add(funding.RenewEvery)
		var use funding.UseState = funding.Usable{}
		switch {
		case !s.open:
			use = funding.AwaitOpen{}
		case !s.ready:
			use = funding.AwaitChannelReady{}
		}
		var tx funding.TxState = funding.Leaving{RenewAt: renew}
		switch {
		case s.real:
			tx = funding.Deep{}
		case r != nil && !r.mayBeOut():
			tx = funding.Withheld{RenewAt: renew}
		}
		w.must(r != nil, "a channel has no record", nr(s.point))
		ch := &channel{tag: s.tag, coin: r.coin}
		if r.state == dropped {
			ch.machine = funding.Channel{Facts: facts, Tx: tx, Use: use}
			k.channels[s.point] = ch
			k.step(s.point, funding.DropKept{Reason: "the funding was dropped"})
			return
		}
		if (funding.Channel{Tx: tx, Use: use}).Done() {
			return
		}
		k.channels[s.point] = ch
		machine, out := funding.Resume(facts, tx, use)
		k.follow(s.point, machine, out)
	})
}

// chain is the backend with its mempool, and our coins.
type chain struct {
	up        bool // broadcasts are taken
	mining    bool // fundings are mined
	mempool   map[wire.OutPoint]int
	confirmed map[wire.OutPoint]uint32
	coins     map[int]bool // ours, not spent in a block
	last      int
}

func newChain() chain {
	return chain{
		up: true, mining: true, mempool: map[wire.OutPoint]int{},
		confirmed: map[wire.OutPoint]uint32{}, coins: map[int]bool{1: true, 2: true, 3: true},
		last: 3,
	}
}

func (c *chain) publish(w *world, p wire.OutPoint) bool {
	if !c.up {
		w.say("the backend does not take funding %d", nr(p))
		return false
	}
	if _, known := c.mempool[p]; known || c.confirmed[p] != 0 {
		return true
	}
	w.say("funding %d is in the mempool", nr(p))
	c.mempool[p] = w.coinOf(p)
	w.count["broadcast"]++
	return true
}

// mine takes everything from the mempool, and gives a new coin for each spent one.
func (c *chain) mine(w *world) {
	if c.mining {
		for _, p := range sortedPoints(c.mempool) {
			w.say("funding %d is mined", nr(p))
			c.confirmed[p] = w.height
			delete(c.coins, c.mempool[p])
			c.addCoin()
		}
		clear(c.mempool)
	}
	if w.lsp == nil {
		return
	}
	for _, k := range w.lsp.workers {
		if k == nil {
			continue
		}
		for _, p := range sortedPoints(k.channels) {
			w.tellDepth(k, p)
		}
	}
}

func (w *world) tellDepth(k *worker, p wire.OutPoint) {
	if at := w.chain.confirmed[p]; at != 0 && w.height+1 >= at+deep {
		k.post(func() {
			if k.channels[p] != nil {
				k.step(p, funding.Confirmed{Scid: lnwire.ShortChannelID{BlockHeight: at}})
			}
		})
	}
}

func (c *chain) addCoin() {
	c.last++
	c.coins[c.last] = true
}

// out says that the transaction can be seen, or could be.
func (c *chain) out(p wire.OutPoint) bool {
	_, waits := c.mempool[p]
	return waits || c.confirmed[p] != 0
}

// freeCoin is one that the wallet would take; -1: none.
func (w *world) freeCoin() int {
	spent := slices.Collect(maps.Values(w.chain.mempool))
	for _, coin := range sortedKeys(w.chain.coins) {
		until, leased := w.disk.leases[coin]
		if (!leased || !w.now.Before(until)) && !slices.Contains(spent, coin) {
			return coin
		}
	}
	return -1
}

func (w *world) coinOf(p wire.OutPoint) int {
	for _, r := range w.disk.journal {
		if r.point == p {
			return r.coin
		}
	}
	return -1
}
