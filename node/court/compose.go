package court

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/sweep"
)

// noForce is how long lnd waits with a forced close for an HTLC of which goesOnChain says no: for
// ever. For lnd these are payments of our own, which it lets expire without hurry if told to.
const noForce time.Duration = 1<<63 - 1

// sweepWallet is the wallet as the sweeper wants it.
type sweepWallet struct{ *lnwallet.LightningWallet }

// CancelRebroadcast has nothing to cancel: we run no rebroadcaster of lnd's.
func (sweepWallet) CancelRebroadcast(chainhash.Hash) {}

func (c *Court) composeSweeper() error {
	p := c.parts
	store, err := sweep.NewSweeperStore(p.Backend, p.Params.GenesisHash)
	if err != nil {
		return fmt.Errorf("court: open sweeper store: %w", err)
	}
	c.publisher = sweep.NewTxPublisher(sweep.TxPublisherConfig{
		Signer: p.Wallet.Cfg.Signer, Wallet: p.Wallet,
		Estimator: p.Fees, Notifier: p.Notifier,
	})
	c.sweeper = sweep.New(&sweep.UtxoSweeperConfig{
		FeeEstimator: p.Fees, GenSweepScript: c.sweepScript,
		Signer: p.Wallet.Cfg.Signer, Wallet: sweepWallet{p.Wallet},
		Mempool: p.Mempool, Notifier: p.Notifier, Store: store,
		MaxInputsPerTx: sweep.DefaultMaxInputsPerTx, MaxFeeRate: p.MaxFeeRate,
		Aggregator: sweep.NewBudgetAggregator(
			p.Fees, sweep.DefaultMaxInputsPerTx, fn.None[sweep.AuxSweeper]()),
		Publisher: c.publisher, NoDeadlineConfTarget: noDeadlineConfTarget,
	})
	return nil
}

func (c *Court) composeNursery(budget *contractcourt.BudgetConfig) error {
	p, chans := c.parts, c.parts.Channels.ChannelStateDB()
	store, err := contractcourt.NewNurseryStore(p.Params.GenesisHash, p.Channels)
	if err != nil {
		return fmt.Errorf("court: open nursery store: %w", err)
	}
	c.nursery = contractcourt.NewUtxoNursery(&contractcourt.NurseryConfig{
		ChainIO: p.Wallet.Cfg.ChainIO, ConfDepth: 1,
		FetchClosedChannels: chans.FetchClosedChannels,
		FetchClosedChannel:  chans.FetchClosedChannel,
		Notifier:            p.Notifier, PublishTransaction: p.Publish,
		Store: store, SweepInput: c.sweeper.SweepInput, Budget: budget,
	})
	return nil
}

func (c *Court) composeBreach() {
	p := c.parts
	c.breach = contractcourt.NewBreachArbitrator(&contractcourt.BreachConfig{
		CloseLink: func(point *wire.OutPoint, _ contractcourt.ChannelCloseType) {
			p.Switch.RemoveLink(lnwire.NewChanIDFromOutPoint(*point))
		},
		DB: p.Channels.ChannelStateDB(), Estimator: p.Fees,
		GenSweepScript: c.sweepScript, Notifier: p.Notifier,
		PublishTransaction: p.Publish, ContractBreaches: c.breaches,
		Signer: p.Wallet.Cfg.Signer, Store: contractcourt.NewRetributionStore(p.Backend),
	})
}

// contractBreach hands a breach to its arbitrator and waits for it to be on disk
// there. To return earlier would let the channel be forgotten with the penalty.
func (c *Court) contractBreach(point wire.OutPoint, r *lnwallet.BreachRetribution) error {
	done := make(chan error, 1)
	event := &contractcourt.ContractBreachEvent{
		ChanPoint: point, BreachRetribution: r,
		ProcessACK: func(err error) { done <- err },
	}
	select {
	case c.breaches <- event:
	case <-c.quit:
		return ErrStopping
	}
	select {
	case err := <-done:
		return err
	case <-c.quit:
		return ErrStopping
	}
}

func (c *Court) deliverResolutions(msgs ...contractcourt.ResolutionMsg) error {
	for _, m := range msgs {
		if err := c.parts.Switch.ProcessContractResolution(m); err != nil {
			return fmt.Errorf("court: deliver resolution: %w", err)
		}
	}
	return nil
}

// incomingOf finds who sent us the HTLC that went out on the given circuit.
func (c *Court) incomingOf(out models.CircuitKey) *models.CircuitKey {
	if pc := c.parts.Switch.CircuitLookup().LookupOpenCircuit(out); pc != nil {
		return &pc.Incoming
	}
	return nil
}

// goesOnChain says whether an outgoing HTLC that expires is a reason to close its channel by force.
// It is, whether it was forwarded or is a payment of ours, unless the channel's funding is withheld:
// our commitment could not confirm, and the channel would count as closing for ever.
func (c *Court) goesOnChain(scid lnwire.ShortChannelID, index uint64) bool {
	in := c.incomingOf(models.CircuitKey{ChanID: scid, HtlcID: index})
	return in == nil || !c.withheld(*in)
}

func (c *Court) withheld(in models.CircuitKey) bool {
	return c.parts.Withholds != nil && c.parts.Withholds(in)
}

func (c *Court) arbConfig(budget *contractcourt.BudgetConfig) contractcourt.ChainArbitratorConfig {
	p, chans := c.parts, c.parts.Channels.ChannelStateDB()
	custom := fn.None[contractcourt.CustomHtlcChecker]()
	if p.CustomHTLCs != nil {
		custom = fn.Some(p.CustomHTLCs)
	}
	return contractcourt.ChainArbitratorConfig{
		ChainHash:              *p.Params.GenesisHash,
		IncomingBroadcastDelta: incomingBroadcastDelta,
		OutgoingBroadcastDelta: outgoingBroadcastDelta,
		CustomHtlcChecker:      custom,
		NewSweepAddr: func() ([]byte, error) {
			addr, err := c.sweepScript().Unpack()
			return addr.DeliveryAddress, err
		},
		PublishTx:            p.Publish,
		DeliverResolutionMsg: c.deliverResolutions,
		MarkLinkInactive: func(point wire.OutPoint) error {
			p.Switch.RemoveLink(lnwire.NewChanIDFromOutPoint(point))
			return nil
		},
		ContractBreach: c.contractBreach,
		IsOurAddress:   p.Wallet.IsOurAddress, IncubateOutputs: c.nursery.IncubateOutputs,
		PreimageDB: p.Beacon, Notifier: p.Notifier, Mempool: p.Mempool,
		Signer: p.Wallet.Cfg.Signer, FeeEstimator: p.Fees, ChainIO: p.Wallet.Cfg.ChainIO,
		// Nothing of ours is announced yet, so there is nothing to disable.
		DisableChannel: func(wire.OutPoint) error { return nil },
		Sweeper:        c.sweeper, Registry: p.Registry,
		NotifyClosedChannel: c.notifyClosed,
		// Not NotifyEarlyClosedChannel: once it is told of a close by agreement, lnd
		// leaves NotifyClosedChannel out, and we would never learn of its end.
		NotifyFullyResolvedChannel:    c.notifyResolved,
		OnionProcessor:                p.Onions,
		PaymentsExpirationGracePeriod: noForce,
		IsForwardedHTLC:               c.goesOnChain,
		Clock:                         clock.NewDefaultClock(),
		SubscribeBreachComplete:       c.breach.SubscribeBreachComplete,
		PutFinalHtlcOutcome:           chans.PutOnchainFinalHtlcOutcome,
		HtlcNotifier:                  p.Htlcs, Budget: *budget,
		QueryIncomingCircuit: c.incomingOf,
	}
}

func (c *Court) notifyClosed(point wire.OutPoint) {
	if c.parts.Notify.Closed != nil {
		c.parts.Notify.Closed(point)
	}
}

func (c *Court) notifyResolved(point wire.OutPoint) {
	if c.parts.Notify.Resolved != nil {
		c.parts.Notify.Resolved(point)
	}
}
