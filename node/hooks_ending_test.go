package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/wallet"
)

// HoldInvoice makes an invoice whose HTLCs are held until SettleHeld or CancelHeld.
func (n *Node) HoldInvoice(ctx context.Context, amount lnwire.MilliSatoshi, hash lntypes.Hash,
	final uint32) (string, error) {

	var secret [32]byte
	_, _ = rand.Read(secret[:])
	features := lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional), lnwire.Features)
	fields := []func(*zpay32.Invoice){
		zpay32.Amount(amount), zpay32.Description("held"), zpay32.PaymentAddr(secret),
		zpay32.CLTVExpiry(uint64(final)), zpay32.Features(features), zpay32.Expiry(time.Hour),
	}
	for _, ch := range (hinter{n}).PrivateChannels() {
		fields = append(fields, zpay32.RouteHint([]zpay32.HopHint{ch.Hop}))
	}
	inv, err := zpay32.NewInvoice(n.opts.Params, hash, time.Now().Truncate(time.Second), fields...)
	if err != nil {
		return "", err
	}
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		loc := keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey}
		return n.wallet.KeyRing().SignMessageCompact(loc, msg, false)
	}})
	if err != nil {
		return "", err
	}
	_, err = n.registry.AddInvoice(ctx, &invoices.Invoice{
		CreationDate: time.Now(), PaymentRequest: []byte(text), HodlInvoice: true,
		Terms: invoices.ContractTerm{
			FinalCltvDelta: int32(final), Expiry: time.Hour, Value: amount, PaymentAddr: secret,
			Features: features,
		},
		Htlcs: map[invoices.CircuitKey]*invoices.InvoiceHTLC{},
	}, hash)
	return text, err
}

// SettleHeld claims what is held for an invoice.
func (n *Node) SettleHeld(ctx context.Context, p lntypes.Preimage) error {
	return n.registry.SettleHodlInvoice(ctx, p)
}

// CancelHeld fails what is held for an invoice.
func (n *Node) CancelHeld(ctx context.Context, hash lntypes.Hash) error {
	return n.registry.CancelInvoice(ctx, hash)
}

// Holds says that the HTLCs of an invoice are there and held.
func (n *Node) Holds(ctx context.Context, hash lntypes.Hash) bool {
	inv, err := n.registry.LookupInvoice(ctx, hash)
	return err == nil && inv.State == invoices.ContractAccepted
}

// WalletBalance is the balance with all that the wallet has told of.
func (n *Node) WalletBalance() (wallet.Balance, error) { return n.committedBalance() }

// CourtHeight is the last block that the court has dealt with.
func (n *Node) CourtHeight() uint32 { return n.court.Height() }

// Owns says that an output with this script is the wallet's.
func (n *Node) Owns(script []byte) bool {
	_, addrs, _, err := txscript.ExtractPkScriptAddrs(script, n.opts.Params)
	return err == nil && len(addrs) == 1 && n.wallet.Lightning().IsOurAddress(addrs[0])
}

// Unresolved lists what has not come to an end: channels that are closing, coins that are
// leased or unconfirmed, and sweeps other than of anchors.
func (n *Node) Unresolved() ([]string, error) {
	var list []string
	state := n.channels.ChannelStateDB()
	waiting, err := state.FetchWaitingCloseChannels()
	if err != nil {
		return nil, err
	}
	for _, ch := range waiting {
		list = append(list, fmt.Sprintf("closing %v: %v", ch.FundingOutpoint, ch.ChanStatus()))
	}
	closed, err := state.FetchClosedChannels(true)
	if err != nil {
		return nil, err
	}
	for _, ch := range closed {
		list = append(list, fmt.Sprintf("closed %v: type %d", ch.ChanPoint, ch.CloseType))
	}
	coins, err := n.wallet.Utxos()
	if err != nil {
		return nil, err
	}
	for _, c := range coins {
		if c.Leased {
			list = append(list, fmt.Sprintf("leased %v", c.Outpoint))
		}
	}
	b, err := n.committedBalance()
	if err != nil {
		return nil, err
	}
	if b.Unconfirmed != 0 {
		list = append(list, fmt.Sprintf("unconfirmed %v", b.Unconfirmed))
	}
	sweeps, err := n.court.Sweeper().PendingInputs()
	for point, in := range sweeps {
		if in.WitnessType == input.CommitmentAnchor {
			continue // not worth its fee: lnd tries again with every block, for ever
		}
		list = append(list, fmt.Sprintf("sweep of %v: %v, %v", point, in.WitnessType, in.Amount))
	}
	return list, err
}

// PastChannel is a channel that a node has or had.
type PastChannel struct {
	Point    wire.OutPoint
	Ours     bool // we funded it
	Capacity btcutil.Amount
}

// ChannelHistory lists all channels that a node has or had.
func (n *Node) ChannelHistory() ([]PastChannel, error) {
	state := n.channels.ChannelStateDB()
	chans, err := state.FetchAllChannels()
	if err != nil {
		return nil, err
	}
	closed, err := state.FetchClosedChannels(false)
	if err != nil {
		return nil, err
	}
	for _, c := range closed {
		ch, err := state.FetchHistoricalChannel(&c.ChanPoint)
		if err != nil {
			return nil, err
		}
		chans = append(chans, ch)
	}
	var list []PastChannel
	for _, ch := range chans {
		list = append(list, PastChannel{ch.FundingOutpoint, ch.IsInitiator, ch.Capacity})
	}
	return list, nil
}

// OwnCommitment is a node's newest commitment transaction of a channel, signed by both. A node
// that keeps one and publishes it when it is old, cheats.
func (n *Node) OwnCommitment(point wire.OutPoint) (*wire.MsgTx, error) {
	ch, err := n.fetchOpen(point)
	if err != nil {
		return nil, err
	}
	lc, err := lnwallet.NewLightningChannel(n.wallet.Lightning().Cfg.Signer, ch, nil)
	if err != nil {
		return nil, err
	}
	closed, err := lc.ForceClose(lnwallet.WithSkipContractResolutions())
	if err != nil {
		return nil, err
	}
	return closed.CloseTx, nil
}

func (n *Node) fetchOpen(point wire.OutPoint) (*channeldb.OpenChannel, error) {
	return n.channels.ChannelStateDB().FetchChannel(point)
}

// SaidShutdown says that a node has sent shutdown for a channel.
func (n *Node) SaidShutdown(point wire.OutPoint) bool {
	ch, err := n.fetchOpen(point)
	return err == nil && closes(ch)
}
