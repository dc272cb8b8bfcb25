package pay

import (
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
)

// Limits and defaults of a payment.
const (
	// DefaultTimeout holds when a request names none: longer than an LSP's hold of 90 seconds.
	DefaultTimeout = 2 * time.Minute

	// MaxTimeout is the longest that a request may name.
	MaxTimeout = 24 * time.Hour

	// DefaultMaxParts holds when a request names no limit.
	DefaultMaxParts = 10

	// MaxParts is the largest number of parts that are out at once.
	MaxParts = 30
)

// PayRequest says what to pay.
type PayRequest struct {
	// Invoice is a BOLT 11 invoice, with or without a "lightning:" before it.
	Invoice string

	// Amount is what the recipient shall get. It is needed if the invoice names none; else 0
	// means the invoice's, and at most twice that may be paid.
	Amount lnwire.MilliSatoshi

	// MaxFee bounds the routing fees in all; nil means 5 % of the amount, at least 10 sat.
	MaxFee *lnwire.MilliSatoshi

	// Timeout is how long new attempts are made; 0 means DefaultTimeout.
	Timeout time.Duration

	// MaxParts bounds the parts that are out at once; 0 means DefaultMaxParts.
	MaxParts int
}

// Status is what has become of a payment or of one of its parts.
type Status string

// The statuses. A payment has succeeded as soon as its preimage is known: that is the proof of
// payment, even if another part of it takes longer to settle.
const (
	InFlight  Status = "in_flight"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
)

// Part is one HTLC of a payment.
type Part struct {
	Status Status

	// Amount is what the part brings to the recipient, Fee what the route costs above it.
	Amount, Fee lnwire.MilliSatoshi

	// Channel is our channel that it left by.
	Channel lnwire.ShortChannelID

	// Failure is set if it failed.
	Failure *Failure
}

// Failure says why a payment or a part failed.
type Failure struct {
	// Code is the BOLT 4 name of the failure, or "" if it was not one of the network's.
	Code string

	// Source says who gave it: "this node", "peer <id>", "node <id>" or "the recipient".
	Source string

	// Text is a sentence for a person, with what to do where something can be done.
	Text string
}

// Payment is a payment of ours as it stands.
type Payment struct {
	// Index numbers payments from 1 in the order of their making; lists are paged by it.
	Index uint64

	Hash   lntypes.Hash
	Bolt11 string
	Status Status

	// Preimage is the proof of payment once Status is Succeeded.
	Preimage *lntypes.Preimage

	// Amount is what the recipient gets; Fee is what parts that did not fail cost above it.
	Amount, Fee lnwire.MilliSatoshi

	// Parts are all attempts, failed ones included, in the order of their making.
	Parts []Part

	// Failure is set if Status is Failed, or if it is InFlight and no new attempt will be made.
	Failure *Failure

	Destination route.Vertex
	Created     time.Time

	// Ended is when the outcome was known; the zero time while in flight.
	Ended time.Time
}

// Live counts the parts that did not fail.
func (p Payment) Live() int {
	n := 0
	for _, part := range p.Parts {
		if part.Status != Failed {
			n++
		}
	}
	return n
}

// Channel is a channel of ours by which a payment can leave now.
type Channel struct {
	// Scid is the one that the switch knows the channel's link by.
	Scid lnwire.ShortChannelID

	// Peer is the node at its other end.
	Peer route.Vertex

	// Bandwidth is how much one more HTLC could carry (link.Bandwidth).
	Bandwidth lnwire.MilliSatoshi

	// MinHTLC and MaxHTLC bound each HTLC; MaxHTLC 0 means no bound.
	MinHTLC, MaxHTLC lnwire.MilliSatoshi
}

// Channels names our channels with an active link. It is asked for each plan of a payment, so it
// must answer from memory.
type Channels interface {
	Sendable() []Channel
}

// Sequencer gives attempt ids that are never given again, across restarts;
// htlcswitch.NewPersistentSequencer is one.
type Sequencer interface {
	NextID() (uint64, error)
}

// Options is what Payments is made of.
type Options struct {
	// DB keeps the payments, in the bucket inlet-payments.
	DB kvdb.Backend

	// Params are the network's.
	Params *chaincfg.Params

	// Self is our node id.
	Self route.Vertex

	// Switch sends the HTLCs; see FromSwitch.
	Switch Switch

	// Channels names the ways out.
	Channels Channels

	// IDs numbers the attempts.
	IDs Sequencer

	// Clock is the wall clock; nil means the real one.
	Clock clock.Clock

	// Updates, unless nil, is told of every change after it is on disk. It is called on the
	// payment's own goroutine: it must return at once, and must not call Pay.
	Updates func(Payment)

	// Log gets the life of payments; nil discards.
	Log *slog.Logger
}
