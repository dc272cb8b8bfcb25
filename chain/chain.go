package chain

import (
	"context"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

// Source is one chain backend, followed for as long as the node runs.
//
// The backend may go away and come back at any time after Start: the Source connects again by
// itself, delivers the blocks, confirmations and spends that happened meanwhile, and fails the
// calls that need an answer at once with ErrUnreachable. Nobody has to restart anything.
type Source interface {
	// Start connects, checks network and credentials, and returns once the Source follows the
	// backend's best block. It fails with ErrUnreachable, ErrAuth or ErrWrongNetwork. A Source
	// is started once.
	Start(ctx context.Context) error

	// Stop ends everything that Start began and waits for it. The channels of all registered
	// notifications are closed. It is idempotent.
	Stop() error

	// Notifier reports blocks, confirmations and spends. Valid after Start; its own Start and
	// Stop do nothing, its life is the Source's.
	Notifier() chainntnfs.ChainNotifier

	// Searched says that the past was searched for a transaction whose confirmation somebody has
	// registered for: one that was not told of by then is in no block. Valid after Start.
	Searched(txid *chainhash.Hash, script []byte) bool

	// Mempool reports spends that are not yet in a block. Valid after Start.
	Mempool() chainntnfs.MempoolWatcher

	// WalletSource is the view of the chain that btcwallet is built on. btcwallet starts and
	// stops it; it must be stopped before the Source is.
	WalletSource() btcwchain.Interface

	// Fees estimates fee rates: never under 253 sat/kw, never over Options.FeeCap, and
	// Options.FeeFallback when the backend has no estimate. Start has started it.
	Fees() chainfee.Estimator

	// Blocks reads the chain; the best block is answered from memory. Valid after Start.
	Blocks() Blocks

	// Broadcast hands tx to the backend for its mempool. It returns nil also when the backend
	// has the transaction already, in its mempool or in a block, so that repeating it is
	// harmless. A refusal is a *RejectedError; ErrUnreachable means that nothing is known
	// about the outcome and the caller tries again later. The label is for the log.
	Broadcast(tx *wire.MsgTx, label string) error

	// Status is what the Source knows right now; it never blocks.
	Status() Status
}

// Blocks reads blocks. It has the methods of lnd's lnwallet.BlockChainIO.
type Blocks interface {
	// GetBestBlock is the block that the Source has followed the chain to, from memory.
	GetBestBlock() (*chainhash.Hash, int32, error)

	// GetUtxo returns the output if no block has spent it. btcwallet.ErrOutputSpent and
	// btcwallet.ErrOutputNotFound of lnd have their equals in ErrOutputSpent here.
	GetUtxo(op *wire.OutPoint, pkScript []byte, heightHint uint32,
		cancel <-chan struct{}) (*wire.TxOut, error)

	GetBlockHash(height int64) (*chainhash.Hash, error)
	GetBlock(hash *chainhash.Hash) (*wire.MsgBlock, error)
	GetBlockHeader(hash *chainhash.Hash) (*wire.BlockHeader, error)
}

// Status describes a Source at one moment.
type Status struct {
	Backend string // "btcd" or "bitcoind"
	Host    string // RPC address of the backend
	Network string // name of the network, as in chaincfg

	Height    uint32 // of the block that the Source has followed the chain to
	BlockHash chainhash.Hash
	BlockTime time.Time

	// Synced is false while the backend still loads or downloads the chain, while the Source
	// is behind the backend, and while the backend is not reachable.
	Synced bool

	BackendReachable bool
	DownSince        time.Time // when the backend was lost; zero while it is reachable
	LastError        string    // why it is not reachable; empty while it is

	// FeeFallback says that the latest fee rate given out was Options.FeeFallback, because the
	// backend had no estimate.
	FeeFallback bool
}

// HintCache remembers how far the chain was searched for each confirmation and spend, so that a
// restart does not search it again. lnd's channeldb.HeightHintCache is one.
type HintCache interface {
	chainntnfs.SpendHintCache
	chainntnfs.ConfirmHintCache
}

// Options are the settings that do not depend on the kind of backend. Zero values work except for
// Params.
type Options struct {
	Params *chaincfg.Params // network; required

	// Hints keeps search heights across restarts; nil keeps them in memory.
	Hints HintCache

	// FeeFallback is given out when the backend has no estimate; 0 means DefaultFeeFallback.
	FeeFallback chainfee.SatPerKWeight

	// FeeCap bounds every estimate from above (max_fee_rate_sat_per_vb); 0 means
	// DefaultFeeCap.
	FeeCap chainfee.SatPerKWeight

	// PollInterval is the time between two looks at a bitcoind without ZMQ; 0 means one
	// second. No other backend is polled.
	PollInterval time.Duration

	// RetryInterval is the first and smallest wait before connecting again after a loss; it
	// doubles up to 16 times its value. 0 means half a second.
	RetryInterval time.Duration

	// RequestTimeout bounds each request to the backend; 0 means 30 seconds.
	RequestTimeout time.Duration

	Log *slog.Logger // nil: nothing is logged
}

const (
	// DefaultFeeFallback is 10 sat/vB.
	DefaultFeeFallback chainfee.SatPerKWeight = 2500

	// DefaultFeeCap is 250 sat/vB.
	DefaultFeeCap chainfee.SatPerKWeight = 62500
)

// BtcdConfig says how to reach a btcd.
type BtcdConfig struct {
	RPCHost     string // host:port; without a port the network's standard one
	RPCUser     string
	RPCPassword string

	// CertFile is the certificate of the RPC server, made by btcd at its first start. Unused
	// unless TLS is true; with TLS and no file the system's certificates count.
	CertFile string
	TLS      bool
}

// BitcoindConfig says how to reach a bitcoind, Core or Knots, of version 24 or later.
type BitcoindConfig struct {
	RPCHost     string // host:port; without a port the network's standard one
	RPCUser     string
	RPCPassword string

	// CookieFile is used instead of user and password when set. It is read again for every
	// connection, since bitcoind writes a new one at each start.
	CookieFile string

	// ZMQBlock and ZMQTx are bitcoind's -zmqpubrawblock (or -zmqpubhashblock) and
	// -zmqpubrawtx, like tcp://127.0.0.1:28332. Without ZMQBlock bitcoind is polled.
	ZMQBlock string
	ZMQTx    string
}
