// Package chanfactory makes channels and closes them by agreement: the funding
// flow of BOLT 2 in both roles over lnwallet's reservations.
package chanfactory

import (
	"context"
	"errors"
	"log/slog"
	"time"

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
	// ErrClosing: a close of the channel is under way.
	ErrClosing = errors.New("the channel is being closed already")
	// ErrStopped: Run has ended or has not begun.
	ErrStopped = errors.New("the channel factory is not running")
)

// Room, Fault and the capacity helper belong to the pure part.
type (
	// Room is what must fit through a new channel at once.
	Room = funding.Room
	// Reserve is the peer's reserve as far as we can guess it beforehand.
	Reserve = funding.Reserve
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

// Capacity is the smallest channel through which room fits.
func Capacity(room Room, rate chainfee.SatPerKWeight, anchors bool, r Reserve) btcutil.Amount {
	return funding.Capacity(room, rate, anchors, r)
}

// Policy holds the numbers that an operator may change; zero fields take the
// default named beside them.
type Policy struct {
	// ToSelfDelay is the delay in blocks that we demand of peers; zero scales
	// from 144 to 2016 with the capacity.
	ToSelfDelay uint16
	// MaxToSelfDelay is the longest delay that we take on us: 2016 blocks.
	MaxToSelfDelay uint16
	// HtlcMinimum is the smallest HTLC that we accept: 1 msat.
	HtlcMinimum lnwire.MilliSatoshi
	// MaxHtlcs is how many HTLCs we accept in flight: 483.
	MaxHtlcs uint16
	// MinDepth is how many confirmations we ask for: 3.
	MinDepth uint16
	// MinCapacity is the smallest channel that peers may open: 20,000 sat.
	MinCapacity btcutil.Amount
	// MaxCapacity is the largest channel in either direction: 16,777,215 sat,
	// or ten bitcoin when both sides offer option_support_large_channel.
	MaxCapacity btcutil.Amount
	// MaxPendingPerPeer limits the channels that a peer has opened to us and
	// that are not confirmed (zero-conf ones: not ready): 1.
	MaxPendingPerPeer int
	// MaxPending limits the openings of all peers together: 100.
	MaxPending int
	// CommitConfTarget is the confirmation target of commitment feerates: 6.
	CommitConfTarget uint32
	// MaxCommitFeeRate is the highest commitment feerate that we offer and
	// accept on a channel without anchors, sat/kw: 25,000. With anchors 2,500
	// is the most that we offer.
	MaxCommitFeeRate chainfee.SatPerKWeight
	// ZeroConfTimeout is for one zero-conf opening as a whole, open_channel to
	// channel_ready: 15 seconds.
	ZeroConfTimeout time.Duration
	// OpenTimeout is for an ordinary opening up to funding_signed: 10 minutes.
	OpenTimeout time.Duration
}

// Config is what a factory needs. All fields but Policy, Clock and Log must be
// set.
type Config struct {
	Params   *chaincfg.Params
	Wallet   *lnwallet.LightningWallet
	Channels *channeldb.ChannelStateDB
	Aliases  *aliasmgr.Manager
	Notifier chainntnfs.ChainNotifier
	Fees     chainfee.Estimator
	// Store is the backend that Channels lives in; ours is inlet-fundings.
	Store kvdb.Backend
	// Publish gives a transaction to the network: nil also when it is known
	// already.
	Publish func(tx *wire.MsgTx, label string) error
	Coins   Coins
	Court   Court
	Links   Links
	Accept  Acceptor
	// Events receives every event, one call at a time for each funding. It may
	// call Open, Handle and Fundings, but must not wait for another event.
	Events func(Event)
	Policy Policy
	Clock  clock.Clock
	Log    *slog.Logger
}

// OpenRequest asks for one channel.
type OpenRequest struct {
	Peer Peer
	// Tag names the funding for the caller (an order's id), at most 64 bytes,
	// not empty. A tag has at most one funding that is live or stored; only
	// after Failed or Dropped may it be used again.
	Tag string
	// Capacity is the channel's size, all of it ours.
	Capacity btcutil.Amount
	// Push is given to the peer in the first commitment.
	Push lnwire.MilliSatoshi
	// Private keeps the channel unannounced; with it option_scid_alias is used
	// when the peer has it.
	Private bool
	// ZeroConf demands that the peer takes the channel unconfirmed.
	ZeroConf bool
	// Withhold keeps the funding transaction back until Release. Only with
	// ZeroConf.
	Withhold bool
	// WithoutAnchors uses static_remotekey alone.
	WithoutAnchors bool
	// MaxToSelfDelay is the longest delay in blocks that we take from the
	// peer; zero means the policy's.
	MaxToSelfDelay uint16
	// FeeRate is the funding transaction's; zero means an estimate.
	FeeRate chainfee.SatPerKWeight
	// CommitFeeRate is the first commitment's; zero means an estimate.
	CommitFeeRate chainfee.SatPerKWeight
	// MinConfs is how deep the coins must be; zero means 1, -1 allows
	// unconfirmed ones.
	MinConfs int32
	// Room is checked against accept_channel before anything is signed.
	Room Room
	// Timeout overrides the policy's.
	Timeout time.Duration
}

// CloseRequest asks for a cooperative close.
type CloseRequest struct {
	Point wire.OutPoint
	// FeeRate is what we propose; zero means an estimate.
	FeeRate chainfee.SatPerKWeight
	// MaxFeeRate ends the negotiation above it; zero means three times
	// FeeRate.
	MaxFeeRate chainfee.SatPerKWeight
	// Address receives our part; nil means the upfront script, or a new
	// address of the wallet.
	Address btcutil.Address
}

// CloseStage is how far a close has come.
type CloseStage uint8

// The stages of a close.
const (
	// CloseShutdownSent: shutdown has left; HTLCs may still be in flight.
	CloseShutdownSent CloseStage = iota + 1
	// ClosePending: the closing transaction is signed by both and broadcast.
	ClosePending
	// CloseConfirmed: it is confirmed. The last update.
	CloseConfirmed
	// CloseFailed: it came to nothing; Err says why. The last update.
	CloseFailed
)

// CloseUpdate is one step of a close.
type CloseUpdate struct {
	Stage CloseStage
	// Txid is set from ClosePending on.
	Txid chainhash.Hash
	// Err is set with CloseFailed.
	Err error
}

// FundingState is how far a stored funding has come.
type FundingState string

// The states of a stored funding.
const (
	// Intended: funding_created may have left; the channel is not stored yet.
	Intended FundingState = "intended"
	// Withheld: the channel is stored, its transaction must not go out.
	Withheld FundingState = "withheld"
	// Released: the transaction may be out from here on.
	Released FundingState = "broadcast"
	// Settled: the transaction is confirmed.
	Settled FundingState = "confirmed"
	// Gone: the funding was dropped; its coins are free.
	Gone FundingState = "dropped"
)

// Funding is what the store knows of one funding of ours.
type Funding struct {
	Tag   string
	Peer  [33]byte
	Point wire.OutPoint
	State FundingState
	// Tx is the funding transaction; its inputs are signed from Withheld or
	// Released on.
	Tx *wire.MsgTx
	// Ready is true when channel_ready has gone both ways.
	Ready bool
}

// Factory makes and closes channels.
type Factory struct {
	cfg Config
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Factory, error) { return &Factory{cfg: cfg}, nil }

// Run settles what the store holds, then works until ctx ends. It returns with
// no goroutine of its own left. Calls wait or fail with ErrStopped before the
// store is settled; Settled tells when.
func (f *Factory) Run(ctx context.Context) error { return nil }

// Settled is closed when Run has settled the store: every stored funding's
// coins are leased and its Dropped or Broadcast event was sent. Connections and
// other spends of the wallet's coins must wait for it.
func (f *Factory) Settled() <-chan struct{} { return nil }

// Open starts an opening and returns when it is queued. Errors: ErrTagUsed,
// ErrBusy, ErrPeerGone, ErrUnsupported, ErrBadRequest, ErrStopped. After nil
// the outcome comes as events.
func (f *Factory) Open(ctx context.Context, r OpenRequest) error { return nil }

// Cancel ends the live opening of a tag before funding_signed: Failed follows
// with fault Ours. After that point, or for an unknown tag, nothing happens.
func (f *Factory) Cancel(tag string) {}

// Handle takes a message that is not the link's: open_channel, accept_channel,
// funding_created, funding_signed, channel_ready, shutdown, closing_signed,
// error and warning. It returns at once unless the peer's queue is full; then
// it waits, which holds up the peer's reading.
func (f *Factory) Handle(p Peer, m lnwire.Message) {}

// PeerOnline tells of a new connection, before any of its messages.
func (f *Factory) PeerOnline(p Peer) {}

// PeerGone tells of the end of a connection, after its last message.
func (f *Factory) PeerGone(p Peer) {}

// Reestablished tells that channel_reestablish has gone both ways on a channel:
// a close that was under way goes on. lc is the link's channel.
func (f *Factory) Reestablished(p Peer, id lnwire.ChannelID) {}

// Close starts a cooperative close. The channel's last update is CloseConfirmed
// or CloseFailed, then it is closed. Errors: ErrUnknownChannel, ErrPendingOpen,
// ErrClosing, ErrPeerGone, ErrStopped.
func (f *Factory) Close(ctx context.Context, r CloseRequest) (<-chan CloseUpdate, error) {
	return nil, nil
}

// Release lets a withheld funding out: journalled first, then broadcast. It
// returns when it is journalled and was tried once; from then on it is repeated
// until it confirms. Releasing twice is fine. Errors: ErrUnknownChannel,
// ErrNotWithheld (dropped), ErrStopped.
func (f *Factory) Release(ctx context.Context, point wire.OutPoint) error { return nil }

// Drop ends a withheld funding for good: `error` to the peer, the channel is
// marked FundingCanceled, its coins are free when Drop returns. Errors:
// ErrUnknownChannel, ErrNotWithheld, ErrStopped.
func (f *Factory) Drop(ctx context.Context, point wire.OutPoint, reason string) error {
	return nil
}

// Fundings lists the fundings of ours in the store: those that are not
// confirmed, and of the others the latest of each tag.
func (f *Factory) Fundings() ([]Funding, error) { return nil, nil }
