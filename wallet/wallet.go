package wallet

import (
	"context"
	"log/slog"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/btcwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
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

	// Channels is where lnwallet writes new channels. Nil is allowed for a wallet that never opens
	// one; Lightning is then nil.
	Channels *channeldb.ChannelStateDB

	// RecoveryWindow is how many unused addresses in a row end the search after a restore.
	// 0 means 250.
	RecoveryWindow uint32

	// AnchorReserve is how much is kept back for fee bumps now. Nil means nothing. It is called
	// with no lock held that the wallet's callers know of, and must not call the wallet.
	AnchorReserve func() btcutil.Amount

	// MaxFeeRate bounds every fee rate that the wallet pays, in sat/vB. 0 means 1000.
	MaxFeeRate chainfee.SatPerVByte

	// Log is the structured log. Nil means none.
	Log *slog.Logger
}

// Wallet is an open wallet. All its methods may be called from several goroutines.
type Wallet struct {
	log *slog.Logger
}

// Open unlocks the stored seed and puts the wallet together; it starts no goroutine that Stop
// does not end. Errors: ErrMissing, ErrWrongPassphrase, ErrPassphraseNeeded, ErrNotEncrypted,
// ErrPassphraseRule, ErrWrongNetwork, ErrNewer, ErrDamaged.
func Open(opts Options) (*Wallet, error) {
	return nil, ErrMissing
}

// Start connects the wallet to the chain and begins to sync; it does not wait for the end of
// the sync (see Synced).
func (w *Wallet) Start(ctx context.Context) error {
	return ErrStopped
}

// Stop ends all that Open and Start began. It may be called twice, and without Start.
func (w *Wallet) Stop() error {
	return nil
}

// Synced says whether the wallet has seen the chain to its tip.
func (w *Wallet) Synced() bool {
	return false
}

// KeyRing gives keys at lnd's paths without a wallet write per key.
func (w *Wallet) KeyRing() keychain.SecretKeyRing {
	return nil
}

// NodeKey is the node's identity (family 6, index 0), held in memory for brontide and sphinx.
func (w *Wallet) NodeKey() *keychain.PrivKeyECDH {
	return nil
}

// Signer signs for channel keys from memory and for coins through btcwallet.
func (w *Wallet) Signer() input.Signer {
	return nil
}

// Controller is the btcwallet underneath, for lnd's subsystems that want it as BlockChainIO.
// Transactions are published through Publish or Lightning, never through it.
func (w *Wallet) Controller() *btcwallet.BtcWallet {
	return nil
}

// Lightning is lnwallet's wallet, which makes channel reservations. Start starts it.
func (w *Wallet) Lightning() *lnwallet.LightningWallet {
	return nil
}

// DeriveSecret gives a 32-byte secret that depends on the seed and the purpose only.
func (w *Wallet) DeriveSecret(purpose string) [32]byte {
	return [32]byte{}
}

// WarmKeys derives what the first channel opening will need, so that it is as fast as the rest.
func (w *Wallet) WarmKeys() error {
	return nil
}
