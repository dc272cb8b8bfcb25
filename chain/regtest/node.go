package regtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

const (
	requestTimeout = 60 * time.Second
	portAttempts   = 5
	rpcUser        = "inlet"

	// fundingStep is how many blocks are mined at a time for more money, and fundingLimit
	// after how many the miner gives up: the first coin matures after 100.
	fundingStep  = 10
	fundingLimit = 200
)

// program is what btcd and bitcoind do in different ways.
type program interface {
	draw() error                                   // new ports
	args() (path string, args []string, err error) // writes the configuration file, too
	dial(ctx context.Context) (rpc.Client, error)
	generate(ctx context.Context, n int) ([]chainhash.Hash, error)
	mineTo(ctx context.Context, n int, addr btcutil.Address) ([]chainhash.Hash, error)
	mineEmpty(ctx context.Context, n int) ([]chainhash.Hash, error)
	connect(ctx context.Context, addr string) error
}

// node is what the two programs have in common.
type node struct {
	program  program
	dir      string
	password string
	peerAddr string
	rpcAddr  string
	miner    *miner

	mineMu sync.Mutex // btcd refuses to mine twice at once

	// blocks is the chain of the run before. Stop, Kill and Restart are calls of one caller.
	blocks []*wire.MsgBlock

	mu     sync.Mutex
	proc   *process   // guarded by mu; nil while stopped
	client rpc.Client // guarded by mu
}

func newNode(dir string, secret byte) (*node, error) {
	if dir == "" {
		return nil, errors.New("regtest: the directory is missing")
	}
	m, err := newMiner(secret)
	if err != nil {
		return nil, err
	}
	password := make([]byte, 16)
	if _, err := rand.Read(password); err != nil {
		return nil, fmt.Errorf("regtest: draw a password: %w", err)
	}
	return &node{dir: dir, password: hex.EncodeToString(password), miner: m}, nil
}

// start runs the program for the first time, on other ports when somebody was quicker to take
// those it had drawn, and mines until the chain has blocks blocks.
func (n *node) start(ctx context.Context, blocks int) error {
	var err error
	for range portAttempts {
		if err = n.program.draw(); err != nil {
			return err
		}
		if err = n.run(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	info, err := n.RPC().ChainInfo(ctx)
	if err == nil && int(info.Blocks) < blocks {
		_, err = n.program.generate(ctx, blocks-int(info.Blocks))
	}
	if err != nil {
		return errors.Join(err, n.Kill()) //nolint:contextcheck // also when ctx has ended
	}
	return nil
}

// run starts the program and returns once it answers.
func (n *node) run(ctx context.Context) error {
	path, args, err := n.program.args()
	if err != nil {
		return err
	}
	proc, err := startProcess(path, args...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var client rpc.Client
	err = await(ctx, func() (bool, error) {
		select {
		case <-proc.exited:
			return false, proc.failure()
		default:
		}
		client = n.tryDial(ctx)
		return client != nil, nil
	})
	if err != nil {
		err = fmt.Errorf("regtest: wait for %s: %w", path, err)
		return errors.Join(err, proc.end(syscall.SIGKILL))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proc, n.client = proc, client
	return nil
}

// tryDial is nil while the program does not answer yet.
func (n *node) tryDial(ctx context.Context) rpc.Client {
	client, err := n.program.dial(ctx)
	if err != nil {
		return nil
	}
	if _, err := (rpc.Node{Client: client}).ChainInfo(ctx); err != nil {
		client.Close()
		return nil
	}
	return client
}

// Stop implements Regtest.
func (n *node) Stop() error { return n.end(syscall.SIGTERM) }

// Kill implements Regtest.
func (n *node) Kill() error { return n.end(syscall.SIGKILL) }

func (n *node) end(sig syscall.Signal) error {
	if !n.running() {
		return nil
	}
	remembered := n.remember()
	n.mu.Lock()
	defer n.mu.Unlock()
	err := errors.Join(remembered, n.client.Close(), n.proc.end(sig))
	n.proc, n.client = nil, nil
	return err
}

// Restart implements Regtest.
func (n *node) Restart(ctx context.Context) error {
	if n.running() {
		return fmt.Errorf("regtest: restart %s: it is running", n.dir)
	}
	if err := n.run(ctx); err != nil {
		return err
	}
	if err := n.restore(ctx); err != nil {
		return errors.Join(err, n.Kill()) //nolint:contextcheck // also when ctx has ended
	}
	return nil
}

func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc != nil
}

// RPC implements Regtest.
func (n *node) RPC() rpc.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client == nil {
		return rpc.Node{Client: stopped{}}
	}
	return rpc.Node{Client: n.client}
}

// stopped is the client of a program that does not run.
type stopped struct{}

func (stopped) Call(context.Context, string, any, ...any) error { return rpc.ErrClosed }
func (stopped) Close() error                                    { return nil }

// PeerAddr implements Regtest.
func (n *node) PeerAddr() string { return n.peerAddr }

// Height implements Regtest.
func (n *node) Height() (uint32, error) {
	ctx, cancel := requestContext()
	defer cancel()
	info, err := n.RPC().ChainInfo(ctx)
	if err != nil {
		return 0, err
	}
	return uint32(info.Blocks), nil
}

// BestBlock implements Regtest.
func (n *node) BestBlock() (chainhash.Hash, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return n.RPC().BestBlock(ctx)
}

// Mempool implements Regtest.
func (n *node) Mempool() ([]chainhash.Hash, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return n.RPC().Mempool(ctx)
}

// Send implements Regtest.
func (n *node) Send(tx *wire.MsgTx) (chainhash.Hash, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return n.RPC().SendTx(ctx, tx)
}

// InvalidateBlock implements Regtest.
func (n *node) InvalidateBlock(hash chainhash.Hash) error {
	ctx, cancel := requestContext()
	defer cancel()
	return n.RPC().Call(ctx, "invalidateblock", nil, hash.String())
}

// Tx implements Regtest.
func (n *node) Tx(txid chainhash.Hash) (*Tx, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return n.tx(ctx, txid)
}

func (n *node) tx(ctx context.Context, txid chainhash.Hash) (*Tx, error) {
	raw, err := n.RPC().TxVerbose(ctx, txid)
	if rpc.IsCode(err, rpc.CodeNotFound) {
		return nil, fmt.Errorf("regtest: %w: %s", ErrNoTx, txid)
	}
	if err != nil {
		return nil, err
	}
	tx := &Tx{Confirmations: uint32(raw.Confirmations)}
	if tx.Tx, err = rpc.ParseTx(raw.Hex); err != nil {
		return nil, err
	}
	if raw.BlockHash != "" {
		hash, err := chainhash.NewHashFromStr(raw.BlockHash)
		if err != nil {
			return nil, fmt.Errorf("regtest: block of %s: %w", txid, err)
		}
		tx.BlockHash = *hash
	}
	return tx, nil
}

// Mine implements Regtest.
func (n *node) Mine(blocks int) ([]chainhash.Hash, error) {
	if blocks <= 0 {
		return nil, nil
	}
	n.mineMu.Lock()
	defer n.mineMu.Unlock()
	ctx, cancel := requestContext()
	defer cancel()
	return n.program.generate(ctx, blocks)
}

// MineTo implements Regtest.
func (n *node) MineTo(blocks int, addr btcutil.Address) ([]chainhash.Hash, error) {
	n.mineMu.Lock()
	defer n.mineMu.Unlock()
	ctx, cancel := requestContext()
	defer cancel()
	return n.program.mineTo(ctx, blocks, addr)
}

// MineEmpty implements Regtest.
func (n *node) MineEmpty(blocks int) ([]chainhash.Hash, error) {
	n.mineMu.Lock()
	defer n.mineMu.Unlock()
	ctx, cancel := requestContext()
	defer cancel()
	return n.program.mineEmpty(ctx, blocks)
}

// Fund implements Regtest.
func (n *node) Fund(addr btcutil.Address, each btcutil.Amount,
	count int) ([]wire.OutPoint, error) {

	payments := make([]Payment, count)
	for i := range payments {
		payments[i] = Payment{addr, each}
	}
	tx, err := n.FundMany(payments)
	if err != nil {
		return nil, err
	}
	outpoints := make([]wire.OutPoint, count)
	for i := range outpoints {
		outpoints[i] = wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}
	}
	return outpoints, nil
}

// FundMany implements Regtest.
func (n *node) FundMany(payments []Payment) (*wire.MsgTx, error) {
	var outs []*wire.TxOut
	for _, p := range payments {
		script, err := txscript.PayToAddrScript(p.Address)
		if err != nil {
			return nil, fmt.Errorf("regtest: pay to %s: %w", p.Address, err)
		}
		outs = append(outs, wire.NewTxOut(int64(p.Amount), script))
	}
	tx, err := n.send(outs)
	if err != nil {
		return nil, err
	}
	if _, err := n.Mine(1); err != nil {
		return nil, err
	}
	found, err := n.Tx(tx.TxHash())
	if err != nil {
		return nil, err
	}
	if found.Confirmations == 0 {
		return nil, fmt.Errorf("regtest: the new block left out %s", tx.TxHash())
	}
	return tx, nil
}

// send pays from mature coins, after mining until there are enough of them.
func (n *node) send(outs []*wire.TxOut) (*wire.MsgTx, error) {
	n.miner.mu.Lock()
	defer n.miner.mu.Unlock()
	for mined := 0; ; mined += fundingStep {
		ctx, cancel := requestContext()
		err := n.miner.follow(ctx, n.RPC())
		cancel()
		if err != nil {
			return nil, err
		}
		tx, err := n.miner.pay(outs)
		if err == nil {
			if _, err = n.Send(tx); err != nil {
				return nil, err
			}
			n.miner.sent(tx)
			return tx, nil
		}
		if !errors.Is(err, errNoCoins) {
			return nil, err
		}
		if mined >= fundingLimit {
			return nil, errors.Join(ErrNoMoney, err)
		}
		if _, err := n.Mine(fundingStep); err != nil {
			return nil, err
		}
	}
}

func requestContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), requestTimeout)
}
