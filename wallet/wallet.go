package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/lightningnetwork/lnd/blockcache"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/btcwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"

	"github.com/inletlsp/inlet/chain"
)

const (
	// defaultRecoveryWindow is lnd's: so many unused addresses in a row end a search.
	defaultRecoveryWindow = 250

	// defaultMaxFeeRate is what nobody pays on purpose, in sat/vB.
	defaultMaxFeeRate chainfee.SatPerVByte = 1000

	// blockCacheSize is in bytes; lnd's callers of the wallet read few blocks.
	blockCacheSize = 8 << 20
)

// Chain is what the wallet needs of the chain; chain.Source fills it. It has been started before
// Open is called and is stopped after the wallet.
type Chain interface {
	// Notifier tells of confirmations and blocks.
	Notifier() chainntnfs.ChainNotifier

	// WalletSource feeds btcwallet with blocks and transactions.
	WalletSource() btcwchain.Interface

	// Fees estimates fee rates; it has been started.
	Fees() chainfee.Estimator

	// Blocks reads the chain for lnwallet.
	Blocks() chain.Blocks

	// Broadcast publishes a transaction; nil also when it is known or confirmed already.
	Broadcast(tx *wire.MsgTx, label string) error
}

// Options configures Open. DB, Params and Chain are required.
type Options struct {
	// DB is the store; the wallet never closes it.
	DB kvdb.Backend

	// Params names the network. A wallet of another one is refused with ErrWrongNetwork.
	Params *chaincfg.Params

	// Passphrase opens the seed. The caller may zero it after Open.
	Passphrase []byte

	// Insecure opens a wallet that was made without a passphrase.
	Insecure bool

	// Chain is the started chain source.
	Chain Chain

	// Channels is where lnwallet writes new channels. Nil is allowed for a wallet that never
	// opens one.
	Channels *channeldb.ChannelStateDB

	// RecoveryWindow is how many unused addresses in a row end the search after a restore.
	// 0 means 250.
	RecoveryWindow uint32

	// AnchorReserve is how much is kept back for fee bumps, if there were `more` channels than there
	// are. An opening that has come to ask its Funder for coins counts as one that is. Nil means
	// nothing. It is asked at every opening and send, so it should answer from memory, and must not
	// call the wallet.
	AnchorReserve func(more int) btcutil.Amount

	// MaxFeeRate bounds every fee rate that the wallet pays, in sat/vB. 0 means 1000.
	MaxFeeRate chainfee.SatPerVByte

	// Log is the structured log. Nil means none.
	Log *slog.Logger
}

// Wallet is an open wallet. All its methods may be called from several goroutines.
type Wallet struct {
	opts Options
	log  *slog.Logger

	ring    *ring
	node    *keychain.PrivKeyECDH
	signer  *signer
	derived secret // what DeriveSecret expands

	base      *base.Wallet
	btcw      *btcwallet.BtcWallet
	lightning *lnwallet.LightningWallet
	source    *source

	// spend is held while coins are chosen and leased, so that the reserve is checked against
	// what is really left. lnwallet's own lock is taken inside of it.
	spend sync.Mutex

	change *changePool
	news   *news
	life   life
}

// news tells those who wait what has become of the wallet.
type news struct {
	ready chan struct{} // closed when the first sync has been processed
	once  sync.Once     // closes ready

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed at the next change
}

func newNews() *news {
	return &news{ready: make(chan struct{}), changed: make(chan struct{})}
}

func (n *news) change() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.changed)
	n.changed = make(chan struct{})
}

// life is where the wallet stands between Open and Stop.
type life struct {
	mu    sync.Mutex
	state lifeState // guarded by mu
}

type lifeState uint8

const (
	stateOpen lifeState = iota
	stateRunning
	stateStopped
)

// Open unlocks the stored seed and puts the wallet together; it starts no goroutine that Stop
// does not end. Errors: ErrMissing, ErrWrongPassphrase, ErrPassphraseNeeded, ErrNotEncrypted,
// ErrPassphraseRule, ErrWrongNetwork, ErrNewer, ErrDamaged.
func Open(opts Options) (*Wallet, error) {
	if opts.DB == nil || opts.Params == nil || opts.Chain == nil {
		return nil, errors.New("wallet: open: DB, Params and Chain must be given")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.AnchorReserve == nil {
		opts.AnchorReserve = func(int) btcutil.Amount { return 0 }
	}
	if opts.MaxFeeRate == 0 {
		opts.MaxFeeRate = defaultMaxFeeRate
	}

	raw, err := readRecord(opts.DB)
	if err != nil {
		return nil, err
	}
	s, err := unseal(raw, opts.Params.Name, opts.Passphrase, opts.Insecure)
	if err != nil {
		return nil, err
	}
	defer s.clear()
	opts.Passphrase = nil

	w := &Wallet{opts: opts, log: opts.Log, news: newNews()}
	if err := w.deriveKeys(s); err != nil {
		return nil, err
	}
	if err := w.compose(s); err != nil {
		if w.base != nil {
			w.base.Stop()
			w.base.WaitForShutdown()
		}

		return nil, err
	}

	return w, nil
}

// deriveKeys makes everything that needs the seed itself.
func (w *Wallet) deriveKeys(s *secrets) error {
	keys, err := newKeys(w.opts.DB, s.Entropy, w.opts.Params)
	if err != nil {
		return err
	}
	w.ring, w.node, w.derived = keys.ring, keys.node, keys.derived

	return nil
}

// compose puts btcwallet and lnwallet on top of the store.
func (w *Wallet) compose(s *secrets) error {
	window := uint32(0)
	pending, err := restorePending(w.opts.DB)
	if err != nil {
		return err
	}
	if pending {
		window = defaultRecoveryWindow
		if w.opts.RecoveryWindow > 0 {
			window = w.opts.RecoveryWindow
		}
		w.log.Info("searching the chain for the coins of a restored seed",
			"birthday", s.Birthday, "window", window)
	}

	w.base, err = openBase(w.opts.DB, s.WalletPassword, w.opts.Params, window)
	if err != nil {
		return err
	}
	w.source = newSource(w.opts.Chain, w.log)
	w.source.ours, w.source.repeat = w.allInputsOurs, w.repeat
	w.source.done = func(note any) { w.onProcessed(note, pending) }

	w.btcw, err = btcwallet.New(btcwallet.Config{
		Wallet: w.base, ChainSource: w.source, NetParams: w.opts.Params,
		CoinType: coinType(w.opts.Params),
	}, blockcache.NewBlockCache(blockCacheSize))
	if err != nil {
		return fmt.Errorf("wallet: open btcwallet: %w", err)
	}
	w.change = newChangePool(w)
	w.signer = newSigner(w.ring, w.base, w.btcw, w.opts.Params)

	w.lightning, err = lnwallet.NewLightningWallet(lnwallet.Config{
		Database: w.opts.Channels, Notifier: w.opts.Chain.Notifier(), SecretKeyRing: w.ring,
		WalletController: &controller{BtcWallet: w.btcw, wallet: w}, Signer: w.signer,
		FeeEstimator: w.opts.Chain.Fees(), ChainIO: w.opts.Chain.Blocks(),
		NetParams: *w.opts.Params, CoinSelectionStrategy: base.CoinSelectionLargest,
	})
	if err != nil {
		return fmt.Errorf("wallet: open lnwallet: %w", err)
	}

	return nil
}

// Start connects the wallet to the chain and begins to sync; it does not wait for the end of
// the sync (see Ready). After Stop, or a Start that failed, it fails with ErrStopped.
func (w *Wallet) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wallet: start: %w", err)
	}
	w.life.mu.Lock()
	defer w.life.mu.Unlock()
	if w.life.state != stateOpen {
		return fmt.Errorf("wallet: start: %w", ErrStopped)
	}
	if err := w.lightning.Startup(); err != nil {
		// lnwallet would take a second try for done.
		w.life.state = stateStopped

		return fmt.Errorf("wallet: start: %w", errors.Join(err, w.lightning.Shutdown()))
	}
	w.life.state = stateRunning

	return nil
}

// Stop ends all that Open and Start began. It may be called twice, and without Start.
func (w *Wallet) Stop() error {
	w.life.mu.Lock()
	defer w.life.mu.Unlock()
	if w.life.state == stateStopped {
		return nil
	}
	w.life.state = stateStopped

	return w.lightning.Shutdown()
}

func (w *Wallet) running() bool {
	w.life.mu.Lock()
	defer w.life.mu.Unlock()

	return w.life.state == stateRunning
}

// onProcessed runs when btcwallet has processed a notification.
func (w *Wallet) onProcessed(note any, restoring bool) {
	defer w.news.change()
	switch note.(type) {
	case btcwchain.BlockConnected, btcwchain.FilteredBlockConnected:
		w.source.repeatSoon()
		return

	case *btcwchain.RescanFinished:
	default:
		return
	}
	w.news.once.Do(func() {
		if restoring {
			if err := restoreDone(w.opts.DB); err != nil {
				w.log.Error("the next start searches the chain again", "err", err)
			}
		}
		w.log.Info("wallet is synced", "height", w.base.SyncedTo().Height)
		close(w.news.ready)
	})
}

// Ready is closed when the wallet has seen the chain up to the tip for the first time since
// Start. Until then the balance may lack coins.
func (w *Wallet) Ready() <-chan struct{} { return w.news.ready }

// Changed is closed when the coins may have changed: after a block, a transaction, a lease or a
// release, with all of it stored. To wait for something take the channel first, then look, then
// wait.
func (w *Wallet) Changed() <-chan struct{} {
	w.news.mu.Lock()
	defer w.news.mu.Unlock()

	return w.news.changed
}

// Synced says whether the wallet has seen the chain to its tip now.
func (w *Wallet) Synced() bool {
	if !w.running() || !w.base.ChainSynced() {
		return false
	}
	_, height, err := w.opts.Chain.Blocks().GetBestBlock()

	return err == nil && w.base.SyncedTo().Height >= height
}

// KeyRing gives keys at lnd's paths without a wallet write per key.
func (w *Wallet) KeyRing() keychain.SecretKeyRing { return w.ring }

// NodeKey is the node's identity (family 6, index 0), held in memory for brontide and sphinx.
func (w *Wallet) NodeKey() *keychain.PrivKeyECDH { return w.node }

// Signer signs for channel keys from memory and for coins through btcwallet.
func (w *Wallet) Signer() input.Signer { return w.signer }

// Controller is the btcwallet underneath. Transactions are published through Publish or
// Lightning, and signed with Signer; never through it.
func (w *Wallet) Controller() *btcwallet.BtcWallet { return w.btcw }

// Lightning is lnwallet's wallet, which makes channel reservations. Start starts it.
func (w *Wallet) Lightning() *lnwallet.LightningWallet { return w.lightning }

// DeriveSecret gives a 32-byte secret that depends on the seed and the purpose only.
func (w *Wallet) DeriveSecret(purpose string) [32]byte { return expand(w.derived, purpose) }

// WarmKeys derives what the first channel opening will need, so that it is as fast as the rest, in
// one write. Change addresses are made in the background from Start on.
func (w *Wallet) WarmKeys() error {
	return w.ring.warm(keychain.KeyFamilyMultiSig, keychain.KeyFamilyRevocationBase,
		keychain.KeyFamilyHtlcBase, keychain.KeyFamilyPaymentBase, keychain.KeyFamilyDelayBase,
		keychain.KeyFamilyRevocationRoot)
}
