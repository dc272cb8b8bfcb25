package conform

import (
	"context"
	"fmt"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Troupe plays with money before the LSP: a payer with channels to it, and clients that
// come without any. It is all IO, so the caller brings it. Its errors are its own troubles
// and never the LSP's fault; what the LSP does is in what it returns.
type Troupe interface {
	// Client brings a client that the LSP does not know yet.
	Client(ctx context.Context) (Client, error)

	// Pay has the payer pay a bill. It returns when the outcome is known, or when it has
	// waited as long as it does, with a Payment that is Pending.
	Pay(ctx context.Context, b Bill) (Payment, error)

	// Sendable is what the payer can send now: in the channel that has most, and in all.
	Sendable(ctx context.Context) (most, all lnwire.MilliSatoshi, err error)

	// Broadcast says whether the funding transaction of a channel, TXID:INDEX, was given to
	// the network. It waits a little for it.
	Broadcast(ctx context.Context, point string) (bool, error)

	// Mine makes some blocks, so that the LSP can use its change again.
	Mine(ctx context.Context) error
}

// Client is one client of the Troupe.
type Client interface {
	// Buy buys a channel, paid for by a payment of that size, or of any with 0.
	Buy(ctx context.Context, size lnwire.MilliSatoshi) (Deal, error)

	// Invoice asks for an amount over a hint, or over the client's channel with nil.
	Invoice(ctx context.Context, amount lnwire.MilliSatoshi, over *Hint) (Invoice, error)

	// Received is what has come in for an invoice, fees that were withheld left out. It
	// waits a little for the invoice to be paid: 0 if nothing comes.
	Received(ctx context.Context, hash lntypes.Hash) (lnwire.MilliSatoshi, error)

	// Channels are the client's channels with the LSP. It waits a little for the client
	// to have that much in them.
	Channels(ctx context.Context, least lnwire.MilliSatoshi) ([]Channel, error)

	// Leave ends the client. Return starts it again, after some seconds.
	Leave(ctx context.Context) error
	Return(ctx context.Context) error
}

// Hint is how an invoice leads a payer over the LSP, for no fee.
type Hint struct {
	SCID  lnwire.ShortChannelID
	Delta uint16 // blocks
}

// Invoice is one to be paid.
type Invoice struct {
	Bolt11 string
	Hash   lntypes.Hash
}

// Deal is what a client bought.
type Deal struct {
	Invoice

	// Over is what the invoice's hint says.
	Over Hint

	// MinFee to MaxSize are of the menu item that was bought.
	MinFee, MinSize, MaxSize lnwire.MilliSatoshi
	PPM                      uint32

	// TrustsLSP is client_trusts_lsp.
	TrustsLSP bool
}

// fee is the opening fee of a payment (bLIP-52).
func (d Deal) fee(size lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	fee, ok := item{minFee: uint64(d.MinFee), ppm: uint64(d.PPM)}.fee(uint64(size))
	if !ok {
		return size
	}
	return lnwire.MilliSatoshi(fee)
}

// Bill is what the payer is to pay.
type Bill struct {
	Bolt11 string

	// Amount is for an invoice without one, or more than the invoice's.
	Amount lnwire.MilliSatoshi

	// Once: what fails is not tried again.
	Once bool
}

// Payment is how a payment went.
type Payment struct {
	// Paid: the payer has the preimage. Pending: nobody knows yet.
	Paid, Pending bool

	// Parts are those that did not fail.
	Parts int

	// Failures are those of parts, in their order.
	Failures []Failure
}

// Failure is how a part failed.
type Failure struct {
	Code    string // BOLT 4 name; "" if the payer could not read it
	FromLSP bool
}

func (f Failure) String() string {
	switch {
	case f.Code == "":
		return "a failure that the payer cannot read"
	case !f.FromLSP:
		return f.Code + " of another than the LSP"
	}
	return f.Code
}

// text is what became of a payment that should have gone otherwise.
func (p Payment) text() string {
	var said []string
	for _, f := range p.Failures {
		said = append(said, f.String())
	}
	switch {
	case p.Paid:
		return "it is paid"
	case p.Pending:
		return strings.Join(append(said, "no outcome in time"), ", ")
	case len(said) == 0:
		return "it failed before it came to the LSP"
	}
	return "it failed: " + strings.Join(said, ", ")
}

// failed says whether all parts came back from the LSP with this code.
func (p Payment) failed(code string) bool {
	for _, f := range p.Failures {
		if f.Code != code || !f.FromLSP {
			return false
		}
	}
	return !p.Paid && !p.Pending && len(p.Failures) > 0
}

// Channel is a channel of a client with the LSP.
type Channel struct {
	Point                       string // TXID:INDEX
	Private, ZeroConf, HasAlias bool
	Capacity                    lnwire.MilliSatoshi
	Local, Remote               lnwire.MilliSatoshi // the client's balance, and the LSP's
}

// margins of what a channel can carry, well over what a commitment transaction costs.
const (
	feeRoom     = lnwire.MilliSatoshi(25_000_000)
	reservePart = 100 // BOLT 2 recommends a hundredth
	smallest    = lnwire.MilliSatoshi(1_000_000)
)

// carries is what surely can be received over the channel, twice.
func (c Channel) carries() (lnwire.MilliSatoshi, error) {
	kept := c.Capacity/reservePart + feeRoom
	if c.Remote < kept || (c.Remote-kept)/2 < smallest {
		return 0, fmt.Errorf("the LSP left no room in the channel: it has %d msat on its side", c.Remote)
	}
	return (c.Remote - kept) / 2, nil
}
