package lsp

import (
	"errors"
	"io"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// MessageType carries all LSPS messages. bLIP-50: BOLT8 message type 37913.
const MessageType lnwire.MessageType = 37913

// FeatureBit is option_supports_lsps; a node sets it only while its service is on.
const FeatureBit lnwire.FeatureBit = 729

// ErrTaken is what a Book returns for a jit_channel_scid that it knows already.
var ErrTaken = errors.New("lsp: jit_channel_scid is taken")

// Book keeps what was bought.
type Book interface {
	// Add makes the purchase durable before it returns. An scid that any order or
	// channel has is refused with ErrTaken.
	Add(Purchase) error
}

// Purchase is one successful buy.
type Purchase struct {
	ID              string // of the order; unique
	Client          [33]byte
	SCID            lnwire.ShortChannelID
	Params          OpeningFeeParams
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	OpeningFee      lnwire.MilliSatoshi // 0 when variable
	CLTVExpiryDelta uint16
	ClientTrustsLSP bool
	AliasUntil      time.Time
	Rules           jit.Rules
	CreatedAt       time.Time
}

// Order is the order of this purchase, waiting for its first part.
func (p Purchase) Order() jit.Order { return jit.New(p.ID, jit.Terms{}) }

// Offer is the one item of the menu, as the operator sets it.
type Offer struct {
	MinFee               lnwire.MilliSatoshi
	ProportionalPPM      uint32
	ValidFor             time.Duration // how long an item can be bought and paid
	AliasFor             time.Duration // the scid stays an alias this much longer
	MinLifetime          uint32        // blocks
	MaxClientToSelfDelay uint32        // blocks
	MinPaymentSize       lnwire.MilliSatoshi
	MaxPaymentSize       lnwire.MilliSatoshi
	CLTVExpiryDelta      uint16 // blocks
	ClientTrustsLSP      bool
	Rules                jit.Rules
}

// Liquidity is what the node can do at this moment.
type Liquidity struct {
	CanOpen bool                // false: the menu is empty and buy is refused
	Inbound lnwire.MilliSatoshi // the largest payment that can reach us; 0: not known
}

// Limits bound what clients can ask for. Zero is the default.
type Limits struct {
	ClientPerSecond int // requests of one client, 10
	PerSecond       int // requests of all, 2000
	ClientOpen      int // orders of one client not paid or dead, 10
	Open            int // of all, 1000
}

// ServiceConfig is what a Service is made of.
type ServiceConfig struct {
	Offer  Offer
	Keys   []PromiseKey // the first signs, all verify
	Book   Book
	Rand   io.Reader // a CSPRNG
	Tokens []string  // get_info tokens that are recognised
	Limits Limits

	// Open are the orders of before that are neither paid nor dead.
	Open []Purchase

	// Liquidity is asked at each get_info and buy and must be quick; nil: no limit.
	Liquidity func() Liquidity

	// Reject, when not nil, says in plain words why a client may not buy now; ""
	// lets it buy.
	Reject func(client [33]byte) string
}

// PromiseKey makes promises. ID is part of each promise, so that the key can be
// replaced while promises of the one before still hold.
type PromiseKey struct {
	ID     string // [a-z0-9]{1,16}
	Secret [32]byte
}

// Service answers LSPS requests. Its methods may be called from any goroutine.
type Service struct{}

// NewService checks the configuration; the errors say what to change.
func NewService(cfg ServiceConfig) (*Service, error) { return nil, nil }

// Handle answers one message of a client; nil is no answer.
func (s *Service) Handle(now time.Time, client [33]byte, raw []byte) []byte { return nil }

// PeerGone ends what belongs to the client's connection.
func (s *Service) PeerGone(client [33]byte) {}

// Ended frees the slot of an order that is paid or dead.
func (s *Service) Ended(id string) {}

// SetOffer replaces the menu item. Items promised before still hold.
func (s *Service) SetOffer(o Offer) error { return nil }

// Menu is the item as a client would get it now, without its promise.
func (s *Service) Menu(now time.Time) []OpeningFeeParams { return nil }
