package node

import (
	"context"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// JITInvoiceRequest asks an LSP for a channel and makes the invoice that pays for
// it.
type JITInvoiceRequest struct {
	LSP  *btcec.PublicKey
	Addr string // host:port
	// Amount is what the payer pays; 0 leaves it to the payer.
	Amount lnwire.MilliSatoshi
	// MaxFee refuses an LSP that asks for more; nil is no limit.
	MaxFee      *lnwire.MilliSatoshi
	Description string
	// Token is what the LSP gave out for a menu of its own; empty: none.
	Token string
	// ClientTrustsLSP takes an LSP that broadcasts the funding only after it has the
	// preimage (bLIP-52, client_trusts_lsp). Until then it could keep the payment.
	ClientTrustsLSP bool
}

// JITInvoice is an invoice whose payment opens a channel.
type JITInvoice struct {
	Invoice pay.Invoice
	// OpeningFee is what the LSP withholds; 0 for an invoice of variable amount,
	// where it depends on the payment.
	OpeningFee lnwire.MilliSatoshi
	// SCID is the jit_channel_scid in the invoice's hint.
	SCID lnwire.ShortChannelID
	// Bought is all that was agreed with the LSP.
	Bought lsp.Bought
}

// JITInvoice buys a channel from an LSP (bLIP-52) and makes the invoice for it.
func (n *Node) JITInvoice(ctx context.Context, r JITInvoiceRequest) (JITInvoice, error) {
	if err := n.running(); err != nil {
		return JITInvoice{}, err
	}
	inv, bought, err := n.buyer.buy(ctx, jitRequest{
		lspKey: r.LSP, lspAddr: r.Addr, amount: r.Amount, maxFee: r.MaxFee,
		description: r.Description, token: r.Token, trust: r.ClientTrustsLSP,
	})
	if err != nil {
		return JITInvoice{}, err
	}
	return JITInvoice{
		Invoice: inv, OpeningFee: bought.OpeningFee, SCID: bought.SCID, Bought: bought,
	}, nil
}

// Invoice makes an ordinary invoice, with hints for our private channels.
func (n *Node) Invoice(ctx context.Context, r pay.InvoiceRequest) (pay.Invoice, error) {
	if err := n.running(); err != nil {
		return pay.Invoice{}, err
	}
	return n.invoices.Create(ctx, r)
}

// Pay pays an invoice and returns when the outcome is known, or with ctx's error
// while the payment goes on.
func (n *Node) Pay(ctx context.Context, r pay.PayRequest) (pay.Payment, error) {
	if err := n.running(); err != nil {
		return pay.Payment{}, err
	}
	return n.payments.Pay(ctx, r)
}

// Orders lists what the LSP service has sold, newest first.
func (n *Node) Orders() []orders.Record { return n.orders.List() }

// Address is a new address of the wallet.
func (n *Node) Address() (string, error) {
	if err := n.running(); err != nil {
		return "", err
	}
	addr, err := n.wallet.NewAddress()
	if err != nil {
		return "", err
	}
	return addr.EncodeAddress(), nil
}

// paymentUpdate tells the embedder how a payment ended.
func (n *Node) paymentUpdate(p pay.Payment) {
	switch p.Status {
	case pay.Succeeded:
		n.events.add(Event{Kind: PaymentSettled, PaymentHash: p.Hash.String(),
			Amount: p.Amount, Fee: p.Fee})
	case pay.Failed:
		e := Event{Kind: PaymentFailed, PaymentHash: p.Hash.String(), Amount: p.Amount}
		if p.Failure != nil {
			e.Reason = p.Failure.Text
		}
		n.events.add(e)
	}
}

// hint is how a payer reaches us over a private channel: the alias that the peer
// knows it by, and what the peer charges.
func (n *Node) hint(ch *channeldb.OpenChannel) (pay.PrivateChannel, bool) {
	id := lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
	if ch.ChannelFlags&lnwire.FFAnnounceChannel != 0 ||
		ch.ChanStatus() != channeldb.ChanStatusDefault {
		return pay.PrivateChannel{}, false
	}
	update, err := n.links.PeerPolicy(id)
	if err != nil || update == nil {
		return pay.PrivateChannel{}, false
	}
	scid, err := n.aliases.GetPeerAlias(id)
	if err != nil || scid == (lnwire.ShortChannelID{}) {
		if ch.ChanType.HasScidAliasFeature() {
			// BOLT 2: the real scid of such a channel must not be told.
			return pay.PrivateChannel{}, false
		}
		scid = ch.ShortChannelID
	}
	remote := ch.LocalCommitment.RemoteBalance
	reserve := lnwire.NewMSatFromSatoshis(ch.RemoteChanCfg.ChanReserve)
	return pay.PrivateChannel{
		Hop: zpay32.HopHint{
			NodeID: ch.IdentityPub, ChannelID: scid.ToUint64(), FeeBaseMSat: update.BaseFee,
			FeeProportionalMillionths: update.FeeRate, CLTVExpiryDelta: update.TimeLockDelta,
		},
		Receivable: remote - min(remote, reserve),
		Away:       !n.active(ch.FundingOutpoint),
	}, true
}

// active says that HTLCs can go over the channel now.
func (n *Node) active(point wire.OutPoint) bool {
	return n.engine.Switch().HasActiveLink(lnwire.NewChanIDFromOutPoint(point))
}
