package chanfactory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// The tests run factories against one another over real wallets, stores and a real btcd, which
// they share. Only the wire, the links and the court are stand-ins.
var theBtcd struct {
	once sync.Once
	node *regtest.Btcd
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if theBtcd.node != nil {
		if err := theBtcd.node.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop btcd:", err)
		}
		_ = os.RemoveAll(theBtcd.dir)
	}
	os.Exit(code)
}

func btcd(t testing.TB) *regtest.Btcd {
	t.Helper()
	theBtcd.once.Do(func() {
		if theBtcd.dir, theBtcd.err = os.MkdirTemp("", "inlet-chanfactory-"); theBtcd.err != nil {
			return
		}
		theBtcd.node, theBtcd.err = regtest.StartBtcd(context.Background(),
			regtest.Btcd{Dir: theBtcd.dir})
	})
	require.NoError(t, theBtcd.err)
	return theBtcd.node
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// party is a node as far as channels need one. Its process can be stopped, and started again on
// the same or on an older state of its disk.
type party struct {
	*chanfactory.Factory

	t       testing.TB
	name    string
	dir     string
	policy  chanfactory.Policy
	clock   clock.Clock
	accept  func(chanfactory.Proposal) (chanfactory.Terms, error)
	expects [33]byte                // whom the acceptor waits for
	onTell  func(chanfactory.Event) // called first with each event
	tamper  func(chainntnfs.ChainNotifier) chainntnfs.ChainNotifier
	publish func(*wire.MsgTx, string) error // nil: the wallet's
	disk    store.Watch                     // nil: nobody looks
	coins   func(chanfactory.Coins) chanfactory.Coins
	away    atomic.Bool // the past is not searched

	db       *store.DB
	source   chain.Source
	wallet   *wallet.Wallet
	channels *channeldb.ChannelStateDB
	aliases  *aliasmgr.Manager
	links    *fakeLinks
	court    *fakeCourt
	events   *record[chanfactory.Event]
	sent     *record[*wire.MsgTx] // what was given to publish
	stop     func()
}

// newParty makes a wallet with coins and starts the node.
func newParty(t testing.TB, name string, coins int) *party {
	t.Helper()
	p := &party{
		t: t, name: name, dir: t.TempDir(), clock: clock.NewDefaultClock(),
		accept: func(o chanfactory.Proposal) (chanfactory.Terms, error) {
			return chanfactory.Terms{ZeroConf: o.Type.ZeroConf}, nil
		},
		policy: chanfactory.Policy{ZeroConfDepth: 2, MinDepth: 2},
	}
	db, err := store.Open(store.Options{Dir: p.dir})
	require.NoError(t, err)
	_, err = wallet.Create(db, wallet.CreateOptions{
		Params: &chaincfg.RegressionNetParams, Insecure: true,
	})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	p.start()
	t.Cleanup(func() { p.stop() })
	if coins > 0 {
		p.fund(coins)
	}
	return p
}

// start starts the node's process.
func (p *party) start() {
	p.t.Helper()
	require := require.New(p.t)
	var err error
	p.db, err = store.Open(store.Options{Dir: p.dir, Watch: p.disk})
	require.NoError(err)
	p.source, err = chain.NewBtcd(chain.Options{Params: &chaincfg.RegressionNetParams},
		btcd(p.t).Config())
	require.NoError(err)
	require.NoError(p.source.Start(context.Background()))
	channels, err := channeldb.CreateWithBackend(p.db)
	require.NoError(err)
	p.channels = channels.ChannelStateDB()
	p.wallet, err = wallet.Open(wallet.Options{
		DB: p.db, Params: &chaincfg.RegressionNetParams, Insecure: true, Chain: p.source,
		Channels: p.channels, RecoveryWindow: 20,
	})
	require.NoError(err)
	require.NoError(p.wallet.Start(context.Background()))
	<-p.wallet.Ready()
	p.aliases, err = aliasmgr.NewManager(p.db, func(lnwire.ShortChannelID) error { return nil })
	require.NoError(err)
	p.links = newFakeLinks(p.wallet.Signer())
	p.court = &fakeCourt{watched: map[wire.OutPoint]bool{}}
	p.events, p.sent = newRecord[chanfactory.Event](), newRecord[*wire.MsgTx]()
	p.run()
}

// run builds the factory and runs it until stop.
func (p *party) run() {
	events := p.events
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{
			Level: slog.LevelDebug,
		})).With("party", p.name)
	}
	notifier := p.source.Notifier()
	if p.tamper != nil {
		notifier = p.tamper(notifier)
	}
	real, sent := p.publish, p.sent
	if real == nil {
		real = p.wallet.Publish
	}
	publish := func(tx *wire.MsgTx, label string) error {
		sent.add(tx)
		return real(tx, label)
	}
	var coins chanfactory.Coins = p.wallet
	if p.coins != nil {
		coins = p.coins(coins)
	}
	var err error
	p.Factory, err = chanfactory.New(chanfactory.Config{
		Params: &chaincfg.RegressionNetParams, Wallet: p.wallet.Lightning(), Channels: p.channels,
		Aliases: p.aliases, Notifier: notifier, Fees: p.source.Fees(), Searched: p.searched, Store: p.db,
		Publish: publish, Coins: coins, Court: p.court, Links: p.links,
		Accept: acceptor{p}, Policy: p.policy, Clock: p.clock, Log: log,
		Events: func(e chanfactory.Event) {
			if p.onTell != nil {
				p.onTell(e)
			}
			events.add(e)
		},
	})
	require.NoError(p.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }() // awaited by stop
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("%s: run: %v", p.name, err)
		}
		p.links.stop()
		err := errors.Join(p.wallet.Stop(), p.source.Stop(), p.db.Close())
		if err != nil {
			p.t.Errorf("%s: stop: %v", p.name, err)
		}
	})
	select {
	case <-p.Settled():
	case err := <-done:
		p.t.Fatalf("%s: run ended: %v", p.name, err)
	}
}

func (p *party) searched(txid *chainhash.Hash, script []byte) bool {
	return !p.away.Load() && p.source.Searched(txid, script)
}

// restart stops the process and starts it again.
func (p *party) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// snapshot copies the disk as a crash would leave it now. It may be called at any moment.
func (p *party) snapshot() string {
	dir, err := os.MkdirTemp(p.t.TempDir(), "crash")
	if err != nil {
		p.t.Errorf("snapshot: %v", err)
		return ""
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		p.t.Errorf("snapshot: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, store.DefaultFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(p.db.Copy(f), f.Close())
	}
	if err != nil {
		p.t.Errorf("snapshot: %v", err)
	}
	return dir
}

// revive starts the node again from a snapshot, as after a crash at that moment.
func (p *party) revive(dir string) {
	p.t.Helper()
	p.stop()
	p.dir, p.onTell = dir, nil
	p.start()
}

// fund gives the wallet confirmed coins of a million satoshis.
func (p *party) fund(count int) {
	p.t.Helper()
	addr, err := p.wallet.NewAddress()
	require.NoError(p.t, err)
	_, err = btcd(p.t).Fund(addr, 1_000_000, count)
	require.NoError(p.t, err)
	p.awaitBalance("coins", func(b wallet.Balance) bool {
		return b.Confirmed == btcutil.Amount(count)*1_000_000
	})
}

func (p *party) awaitBalance(what string, met func(wallet.Balance) bool) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		changed := p.wallet.Changed()
		b, err := p.wallet.Balance()
		require.NoError(p.t, err)
		if met(b) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("%s waits in vain for %s: %+v", p.name, what, b)
		}
	}
}

// leased is how much of the wallet is held.
func (p *party) leased() btcutil.Amount {
	p.t.Helper()
	b, err := p.wallet.Balance()
	require.NoError(p.t, err)
	return b.Leased
}

// stored reads the channel of a funding point.
func (p *party) stored(point wire.OutPoint) *channeldb.OpenChannel {
	p.t.Helper()
	ch, err := p.channels.FetchChannel(point)
	require.NoError(p.t, err)
	return ch
}

// gone says that the store has no such channel.
func (p *party) gone(point wire.OutPoint) bool {
	_, err := p.channels.FetchChannel(point)
	return errors.Is(err, channeldb.ErrChannelNotFound)
}

// state is the state of a tag's funding, empty if there is none.
func (p *party) state(tag string) chanfactory.FundingState {
	p.t.Helper()
	f, ok, err := p.Funding(tag)
	require.NoError(p.t, err)
	if !ok {
		return ""
	}
	return f.State
}

// await returns the first event of a type that was not awaited before.
func await[E chanfactory.Event](p *party) E {
	p.t.Helper()
	e, ok := p.events.await(func(e chanfactory.Event) bool {
		_, ok := e.(E)
		return ok
	})
	if !ok {
		var want E
		p.t.Fatalf("%s waits in vain for %T; there were %+v", p.name, want, p.events.all())
	}
	return e.(E)
}

// barrier returns when the worker of a channel of ours has done all that came before.
func (p *party) barrier(point wire.OutPoint) {
	p.t.Helper()
	_, err := p.Close(p.t.Context(), chanfactory.CloseRequest{Point: point})
	require.ErrorIs(p.t, err, chanfactory.ErrPendingOpen) // its funding is withheld
}

// mine makes blocks.
func mine(t testing.TB, n int) {
	t.Helper()
	_, err := btcd(t).Mine(n)
	require.NoError(t, err)
}

// inMempool waits for a transaction in the mempool.
func inMempool(t testing.TB, point wire.OutPoint) *wire.MsgTx {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, btcd(t).WaitTx(ctx, point.Hash))
	tx, err := btcd(t).Tx(point.Hash)
	require.NoError(t, err)
	return tx.Tx
}

// unknown says that no node has the transaction.
func unknown(t testing.TB, point wire.OutPoint) bool {
	t.Helper()
	_, err := btcd(t).Tx(point.Hash)
	return err != nil
}

// acceptor asks the party's function.
type acceptor struct{ p *party }

func (a acceptor) Judge(o chanfactory.Proposal) (chanfactory.Terms, error) { return a.p.accept(o) }

func (a acceptor) Expects(peer [33]byte) bool { return peer == a.p.expects }
