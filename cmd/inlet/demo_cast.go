package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"golang.org/x/sync/errgroup"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/orders"
)

// Coins that the demo's chain gives away.
const (
	lspCoins           = 3
	lspCoin, payerCoin = btcutil.Amount(20_000_000), btcutil.Amount(50_000_000)
	confirmations      = 6 // blocks that settle anything
	logMode            = 0o600
)

// cast is who plays: a chain and three nodes, each with its own folder and log.
type cast struct {
	dir  string
	fail context.CancelCauseFunc // ends the demo when a node ends by itself

	chain              *regtest.Btcd
	lsp, payer, client *actor
}

// actor is a running node.
type actor struct {
	*node.Node
	name string
	log  *os.File
	end  context.CancelFunc
	done chan struct{} // closed when Run has returned
	err  error         // what Run returned; valid after done
}

// actors are those that run.
func (c *cast) actors() []*actor {
	var list []*actor
	for _, a := range []*actor{c.client, c.payer, c.lsp} {
		if a != nil {
			list = append(list, a)
		}
	}
	return list
}

// config is a node's configuration: the program's own defaults, on the private chain.
func (c *cast) config(name string) Config {
	config := DefaultConfig()
	config.DataDir, config.Alias = filepath.Join(c.dir, name), name
	config.Network, config.InsecureNoPassphrase = "regtest", true
	config.Listen, config.AdminListen = []string{"127.0.0.1:0"}, ""
	config.Chain.Backend = "btcd"
	config.LSP.LSPS2.OverprovisionPpm = 1_000_000 // room to be paid once more
	return config
}

// prepare starts the chain and makes the wallets, which takes scrypt a while.
func (c *cast) prepare(ctx context.Context, btcd string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		c.chain, err = regtest.StartBtcd(ctx, regtest.Btcd{
			Binary: btcd, Dir: filepath.Join(c.dir, "btcd"),
		})
		return err
	})
	for _, name := range []string{"lsp", "payer", "client"} {
		group.Go(func() error {
			_, err := createWallet(createOrder{config: c.config(name)})
			return err
		})
	}
	return group.Wait()
}

// enter starts the three nodes. The LSP tells reached how its order goes on.
func (c *cast) enter(ctx context.Context, reached func(orders.Moment)) error {
	var group errgroup.Group
	for name, place := range map[string]**actor{
		"lsp": &c.lsp, "payer": &c.payer, "client": &c.client,
	} {
		config := c.config(name)
		config.LSP.Enabled = name == "lsp"
		group.Go(func() (err error) {
			*place, err = c.start(ctx, config, reached)
			return err
		})
	}
	return group.Wait()
}

// start runs a node and returns when it is ready. An actor that it returns wants its end, also
// when there is an error.
func (c *cast) start(ctx context.Context, config Config, reached func(orders.Moment)) (
	*actor, error) {

	btcd := c.chain.Config()
	return launch(ctx, config.Alias, filepath.Join(c.dir, config.Alias+".log"),
		func(log *slog.Logger) node.Options {
			options := nodeOptions(config, nil, log)
			options.Chain.Btcd, options.NoEvents = &btcd, false
			if options.LSP != nil {
				options.LSP.Reached = func(_ string, m orders.Moment) { reached(m) }
			}
			return options
		}, c.fail)
}

// launch runs a node that logs to a file, and returns when it is ready. It calls fail if the node
// ends by itself. An actor that it returns wants its end, also when there is an error.
func launch(ctx context.Context, name, logPath string, options func(*slog.Logger) node.Options,
	fail context.CancelCauseFunc) (*actor, error) {

	a := &actor{name: name, done: make(chan struct{})}
	var err error
	a.log, err = os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, logMode)
	if err != nil {
		return nil, fmt.Errorf("%s: make a log: %w", name, err)
	}
	a.Node, err = node.New(options(slog.New(slog.NewTextHandler(a.log, nil))))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", a.name, err), a.log.Close())
	}
	// Nodes end after what they are asked to do has ended, not with it.
	ctxRun, end := context.WithCancel(context.WithoutCancel(ctx))
	a.end = end
	go a.routineRun(ctxRun, fail)
	select {
	case <-a.Ready():
		return a, nil
	case <-a.done:
		return a, fmt.Errorf("%s: %w", a.name, errors.Join(errNodeEnded, a.err))
	case <-ctx.Done():
		return a, fmt.Errorf("%s is not ready: %w", a.name, ctx.Err())
	}
}

// errNodeEnded is a node that ended by itself.
var errNodeEnded = errors.New("the node ended by itself")

// routineRun runs the node; leave waits for it.
func (a *actor) routineRun(ctx context.Context, fail context.CancelCauseFunc) {
	defer close(a.done)
	a.err = a.Run(ctx)
	if ctx.Err() == nil {
		fail(fmt.Errorf("%s: %w", a.name, errors.Join(errNodeEnded, a.err)))
	}
}

// leave waits for the end of a node whose context has ended.
func (a *actor) leave() error {
	<-a.done
	err := errors.Join(a.err, a.log.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	return nil
}

// close ends the nodes, then the chain. Nothing is left running.
func (c *cast) close() error {
	var errs []error
	for _, a := range c.actors() {
		a.end()
	}
	for _, a := range c.actors() {
		errs = append(errs, a.leave())
	}
	if c.chain != nil {
		errs = append(errs, c.chain.Stop())
	}
	return errors.Join(errs...)
}

// fund gives the LSP and the payer coins; the client stays without.
func (c *cast) fund(ctx context.Context) error {
	var payments []regtest.Payment
	for range lspCoins {
		address, err := c.lsp.address()
		if err != nil {
			return err
		}
		payments = append(payments, regtest.Payment{Address: address, Amount: lspCoin})
	}
	address, err := c.payer.address()
	if err != nil {
		return err
	}
	payments = append(payments, regtest.Payment{Address: address, Amount: payerCoin})
	if _, err := c.chain.FundMany(payments); err != nil {
		return err
	}
	if err := c.lsp.AwaitBalance(ctx, lspCoins*lspCoin); err != nil {
		return err
	}
	return c.payer.AwaitBalance(ctx, payerCoin)
}

// mine makes blocks and waits until every node has them.
func (c *cast) mine(ctx context.Context, blocks int) error {
	if _, err := c.chain.Mine(blocks); err != nil {
		return err
	}
	height, err := c.chain.Height()
	if err != nil {
		return err
	}
	for _, a := range c.actors() {
		if err := a.AwaitHeight(ctx, height); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return nil
}

func (a *actor) address() (btcutil.Address, error) {
	text, err := a.Address()
	if err != nil {
		return nil, err
	}
	return btcutil.DecodeAddress(text, chainParams("regtest"))
}

// contact is how others reach the node.
func (a *actor) contact() (key *btcec.PublicKey, addr string, err error) {
	key, err = node.ParseNodeID(a.NodeID())
	if err != nil {
		return nil, "", err
	}
	uris := a.URIs()
	if len(uris) == 0 {
		return nil, "", fmt.Errorf("%s listens nowhere", a.name)
	}
	_, addr, _ = strings.Cut(uris[0], "@")
	return key, addr, nil
}

// await returns the node's first event of a kind that was not handled.
func (a *actor) await(ctx context.Context, kind node.EventKind) (node.Event, error) {
	for ev, err := range a.Events(ctx) {
		if err != nil {
			return node.Event{}, fmt.Errorf("%s waits for %s: %w", a.name, kind, err)
		}
		if ev.Kind == kind {
			return ev, nil
		}
	}
	return node.Event{}, fmt.Errorf("%s waits for %s: no more events", a.name, kind)
}
