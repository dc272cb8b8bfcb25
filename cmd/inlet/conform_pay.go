package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/lsp/conform"
	"github.com/inletlsp/inlet/node"
)

// What --regtest-pay plays with.
const (
	// payerChannels of payerCapacity are opened to the LSP: more than one, for payments in parts.
	payerChannels = 2
	payerCapacity = btcutil.Amount(1_500_000)

	// payerNeeds is with what opening them costs.
	payerNeeds = payerChannels*payerCapacity + 200_000

	// matureBlocks give some coins that can be spent, and moreBlocks some more, up to maxMining
	// times: the subsidy of an old regtest is small.
	matureBlocks = 110
	moreBlocks   = 50
	maxMining    = 5

	// playTimeout ends what hangs.
	playTimeout = 15 * time.Minute

	// openPatience is for a channel of the payer, until it can be used.
	openPatience = 2 * time.Minute

	// look is how often what has no event of its own is looked at again.
	look = 250 * time.Millisecond
)

var regtestPayHelp = fmt.Sprintf("With --regtest-pay it also pays, with money of a regtest: it starts "+
	"a payer and clients of\nits own in a temporary folder, has the bitcoind in [chain] make blocks for "+
	"them, opens\n%d channels of %d sat to the LSP and buys channels that the payer pays for: whole, in\n"+
	"parts, too little, while the client is away. It takes a minute more, at most %d, makes about\n"+
	"150 blocks and leaves the LSP with the channels, and two orders. It needs network = \"regtest\"\n"+
	"and the backend bitcoind: the LSP's own, or a peer of it.\n\n",
	payerChannels, int64(payerCapacity), int(playTimeout.Minutes()))

// regtestConfig is the configuration that --regtest-pay plays on, and on no other network.
func (a *app) regtestConfig() (Config, error) {
	config, err := a.config()
	if err != nil {
		return Config{}, err
	}
	switch {
	case config.Network != "regtest":
		return Config{}, fmt.Errorf("--regtest-pay makes blocks and gives money away, so it runs on "+
			"regtest alone and network is %q: give --network regtest", config.Network)
	case config.Chain.Backend != "bitcoind":
		return Config{}, fmt.Errorf("--regtest-pay has a bitcoind make blocks and chain.backend is %q: "+
			"give --chain.backend bitcoind", config.Chain.Backend)
	}
	return config, config.checkChain()
}

// theatre is what --regtest-pay needs to know.
type theatre struct {
	config Config
	lsp    *btcec.PublicKey
	addr   string
}

// ask asks the LSP all that conform.Run does, and plays conform.RunPaid before it. Nothing of it
// is left when it returns, but for the channels of the LSP.
func (th theatre) ask(ctx context.Context, cfg conform.Config) (results []conform.Result, err error) {
	if err := there(ctx, cfg); err != nil {
		return nil, err
	}
	chain, err := regtest.Attach(ctx, *nodeOptions(th.config, nil, nil).Chain.Bitcoind)
	if err != nil {
		return nil, fmt.Errorf("--regtest-pay: %w", err)
	}
	dir, err := os.MkdirTemp("", "inlet-conform-")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder: %w", err), chain.Close())
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	t := &troupe{
		theatre: th, dir: dir, chain: chain, fail: fail, token: cfg.Token, patience: cfg.Patience,
	}
	defer func() { err = errors.Join(err, t.close()) }()
	limited, cancel := context.WithTimeout(ctx, playTimeout)
	defer cancel()
	if err := t.enter(limited); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("--regtest-pay: %w", err)
	}
	wire, err := conform.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	paid, err := conform.RunPaid(limited, cfg, t)
	if err != nil {
		return nil, err
	}
	return conform.Joined(wire, paid), nil
}

// there sees whether the LSP can be reached, before a block is made for it.
func there(ctx context.Context, cfg conform.Config) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.Patience)
	defer cancel()
	conn, err := cfg.Dial(ctx, 0)
	if err != nil {
		return fmt.Errorf("could not connect: %w", err)
	}
	return conn.Close()
}

// enter brings the payer, with its channels to the LSP.
func (t *troupe) enter(ctx context.Context) error {
	payer, err := t.player(ctx, "payer")
	if err != nil {
		return err
	}
	t.payer = payer
	if err := t.fund(ctx); err != nil {
		return err
	}
	for n := range payerChannels {
		if err := t.open(ctx, n+1); err != nil {
			return fmt.Errorf("the payer's channel to the LSP: %w", err)
		}
	}
	return nil
}

// fund mines until the payer has the money for its channels.
func (t *troupe) fund(ctx context.Context) error {
	blocks := matureBlocks
	for range maxMining {
		if err := t.mine(ctx, blocks); err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, t.patience)
		err := t.payer.AwaitBalance(short, payerNeeds)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		blocks = moreBlocks
	}
	return fmt.Errorf("%w: start with a new regtest", regtest.ErrNoMoney)
}

// mine makes blocks for the payer, and waits until all nodes have them.
func (t *troupe) mine(ctx context.Context, blocks int) error {
	address, err := t.payer.address()
	if err != nil {
		return err
	}
	height, err := t.chain.MineTo(ctx, blocks, address)
	if err != nil {
		return err
	}
	for _, p := range t.players {
		if p.away {
			continue
		}
		if err := p.AwaitHeight(ctx, height); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// open opens one more channel of the payer and returns when so many can be used.
func (t *troupe) open(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	err := t.again(ctx, func() error {
		_, err := t.payer.OpenChannel(ctx, node.OpenRequest{
			Peer: t.lsp, Addr: t.addr, Capacity: payerCapacity, Private: true,
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := t.mine(ctx, confirmations); err != nil {
		return err
	}
	return until(ctx, "a channel that can be used", func() (bool, error) {
		list, err := t.payer.channels(ctx)
		active := 0
		for _, c := range list {
			if c.Active {
				active++
			}
		}
		return active >= want, err
	})
}

// again does what the LSP may be too busy for at first, while it follows the chain, within the
// patience for an answer.
func (t *troupe) again(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(t.patience)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := do()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// until looks again and again, until ctx ends.
func until(ctx context.Context, what string, yes func() (bool, error)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		ok, err := yes()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		}
	}
}
