package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/court"
	"github.com/inletlsp/inlet/node/forward"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/peer"
	"github.com/inletlsp/inlet/wallet"
)

// startChain opens the channel database and connects to the chain.
func (n *Node) startChain(ctx context.Context, down *teardown) error {
	var err error
	n.channels, err = channeldb.CreateWithBackend(n.store,
		channeldb.OptionStoreFinalHtlcResolutions(true))
	if err != nil {
		return fmt.Errorf("node: open channel database: %w", err)
	}
	if err := n.warnUnmarked(); err != nil {
		return err
	}
	hints, err := channeldb.NewHeightHintCache(channeldb.CacheConfig{}, n.store)
	if err != nil {
		return fmt.Errorf("node: open height hints: %w", err)
	}
	if n.source, err = n.opts.Chain.source(n.opts, hints); err != nil {
		return err
	}
	n.source = soundSource{n.opts.seams.source(n.source), n.store}
	if err := n.source.Start(ctx); err != nil {
		return err
	}
	down.add("chain", n.source.Stop)
	return nil
}

// startWallet unlocks the wallet and starts it.
func (n *Node) startWallet(ctx context.Context, down *teardown) error {
	var err error
	n.wallet, err = wallet.Open(wallet.Options{
		DB: n.store, Params: n.opts.Params,
		Passphrase: n.opts.Passphrase, Insecure: n.opts.InsecureNoPassphrase,
		Chain: n.source, Channels: n.channels.ChannelStateDB(),
		RecoveryWindow: n.opts.RecoveryWindow, AnchorReserve: n.anchorReserve,
		MaxFeeRate: n.opts.Onchain.MaxFeeRate, Log: n.log.With("part", "wallet"),
	})
	if err != nil {
		return err
	}
	n.countAnchors()
	if err := n.wallet.Start(ctx); err != nil {
		return err
	}
	down.add("wallet", n.wallet.Stop)
	if err := n.wallet.WarmKeys(); err != nil {
		return fmt.Errorf("node: warm keys: %w", err)
	}
	return nil
}

const (
	// anchorReservePerChannel is what is kept back for each channel with anchors,
	// so that its commitment can be bumped when it must confirm. lnd keeps the
	// same amount, but only for announced channels.
	anchorReservePerChannel btcutil.Amount = 10_000
	// maxAnchorReserve: closings don't all happen at once; lnd's cap.
	maxAnchorReserve btcutil.Amount = 100_000
)

// anchorReserve is what openings and sends must leave in the wallet, if there were so
// many more channels than are there and being opened. It is asked for at every opening,
// so it answers from memory.
func (n *Node) anchorReserve(more int) btcutil.Amount {
	channels := n.anchorChannels.Load() + int64(more)
	if n.factory != nil { // the wallet is there first
		channels += int64(n.factory.Opening())
	}
	return min(anchorReservePerChannel*btcutil.Amount(channels), maxAnchorReserve)
}

// unfunded says that a peer has yet to show that its channel is more than a message: nothing in
// it is ours, and for two weeks nobody can tell whether it will ever be. A zero-conf one is
// pending only until channel_ready.
func unfunded(ch *channeldb.OpenChannel) bool { return ch.IsPending && !ch.IsInitiator }

// countAnchors counts the channels that anchorReserve is for, again after each that
// came or went.
func (n *Node) countAnchors() {
	n.counting.Lock()
	defer n.counting.Unlock()
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		n.log.Error("cannot count channels for the reserve", "err", err)
		return
	}
	var count int64
	for _, ch := range chans {
		if ch.ChanType.HasAnchors() && !unfunded(ch) {
			count++
		}
	}
	n.anchorChannels.Store(count)
}

// compose builds everything above wallet and chain and starts none of it.
func (n *Node) compose() error {
	steps := []func() error{
		n.composeSales, n.composeEngine, n.composeInvoices, n.composeCourt,
		n.composeBackup, n.composeLinks, n.composeFactory, n.composePayments, n.composePeers,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) composeEngine() error {
	var err error
	n.aliases, err = aliasmgr.NewManager(n.store, n.refreshAliases)
	if err != nil {
		return fmt.Errorf("node: open aliases: %w", err)
	}
	n.engine, err = forward.New(forward.Config{
		Params: n.opts.Params, Backend: n.store, Channels: n.channels, Aliases: n.aliases,
		Notifier: n.source.Notifier(), Fees: n.source.Fees(), NodeKey: n.wallet.NodeKey(),
		Signer: n.wallet.KeyRing(), Wallet: n.wallet.Lightning(),
		Policy: forward.Policy{
			BaseFee: n.opts.Channels.BaseFee, PPM: n.opts.Channels.FeePPM,
			Delta: n.opts.Channels.CLTVExpiryDelta,
		},
		Routes: n.orders, Withheld: n.withheld, Offers: n.orders, CustomHTLC: pay.NewShaper(n.buyer),
		Clock: n.clock, Log: n.log.With("part", "forward"),
	}, n.source.Status().Height)
	return err
}

// refreshAliases is called by the alias manager after it stored one.
func (n *Node) refreshAliases(scid lnwire.ShortChannelID) error {
	link, err := n.engine.Switch().GetLinkByShortID(scid)
	if err != nil {
		return err
	}
	n.engine.Switch().UpdateLinkAliases(link)
	return nil
}

func (n *Node) composeInvoices() error {
	tip := n.source.Status()
	var err error
	n.registry, err = pay.NewRegistry(pay.RegistryOptions{
		DB: n.channels, Notifier: n.source.Notifier(), Height: tip.Height, Hash: tip.BlockHash,
		Skim: n.buyer, Clock: n.clock, HoldDuration: n.opts.seams.mppHold,
		Log: n.log.With("part", "invoices"),
	})
	if err != nil {
		return err
	}
	n.invoices, err = pay.NewInvoices(pay.InvoiceOptions{
		Registry: n.registry, Params: n.opts.Params, Signer: n.wallet.KeyRing(),
		Hints: hinter{n}, Clock: n.clock,
	})
	return err
}

func (n *Node) composeCourt() error {
	log := n.log.With("part", "court")
	n.beacon = court.NewBeacon(n.channels.NewWitnessCache(), n.engine.Held(), log)
	n.beacon.OnPreimage(n.orders.Preimage)
	var err error
	n.court, err = court.New(court.Parts{
		Params: n.opts.Params, Backend: n.store, Channels: n.channels,
		Wallet: n.wallet.Lightning(), Notifier: n.source.Notifier(), Mempool: n.source.Mempool(),
		Fees: n.source.Fees(), Beacon: n.beacon, Switch: n.engine.Switch(),
		Registry: n.registry.InvoiceRegistry, Onions: n.engine.Onions(),
		Htlcs: n.engine.HtlcEvents(), CustomHTLCs: pay.NewShaper(n.buyer),
		Withholds: func(in models.CircuitKey) bool {
			return n.orders.Withholds(jit.CircuitKey{Chan: in.ChanID, Index: in.HtlcID})
		},
		MaxFeeRate: n.opts.Onchain.MaxFeeRate, Publish: n.wallet.Publish,
		Notify: court.Notify{Closed: n.channelClosed}, Log: log,
	})
	return err
}

func (n *Node) composeLinks() error {
	n.links = forward.NewLinks(forward.LinksConfig{
		Engine: n.engine, Court: watch{n}, Beacon: n.beacon,
		Registry: n.registry.InvoiceRegistry, Events: linkEvents{n},
		AwayFor: cmp.Or(n.opts.seams.awayFor, forward.AwayFor),
	})
	n.links.Expect(n.openChannels())
	return nil
}

func (n *Node) composeFactory() error {
	var err error
	n.factory, err = chanfactory.New(chanfactory.Config{
		Params: n.opts.Params, Wallet: n.wallet.Lightning(),
		Channels: n.channels.ChannelStateDB(), Aliases: n.aliases,
		Notifier: n.source.Notifier(), Fees: n.source.Fees(), Searched: n.source.Searched,
		Store: n.store, Publish: n.wallet.Publish, Coins: n.wallet, Court: fundingCourt{n}, Links: fundingLinks{n},
		Accept: acceptor{n}, Events: n.fundingEvent, Clock: n.clock,
		Policy: chanfactory.Policy{
			MinCapacity:       n.opts.Channels.MinInboundSize,
			MaxPendingPerPeer: n.opts.Channels.MaxPendingPerPeer,
		},
		Log: n.log.With("part", "chanfactory"),
	})
	return err
}

func (n *Node) composePayments() error {
	ids, err := htlcswitch.NewPersistentSequencer(n.channels)
	if err != nil {
		return fmt.Errorf("node: open payment sequence: %w", err)
	}
	n.payments, err = pay.New(pay.Options{
		DB: n.store, Params: n.opts.Params, Self: route.NewVertex(n.wallet.NodeKey().PubKey()),
		Switch: pay.FromSwitch(n.engine.Switch()), Channels: sender{n}, IDs: ids,
		Clock: n.clock, Updates: n.paymentUpdate, Log: n.log.With("part", "pay"),
	})
	return err
}

func (n *Node) composePeers() error {
	var err error
	n.peers, err = peer.New(peer.Config{
		NodeKey: n.wallet.NodeKey(), ChainHash: *n.opts.Params.GenesisHash,
		Features: n.features, Listen: n.opts.Listen, Handler: peerHandler{n},
		KnownPeer: n.knownPeer,
		Limits:    n.opts.seams.peerLimits(peer.Limits{Strangers: n.opts.MaxStrangers}),
		Dial:      n.opts.seams.dial, Bind: n.opts.seams.bind, Log: n.log.With("part", "peer"),
	})
	return err
}

// startEngine starts the switch, the court and the invoices. The court needs the
// switch to deliver to; links come later, so no channel moves unwatched.
func (n *Node) startEngine(down *teardown) error {
	if err := n.orders.Load(n.orderPorts()); err != nil {
		return err
	}
	if err := n.registry.Start(); err != nil {
		return err
	}
	down.add("invoices", n.registry.Stop)
	if err := n.engine.Start(); err != nil {
		return err
	}
	down.add("switch", n.engine.Stop)
	// The court's sweeper may spend any coin that is free as soon as it starts.
	if err := n.factory.HoldCoins(); err != nil {
		return err
	}
	tip, err := n.tip()
	if err != nil {
		return err
	}
	if err := n.court.Start(tip); err != nil {
		return err
	}
	down.add("court", n.court.Stop)
	return nil
}

// tip is the block that the notifier has followed the chain to.
func (n *Node) tip() (*chainntnfs.BlockEpoch, error) {
	epochs, err := n.source.Notifier().RegisterBlockEpochNtfn(nil)
	if err != nil {
		return nil, fmt.Errorf("node: subscribe to blocks: %w", err)
	}
	defer epochs.Cancel()
	tip, ok := <-epochs.Epochs
	if !ok {
		return nil, errors.New("node: the chain backend stopped")
	}
	return tip, nil
}

func nodeID(w *wallet.Wallet) string {
	return hex.EncodeToString(w.NodeKey().PubKey().SerializeCompressed())
}

// feeRate is the estimate for a confirmation target, or a rate that was asked for.
func (n *Node) feeRate(asked chainfee.SatPerVByte, target uint32) (chainfee.SatPerKWeight, error) {
	if most := n.opts.Onchain.MaxFeeRate; asked > most {
		return 0, fmt.Errorf("node: %w: %d sat/vB is more than max_fee_rate_sat_per_vb = %d",
			wallet.ErrFeeRate, uint64(asked), uint64(most))
	}
	if asked != 0 {
		return asked.FeePerKWeight(), nil
	}
	rate, err := n.source.Fees().EstimateFeePerKW(target)
	if err != nil {
		return 0, fmt.Errorf("node: estimate fee rate: %w", err)
	}
	return min(rate, n.opts.Onchain.MaxFeeRate.FeePerKWeight()), nil
}
