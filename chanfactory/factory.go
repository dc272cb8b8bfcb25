package chanfactory

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory/funding"
)

// Errors of the calls. Each is wrapped with what to do.
var (
	// ErrTagUsed: the tag has a live or stored funding already.
	ErrTagUsed = errors.New("this tag has a funding already")
	// ErrBusy: too many openings are under way.
	ErrBusy = errors.New("too many openings are under way, try again later")
	// ErrPeerGone: the peer's connection has ended.
	ErrPeerGone = errors.New("the peer is not connected")
	// ErrUnsupported: the peer's features do not allow what was asked.
	ErrUnsupported = errors.New("the peer does not support this channel")
	// ErrBadRequest: the request contradicts itself or the policy.
	ErrBadRequest = errors.New("bad request")
	// ErrUnknownChannel: no such channel, or none with a funding of ours.
	ErrUnknownChannel = errors.New("unknown channel")
	// ErrNotWithheld: the funding is out already (or was dropped).
	ErrNotWithheld = errors.New("the funding transaction is not withheld")
	// ErrPendingOpen: the channel is not open yet and can't be closed by
	// agreement.
	ErrPendingOpen = errors.New("the channel is not open yet")
	// ErrRestored: the channel came from a backup, and nothing can be signed for it.
	ErrRestored = errors.New("the channel was restored from a backup: only its peer can close it")
	// ErrClosing: a close of the channel is under way.
	ErrClosing = errors.New("the channel is being closed already")
	// ErrStopped: Run has ended or has not begun.
	ErrStopped = errors.New("the channel factory is not running")
)

// Words that belong to the pure part.
type (
	// Room is what must fit through a new channel at once.
	Room = funding.Room
	// Reserve is the peer's reserve as far as we can guess it beforehand.
	Reserve = funding.ReserveRule
	// ChanType is a channel_type.
	ChanType = funding.ChanType
	// Fault says who made an opening fail.
	Fault = funding.Fault
)

// The faults.
const (
	PeerRefused = funding.PeerRefused
	PeerGone    = funding.PeerGone
	PeerTerms   = funding.PeerTerms
	Ours        = funding.Ours
	Timeout     = funding.Timeout
)

// Capacity is the smallest channel, in satoshis, through which room fits at a commitment feerate,
// if the peer demands the reserve. CommitFeeRate tells the feerate that an opening would use.
func Capacity(room Room, rate chainfee.SatPerKWeight, anchors bool, r Reserve) btcutil.Amount {
	return funding.Capacity(room, rate, anchors, r)
}

// Config is what a factory needs. All fields but Searched, Policy, Clock and Log must be set. The wallet,
// the notifier, the court and the links must work until Run has returned.
type Config struct {
	Params   *chaincfg.Params
	Wallet   *lnwallet.LightningWallet
	Channels *channeldb.ChannelStateDB
	Aliases  *aliasmgr.Manager
	Notifier chainntnfs.ChainNotifier
	Fees     chainfee.Estimator
	// Searched says that Notifier has searched the past for a transaction that somebody waits for:
	// one that it has not told of is in no block. Nil stands for a notifier that has at once.
	Searched func(txid *chainhash.Hash, script []byte) bool
	// Store is the backend that Channels lives in; ours is inlet-fundings.
	Store kvdb.Backend
	// Publish stores a transaction in the wallet and broadcasts it: nil also when the network
	// knows it already.
	Publish func(tx *wire.MsgTx, label string) error
	Coins   Coins
	Court   Court
	Links   Links
	Accept  Acceptor
	// Events receives every event; the events of one peer one at a time and in order. It may
	// call Open, Handle, Cancel and Fundings, but not Release, Drop or Close, which wait.
	Events func(Event)
	Policy Policy
	Clock  clock.Clock
	Log    *slog.Logger
}

// Factory makes and closes channels. All methods may be called from several goroutines.
type Factory struct {
	cfg     Config
	policy  Policy
	clock   clock.Clock
	log     *slog.Logger
	wallet  reserver
	settled chan struct{}
	quit    chan struct{}
	wg      sync.WaitGroup // every goroutine but Run's

	height  atomic.Uint32 // the tip, as the block notifications tell it
	inbound atomic.Int64  // unconfirmed channels of peers, all together

	journal *journal // set by Run before running is true

	mu      sync.Mutex
	running bool                 // guarded by mu
	workers map[[33]byte]*worker // guarded by mu
	opens   map[string][33]byte  // guarded by mu; tags of our live openings
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Factory, error) {
	required := map[string]bool{
		"Params": cfg.Params != nil, "Wallet": cfg.Wallet != nil, "Channels": cfg.Channels != nil,
		"Aliases": cfg.Aliases != nil, "Notifier": cfg.Notifier != nil, "Fees": cfg.Fees != nil,
		"Store": cfg.Store != nil, "Publish": cfg.Publish != nil, "Coins": cfg.Coins != nil,
		"Court": cfg.Court != nil, "Links": cfg.Links != nil, "Accept": cfg.Accept != nil,
		"Events": cfg.Events != nil,
	}
	for name, set := range required {
		if !set {
			return nil, fmt.Errorf("chanfactory: Config.%s is missing", name)
		}
	}
	policy := cfg.Policy.defaults()
	if err := policy.check(); err != nil {
		return nil, fmt.Errorf("chanfactory: bad policy: %w", err)
	}
	f := &Factory{
		cfg: cfg, policy: policy, clock: cfg.Clock, log: cfg.Log,
		wallet: lnReserver{cfg.Wallet}, settled: make(chan struct{}), quit: make(chan struct{}),
		workers: map[[33]byte]*worker{}, opens: map[string][33]byte{},
	}
	if f.clock == nil {
		f.clock = clock.NewDefaultClock()
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return f, nil
}

// Settled is closed when Run has settled the store: every funding that is not confirmed has its
// coins leased, Dropped was sent for those whose channel was not in the store, and channels that
// a crash left between two writes are whole. Connections and other spends of the wallet's coins
// must wait for it.
func (f *Factory) Settled() <-chan struct{} { return f.settled }

// Cancel ends the live opening of a tag while the peer has not signed: Failed follows with fault
// Ours. After that point, or for an unknown tag, nothing happens.
func (f *Factory) Cancel(tag string) {
	f.mu.Lock()
	key, ok := f.opens[tag]
	f.mu.Unlock()
	if ok {
		f.post(key, func(w *worker) { w.cancel(tag) })
	}
}

// Quiesce waits until everything that the peer's earlier connections have brought is done, and what
// is to be stored of it is stored. Call it first for a new connection: the peer speaks at once of a
// channel that it has signed, and would be told that there is none while we still write it. It would
// give the channel up, and with it the payment that is waiting. It also returns when the connection
// or the factory ends; ErrPeerGone and ErrStopped say so.
func (f *Factory) Quiesce(p Peer) error {
	done := make(chan struct{})
	if !f.post(p.PubKey(), func(*worker) { close(done) }) {
		return ErrStopped
	}
	select {
	case <-done:
		return nil
	case <-p.QuitSignal():
		return ErrPeerGone
	case <-f.quit:
		return ErrStopped
	}
}

// PeerOnline tells of a new connection: after Quiesce, after the links of the peer's open channels were made,
// and before any of its messages.
func (f *Factory) PeerOnline(p Peer) {
	f.post(p.PubKey(), func(w *worker) { w.online(p) })
}

// PeerGone tells of the end of a connection, after its last message.
func (f *Factory) PeerGone(p Peer) {
	f.post(p.PubKey(), func(w *worker) { w.gone(p) })
}

// Reestablished tells that channel_reestablish has gone both ways on a channel with a link.
func (f *Factory) Reestablished(p Peer, id lnwire.ChannelID) {
	f.post(p.PubKey(), func(w *worker) { w.reestablished(id) })
}

// CommitFeeRate is the feerate that an opening without one of its own uses for the commitment.
func (f *Factory) CommitFeeRate(anchors bool) (chainfee.SatPerKWeight, error) {
	rate, err := f.cfg.Fees.EstimateFeePerKW(f.policy.CommitConfTarget)
	if err != nil {
		return 0, fmt.Errorf("chanfactory: estimate the commitment's feerate: %w", err)
	}
	most := f.policy.MaxCommitFeeRate
	if anchors {
		most = min(most, MaxAnchorFeeRate)
	}
	return min(funding.Clamp(rate), most), nil
}

// MaxAnchorFeeRate is the most that we offer for a commitment with anchors, which can be bumped
// later: 10 sat/vB.
const MaxAnchorFeeRate chainfee.SatPerKWeight = 2500

// Fundings lists what the store knows of our fundings, one for each tag.
func (f *Factory) Fundings() ([]Funding, error) {
	if !f.isRunning() {
		return nil, ErrStopped
	}
	var all []Funding
	for _, r := range f.journal.list() {
		all = append(all, f.journal.state(r))
	}
	return all, nil
}

// Funding is the funding of one tag, false if the tag has none.
func (f *Factory) Funding(tag string) (Funding, bool, error) {
	if !f.isRunning() {
		return Funding{}, false, ErrStopped
	}
	r := f.journal.find(tag)
	if r == nil {
		return Funding{}, false, nil
	}
	return f.journal.state(r), true, nil
}

// Withheld says that the channel's funding is ours and must not be out: all that is on
// the channel is void when it is dropped. It answers from memory.
func (f *Factory) Withheld(point wire.OutPoint) bool {
	if !f.isRunning() {
		return false
	}
	r := f.journal.findPoint(point)
	return r != nil && r.withhold && r.state == recordIntended
}

// Opening is how many openings of ours are under way; one counts from Open until Signed or Failed was
// told.
func (f *Factory) Opening() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.opens)
}

func (f *Factory) isRunning() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

// spawn runs fn in a goroutine that Run waits for. It does nothing once Run is ending.
func (f *Factory) spawn(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running {
		f.wg.Go(fn)
	}
}
