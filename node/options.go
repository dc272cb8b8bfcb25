package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/node/logs"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/wallet"
)

// Options say what node to make. Dir, Chain and a passphrase (or the word to go
// without) must be set; everything else has a default.
type Options struct {
	// Dir is the data directory; it holds inlet.db. It must hold a wallet (Create).
	Dir string
	// Params is the network; nil is mainnet.
	Params *chaincfg.Params
	// Alias is the node's name for people.
	Alias string
	// Listen are the addresses for Lightning peers; none: only outgoing connections.
	Listen []string
	// External are the host:port addresses that the node's URIs name; none: the
	// listening ones.
	External []string
	// Admin is where the admin API listens, on loopback; empty: nowhere.
	Admin string
	// Version is told by the admin API.
	Version string

	// Passphrase unlocks the wallet.
	Passphrase []byte
	// InsecureNoPassphrase is for a wallet that was made without one.
	InsecureNoPassphrase bool
	// RecoveryWindow is how many unused addresses in a row end a rescan; 0 is 250
	// for a restored wallet and none otherwise.
	RecoveryWindow uint32

	// WarnStoreBytes is the size of inlet.db from which on the log tells of it; 0 is never.
	WarnStoreBytes int64

	// MaxStrangers is how many peers without a channel or an order may be connected; 0
	// is 100.
	MaxStrangers int

	Chain    ChainOptions
	Onchain  OnchainOptions
	Channels ChannelOptions
	// LSP sells JIT channels; nil: the service is off.
	LSP *LSPOptions
	// NoEvents switches the durable events off, for programs that don't read them.
	NoEvents bool

	// Log gets structured logs; nil discards them. What peers can cause in it is bounded: a
	// line has at most 512 bytes, a minute at most 1 MB but for errors, see node/logs.
	Log *slog.Logger

	clock      clock.Clock // nil: the system's
	storeGroup int         // 0: the store's default
	seams      seams       // of tests
}

// ChainOptions say where the chain comes from. Exactly one of the fields is set.
type ChainOptions struct {
	Btcd     *chain.BtcdConfig
	Bitcoind *chain.BitcoindConfig
	// PollInterval is for a bitcoind without ZMQ; 0 is the chain's default.
	PollInterval time.Duration
}

func (c ChainOptions) source(o Options, hints chain.HintCache) (chain.Source, error) {
	opts := chain.Options{
		Params: o.Params, Hints: hints, FeeCap: o.Onchain.MaxFeeRate.FeePerKWeight(),
		FeeFallback:  o.Onchain.FallbackFeeRate.FeePerKWeight(),
		PollInterval: c.PollInterval, Log: o.Log.With("part", "chain"),
	}
	if c.Btcd != nil {
		return chain.NewBtcd(opts, *c.Btcd)
	}
	return chain.NewBitcoind(opts, *c.Bitcoind)
}

// Stock says in which pieces the wallet's coins are kept.
type Stock = wallet.Stock

// MaxReadyCoins bounds Stock.Ready.
const MaxReadyCoins = wallet.MaxReadyCoins

// OnchainOptions bound what transactions cost.
type OnchainOptions struct {
	// OpenConfTarget and CloseConfTarget are in blocks; 0 is 6.
	OpenConfTarget, CloseConfTarget uint32
	// MaxFeeRate caps every estimate; 0 is 250 sat/vB.
	MaxFeeRate chainfee.SatPerVByte
	// FallbackFeeRate is used while the chain backend has no estimate; 0 is 10 sat/vB.
	FallbackFeeRate chainfee.SatPerVByte
	// Stock says in which pieces the coins are kept; with neither Ready nor MergeBelow they stay as
	// they come.
	Stock Stock
}

// ChannelOptions are the default policy of our channels.
type ChannelOptions struct {
	// BaseFee and FeePPM are charged for forwarding. Zero is zero.
	BaseFee lnwire.MilliSatoshi
	FeePPM  uint32
	// CLTVExpiryDelta is in blocks; 0 is 80. With an LSP it must not be more than
	// the LSP's own delta.
	CLTVExpiryDelta uint16
	// MinInboundSize is the smallest channel that others may open to us; 0 is 20,000
	// sat. MaxPendingPerPeer is how many unconfirmed ones a peer may have; 0 is 1.
	MinInboundSize    btcutil.Amount
	MaxPendingPerPeer int
}

// LSPOptions are the service's.
type LSPOptions struct {
	// Offer is the menu, and Tokens are the menus of those who know a token's secret.
	Offer  lsp.Offer
	Tokens []lsp.Token
	// KeyRotation is how long a promise key signs; 0 is three days.
	KeyRotation time.Duration
	// SellUnchecked sells whether or not a payment could reach us and the coins would fund
	// its channel. Such a payment fails when it comes.
	SellUnchecked bool
	// Limits bound what clients may ask for.
	Limits lsp.Limits
	// ClientParts and Parts are how many HTLCs are held for one client and in all;
	// 0 is 60 and 2000.
	ClientParts, Parts int
	// OverprovisionPPM is how much larger than needed a new channel is, in millionths
	// of the payment, so that the client can receive again.
	OverprovisionPPM uint32
	// MinChannelSize and MaxChannelSize bound the channels that are sold; 0 is 20,000 and
	// 16,777,215 sat.
	MinChannelSize, MaxChannelSize btcutil.Amount
	// OverbookPPM is by how much the channels of unpaid orders may exceed the coins, in
	// millionths of the coins.
	OverbookPPM uint32
	// Admission bounds what clients can cost, and says when they must trust us; the zero value
	// is admission.DefaultLimits. With TrustAfter 0 a client at its limits is refused.
	Admission admission.Limits
	// CloseUnpaidAfter closes a channel that nobody has paid for so long after its offer has run
	// out: by agreement, or by force when the client has not been there for as long again. 0 is
	// never, and the least is an hour.
	CloseUnpaidAfter time.Duration
	// CloseIdleAfter closes, with its client, a channel that was paid for and is as old as was
	// promised (min_lifetime), when no payment has moved money over it for so many blocks. 0 is
	// never, and the least is 144.
	CloseIdleAfter uint32
	// Wake is called when a payment waits for a client that is not connected. It
	// must not block.
	Wake func(client [33]byte)
	// Reached is called for each stage that an order reaches, after it is stored
	// where that matters. It must not block.
	Reached func(orderID string, m orders.Moment)
}

const (
	defaultConfTarget  = 6
	defaultMaxFeeRate  = chainfee.SatPerVByte(250)
	defaultFallback    = chainfee.SatPerVByte(10)
	defaultCLTVDelta   = 80
	defaultClientParts = 60
	defaultParts       = 2000
)

// complete fills in the defaults and says what can't be.
func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("node: Options.Dir is empty: name the data directory")
	}
	if (o.Chain.Btcd == nil) == (o.Chain.Bitcoind == nil) {
		return errors.New("node: set exactly one of Options.Chain.Btcd and Options.Chain.Bitcoind")
	}
	if o.Params == nil {
		o.Params = &chaincfg.MainNetParams
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = slog.New(logs.New(o.Log.Handler()))
	if o.clock == nil {
		o.clock = clock.NewDefaultClock()
	}
	setDefault(&o.Onchain.OpenConfTarget, defaultConfTarget)
	setDefault(&o.Onchain.CloseConfTarget, defaultConfTarget)
	setDefault(&o.Onchain.MaxFeeRate, defaultMaxFeeRate)
	setDefault(&o.Onchain.FallbackFeeRate, defaultFallback)
	setDefault(&o.Channels.CLTVExpiryDelta, defaultCLTVDelta)
	if o.LSP == nil {
		return nil
	}
	own := *o.LSP
	o.LSP = &own
	setDefault(&own.ClientParts, defaultClientParts)
	setDefault(&own.Parts, defaultParts)
	setDefault(&own.Admission, admission.DefaultLimits())
	if err := own.Admission.Validate(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if own.CloseUnpaidAfter != 0 && own.CloseUnpaidAfter < minCloseUnpaidAfter {
		return fmt.Errorf("node: lsp.lsps2.close_unpaid_after_seconds is %d: at least %d, for a "+
			"payment may still be held, or 0 for never", int(own.CloseUnpaidAfter.Seconds()),
			int(minCloseUnpaidAfter.Seconds()))
	}
	if own.CloseIdleAfter != 0 && own.CloseIdleAfter < minCloseIdleAfter {
		return fmt.Errorf("node: lsp.lsps2.close_idle_after_blocks is %d: at least %d, for a client may "+
			"be away for a day, or 0 for never", own.CloseIdleAfter, minCloseIdleAfter)
	}
	if o.Channels.CLTVExpiryDelta > own.Offer.CLTVExpiryDelta {
		return fmt.Errorf("node: channels.cltv_expiry_delta_blocks is %d, more than "+
			"lsp.lsps2.lsp_cltv_expiry_delta_blocks (%d): payers would send too few blocks; "+
			"make it at most that", o.Channels.CLTVExpiryDelta, own.Offer.CLTVExpiryDelta)
	}
	return nil
}

// Validate says what is wrong with what is to be sold, by the names of the configuration.
func (o *LSPOptions) Validate() error { return lsp.CheckMenu(o.Offer, o.Tokens, o.channels()) }

func (o *LSPOptions) channels() lsp.ChannelPolicy {
	return lsp.ChannelPolicy{
		OverprovisionPPM: o.OverprovisionPPM, Min: o.MinChannelSize, Max: o.MaxChannelSize,
		OverbookPPM: o.OverbookPPM,
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
