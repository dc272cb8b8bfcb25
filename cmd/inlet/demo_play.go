package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// What is played.
const (
	payerChannelSat = 10_000_000
	firstPayment    = lnwire.MilliSatoshi(1_000_000_000)
	secondPayment   = lnwire.MilliSatoshi(250_000_000)

	// maxMoments is how many stages of the order wait to be shown. A sale has about 15; past the
	// limit they are not shown as they happen, the summary has them all the same.
	maxMoments = 64
)

// demoSummary is the last line of inlet demo --json.
type demoSummary struct {
	Result           string           `json:"result"`
	PaymentSizeMsat  api.Msat         `json:"payment_size_msat"`
	OpeningFeeMsat   api.Msat         `json:"opening_fee_msat"`
	ReceivedMsat     api.Msat         `json:"received_msat"`
	JitChannelScid   string           `json:"jit_channel_scid"`
	FundingTxid      string           `json:"funding_txid"`
	FundingConfirmed bool             `json:"funding_confirmed"`
	ClosedOnChain    bool             `json:"closed_on_chain"`
	Stages           map[string]int64 `json:"stages"`
	JitMs            int64            `json:"jit_ms"`
}

// play is one performance.
type play struct {
	*cast
	out     *programme
	moments chan orders.Moment
	funding wire.OutPoint // of the client's channel
	sum     demoSummary
}

func newPlay(c *cast, out *programme) *play {
	return &play{cast: c, out: out, moments: make(chan orders.Moment, maxMoments)}
}

// reached is called by the LSP for each stage of its order. It must not block.
func (p *play) reached(m orders.Moment) {
	select {
	case p.moments <- m:
	default:
	}
}

// perform plays all steps in order.
func (p *play) perform(ctx context.Context, btcd string) error {
	for _, step := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"A private chain, and three nodes that talk over TCP", func(ctx context.Context) error {
			return p.setUp(ctx, btcd)
		}},
		{"The client has no channel. It buys one from the LSP, on credit", p.buyAndPay},
		{"Six blocks later", p.confirm},
		{"The payer pays again, over the new channel", p.payAgain},
		{"The client closes the channel, by agreement", p.closeChannel},
	} {
		p.out.begin(step.title)
		if err := step.play(ctx); err != nil {
			return err
		}
	}
	p.sum.Result = "settled"
	return nil
}

// setUp starts everybody and gives the payer a channel to the LSP.
func (p *play) setUp(ctx context.Context, btcd string) error {
	if err := p.prepare(ctx, btcd); err != nil {
		return err
	}
	height, err := p.chain.Height()
	if err != nil {
		return err
	}
	p.out.tell("btcd", "chain_ready", fmt.Sprintf("regtest, %d blocks", height))
	if err := p.enter(ctx, p.reached); err != nil {
		return err
	}
	for _, a := range []*actor{p.lsp, p.payer, p.client} {
		_, addr, err := a.contact()
		if err != nil {
			return err
		}
		p.out.tell(a.name, "node_ready", fmt.Sprintf("%s at %s", short(a.NodeID()), addr))
	}
	if err := p.fund(ctx); err != nil {
		return err
	}
	p.out.paid("lsp", "funded", "has coins", lspCoins*lspCoin)
	p.out.paid("payer", "funded", "has coins", payerCoin)
	return p.openPayerChannel(ctx)
}

func (p *play) openPayerChannel(ctx context.Context) error {
	key, addr, err := p.lsp.contact()
	if err != nil {
		return err
	}
	_, err = p.payer.OpenChannel(ctx, node.OpenRequest{
		Peer: key, Addr: addr, Capacity: payerChannelSat,
	})
	if err != nil {
		return err
	}
	if err := p.mine(ctx, confirmations); err != nil {
		return err
	}
	for _, a := range []*actor{p.payer, p.lsp} {
		if _, err := a.await(ctx, node.ChannelOpened); err != nil {
			return err
		}
	}
	p.out.paid("payer", "channel_open", "has a channel to the LSP, confirmed", payerChannelSat)
	return nil
}

// buyAndPay is the sale: from the client's purchase to its first money.
func (p *play) buyAndPay(ctx context.Context) error {
	key, addr, err := p.lsp.contact()
	if err != nil {
		return err
	}
	bought, err := p.client.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: key, Addr: addr, Amount: firstPayment, Description: "inlet demo",
	})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	p.sum.PaymentSizeMsat = api.Msat(firstPayment)
	p.sum.OpeningFeeMsat = api.Msat(bought.OpeningFee)
	p.sum.JitChannelScid = fmt.Sprintf("%dx%dx%d", bought.SCID.BlockHeight, bought.SCID.TxIndex,
		bought.SCID.TxPosition)
	p.out.paid("lsp", "bought", "sells a channel for an opening fee of",
		bought.OpeningFee.ToSatoshis())
	p.out.paid("client", "invoiced", "writes an invoice with the LSP's hint",
		firstPayment.ToSatoshis())

	p.out.begin("The payer pays the invoice. The payment opens the channel")
	if err := p.sale(ctx, bought.Invoice.Bolt11); err != nil {
		return err
	}
	got, err := p.client.AwaitInvoice(ctx, bought.Invoice.Hash)
	if err != nil {
		return err
	}
	if got.State != pay.InvoiceSettled || got.Received() != firstPayment-bought.OpeningFee {
		return fmt.Errorf("client: the invoice is %s, with %v received; want %v", got.State,
			got.Received(), firstPayment-bought.OpeningFee)
	}
	p.sum.ReceivedMsat = api.Msat(got.Received())
	p.out.paid("client", "received", "has received", got.Received().ToSatoshis())
	return nil
}

// sale pays the invoice and tells the stages of the order until it is settled and the funding
// transaction is with the network.
func (p *play) sale(ctx context.Context, invoice string) error {
	ctx, cancel := context.WithCancel(ctx)
	var paying sync.WaitGroup
	defer paying.Wait()
	defer cancel()
	paid := make(chan error, 1)
	p.out.paid("payer", "pays", "sends the payment", firstPayment.ToSatoshis())
	paying.Go(func() { paid <- p.pays(ctx, invoice) })

	missing := map[orders.Stage]bool{orders.StageSettled: true, orders.StageBroadcast: true}
	for done := false; !done || len(missing) > 0; {
		select {
		case m := <-p.moments:
			delete(missing, m.Stage)
			p.stage(m)
		case err := <-paid:
			if err != nil {
				return err
			}
			done, paid = true, nil
			p.out.tell("payer", "paid", "has the preimage: the proof of payment")
		case <-ctx.Done():
			return fmt.Errorf("the sale has not settled: %w", ctx.Err())
		}
	}
	return nil
}

// pays has the payer pay an invoice.
func (p *play) pays(ctx context.Context, invoice string) error {
	payment, err := p.payer.Pay(ctx, pay.PayRequest{Invoice: invoice})
	if err != nil {
		return fmt.Errorf("payer: %w", err)
	}
	if payment.Status != pay.Succeeded {
		return fmt.Errorf("payer: the payment failed: %+v", payment.Failure)
	}
	return nil
}

// stageTexts say who did what when a stage of the order was reached.
var stageTexts = map[orders.Stage]struct{ who, text string }{
	orders.StageFirstPart:       {"lsp", "holds the HTLC: its channel isn't there yet"},
	orders.StageSetComplete:     {"lsp", "has the whole payment"},
	orders.StageClientConnected: {"client", "is connected"},
	orders.StageOpenSent:        {"lsp", "open_channel: zero-conf, private"},
	orders.StageAccepted:        {"client", "accept_channel: it comes from its LSP"},
	orders.StageFundingCreated:  {"lsp", "funding_created"},
	orders.StageFundingSigned:   {"client", "funding_signed"},
	orders.StageBroadcast:       {"lsp", "broadcasts the funding transaction"},
	orders.StageChannelReady:    {"client", "channel_ready, with no confirmation"},
	orders.StageForwarded:       {"lsp", "forwards the payment, less its fee"},
	orders.StageClaimed:         {"client", "claims it with the preimage"},
	orders.StageSettled:         {"lsp", "settles with the payer"},
	orders.StageConfirmed:       {"lsp", "sees the funding transaction confirmed"},
	orders.StageFailed:          {"lsp", "fails the payment back"},
}

// stage tells a stage of the order.
func (p *play) stage(m orders.Moment) {
	line, known := stageTexts[m.Stage]
	if !known {
		return // bought: told with its fee
	}
	event := demoEvent{Who: line.who, Stage: string(m.Stage), Text: line.text}
	switch m.Stage {
	case orders.StageSetComplete:
		event.AmountMsat = api.SomeMsat(p.sum.PaymentSizeMsat)
	case orders.StageForwarded:
		event.AmountMsat = api.SomeMsat(p.sum.PaymentSizeMsat - p.sum.OpeningFeeMsat)
	}
	p.out.event(event, m.At)
}

// confirm mines until the client's channel is as good as any.
func (p *play) confirm(ctx context.Context) error {
	if err := p.mine(ctx, confirmations); err != nil {
		return err
	}
	ev, err := p.client.await(ctx, node.ChannelConfirmed)
	if err != nil {
		return err
	}
	for confirmed := false; !confirmed; {
		select {
		case m := <-p.moments:
			confirmed = m.Stage == orders.StageConfirmed
			p.stage(m)
		case <-ctx.Done():
			return fmt.Errorf("the LSP waits for the confirmation: %w", ctx.Err())
		}
	}
	p.out.tell("client", "channel_confirmed", "sees it too: the channel is an ordinary one now")
	return p.account(ev.ChannelPoint)
}

// account takes the order's figures from the LSP's books and from the chain.
func (p *play) account(clientsPoint string) error {
	sold := p.lsp.Orders()
	if len(sold) != 1 || sold[0].Point == nil {
		return fmt.Errorf("the LSP has %d orders, want one with a channel", len(sold))
	}
	order := sold[0]
	p.funding = *order.Point
	if p.funding.String() != clientsPoint {
		return fmt.Errorf("the client's channel is %s, the LSP's %v", clientsPoint, p.funding)
	}
	tx, err := p.chain.Tx(p.funding.Hash)
	if err != nil {
		return err
	}
	p.sum.FundingTxid = p.funding.Hash.String()
	p.sum.FundingConfirmed = tx.Confirmations >= confirmations
	p.sum.Stages = stageTimes(order.Timeline)
	p.sum.JitMs = p.sum.Stages[string(orders.StageSettled)]
	return nil
}

// stageTimes are the stages of an order in milliseconds since the first part, as inlet lsp orders
// counts them.
func stageTimes(timeline []orders.Moment) map[string]int64 {
	times := map[string]int64{}
	var first time.Time
	for _, m := range timeline {
		if m.Stage == orders.StageFirstPart {
			first = m.At
		}
		times[string(m.Stage)] = 0
		if !first.IsZero() {
			times[string(m.Stage)] = m.At.Sub(first).Milliseconds()
		}
	}
	return times
}

// payAgain pays an ordinary invoice, whose hint names the new channel.
func (p *play) payAgain(ctx context.Context) error {
	invoice, err := p.client.Invoice(ctx, pay.InvoiceRequest{
		Amount: secondPayment, Description: "inlet demo, again",
	})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	p.out.paid("client", "invoiced", "writes an ordinary invoice", secondPayment.ToSatoshis())
	if err := p.pays(ctx, invoice.Bolt11); err != nil {
		return err
	}
	p.out.tell("payer", "paid", "has the preimage")
	got, err := p.client.AwaitInvoice(ctx, invoice.Hash)
	if err != nil {
		return err
	}
	if got.Received() != secondPayment {
		return fmt.Errorf("client: received %v, want %v", got.Received(), secondPayment)
	}
	p.out.paid("client", "received", "has received, in full", got.Received().ToSatoshis())
	return nil
}

// closeChannel closes the client's channel and shows what the closing transaction pays to whom.
func (p *play) closeChannel(ctx context.Context) error {
	txid, err := p.client.CloseChannel(ctx, p.funding, 0)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	p.out.tell("client", "closing", "both have signed the closing transaction")
	if err := p.mine(ctx, confirmations); err != nil {
		return err
	}
	for _, a := range []*actor{p.client, p.lsp} {
		if _, err := a.await(ctx, node.ChannelClosed); err != nil {
			return err
		}
	}
	if err := p.client.AwaitBalance(ctx, 1); err != nil {
		return err
	}
	return p.settleUp(txid)
}

// settleUp says who got what from the closing transaction.
func (p *play) settleUp(txid chainhash.Hash) error {
	funding, err := p.chain.Tx(p.funding.Hash)
	if err != nil {
		return err
	}
	closing, err := p.chain.Tx(txid)
	if err != nil {
		return err
	}
	p.sum.ClosedOnChain = closing.Confirmations > 0 && len(closing.Tx.TxIn) == 1 &&
		closing.Tx.TxIn[0].PreviousOutPoint == p.funding
	if !p.sum.ClosedOnChain {
		return fmt.Errorf("the channel %v is not closed by %v", p.funding, txid)
	}
	coins, err := p.client.Utxos()
	if err != nil {
		return err
	}
	mine := map[wire.OutPoint]bool{}
	for _, c := range coins {
		mine[c.Outpoint] = true
	}
	split := share{fee: funding.Tx.TxOut[p.funding.Index].Value}
	for i, out := range closing.Tx.TxOut {
		split.fee -= out.Value
		if mine[wire.OutPoint{Hash: txid, Index: uint32(i)}] {
			split.client += out.Value
		} else {
			split.lsp += out.Value
		}
	}
	if split.client == 0 {
		return errors.New("the closing transaction pays nothing to the client")
	}
	p.out.closed(txid.String(), split, time.Now())
	return nil
}
