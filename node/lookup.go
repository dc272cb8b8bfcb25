package node

import (
	"context"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// LookupInvoice is an invoice of ours as it stands.
func (n *Node) LookupInvoice(ctx context.Context, hash lntypes.Hash) (pay.Invoice, error) {
	if err := n.running(); err != nil {
		return pay.Invoice{}, err
	}
	return n.invoices.Lookup(ctx, hash)
}

// AwaitInvoice gives an invoice of ours once it is not open any more: settled,
// canceled or expired.
func (n *Node) AwaitInvoice(ctx context.Context, hash lntypes.Hash) (pay.Invoice, error) {
	if err := n.running(); err != nil {
		return pay.Invoice{}, err
	}
	return n.invoices.Wait(ctx, hash)
}

// LookupPayment is a payment of ours as it stands, also one that Pay did not see the end
// of. pay.ErrUnknownPayment: nothing was paid with that hash.
func (n *Node) LookupPayment(hash lntypes.Hash) (pay.Payment, error) {
	if err := n.running(); err != nil {
		return pay.Payment{}, err
	}
	return n.payments.Lookup(hash)
}

// Utxos lists the wallet's coins, those that are held included.
func (n *Node) Utxos() ([]wallet.Utxo, error) {
	if err := n.running(); err != nil {
		return nil, err
	}
	return n.wallet.Utxos()
}

// AwaitHeight returns when the node has followed the chain to this height.
func (n *Node) AwaitHeight(ctx context.Context, height uint32) error {
	if err := n.running(); err != nil {
		return err
	}
	err := n.eachBlock(ctx, func(tip *chainntnfs.BlockEpoch) (bool, error) {
		return tip.Height >= 0 && uint32(tip.Height) >= height, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("node: block %d has not come: %w", height, ctx.Err())
	}
	return err
}

// AwaitBalance returns when at least this much is in the wallet, confirmed.
func (n *Node) AwaitBalance(ctx context.Context, atLeast btcutil.Amount) error {
	if err := n.running(); err != nil {
		return err
	}
	// lnd's own subscription tells only of transactions that the wallet first saw
	// after it began, and one may be between its two halves now: stored, and its
	// block not connected. This one tells of every block.
	server := n.wallet.Controller().InternalWallet().NotificationServer()
	blocks := server.TransactionNotifications()
	changed := make(chan struct{}, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		for range blocks.C {
			select {
			case changed <- struct{}{}:
			default: // the loop below looks again in any case
			}
		}
	})
	defer reading.Wait()
	defer blocks.Done()
	for {
		b, err := n.committedBalance()
		if err != nil {
			return err
		}
		if b.Confirmed >= atLeast {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("node: the wallet has %v of %v: %w", b.Confirmed, atLeast, ctx.Err())
		}
	}
}

// committedBalance is the balance with everything that the wallet has told of until
// now. It tells before its write is committed; a write that comes back after that one
// has it before it.
func (n *Node) committedBalance() (wallet.Balance, error) {
	err := kvdb.Update(n.store, func(kvdb.RwTx) error { return nil }, func() {})
	if err != nil {
		return wallet.Balance{}, fmt.Errorf("node: await the wallet's write: %w", err)
	}
	return n.wallet.Balance()
}

// Stats count what the node has made durable since it was made: each commit is one
// wait for the disk, shared by the writes that came together.
func (n *Node) Stats() store.Stats { return n.store.Stats() }
