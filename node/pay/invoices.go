package pay

import (
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

// Limits and defaults of an invoice.
const (
	// DefaultExpiry holds when a request names no expiry.
	DefaultExpiry = time.Hour

	// MaxExpiry is the longest expiry that a request may name.
	MaxExpiry = 365 * 24 * time.Hour

	// DefaultFinalDelta is the final CLTV delta in blocks when a request names none, as lnd's.
	DefaultFinalDelta = 80

	// MinFinalDelta is the smallest final CLTV delta in blocks: 18 for the fulfilment deadline of
	// BOLT 2 and 3 for blocks that come while the HTLC is under way.
	MinFinalDelta = 21

	// MaxFinalDelta is the largest final CLTV delta in blocks: a payer keeps to 2016 in all.
	MaxFinalDelta = 1800

	// MaxDescription is the longest description in bytes: BOLT 11 counts the field in 10 bits
	// of 5-bit groups, and 1023 groups hold 639 bytes.
	MaxDescription = 639

	// MaxPage is the largest number of records that a list returns at once.
	MaxPage = 1000
)

// InvoiceRequest says what an invoice asks for. The zero value asks for any amount, without a
// description, for an hour, with hints for our private channels.
type InvoiceRequest struct {
	// Amount is what is asked for; 0 leaves it to the payer.
	Amount lnwire.MilliSatoshi

	// Description is shown to the payer: at most MaxDescription bytes of UTF-8.
	Description string

	// DescriptionHash is the SHA-256 of a longer description, instead of Description.
	DescriptionHash *[32]byte

	// Expiry is how long the invoice can be paid, in whole seconds; 0 means DefaultExpiry.
	Expiry time.Duration

	// NotAfter, unless zero, cuts the expiry so that timestamp plus expiry does not pass it.
	// bLIP-52 wants that of an invoice over a JIT channel, with valid_until.
	NotAfter time.Time

	// FinalDelta is the number of blocks that an arriving HTLC must have left, enforced by the
	// registry; 0 means DefaultFinalDelta.
	FinalDelta uint32

	// PadDelta is added to FinalDelta in the written invoice only, so that HTLCs which were held
	// on their way for as many blocks are still taken. bLIP-52 clients write 2 more.
	PadDelta uint32

	// Hints are the route hints to write. When there are none the Hinter is asked.
	Hints [][]zpay32.HopHint

	// NoHints writes an invoice without any route hint.
	NoHints bool

	// NoMPP leaves basic_mpp out, so that the payer sends one part. A variable-amount JIT order
	// wants that.
	NoMPP bool

	// Preimage fixes the preimage; nil draws one at random.
	Preimage *lntypes.Preimage
}

// InvoiceState is what has become of an invoice.
type InvoiceState string

// The states of an invoice. An invoice that was canceled before its expiry is shown as expired once
// that has passed too: the registry cancels expired invoices and keeps no reason.
const (
	InvoiceOpen     InvoiceState = "open"
	InvoiceSettled  InvoiceState = "settled"
	InvoiceCanceled InvoiceState = "canceled"
	InvoiceExpired  InvoiceState = "expired"
)

// Invoice is an invoice of ours as it stands.
type Invoice struct {
	// Index numbers invoices from 1 in the order of their making; lists are paged by it.
	Index uint64

	// Bolt11 is the written invoice.
	Bolt11 string

	// Hash is the payment hash.
	Hash lntypes.Hash

	// Preimage is set once the invoice is settled.
	Preimage *lntypes.Preimage

	// Amount is what is asked for; 0 if any amount will do.
	Amount lnwire.MilliSatoshi

	// Paid is what the payer paid, withheld fees included.
	Paid lnwire.MilliSatoshi

	// Skimmed is what peers withheld from it as agreed: Paid - Skimmed has arrived.
	Skimmed lnwire.MilliSatoshi

	// Parts is the number of HTLCs that it was settled by.
	Parts int

	Description string
	State       InvoiceState

	Created, Expires time.Time

	// Settled is when it was settled; the zero time if it was not.
	Settled time.Time
}

// Received is the amount that has arrived in our channels.
func (i Invoice) Received() lnwire.MilliSatoshi { return i.Paid - i.Skimmed }

// Signer signs with the node key; keychain.SecretKeyRing is one.
type Signer interface {
	SignMessageCompact(loc keychain.KeyLocator, msg []byte, doubleHash bool) ([]byte, error)
}

// InvoiceOptions is what Invoices is made of.
type InvoiceOptions struct {
	// Registry must have been made by NewRegistry and be started before the first call.
	Registry *Registry

	// Params are the network's.
	Params *chaincfg.Params

	// Signer holds the node key.
	Signer Signer

	// Hints names our private channels; nil means that there are none.
	Hints Hinter

	// Clock is the wall clock; nil means the real one.
	Clock clock.Clock

	// Rand gives preimages and payment secrets; nil means crypto/rand.
	Rand io.Reader
}

// Invoices makes, finds and cancels invoices.
type Invoices struct {
	opts InvoiceOptions
}

// NewInvoices checks its options. It starts nothing.
func NewInvoices(opts InvoiceOptions) (*Invoices, error) {
	if opts.Registry == nil || opts.Params == nil || opts.Signer == nil {
		return nil, errors.New("pay: invoices need a registry, network parameters and a signer")
	}
	if opts.Clock == nil {
		opts.Clock = clock.NewDefaultClock()
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	return &Invoices{opts: opts}, nil
}
