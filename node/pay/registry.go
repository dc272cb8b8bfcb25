package pay

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
)

// finalRejectDelta is the number of blocks before its expiry from which an HTLC is no longer
// settled but failed, so that there is time to claim on chain: lnd's incoming broadcast delta and
// 3 blocks.
const finalRejectDelta = 16 + 3

// RegistryOptions is what Registry is made of.
type RegistryOptions struct {
	// DB keeps the invoices; *channeldb.DB is one.
	DB invoices.InvoiceDB

	// Notifier tells of blocks; it must be started before the registry.
	Notifier chainntnfs.ChainNotifier

	// Height and Hash are the best block.
	Height uint32
	Hash   chainhash.Hash

	// Skim judges HTLCs with a withheld fee; nil means that none is ever taken.
	Skim Skim

	// HoldDuration is how long a part waits for the rest of its set; 0 means PartHold.
	HoldDuration time.Duration

	// Clock is the wall clock; nil means the real one.
	Clock clock.Clock

	// Log gets a warning for each refused skim; nil discards.
	Log *slog.Logger
}

// Registry is lnd's invoice registry with the interceptor that judges skimmed HTLCs. Links and
// contractcourt get it as their Registry. It must stop after the switch: a link whose registry has
// stopped would take an arriving HTLC for a fault and fail its channel.
type Registry struct {
	*invoices.InvoiceRegistry

	db          invoices.InvoiceDB
	interceptor *invoices.HtlcModificationInterceptor
	skim        Skim
	log         *slog.Logger
	stopped     chan struct{} // closed by Stop
	stop        func() error  // once
}

var (
	_ htlcswitch.InvoiceDatabase = (*Registry)(nil)
	_ contractcourt.Registry     = (*Registry)(nil)
)

// PartHold is how long a part of a payment to us waits for the others. When one of them was lost on
// the way, the payer's money is locked up for as long.
//
// BOLT 4: "SHOULD wait for at least 60 seconds after the initial HTLC."
const PartHold = time.Minute

// NewRegistry composes the registry and its interceptor. It starts nothing.
func NewRegistry(opts RegistryOptions) (*Registry, error) {
	if opts.DB == nil || opts.Notifier == nil {
		return nil, errors.New("pay: a registry needs a database and a notifier")
	}
	if opts.HoldDuration == 0 {
		opts.HoldDuration = PartHold
	}
	if opts.Clock == nil {
		opts.Clock = clock.NewDefaultClock()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	interceptor := invoices.NewHtlcModificationInterceptor()
	expiry := invoices.NewInvoiceExpiryWatcher(
		opts.Clock, finalRejectDelta, opts.Height, &opts.Hash, opts.Notifier,
	)
	r := &Registry{
		InvoiceRegistry: invoices.NewRegistry(opts.DB, expiry, &invoices.RegistryConfig{
			FinalCltvRejectDelta: finalRejectDelta,
			HtlcHoldDuration:     opts.HoldDuration,
			Clock:                opts.Clock,
			// Invoices that nobody paid would pile up for ever.
			GcCanceledInvoicesOnStartup: true,
			HtlcInterceptor:             interceptor,
		}),
		db:          opts.DB,
		interceptor: interceptor,
		skim:        opts.Skim,
		log:         opts.Log,
		stopped:     make(chan struct{}),
	}
	r.stop = sync.OnceValue(func() error {
		close(r.stopped)
		return errors.Join(interceptor.Stop(), r.InvoiceRegistry.Stop())
	})
	// Registered for good, and before any link can bring an HTLC: without a callback the
	// interceptor lets everything pass as it is.
	if _, _, err := interceptor.RegisterInterceptor(r.intercept); err != nil {
		return nil, fmt.Errorf("pay: register interceptor: %w", err)
	}
	return r, nil
}

// Start begins to answer HTLCs. It must come before the first link.
func (r *Registry) Start() error {
	if err := r.interceptor.Start(); err != nil {
		return fmt.Errorf("pay: start interceptor: %w", err)
	}
	if err := r.InvoiceRegistry.Start(); err != nil {
		return fmt.Errorf("pay: start invoice registry: %w", err)
	}
	return nil
}

// Stop ends the registry and its goroutines. The switch and its links must have stopped before.
func (r *Registry) Stop() error { return r.stop() }

// NotifyExitHopHtlc is lnd's, with two more checks. Onion records of the extra_fee's type are
// hidden: the registry keeps a payer's records and the peer's in one set, and a payer could pretend
// that the peer had withheld a fee. And the link leaves the amount of a skimmed HTLC unchecked, so
// it is checked here: without that, an HTLC that lacks more than its fee would be held until its
// set times out.
func (r *Registry) NotifyExitHopHtlc(hash lntypes.Hash, paid lnwire.MilliSatoshi, expiry uint32,
	height int32, key invoices.CircuitKey, hodl chan<- interface{}, records lnwire.CustomRecords,
	payload invoices.Payload) (invoices.HtlcResolution, error) {

	if r.lacks(paid, records, payload) {
		return invoices.NewFailResolution(key, height, invoices.ResultAmountTooLow), nil
	}
	if _, ok := payload.CustomRecords()[ExtraFeeType]; ok {
		payload = plainPayload{Payload: payload}
	}
	return r.InvoiceRegistry.NotifyExitHopHtlc(
		hash, paid, expiry, height, key, hodl, records, payload,
	)
}

// lacks says whether a skimmed HTLC carries less than its onion says it should after the fee.
func (r *Registry) lacks(paid lnwire.MilliSatoshi, records lnwire.CustomRecords,
	payload invoices.Payload) bool {

	onion, ok := payload.(interface{ ForwardingInfo() hop.ForwardingInfo })
	if !ok || r.skim == nil {
		return false
	}
	fee, skimmed := r.skim.ExtraFee(records)
	want := onion.ForwardingInfo().AmountToForward
	return skimmed && (fee > want || paid < want-fee)
}

// plainPayload hides an onion record of the extra_fee's type.
type plainPayload struct {
	invoices.Payload
}

// CustomRecords gives the onion's other records.
func (p plainPayload) CustomRecords() record.CustomSet {
	set := maps.Clone(p.Payload.CustomRecords())
	delete(set, ExtraFeeType)
	return set
}
