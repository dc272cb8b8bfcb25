package wallet

import (
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcwallet/waddrmgr"
	base "github.com/btcsuite/btcwallet/wallet"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
)

// syncRetry is how long btcwallet waits before it tries a failed sync again.
const syncRetry = time.Second

var errNoConsole = errors.New("the store is older than this program knows")

// openBase opens and unlocks btcwallet. The caller stops it.
func openBase(db kvdb.Backend, password []byte, params *chaincfg.Params,
	recoveryWindow uint32) (*base.Wallet, error) {

	ask := func() ([]byte, error) { return nil, errNoConsole }
	w, err := base.OpenWithRetry(db, []byte(publicPassword),
		&waddrmgr.OpenCallbacks{ObtainSeed: ask, ObtainPrivatePass: ask}, params,
		recoveryWindow, syncRetry)
	if err != nil {
		return nil, fmt.Errorf("wallet: open btcwallet: %w", err)
	}
	w.Start()

	if err := prepareBase(w, password, params); err != nil {
		w.Stop()
		w.WaitForShutdown()

		return nil, err
	}

	return w, nil
}

func prepareBase(w *base.Wallet, password []byte, params *chaincfg.Params) error {
	if err := w.Unlock(password, nil); err != nil {
		return fmt.Errorf("wallet: unlock btcwallet: %w", err)
	}

	// lnd's code looks channel keys up in this scope. Ours does not, but a wallet without it
	// could not sign if somebody hands lnd the Controller as its signer.
	scope := waddrmgr.KeyScope{Purpose: keychain.BIP0043Purpose, Coin: coinType(params)}
	if _, err := w.Manager.FetchScopedKeyManager(scope); err == nil {
		return nil
	}
	_, err := w.AddScopeManager(scope, waddrmgr.ScopeAddrSchema{
		ExternalAddrType: waddrmgr.WitnessPubKey, InternalAddrType: waddrmgr.WitnessPubKey,
	})
	if err != nil {
		return fmt.Errorf("wallet: add the channel key scope: %w", err)
	}

	return nil
}
