package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/btcwallet"

	"github.com/inletlsp/inlet/chain"
)

// maxLabel is btcwallet's limit on the label of a transaction, in bytes.
const maxLabel = 500

// controller is btcwallet as lnwallet sees it. It starts without deriving 255 accounts and
// publishes through the chain's Broadcast.
type controller struct {
	*btcwallet.BtcWallet

	wallet *Wallet
}

var _ lnwallet.WalletController = (*controller)(nil)

// Start connects btcwallet to the chain. It has been unlocked by Open.
func (c *controller) Start() error {
	w := c.wallet

	// btcwallet sets this itself, but only on a client that nobody has wrapped.
	if client, ok := w.source.Interface.(interface{ SetBirthday(time.Time) }); ok {
		client.SetBirthday(w.base.Manager.Birthday())
	}
	if err := w.source.Start(context.Background()); err != nil {
		return fmt.Errorf("wallet: start the chain view: %w", err)
	}
	w.base.SynchronizeRPC(w.source)
	w.source.wg.Go(w.change.routineFill)

	return nil
}

// Stop ends btcwallet and its view of the chain.
func (c *controller) Stop() error {
	w := c.wallet
	w.source.Stop()
	w.base.Stop()
	w.base.WaitForShutdown()
	w.source.WaitForShutdown()

	return nil
}

// NewAddress gives a fresh address; change addresses have been made ahead.
func (c *controller) NewAddress(kind lnwallet.AddressType, change bool,
	account string) (btcutil.Address, error) {

	if change && kind == lnwallet.TaprootPubkey && account == lnwallet.DefaultAccountName {
		return c.wallet.change.take()
	}

	return c.BtcWallet.NewAddress(kind, change, account)
}

// PublishTransaction is Wallet.Publish.
func (c *controller) PublishTransaction(tx *wire.MsgTx, label string) error {
	return c.wallet.Publish(tx, label)
}

// Publish stores a transaction and broadcasts it through the chain. When the chain refuses it,
// it is forgotten again and the error says why (lnwallet.ErrDoubleSpend, lnwallet.ErrMempoolFee,
// and the chain's own error, by errors.Is and errors.As). When the chain cannot be reached it
// stays stored, the error is the chain's, and it is broadcast again with each block.
//
// A transaction that has nothing of the wallet's in it (a commitment) is broadcast and not
// stored; whoever made it repeats it.
func (w *Wallet) Publish(tx *wire.MsgTx, label string) error {
	if !w.running() {
		return fmt.Errorf("wallet: publish: %w", ErrStopped)
	}
	label = label[:min(len(label), maxLabel)]

	concerned, err := w.concerns(tx)
	if err != nil {
		return fmt.Errorf("wallet: publish: %w", err)
	}
	if !concerned {
		return publishError(w.source.chain.Broadcast(tx, label))
	}

	end := w.source.begin(tx.TxHash(), label)
	err = w.base.PublishTransaction(tx, label)
	if unknown := end(); err == nil {
		err = unknown
	}
	w.news.change()

	return publishError(err)
}

// repeat broadcasts all stored transactions that wait for a block, parents first, and forgets
// those that can never confirm.
func (w *Wallet) repeat() {
	var waiting []*wire.MsgTx
	err := kvdb.View(w.opts.DB, func(tx kvdb.RTx) error {
		var err error
		waiting, err = w.base.TxStore.UnminedTxs(tx.ReadBucket([]byte(txmgrBucket)))

		return err
	}, func() { waiting = nil })
	if err != nil {
		w.log.Error("cannot read the transactions to repeat", "err", err)
		return
	}

	for _, tx := range waiting {
		if w.source.stopping() {
			return
		}
		_, refused := w.source.SendRawTransaction(tx, false)
		if refused == nil {
			continue
		}
		w.log.Warn("a stored transaction is forgotten", "txid", tx.TxHash(), "err", refused)
		if err := w.base.RemoveDescendants(tx); err != nil {
			w.log.Error("cannot forget a transaction", "txid", tx.TxHash(), "err", err)
		}
		w.news.change()
	}
}

// publishError adds lnwallet's sentinels, which lnd's subsystems decide by.
func publishError(err error) error {
	switch {
	case err == nil:
		return nil

	case errors.Is(err, chain.ErrDoubleSpend), errors.Is(err, chain.ErrMissingInputs):
		return fmt.Errorf("wallet: publish: %w: %w", lnwallet.ErrDoubleSpend, err)

	case errors.Is(err, chain.ErrFeeTooLow):
		return fmt.Errorf("wallet: publish: %w: %w", lnwallet.ErrMempoolFee, err)
	}

	return fmt.Errorf("wallet: publish: %w", err)
}
