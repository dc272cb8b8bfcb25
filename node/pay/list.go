package pay

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
)

// Lookup finds an invoice by its payment hash, or fails with ErrUnknownInvoice.
func (i *Invoices) Lookup(ctx context.Context, hash lntypes.Hash) (Invoice, error) {
	inv, err := i.opts.Registry.LookupInvoice(ctx, hash)
	switch {
	case isUnknown(err):
		return Invoice{}, ErrUnknownInvoice

	case err != nil:
		return Invoice{}, fmt.Errorf("pay: look up invoice %v: %w", hash, err)
	}
	return i.view(hash, inv), nil
}

// List gives invoices with an index below before (0: the newest), newest first, at most limit and
// at most MaxPage.
func (i *Invoices) List(ctx context.Context, before uint64, limit int) ([]Invoice, error) {
	slice, err := i.opts.Registry.db.QueryInvoices(ctx, invoices.InvoiceQuery{
		IndexOffset:    before,
		NumMaxInvoices: uint64(pageSize(limit)),
		Reversed:       true,
	})
	switch {
	case isUnknown(err):
		return nil, nil

	case err != nil:
		return nil, fmt.Errorf("pay: list invoices: %w", err)
	}
	// The registry gives a reversed query in ascending order.
	list := make([]Invoice, len(slice.Invoices))
	for n, inv := range slice.Invoices {
		list[len(list)-1-n] = i.view(hashOf(&inv), inv)
	}
	return list, nil
}

// Cancel ends an open invoice; parts that wait for the rest of their set are failed. ErrNotOpen: it
// is settled or was canceled before. ErrUnknownInvoice: there is none.
func (i *Invoices) Cancel(ctx context.Context, hash lntypes.Hash) error {
	inv, err := i.Lookup(ctx, hash)
	if err != nil {
		return err
	}
	if inv.State == InvoiceSettled || inv.State == InvoiceCanceled {
		return ErrNotOpen
	}
	err = i.opts.Registry.CancelInvoice(ctx, hash)
	switch {
	case errors.Is(err, invoices.ErrInvoiceAlreadySettled),
		errors.Is(err, invoices.ErrInvoiceAlreadyCanceled):

		return ErrNotOpen

	case err != nil:
		return fmt.Errorf("pay: cancel invoice %v: %w", hash, err)
	}
	return nil
}

// Wait gives the invoice once it is not open any more: settled, canceled or expired.
func (i *Invoices) Wait(ctx context.Context, hash lntypes.Hash) (Invoice, error) {
	// A subscription to an unknown invoice would wait for one to be made.
	if _, err := i.Lookup(ctx, hash); err != nil {
		return Invoice{}, err
	}
	sub, err := i.opts.Registry.SubscribeSingleInvoice(ctx, hash)
	switch {
	case errors.Is(err, invoices.ErrShuttingDown):
		return Invoice{}, ErrStopped

	case err != nil:
		return Invoice{}, fmt.Errorf("pay: watch invoice %v: %w", hash, err)
	}
	defer sub.Cancel()
	for {
		select {
		case inv := <-sub.Updates:
			view := i.view(hash, *inv)
			if view.State != InvoiceOpen {
				return view, nil
			}

		case <-i.opts.Registry.stopped:
			return Invoice{}, ErrStopped

		case <-ctx.Done():
			return Invoice{}, ctx.Err()
		}
	}
}

// view is the invoice as this package shows it.
func (i *Invoices) view(hash lntypes.Hash, inv invoices.Invoice) Invoice {
	v := Invoice{
		Index:       inv.AddIndex,
		Bolt11:      string(inv.PaymentRequest),
		Hash:        hash,
		Amount:      inv.Terms.Value,
		Description: string(inv.Memo),
		Created:     inv.CreationDate,
		Expires:     inv.CreationDate.Add(inv.Terms.Expiry),
	}
	past := !i.opts.Clock.Now().Before(v.Expires)
	switch {
	case inv.State == invoices.ContractSettled:
		v.State = InvoiceSettled
		v.Paid = inv.AmtPaid
		v.Preimage = inv.Terms.PaymentPreimage
		v.Settled = inv.SettleDate
		v.Skimmed, v.Parts = i.skimmed(inv)

	case past:
		v.State = InvoiceExpired

	case inv.State == invoices.ContractCanceled:
		v.State = InvoiceCanceled

	default:
		v.State = InvoiceOpen
	}
	return v
}

// skimmed adds up the fees that were withheld from the HTLCs of a settled invoice. The registry
// keeps their wire records among the HTLC's custom records.
func (i *Invoices) skimmed(inv invoices.Invoice) (fee lnwire.MilliSatoshi, parts int) {
	for _, htlc := range inv.Htlcs {
		if htlc.State != invoices.HtlcStateSettled {
			continue
		}
		parts++
		if skim := i.opts.Registry.skim; skim != nil {
			withheld, _ := skim.ExtraFee(wireRecords(htlc.CustomRecords))
			fee += withheld
		}
	}
	return fee, parts
}

func wireRecords(set record.CustomSet) lnwire.CustomRecords { return lnwire.CustomRecords(set) }

func isUnknown(err error) bool {
	return errors.Is(err, invoices.ErrInvoiceNotFound) ||
		errors.Is(err, invoices.ErrNoInvoicesCreated)
}

// pageSize is the number of records to give for a wanted number.
func pageSize(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}
