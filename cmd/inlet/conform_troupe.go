package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/lsp/conform"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/pay"
)

const (
	// payPatience is for the outcome of a payment: less than the 90 seconds for which an LSP
	// holds what it does not refuse.
	payPatience = 80 * time.Second

	// awayFor is how long a payment waits for its client, besides the client's start.
	awayFor = 4 * time.Second

	// noMoreTries ends a payment with its first failure.
	noMoreTries = time.Millisecond

	// maxPlayers is the payer, and more clients than are played.
	maxPlayers = 12
)

// troupe is conform's, of nodes of our own.
type troupe struct {
	theatre
	dir      string
	chain    *regtest.Attached
	fail     context.CancelCauseFunc
	token    string
	patience time.Duration // for what has no time of its own

	payer   *player
	players []*player // the payer, too
}

// player is a node of the troupe.
type player struct {
	*actor
	t      *troupe
	config Config
	admin  *api.Client
	away   bool
}

// player makes a wallet and starts a node on it.
func (t *troupe) player(ctx context.Context, name string) (*player, error) {
	if len(t.players) >= maxPlayers {
		return nil, fmt.Errorf("there are %d nodes, the most there may be", len(t.players))
	}
	config := DefaultConfig()
	config.DataDir, config.Alias = filepath.Join(t.dir, name), name
	config.Network, config.InsecureNoPassphrase = "regtest", true
	config.Listen, config.AdminListen = nil, "127.0.0.1:0"
	config.Chain, config.Onchain = t.config.Chain, t.config.Onchain
	if _, err := createWallet(createOrder{config: config}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &player{t: t, config: config, away: true}
	t.players = append(t.players, p)
	return p, p.start(ctx)
}

func (p *player) start(ctx context.Context) error {
	a, err := launch(ctx, p.config.Alias, filepath.Join(p.t.dir, p.config.Alias+".log"),
		func(log *slog.Logger) node.Options { return nodeOptions(p.config, nil, log) }, p.t.fail)
	if a != nil {
		p.actor, p.away = a, false
	}
	if err != nil {
		return err
	}
	p.admin, err = api.NewClient(api.ClientOptions{Address: a.AdminAddr(), Dir: p.config.DataDir})
	return err
}

// stop ends the node, if it runs.
func (p *player) stop() error {
	if p.away {
		return nil
	}
	p.end()
	p.away = true
	return p.leave()
}

// close ends all nodes and removes what they wrote.
func (t *troupe) close() error {
	var errs []error
	for _, p := range t.players {
		if !p.away {
			p.end() // all at once
		}
	}
	for _, p := range t.players {
		errs = append(errs, p.stop())
	}
	return errors.Join(append(errs, t.chain.Close(), os.RemoveAll(t.dir))...)
}

// Client implements conform.Troupe.
func (t *troupe) Client(ctx context.Context) (conform.Client, error) {
	return t.player(ctx, fmt.Sprintf("client-%d", len(t.players)))
}

// Mine implements conform.Troupe.
func (t *troupe) Mine(ctx context.Context) error { return t.mine(ctx, confirmations) }

// Broadcast implements conform.Troupe.
func (t *troupe) Broadcast(ctx context.Context, point string) (known bool, err error) {
	op, err := wire.NewOutPointFromString(point)
	if err != nil {
		return false, fmt.Errorf("channel %q: %w", point, err)
	}
	return t.waits(ctx, "the transaction", func(ctx context.Context) (bool, error) {
		return t.chain.Knows(ctx, *op)
	})
}

// waits looks until it has patience no more.
func (t *troupe) waits(ctx context.Context, what string,
	yes func(ctx context.Context) (bool, error)) (bool, error) {

	short, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	err := until(short, what, func() (bool, error) { return yes(short) })
	if err != nil && ctx.Err() == nil && short.Err() != nil {
		return false, nil
	}
	return err == nil, err
}

// sendRoom is more than what the next HTLCs cost the payer, who has opened the channel.
const sendRoom = lnwire.MilliSatoshi(10_000_000)

// Sendable implements conform.Troupe.
func (t *troupe) Sendable(ctx context.Context) (most, all lnwire.MilliSatoshi, err error) {
	list, err := t.payer.channels(ctx)
	for _, c := range list {
		local, kept := lnwire.MilliSatoshi(c.LocalMsat), lnwire.MilliSatoshi(c.CapacitySat)*10+sendRoom
		if c.Active && local > kept { // the reserve is a hundredth
			most, all = max(most, local-kept), all+local-kept
		}
	}
	return most, all, err
}

// Pay implements conform.Troupe.
func (t *troupe) Pay(ctx context.Context, b conform.Bill) (conform.Payment, error) {
	short, cancel := context.WithTimeout(ctx, payPatience)
	defer cancel()
	request := pay.PayRequest{Invoice: b.Bolt11, Amount: b.Amount, Timeout: payPatience}
	if b.Once {
		request.Timeout = noMoreTries
	}
	payment, err := t.payer.Pay(short, request)
	for err == nil && payment.Status == pay.InFlight {
		err = until(short, "a payment's end", func() (bool, error) {
			payment, err = t.payer.LookupPayment(payment.Hash)
			return payment.Status != pay.InFlight, err
		})
	}
	if err != nil && (ctx.Err() != nil || short.Err() == nil) {
		return conform.Payment{}, fmt.Errorf("the payer: %w", err)
	}
	return t.outcome(payment)
}

// outcome is a payment as conform wants it. One that failed at the payer says nothing of the LSP.
func (t *troupe) outcome(payment pay.Payment) (conform.Payment, error) {
	p := conform.Payment{
		Paid: payment.Status == pay.Succeeded, Pending: payment.Status == pay.InFlight,
		Parts: payment.Live(),
	}
	lsp := fmt.Sprintf("peer %x", t.lsp.SerializeCompressed())
	for _, part := range payment.Parts {
		if f := part.Failure; f != nil && f.Source != "this node" {
			p.Failures = append(p.Failures, conform.Failure{Code: f.Code, FromLSP: f.Source == lsp})
		}
	}
	if f := payment.Failure; payment.Status == pay.Failed && len(p.Failures) == 0 && f != nil {
		return p, fmt.Errorf("the payer: %s", f.Text)
	}
	return p, nil
}

// channels are those with the LSP.
func (p *player) channels(ctx context.Context) ([]api.Channel, error) {
	list, err := p.admin.Channels(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return list.Channels, nil
}

// Buy implements conform.Client.
func (p *player) Buy(ctx context.Context, size lnwire.MilliSatoshi) (deal conform.Deal, err error) {
	err = p.t.again(ctx, func() error {
		inv, err := p.JITInvoice(ctx, node.JITInvoiceRequest{
			LSP: p.t.lsp, Addr: p.t.addr, Amount: size, Description: "inlet conform",
			Token: p.t.token, ClientTrustsLSP: true, // it is no money of anybody
		})
		b := inv.Bought
		deal = conform.Deal{
			Invoice:   conform.Invoice{Bolt11: inv.Invoice.Bolt11, Hash: inv.Invoice.Hash},
			Over:      conform.Hint{SCID: b.SCID, Delta: b.CLTVExpiryDelta},
			MinFee:    b.Params.MinFee,
			MinSize:   b.Params.MinPaymentSize,
			MaxSize:   b.Params.MaxPaymentSize,
			PPM:       b.Params.Proportional,
			TrustsLSP: b.ClientTrustsLSP,
		}
		return err
	})
	return deal, err
}

// Invoice implements conform.Client.
func (p *player) Invoice(ctx context.Context, amount lnwire.MilliSatoshi, over *conform.Hint) (
	conform.Invoice, error) {

	request := pay.InvoiceRequest{Amount: amount, Description: "inlet conform"}
	if over != nil {
		request.NoMPP = true
		request.Hints = [][]zpay32.HopHint{{{
			NodeID: p.t.lsp, ChannelID: over.SCID.ToUint64(), CLTVExpiryDelta: over.Delta,
		}}}
		inv, err := p.Node.Invoice(ctx, request)
		return conform.Invoice{Bolt11: inv.Bolt11, Hash: inv.Hash}, err
	}
	var inv pay.Invoice
	hinted, err := p.t.waits(ctx, "a hint", func(ctx context.Context) (ok bool, err error) {
		if inv, err = p.Node.Invoice(ctx, request); err != nil {
			return false, err
		}
		read, err := zpay32.Decode(inv.Bolt11, chainParams("regtest"))
		return err == nil && len(read.RouteHints) > 0, err
	})
	if err == nil && !hinted {
		err = conform.ErrNoHint
	}
	return conform.Invoice{Bolt11: inv.Bolt11, Hash: inv.Hash}, err
}

// Received implements conform.Client.
func (p *player) Received(ctx context.Context, hash lntypes.Hash) (lnwire.MilliSatoshi, error) {
	short, cancel := context.WithTimeout(ctx, p.t.patience)
	defer cancel()
	inv, err := p.AwaitInvoice(short, hash)
	switch {
	case err != nil && ctx.Err() == nil && short.Err() != nil:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	return inv.Received(), nil
}

// Channels implements conform.Client.
func (p *player) Channels(ctx context.Context, least lnwire.MilliSatoshi) (
	channels []conform.Channel, err error) {

	_, err = p.t.waits(ctx, "the client's balance", func(ctx context.Context) (bool, error) {
		list, err := p.channels(ctx)
		var local lnwire.MilliSatoshi
		channels = nil
		for _, c := range list {
			local += lnwire.MilliSatoshi(c.LocalMsat)
			channels = append(channels, conform.Channel{
				Point: c.ChannelPoint, Private: c.Private, ZeroConf: c.ZeroConf,
				HasAlias: len(c.Aliases) > 0, Local: lnwire.MilliSatoshi(c.LocalMsat),
				Remote:   lnwire.MilliSatoshi(c.RemoteMsat),
				Capacity: lnwire.MilliSatoshi(c.CapacitySat) * 1000,
			})
		}
		return local >= least, err
	})
	return channels, err
}

// Leave implements conform.Client.
func (p *player) Leave(context.Context) error { return p.stop() }

// Return implements conform.Client. The LSP has the payment when it starts: the payer is connected.
func (p *player) Return(ctx context.Context) error {
	timer := time.NewTimer(awayFor)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.start(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
