package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Transport sends a message of type MessageType to a connected peer.
type Transport interface {
	Send(peer [33]byte, raw []byte) error
}

// Errors of a Client.
var (
	ErrPeerGone = errors.New("lsp: the LSP disconnected before it answered; try again")
	ErrMuted    = errors.New("lsp: the LSP sent a malformed message; reconnect to it")
	ErrBusy     = errors.New("lsp: too many requests under way; try again later")
)

// RPCError is an error answer of the LSP. Message has no control characters.
type RPCError struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *RPCError) Error() string { return e.Message }

// Client asks LSPs. Its methods may be called from any goroutine.
type Client struct{}

// NewClient is a client that draws its request ids from rand, a CSPRNG.
func NewClient(t Transport, rand io.Reader) *Client { return nil }

// Call sends one request and waits for its answer, which it decodes into result.
func (c *Client) Call(ctx context.Context, lsp [33]byte, method string, params, result any) error {
	return nil
}

// Deliver hands in a message from an LSP. It is false when the message is none of
// the client's: it is a request, or this peer was never asked anything.
func (c *Client) Deliver(lsp [33]byte, raw []byte) bool { return false }

// PeerGone fails what waits for this LSP and forgets its faults.
func (c *Client) PeerGone(lsp [33]byte) {}

// Item is a menu item as the LSP sent it.
type Item struct {
	OpeningFeeParams
	Raw json.RawMessage // for buy, unchanged
}

// GetInfo asks for the menu. token "" is none.
func (c *Client) GetInfo(ctx context.Context, lsp [33]byte, token string) ([]Item, error) {
	return nil, nil
}

// Want is what the user wants to buy.
type Want struct {
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	MaxFee          lnwire.MilliSatoshi // 0: no limit; fixed amounts
	MaxPPM          uint32              // 0: no limit; variable amounts
	ClientTrustsLSP bool                // accept an LSP that broadcasts after the claim
}

// Choose picks the cheapest item that fits and gives its fee (0 when variable).
func Choose(now time.Time, menu []Item, w Want) (Item, lnwire.MilliSatoshi, error) {
	return Item{}, 0, nil
}

// Buy buys the item.
func (c *Client) Buy(ctx context.Context, lsp [33]byte, item Item, w Want) (Bought, error) {
	return Bought{}, nil
}

// Bought is what the client holds after buy.
type Bought struct {
	LSP             [33]byte
	SCID            lnwire.ShortChannelID
	Params          OpeningFeeParams
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	OpeningFee      lnwire.MilliSatoshi // agreed; 0 when variable
	CLTVExpiryDelta uint16
	ClientTrustsLSP bool
}

// Live says that the LSP may still open the channel of this purchase.
func (b Bought) Live(now time.Time) bool { return false }

// Skim is one incoming HTLC of the purchase's payment.
type Skim struct {
	Amount   lnwire.MilliSatoshi // of the HTLC
	Onion    lnwire.MilliSatoshi // what its onion says, amt_to_forward
	ExtraFee lnwire.MilliSatoshi // 0: no record
}

// Check says whether one more part may be taken, after those that are held
// already for the same payment.
func (b Bought) Check(held []Skim, next Skim) error { return nil }

// InvoiceTerms is what the invoice for a purchase must say.
type InvoiceTerms struct {
	Amount         lnwire.MilliSatoshi // 0: no amount, and basic_mpp off
	Expiry         time.Duration
	FinalCLTVDelta uint32
	HopNode        [33]byte // the one hint: fees 0 and 0
	HopSCID        lnwire.ShortChannelID
	HopCLTVDelta   uint16
}

// Invoice gives the terms of the invoice: it expires after want, or earlier so
// that it does not outlive the offer.
func (b Bought) Invoice(now time.Time, want time.Duration, finalDelta uint32) (InvoiceTerms, error) {
	return InvoiceTerms{}, nil
}

// AppendExtraFee appends the value of the extra_fee record, and ParseExtraFee reads
// it. bLIP-25: type 65537 of update_add_htlc, 8 bytes big endian.
func AppendExtraFee(b []byte, fee lnwire.MilliSatoshi) []byte { return nil }

// ParseExtraFee wants exactly 8 bytes.
func ParseExtraFee(b []byte) (lnwire.MilliSatoshi, error) { return 0, nil }
