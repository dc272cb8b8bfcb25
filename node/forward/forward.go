// Package forward moves HTLCs: lnd's switch and links, with an interceptor in
// front that never decides anything itself.
//
//	peer -> Links.Deliver -> link -> interceptor -> Offers (JIT orders)
//	                                     |
//	                                     v  everything else, at once
//	                                   switch -> link -> peer
//
// What is ours: which link an HTLC of a JIT order may leave by (strict.go), any
// BOLT 4 failure on a held HTLC (encrypter.go), replays that must not be judged
// twice (replay.go), and the life of links on connections (links.go).
package forward

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/ticker"
)

const (
	// rejectDelta is how many blocks before its expiry lnd's interceptor fails a
	// held HTLC by itself: lnd's final reject delta. Our own deadline is earlier.
	rejectDelta = 19

	// interceptDelta is up to how many blocks before its expiry an HTLC is still
	// offered to the interceptor.
	interceptDelta = 22

	// outgoingRejectDelta is how many blocks of life an HTLC must have left to be
	// sent on.
	outgoingRejectDelta = 3

	// maxOutgoingExpiry is the longest time lock in blocks that we send on.
	maxOutgoingExpiry = 2016

	// mailboxTimeout is how long an HTLC waits for a link that is down before it
	// is failed back.
	mailboxTimeout = time.Minute

	// maxResumes limits the resumes of ordinary forwards that are under way; the
	// HTLC slots of our channels are usually the lower bound.
	maxResumes = 4096
)

// Offers takes the HTLCs that name a jit_channel_scid. Offer is called from the
// interceptor's only goroutine: it must not block and must not call back.
type Offers interface {
	// Offer reports whether the HTLC is an order's business. If not, it goes on
	// at once.
	Offer(htlcswitch.InterceptedPacket) (taken bool)
}

// Court is the part of the chain arbitrator that links talk to.
type Court interface {
	Watch
	// ForceClose publishes our commitment after a link failed beyond repair.
	ForceClose(channel ChannelPoint) error
}

// Config is what the engine is composed over. All fields but Withheld are required.
type Config struct {
	Params   *chaincfg.Params
	Backend  kvdb.Backend
	Channels *channeldb.DB
	Aliases  *aliasmgr.Manager
	Notifier chainntnfs.ChainNotifier
	Fees     chainfee.Estimator
	NodeKey  sphinx.SingleKeyECDH
	Signer   Signer
	Wallet   *lnwallet.LightningWallet
	Policy   Policy
	Routes   Routes
	// Withheld says that a channel's funding must not be out; nil: none is. It answers
	// from memory.
	Withheld   func(ChannelPoint) bool
	Offers     Offers
	CustomHTLC htlcswitch.AuxTrafficShaper
	Clock      clock.Clock
	Log        *slog.Logger
}

// Engine is the switch with what stands around it.
type Engine struct {
	cfg       Config
	updates   *updates
	onions    *hop.OnionProcessor
	htlcs     *htlcswitch.HtlcNotifier
	swtch     *htlcswitch.Switch
	intercept *htlcswitch.InterceptableSwitch
	sigs      *lnwallet.SigPool
	resumes   chan struct{}
	wg        sync.WaitGroup
	quit      chan struct{}
	started   []func() error
}

// New composes the engine at the given best height and starts nothing.
func New(cfg Config, height uint32) (*Engine, error) {
	e := &Engine{
		cfg: cfg, quit: make(chan struct{}), resumes: make(chan struct{}, maxResumes),
		htlcs: htlcswitch.NewHtlcNotifier(cfg.Clock.Now),
		sigs:  lnwallet.NewSigPool(2, cfg.Wallet.Cfg.Signer),
	}
	var err error
	if e.updates, err = newUpdates(cfg); err != nil {
		return nil, err
	}
	replayLog, err := newReplayLog(cfg)
	if err != nil {
		return nil, err
	}
	e.onions = hop.NewOnionProcessor(sphinx.NewRouter(cfg.NodeKey, replayLog))
	if e.swtch, err = e.newSwitch(height); err != nil {
		return nil, fmt.Errorf("forward: compose switch: %w", err)
	}
	e.intercept, err = htlcswitch.NewInterceptableSwitch(&htlcswitch.InterceptableSwitchConfig{
		Switch: e.swtch, Notifier: cfg.Notifier,
		CltvRejectDelta: rejectDelta, CltvInterceptDelta: interceptDelta,
		// Without this an HTLC that is replayed before the orders are loaded would
		// be forwarded as if it were nobody's.
		RequireInterceptor: true,
	})
	if err != nil {
		return nil, fmt.Errorf("forward: compose interceptor: %w", err)
	}
	return e, nil
}

func (e *Engine) newSwitch(height uint32) (*htlcswitch.Switch, error) {
	chans := e.cfg.Channels.ChannelStateDB()
	return htlcswitch.New(htlcswitch.Config{
		DB:                    e.cfg.Backend,
		FetchAllOpenChannels:  chans.FetchAllOpenChannels,
		FetchAllChannels:      chans.FetchAllChannels,
		FetchClosedChannels:   chans.FetchClosedChannels,
		LocalChannelClose:     func([]byte, *htlcswitch.ChanClose) {},
		FwdingLog:             e.cfg.Channels.ForwardingLog(),
		SwitchPackager:        channeldb.NewSwitchPackager(),
		ExtractErrorEncrypter: e.onions.ExtractErrorEncrypter,
		FetchLastChannelUpdate: func(scid lnwire.ShortChannelID) (
			*lnwire.ChannelUpdate1, error) {
			return e.UpdateFor(scid)
		},
		Notifier: e.cfg.Notifier, HtlcNotifier: e.htlcs,
		FwdEventTicker:         ticker.New(htlcswitch.DefaultFwdEventInterval),
		LogEventTicker:         ticker.New(htlcswitch.DefaultLogInterval),
		AckEventTicker:         ticker.New(htlcswitch.DefaultAckInterval),
		Clock:                  e.cfg.Clock,
		MailboxDeliveryTimeout: mailboxTimeout,
		MaxFeeExposure:         htlcswitch.DefaultMaxFeeExposure,
		SignAliasUpdate: func(u *lnwire.ChannelUpdate1) (*ecdsa.Signature, error) {
			return e.updates.sign(u)
		},
		IsAlias: aliasmgr.IsAlias,
	}, height)
}

// Switch is lnd's switch: payments are sent through it, the court delivers to it.
func (e *Engine) Switch() *htlcswitch.Switch { return e.swtch }

// Held is where HTLCs wait; the beacon hands on-chain ones to it.
func (e *Engine) Held() *htlcswitch.InterceptableSwitch { return e.intercept }

// Onions decodes the onions of incoming HTLCs.
func (e *Engine) Onions() *hop.OnionProcessor { return e.onions }

// HtlcEvents tells how each forward went on.
func (e *Engine) HtlcEvents() *htlcswitch.HtlcNotifier { return e.htlcs }

// Start starts the switch with the interceptor set; links may be added after it.
func (e *Engine) Start() error {
	steps := []struct {
		name        string
		start, stop func() error
	}{
		{"signature pool", e.sigs.Start, e.sigs.Stop},
		{"onion processor", e.onions.Start, e.onions.Stop},
		{"HTLC notifier", e.htlcs.Start, e.htlcs.Stop},
		{"switch", e.swtch.Start, e.swtch.Stop},
		{"interceptor", e.intercept.Start, e.intercept.Stop},
	}
	for _, s := range steps {
		if err := s.start(); err != nil {
			return errors.Join(fmt.Errorf("forward: start %s: %w", s.name, err), e.Stop())
		}
		e.started = append(e.started, s.stop)
	}
	e.intercept.SetInterceptor(e.offer)
	return nil
}

// Stop ends what Start began. Links must be gone by then.
func (e *Engine) Stop() error {
	select {
	case <-e.quit:
	default:
		close(e.quit)
	}
	var errs []error
	for i := len(e.started) - 1; i >= 0; i-- {
		errs = append(errs, e.started[i]())
	}
	e.started = nil
	e.wg.Wait()
	return errors.Join(errs...)
}

// offer runs on the interceptor's only goroutine: it hands the HTLC to its order
// or lets it pass, and waits for neither.
func (e *Engine) offer(p htlcswitch.InterceptedPacket) error {
	if e.cfg.Offers.Offer(p) {
		return nil
	}
	select {
	case e.resumes <- struct{}{}:
	default:
		// It stays held and is failed before it expires; only a node with more
		// than maxResumes HTLCs arriving at once gets here.
		e.cfg.Log.Error("too many forwards at once", "htlc", p.IncomingCircuit)
		return nil
	}
	e.wg.Go(func() {
		defer func() { <-e.resumes }()
		if err := e.Resume(p.IncomingCircuit); err != nil {
			e.cfg.Log.Debug("cannot resume forward", "htlc", p.IncomingCircuit, "err", err)
		}
	})
	return nil
}

// Resume lets a held HTLC go on as the payer's onion says.
func (e *Engine) Resume(key models.CircuitKey) error {
	return e.intercept.Resolve(&htlcswitch.FwdResolution{
		Key: key, Action: htlcswitch.FwdActionResume,
	})
}

// ResumeWith lets a held HTLC go on with another amount and with records for the
// next peer (lnd's range: types from 65536).
func (e *Engine) ResumeWith(key models.CircuitKey, amount lnwire.MilliSatoshi,
	records lnwire.CustomRecords) error {

	return e.intercept.Resolve(&htlcswitch.FwdResolution{
		Key: key, Action: htlcswitch.FwdActionResumeModified,
		OutAmountMsat:        fn.Some(amount),
		OutWireCustomRecords: fn.Some(records),
	})
}

// Fail fails a held HTLC back with any failure of BOLT 4; or one that was forwarded over a channel
// whose funding was cancelled since, where it can't be claimed any more. lnd makes that one a
// permanent_channel_failure.
func (e *Engine) Fail(key models.CircuitKey, f lnwire.FailureMessage) error {
	circuit := e.swtch.CircuitLookup().LookupCircuit(key)
	if circuit != nil && circuit.HasKeystone() {
		return e.void(*circuit.Outgoing, f)
	}
	reason, err := markFailure(f)
	if err != nil {
		return err
	}
	return e.intercept.Resolve(&htlcswitch.FwdResolution{
		Key: key, Action: htlcswitch.FwdActionFail, FailureMessage: reason,
	})
}

// void ends an HTLC that went out on a channel that was never funded. On any other it could still be
// claimed, and what is failed to the payer would be ours to pay.
func (e *Engine) void(out models.CircuitKey, f lnwire.FailureMessage) error {
	closed, err := e.cfg.Channels.ChannelStateDB().FetchClosedChannels(false)
	if err != nil {
		return fmt.Errorf("forward: load closed channels: %w", err)
	}
	if !neverFunded(closed, out.ChanID) {
		return fmt.Errorf("forward: HTLC %v may still be claimed: it is not failed", out)
	}
	return e.swtch.ProcessContractResolution(contractcourt.ResolutionMsg{
		SourceChan: out.ChanID, HtlcIndex: out.HtlcID, Failure: f,
	})
}

func neverFunded(closed []*channeldb.ChannelCloseSummary, scid lnwire.ShortChannelID) bool {
	return slices.ContainsFunc(closed, func(ch *channeldb.ChannelCloseSummary) bool {
		return ch.ShortChanID == scid && ch.CloseType == channeldb.FundingCanceled
	})
}

// Forwarded reports whether the incoming HTLC has left for its next hop, or was
// about to when the node stopped: its circuit is on disk.
func (e *Engine) Forwarded(key models.CircuitKey) bool {
	return e.swtch.CircuitLookup().LookupCircuit(key) != nil
}

// Unresolved reports whether the incoming HTLC is in a commitment of the next channel, or
// was, and its outcome is not yet with the channel that it came by, which may be on chain:
// its circuit has a keystone. At the start lnd has trimmed those of what has not left.
func (e *Engine) Unresolved(key models.CircuitKey) bool {
	circuit := e.swtch.CircuitLookup().LookupCircuit(key)
	return circuit != nil && circuit.HasKeystone()
}

// TakeBack undoes a forward that was decided and never left: the node died before
// the HTLC was in a commitment of the next channel. lnd would fail such an HTLC when
// its link replays it, because its circuit is half open; without the circuit it is
// offered anew. It is for the start, before there are links; lnd has trimmed the
// circuits then, so that one with a keystone is one that has left.
func (e *Engine) TakeBack(key models.CircuitKey) error {
	if !e.Forwarded(key) || e.Unresolved(key) {
		return nil
	}
	if err := e.swtch.CircuitModifier().DeleteCircuits(key); err != nil {
		return fmt.Errorf("forward: delete circuit of %v: %w", key, err)
	}
	return nil
}

// Live reports whether HTLCs can move on the channel: its peer is connected and the
// channel's state is known on both sides. The switch fails a forward where that is
// not so for either of its channels.
func (e *Engine) Live(scid lnwire.ShortChannelID) bool {
	link, err := e.swtch.GetLinkByShortID(scid)
	return err == nil && link.EligibleToForward()
}

// UpdateFor makes our channel_update for a failure that names the scid. It fails
// only if signing does: an HTLC whose failure can't be made would stay held.
func (e *Engine) UpdateFor(scid lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error) {
	return e.failureUpdate(channelFacts{
		scid: scid, minHTLC: 1, maxHTLC: lnwire.NewMSatFromSatoshis(maxChannelSize),
	})
}

// failureUpdate makes our channel_update for a failure.
//
// That of a jit_channel_scid says what bLIP-52 puts into the invoice's hint. lnd takes
// it over the hint for its next attempt: with the channel's policy that would fail too,
// and lnd would shun us for an hour.
func (e *Engine) failureUpdate(f channelFacts) (*lnwire.ChannelUpdate1, error) {
	if delta, isJIT := e.cfg.Routes.Delta(f.scid); isJIT {
		f.policy = &Policy{Delta: delta}
	}
	return e.updates.ours(f)
}

// maxChannelSize stands in a failure's channel_update where the channel is not
// known: the largest channel without option_support_large_channel.
const maxChannelSize = 16_777_215
