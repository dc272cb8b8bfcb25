package pay

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/invoices"
)

// finalRejectDelta is the number of blocks before its expiry from which an HTLC is no longer settled
// but failed, so that there is time to claim on chain: lnd's incoming broadcast delta and 3.
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

	// HoldDuration is how long a part waits for the rest of its set; 0 means lnd's two minutes.
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
}

// NewRegistry composes the registry and its interceptor. It starts nothing.
func NewRegistry(opts RegistryOptions) (*Registry, error) {
	if opts.DB == nil || opts.Notifier == nil {
		return nil, errors.New("pay: a registry needs a database and a notifier")
	}
	if opts.HoldDuration == 0 {
		opts.HoldDuration = invoices.DefaultHtlcHoldDuration
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
	}
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
func (r *Registry) Stop() error {
	return errors.Join(r.interceptor.Stop(), r.InvoiceRegistry.Stop())
}
