package pay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

// maxMoney is all bitcoin in millisatoshi: amounts above it are typing errors, and sums of amounts
// below it cannot overflow.
const maxMoney = lnwire.MilliSatoshi(21_000_000 * 100_000_000 * 1_000)

const (
	// maxHints is the number of private channels named in an invoice: each takes 82 characters.
	maxHints = 6

	// hintRoom is how many times the amount the named channels should be able to carry, since
	// some of it may be gone by the time of the payment.
	hintRoom = 2
)

// Create makes an invoice, stores it and gives it written. ErrBadRequest says which field is wrong.
func (i *Invoices) Create(ctx context.Context, req InvoiceRequest) (Invoice, error) {
	now := i.opts.Clock.Now().Truncate(time.Second)
	if err := req.complete(now); err != nil {
		return Invoice{}, err
	}
	var secret [32]byte
	if _, err := io.ReadFull(i.opts.Rand, secret[:]); err != nil {
		return Invoice{}, fmt.Errorf("pay: draw payment secret: %w", err)
	}
	preimage := req.Preimage
	if preimage == nil {
		preimage = new(lntypes.Preimage)
		if _, err := io.ReadFull(i.opts.Rand, preimage[:]); err != nil {
			return Invoice{}, fmt.Errorf("pay: draw preimage: %w", err)
		}
	}
	features := invoiceFeatures(req.NoMPP)
	bolt11, err := i.write(req, preimage.Hash(), secret, features, now)
	if err != nil {
		return Invoice{}, err
	}
	record := &invoices.Invoice{
		CreationDate:   now,
		Memo:           []byte(req.Description),
		PaymentRequest: []byte(bolt11),
		Terms: invoices.ContractTerm{
			FinalCltvDelta:  int32(req.FinalDelta),
			Expiry:          req.Expiry,
			PaymentPreimage: preimage,
			Value:           req.Amount,
			PaymentAddr:     secret,
			Features:        features,
		},
		Htlcs: make(map[invoices.CircuitKey]*invoices.InvoiceHTLC),
	}
	if _, err := i.opts.Registry.AddInvoice(ctx, record, preimage.Hash()); err != nil {
		if errors.Is(err, invoices.ErrDuplicateInvoice) {
			return Invoice{}, fmt.Errorf("%w: its preimage was used before", ErrBadRequest)
		}
		return Invoice{}, fmt.Errorf("pay: store invoice: %w", err)
	}
	return i.view(preimage.Hash(), *record), nil
}

// complete fills in defaults and refuses what cannot be written.
func (r *InvoiceRequest) complete(now time.Time) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrBadRequest, fmt.Sprintf(format, args...))
	}
	if r.Amount > maxMoney {
		return bad("the amount is larger than all bitcoin")
	}
	if r.Description != "" && r.DescriptionHash != nil {
		return bad("give a description or a description hash, not both")
	}
	if len(r.Description) > MaxDescription {
		return bad("the description has %d bytes, at most %d fit: use a description hash",
			len(r.Description), MaxDescription)
	}
	if !utf8.ValidString(r.Description) {
		return bad("the description is not valid UTF-8")
	}
	if r.FinalDelta == 0 {
		r.FinalDelta = DefaultFinalDelta
	}
	if r.FinalDelta < MinFinalDelta || r.FinalDelta > MaxFinalDelta ||
		r.PadDelta > MaxFinalDelta-r.FinalDelta {

		return bad("the final CLTV delta must be between %d and %d blocks",
			MinFinalDelta, MaxFinalDelta)
	}
	if r.Expiry == 0 {
		r.Expiry = DefaultExpiry
	}
	if !r.NotAfter.IsZero() {
		r.Expiry = min(r.Expiry, r.NotAfter.Sub(now))
	}
	r.Expiry = r.Expiry.Truncate(time.Second)
	if r.Expiry <= 0 || r.Expiry > MaxExpiry {
		return bad("the expiry must be between 1 second and %d days",
			MaxExpiry/(24*time.Hour))
	}
	return nil
}

// invoiceFeatures are the feature bits of an invoice of ours.
func invoiceFeatures(noMPP bool) *lnwire.FeatureVector {
	raw := lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired,
	)
	if !noMPP {
		raw.Set(lnwire.MPPOptional)
	}
	return lnwire.NewFeatureVector(raw, lnwire.Features)
}

// write encodes and signs the BOLT 11 invoice of a complete request.
func (i *Invoices) write(req InvoiceRequest, hash lntypes.Hash, secret [32]byte,
	features *lnwire.FeatureVector, now time.Time) (string, error) {

	fields := []func(*zpay32.Invoice){
		zpay32.PaymentAddr(secret),
		zpay32.Features(features),
		zpay32.CLTVExpiry(uint64(req.FinalDelta + req.PadDelta)),
		zpay32.Expiry(req.Expiry),
	}
	if req.Amount != 0 {
		fields = append(fields, zpay32.Amount(req.Amount))
	}
	if req.DescriptionHash != nil {
		fields = append(fields, zpay32.DescriptionHash(*req.DescriptionHash))
	} else {
		fields = append(fields, zpay32.Description(req.Description))
	}
	for _, hint := range i.hints(req) {
		fields = append(fields, zpay32.RouteHint(hint))
	}
	inv, err := zpay32.NewInvoice(i.opts.Params, hash, now, fields...)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	bolt11, err := inv.Encode(zpay32.MessageSigner{
		SignCompact: func(msg []byte) ([]byte, error) {
			loc := keychain.KeyLocator{Family: keychain.KeyFamilyNodeKey}
			return i.opts.Signer.SignMessageCompact(loc, msg, false)
		},
	})
	if err != nil {
		return "", fmt.Errorf("pay: write invoice: %w", err)
	}
	if len(bolt11) > invoices.MaxPaymentRequestSize {
		return "", fmt.Errorf("%w: it would have %d characters, at most %d can be kept: "+
			"use fewer hints", ErrBadRequest, len(bolt11), invoices.MaxPaymentRequestSize)
	}
	return bolt11, nil
}

// hints are the request's own, or else those of our private channels.
func (i *Invoices) hints(req InvoiceRequest) [][]zpay32.HopHint {
	if req.NoHints || len(req.Hints) > 0 || i.opts.Hints == nil {
		if req.NoHints {
			return nil
		}
		return req.Hints
	}
	return pickHints(i.opts.Hints.PrivateChannels(), req.Amount, req.NoMPP)
}

// pickHints chooses the private channels to name: usable ones first, then those that can receive
// most, until they could carry the amount hintRoom times. When the payer may not split, a channel that is too small by
// itself is of no use.
func pickHints(chans []PrivateChannel, amount lnwire.MilliSatoshi,
	noMPP bool) [][]zpay32.HopHint {

	chans = slices.Clone(chans)
	slices.SortStableFunc(chans, func(a, b PrivateChannel) int {
		if a.Away != b.Away {
			return cmp.Compare(away(a), away(b))
		}
		return cmp.Compare(b.Receivable, a.Receivable)
	})
	var (
		picked [][]zpay32.HopHint
		room   lnwire.MilliSatoshi
	)
	for _, c := range chans {
		enough := amount != 0 && room >= hintRoom*amount
		if enough || len(picked) == maxHints {
			break
		}
		if c.Receivable == 0 || (noMPP && c.Receivable < amount) {
			continue
		}
		picked = append(picked, []zpay32.HopHint{c.Hop})
		room += c.Receivable
	}
	return picked
}

func away(c PrivateChannel) int {
	if c.Away {
		return 1
	}
	return 0
}
