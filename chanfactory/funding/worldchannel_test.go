package funding

import (
	"maps"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

func (w *world) carryOn(p wire.OutPoint) {
	ch := w.channels[p]
	var tx TxState = Theirs{}
	if ch.ours {
		tx = Leaving{w.now.Add(RenewEvery)}
		if w.records[ch.tag].hold {
			tx = Withheld{w.now.Add(RenewEvery)}
		}
	}
	c, out := Begin(w.facts(p), tx)
	w.follow(p, c, out)
}

func (w *world) facts(p wire.OutPoint) Facts {
	ch := w.channels[p]
	f := Facts{Point: p, Opener: ch.ours, ZeroConf: ch.zeroConf}
	if !ch.ours && !ch.zeroConf {
		f.GiveUpAt = 2516
	}
	return f
}

// follow runs a channel's commands and its answers.
func (w *world) follow(p wire.OutPoint, next Channel, out []Command) {
	w.machines[p] = &next
	for _, c := range out {
		w.maybeCrash()
		ev := w.channelCommand(p, c)
		if ev != nil {
			w.stepChannel(p, ev)
			break
		}
	}
	if m := w.machines[p]; m != nil && m.Done() {
		delete(w.machines, p)
	}
}

func (w *world) stepChannel(p wire.OutPoint, ev ChannelEvent) {
	m := w.machines[p]
	if m == nil {
		return
	}
	next, out, err := m.Step(w.now, ev)
	w.note("%v %s+%s -> %s %s: %s", p.Hash[:1], short{m.Tx}, short{ev}, short{next.Tx},
		short{next.Use}, short{out})
	if err != nil {
		return
	}
	w.follow(p, next, out)
}

func (w *world) channelCommand(p wire.OutPoint, c Command) ChannelEvent {
	ch := w.channels[p]
	switch c := c.(type) {
	case Watch:
		if w.fails() {
			return StoreFailed{"injected"}
		}
		w.watched[p] = true
	case MarkOpen:
		if w.fails() {
			return StoreFailed{"injected"}
		}
		ch.open = true
		return Opened{}
	case SendReady:
		if !ch.open {
			w.never("channel_ready before the channel was open")
		}
	case Link:
		if !ch.open || c.Msg == nil {
			w.never("a link before both channel_ready")
		}
		if w.fails() || !w.online {
			return LinkFailed{}
		}
		ch.ready = true
		return Linked{}
	case Publish:
		w.publish(p, ch)
	case KeepReleased:
		if w.fails() {
			return nil
		}
		w.records[ch.tag].state = "released"
		return ReleaseKept{}
	case KeepDropped:
		if w.fails() {
			return nil
		}
		if r := w.records[ch.tag]; r.state != "intended" || !r.hold {
			w.never("dropped a funding that may be out: %+v", *r)
		}
		w.records[ch.tag].state = "dropped"
		return DropKept(c)
	case KeepConfirmed:
		w.records[ch.tag].state = "confirmed"
		ch.deep = true
	case LookForFunding:
		if !w.out[p] {
			return Worthless(c)
		}
	case WeighLoss:
		if !ch.used {
			return Worthless(c)
		}
	case CloseUnfunded:
		if w.out[p] {
			w.never("cancelled a channel whose funding is out")
		}
		ch.cancelled = true
	case FreeCoins:
		if !ch.cancelled {
			w.never("freed the coins of a channel that lives")
		}
		delete(w.leased, w.records[ch.tag].coin)
	}
	return nil
}

// publish is where money is lost.
func (w *world) publish(p wire.OutPoint, ch *stored) {
	r := w.records[ch.tag]
	switch {
	case ch.cancelled || r == nil || r.point != p || r.state == "dropped":
		w.never("broadcast a funding that was given up")
	case r.hold && r.state == "intended":
		w.never("broadcast a withheld funding")
	case !w.watched[p]:
		w.never("broadcast the funding of a channel that nobody watches")
	case !w.leased[r.coin]:
		w.never("broadcast a funding whose coin is free")
	}
	w.out[p] = true
}

// restart loses the memory and settles the disk, as the shell does.
func (w *world) restart() {
	w.note("restart")
	if w.res != nil {
		w.ended[w.res.id] = "lost"
	}
	w.opening, w.res, w.online = nil, nil, false
	w.machines = map[wire.OutPoint]*Channel{}
	held := map[int]bool{}
	for tag, r := range w.records {
		ch := w.channels[r.point]
		if ch == nil && r.state == "intended" {
			delete(w.records, tag)
		}
		if ch != nil && r.state != "dropped" {
			held[r.coin] = true
		}
	}
	for coin := range w.leased {
		if !held[coin] {
			delete(w.leased, coin)
		}
	}
	for _, p := range w.known() {
		if ch := w.channels[p]; !ch.cancelled {
			w.watched[p] = true // the court loads every channel
			w.resume(p, ch)
		}
	}
}

// known lists the channels in a fixed order, so that a seed tells the whole history.
func (w *world) known() []wire.OutPoint {
	return slices.SortedFunc(maps.Keys(w.channels), func(a, b wire.OutPoint) int {
		return int(a.Hash[0]) - int(b.Hash[0])
	})
}

func (w *world) resume(p wire.OutPoint, ch *stored) {
	renew := w.now.Add(RenewEvery)
	var tx TxState = Theirs{}
	if ch.ours {
		r := w.records[ch.tag]
		switch {
		case r.state == "dropped":
			m := Channel{Facts: w.facts(p), Tx: Withheld{renew}, Use: AwaitChannelReady{}}
			w.machines[p] = &m
			w.stepChannel(p, DropKept{"again"})
			return
		case r.state == "confirmed":
			tx = Deep{lnwire.NewShortChanIDFromInt(9)}
		case r.hold && r.state == "intended":
			tx = Withheld{renew}
		default:
			tx = Leaving{renew}
		}
	}
	var use UseState = Usable{}
	switch {
	case !ch.open && ch.zeroConf:
		use = AwaitOpen{}
	case !ch.open:
		use = AwaitDepth{}
		if _, deep := tx.(Deep); deep {
			tx = Leaving{renew}
		}
	case !ch.ready:
		use = AwaitChannelReady{}
	}
	c, out := Resume(w.facts(p), tx, use)
	w.follow(p, c, out)
}
