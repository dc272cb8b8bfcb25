package chanfactory

import (
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
)

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
	// Tx is the signed funding transaction; nil from Settled on.
	Tx *wire.MsgTx
	// Ready is true when channel_ready has gone both ways.
	Ready bool
}
