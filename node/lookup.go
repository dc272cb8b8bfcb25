package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/inletlsp/inlet/node/pay"
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
	epochs, err := n.source.Notifier().RegisterBlockEpochNtfn(nil)
	if err != nil {
		return fmt.Errorf("node: subscribe to blocks: %w", err)
	}
	defer epochs.Cancel()
	for {
		select {
		case tip, ok := <-epochs.Epochs:
			if !ok {
				return errors.New("node: the chain backend stopped")
			}
			if tip.Height >= 0 && uint32(tip.Height) >= height {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("node: block %d has not come: %w", height, ctx.Err())
		}
	}
}
