package chanfactory

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// maxTag limits the bytes of a tag.
const maxTag = 64

// opening is one funding machine with what its commands have made so far. It belongs to its
// worker's goroutine.
type opening struct {
	w       *worker
	machine funding.Opening
	peer    Peer
	ask     OpenRequest // with an empty tag in the openings of peers

	res    reservation            // nil before it is made, and after it was completed
	alias  lnwire.ShortChannelID  // zero-conf: registered already
	tx     *wire.MsgTx            // opener: the signed funding transaction
	stored *channeldb.OpenChannel // once it is stored
}

// ours says that we are the opener.
func (o *opening) ours() bool { return o.ask.Tag != "" }

func (o *opening) log() *slog.Logger {
	if o.ours() {
		return o.w.log.With("order", o.ask.Tag)
	}
	return o.w.log
}

func (o *opening) subject() Subject {
	return Subject{Tag: o.ask.Tag, Peer: o.w.key, PendingID: o.machine.Params.PendingID}
}

// Open starts an opening and returns when it is queued. Errors: ErrTagUsed, ErrBusy,
// ErrUnsupported, ErrBadRequest, ErrStopped. After nil the outcome comes as events.
func (f *Factory) Open(_ context.Context, r OpenRequest) error {
	p, err := f.params(&r)
	if err != nil {
		return err
	}
	key := r.Peer.PubKey()
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.workerFor(key)
	switch {
	case w == nil:
		return ErrStopped
	case len(f.opens) >= f.policy.MaxOpens:
		return ErrBusy
	}
	_, live := f.opens[r.Tag]
	if old := f.journal.find(r.Tag); live || old != nil && old.state != recordDropped {
		return fmt.Errorf("chanfactory: open channel for %q: %w", r.Tag, ErrTagUsed)
	}
	f.opens[r.Tag] = key
	w.add(func(w *worker) { w.open(r, p) })
	return nil
}

// params checks a request and draws the pending id.
func (f *Factory) params(r *OpenRequest) (funding.Params, error) {
	bad := func(format string, args ...any) (funding.Params, error) {
		return funding.Params{}, fmt.Errorf("chanfactory: open channel: %w: %s",
			ErrBadRequest, fmt.Sprintf(format, args...))
	}
	switch {
	case r.Peer == nil:
		return bad("no peer")
	case r.Tag == "" || len(r.Tag) > maxTag:
		return bad("the tag must have 1 to %d bytes", maxTag)
	case r.Withhold && !r.ZeroConf:
		return bad("only a zero-conf channel's funding can be withheld")
	}
	local, remote := r.Peer.LocalFeatures(), r.Peer.RemoteFeatures()
	ask := funding.Ask{
		Private: r.Private, ZeroConf: r.ZeroConf, WithoutAnchors: r.WithoutAnchors,
	}
	chanType, err := funding.Choose(ask, local, remote)
	if err != nil {
		return funding.Params{}, fmt.Errorf("chanfactory: open channel: %w: %w", ErrUnsupported, err)
	}
	if err := f.fillRates(r, chanType); err != nil {
		return funding.Params{}, err
	}
	p := funding.Params{
		Chain: *f.cfg.Params.GenesisHash, Type: chanType, Capacity: r.Capacity, Push: r.Push,
		CommitFeeRate: funding.Clamp(r.CommitFeeRate), ZeroConf: r.ZeroConf, Private: r.Private,
		MaxToSelfDelay: r.MaxToSelfDelay, Demands: f.policy.demands(r.Capacity), Room: r.Room,
	}
	setDefault(&p.MaxToSelfDelay, f.policy.MaxToSelfDelay)
	if err := funding.CheckRequest(p, f.policy.limits(), local, remote); err != nil {
		return bad("%v", err)
	}
	// rand.Read never fails; an id that repeats would mix two openings up.
	_, _ = rand.Read(p.PendingID[:])
	timeout := f.policy.OpenTimeout
	if r.ZeroConf {
		timeout = f.policy.ZeroConfTimeout
	}
	if r.Timeout != 0 {
		timeout = r.Timeout
	}
	p.Deadline = f.clock.Now().Add(timeout)
	return p, nil
}

// fillRates estimates the feerates that the request leaves open.
func (f *Factory) fillRates(r *OpenRequest, t ChanType) error {
	if r.CommitFeeRate == 0 {
		rate, err := f.CommitFeeRate(t.Anchors)
		if err != nil {
			return err
		}
		r.CommitFeeRate = rate
	}
	if r.FeeRate == 0 {
		rate, err := f.cfg.Fees.EstimateFeePerKW(f.policy.CommitConfTarget)
		if err != nil {
			return fmt.Errorf("chanfactory: estimate the funding's feerate: %w", err)
		}
		r.FeeRate = rate
	}
	r.FeeRate = funding.Clamp(r.FeeRate)
	switch r.MinConfs {
	case 0:
		r.MinConfs = 1
	case -1:
		r.MinConfs = 0
	}
	return nil
}

// open begins an opening of ours.
func (w *worker) open(r OpenRequest, p funding.Params) {
	o := &opening{w: w, peer: r.Peer, ask: r, machine: funding.Opening{Params: p}}
	if w.conn == nil || w.conn.ID() != r.Peer.ID() {
		w.release(r.Tag)
		w.emit(Failed{Subject: o.subject(), Fault: PeerGone, Reason: "the connection ended"})
		return
	}
	machine, out := funding.NewOpener(p)
	w.begin(o, machine, out)
}

// cancel ends a tag's opening, if the peer has not signed.
func (w *worker) cancel(tag string) {
	for _, o := range w.openings {
		if o.ask.Tag == tag {
			w.drive(o, funding.Cancelled{Reason: "the opening was cancelled"})
		}
	}
}

// release makes a tag free for another opening.
func (w *worker) release(tag string) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	delete(w.f.opens, tag)
}

// begin takes up a new machine.
func (w *worker) begin(o *opening, machine funding.Opening, out []funding.Command) {
	o.machine = machine
	w.openings[machine.Params.PendingID] = o
	o.log().Info("channel opening", "machine", "funding", "to", machine.String(),
		"type", machine.Params.Type.String(), "capacity_sat", int64(machine.Params.Capacity))
	if ev := w.do(o, out); ev != nil {
		w.drive(o, ev)
	}
	w.end(o)
}

// drive moves a machine on until it awaits the peer or time.
func (w *worker) drive(o *opening, ev funding.Event) {
	for ev != nil {
		next, out, err := o.machine.Step(w.f.clock.Now(), ev)
		if err != nil {
			o.log().Error("funding machine", "err", err)
			return
		}
		o.log().Debug("step", "machine", "funding", "from", o.machine.String(),
			"event", fmt.Sprintf("%T", ev), "to", next.String(), "commands", len(out))
		o.machine = next
		ev = w.do(o, out)
	}
	w.end(o)
}

// end forgets an opening that has ended.
func (w *worker) end(o *opening) {
	if o.machine.Ended() {
		delete(w.openings, o.machine.Params.PendingID)
	}
}

// do runs commands in order and returns the answer that one of them gave. A failure ends the
// list: what follows relies on what failed.
func (w *worker) do(o *opening, out []funding.Command) funding.Event {
	var answer funding.Event
	for _, c := range out {
		ev := w.run(o, c)
		if _, failed := ev.(funding.CommandFailed); failed {
			return ev
		}
		if ev != nil {
			answer = ev
		}
	}
	return answer
}

// run does one command.
func (w *worker) run(o *opening, c funding.Command) funding.Event {
	switch c := c.(type) {
	case funding.Judge:
		return o.judge()
	case funding.Reserve:
		return o.reserve()
	case funding.TakeAlias:
		return o.takeAlias()
	case funding.Sign:
		return o.sign(c)
	case funding.TakeTerms:
		return o.takeTerms(c)
	case funding.StoreIntent:
		return o.storeIntent(c.Point)
	case funding.StoreChannel:
		return o.storeChannel(c)
	case funding.Send:
		w.send(c.Msg)
	case funding.CancelReservation:
		o.cancelReservation()
	case funding.DropIntent:
		o.dropIntent(c.Point)
	case funding.Tell:
		o.tell(c.What)
	case funding.CarryOn:
		w.carryOn(o)
	}
	return nil
}

// judge asks whether we want the channel.
func (o *opening) judge() funding.Event {
	p, f := o.machine.Params, o.w.f
	terms, err := f.cfg.Accept.Judge(Proposal{
		Peer: o.peer, PendingID: p.PendingID, Capacity: p.Capacity, Push: p.Push,
		Private: p.Private, Type: p.Type,
	})
	if err != nil {
		return funding.Refused{Reason: err.Error()}
	}
	both := funding.Both(o.peer.LocalFeatures(), o.peer.RemoteFeatures(), lnwire.ScidAliasOptional)
	if terms.ZeroConf && !both {
		return funding.Refused{Reason: "a zero-conf channel needs option_scid_alias"}
	}
	setDefault(&terms.MinDepth, f.policy.MinDepth)
	demands := f.policy.demands(p.Capacity)
	if terms.MaxToSelfDelay != 0 {
		demands.ToSelfDelay = min(demands.ToSelfDelay, terms.MaxToSelfDelay)
	}
	return funding.Judged{
		ZeroConf: terms.ZeroConf, Depth: min(terms.MinDepth, funding.MaxDepth), Demands: demands,
	}
}

// storeIntent writes what we are about to fund, before the peer can learn of it.
func (o *opening) storeIntent(point wire.OutPoint) funding.Event {
	err := o.w.f.journal.intend(&record{
		tag: o.ask.Tag, peer: o.w.key, point: point, tx: o.tx,
		withhold: o.ask.Withhold, state: recordIntended,
	})
	if err != nil {
		return ourFailure(err)
	}
	return funding.IntentStored{}
}

func (o *opening) dropIntent(point wire.OutPoint) {
	if !o.ours() {
		return
	}
	if err := o.w.f.journal.forget(o.ask.Tag, point); err != nil {
		// The next start finds no channel for it and forgets it then.
		o.log().Error("cannot remove the intent", "err", err)
	}
}

// tell reports to our caller.
func (o *opening) tell(what funding.Report) {
	s := o.subject()
	switch what := what.(type) {
	case funding.ToldSent:
		o.w.emit(Sent{Subject: s, PeerID: o.peer.ID()})
	case funding.ToldAccepted:
		o.w.emit(Accepted{Subject: s})
	case funding.ToldCreated:
		o.w.emit(Created{Subject: s, Point: what.Point})
	case funding.ToldSigned:
		if o.ours() {
			o.w.f.journal.markStored(what.Point)
		}
		o.w.emit(Signed{Subject: s, Point: what.Point})
		if o.ours() {
			// The journal holds the tag. After the event, so that at no moment the channel counts
			// neither as one that is opened nor as one that is there.
			o.w.release(o.ask.Tag)
		}
	case funding.ToldFailed:
		o.log().Info("channel opening failed", "fault", what.Fault.String(), "err", what.Reason)
		o.w.release(o.ask.Tag) // before the event, so that it may open again
		o.w.emit(Failed{
			Subject: s, Fault: what.Fault, Reason: what.Reason,
			CanRetryWithoutAnchors: what.CanRetryWithoutAnchors,
		})
	}
}
