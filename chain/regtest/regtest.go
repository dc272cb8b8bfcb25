package regtest

import (
	"context"
	"errors"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

// Regtest is a private chain backend on regtest: a child process with a miner's key.
type Regtest interface {
	// Mine makes n blocks, with their subsidy for this Regtest, and returns their hashes.
	Mine(n int) ([]chainhash.Hash, error)

	// MineTo makes n blocks whose subsidy goes to addr.
	MineTo(n int, addr btcutil.Address) ([]chainhash.Hash, error)

	// MineEmpty makes n blocks that leave the mempool as it is.
	MineEmpty(n int) ([]chainhash.Hash, error)

	// Fund pays count outputs of each to addr, mines one block and returns the outpoints.
	// Blocks are mined first where the miner's own coins don't suffice.
	Fund(addr btcutil.Address, each btcutil.Amount, count int) ([]wire.OutPoint, error)

	// FundMany makes all payments in one transaction, in the order of its outputs, mines one
	// block and returns the transaction.
	FundMany(payments []Payment) (*wire.MsgTx, error)

	// Height is the number of the best block.
	Height() (uint32, error)

	// BestBlock is the hash of the best block.
	BestBlock() (chainhash.Hash, error)

	// Mempool lists the transactions that wait for a block.
	Mempool() ([]chainhash.Hash, error)

	// Tx finds a transaction in the mempool or in a block; ErrNoTx when there is none.
	Tx(txid chainhash.Hash) (*Tx, error)

	// Send puts a transaction into the mempool.
	Send(tx *wire.MsgTx) (chainhash.Hash, error)

	// InvalidateBlock makes the program leave a block and all after it, as a reorganisation
	// does. The next Mine builds the other branch.
	InvalidateBlock(hash chainhash.Hash) error

	// RPC sends other requests to the program.
	RPC() rpc.Node

	// PeerAddr is host:port for the peer-to-peer protocol.
	PeerAddr() string

	// ConnectTo makes the two programs peers and returns once they are connected. Where one is
	// a btcd and the other a bitcoind, only the btcd may have mined before: btcd takes segwit
	// and taproot as active only after 432 blocks that signal them, and bitcoind's don't. Do
	// it again after a Restart.
	ConnectTo(ctx context.Context, peer Regtest) error

	// WaitSynced returns once both have the same best block.
	WaitSynced(ctx context.Context, peer Regtest) error

	// WaitTx returns once the program has the transaction, in its mempool or in a block.
	WaitTx(ctx context.Context, txid chainhash.Hash) error

	// Stop asks the program to end and waits for it. Idempotent.
	Stop() error

	// Kill ends the program at once, as a power cut does, and waits for it. Idempotent.
	Kill() error

	// Restart starts a stopped or killed program again on the same directory and ports, with
	// the chain that it had. A btcd has lost its mempool.
	Restart(ctx context.Context) error
}

// Payment is one output that Fund makes.
type Payment struct {
	Address btcutil.Address
	Amount  btcutil.Amount
}

// Tx is a transaction that the program knows.
type Tx struct {
	Tx            *wire.MsgTx
	Confirmations uint32         // 0: in the mempool
	BlockHash     chainhash.Hash // zero while in the mempool
}

// NoBlocks as Btcd.Blocks or Bitcoind.Blocks starts with an empty chain.
const NoBlocks = -1

var (
	// ErrNoProgram means that btcd or bitcoind was not found on this machine. The text says
	// which command gets it.
	ErrNoProgram = errors.New("program not found")

	// ErrNoTx means that neither mempool nor chain has the transaction.
	ErrNoTx = errors.New("no such transaction")

	// ErrNoMoney means that the subsidies that are left can't pay what was asked for.
	ErrNoMoney = errors.New("the chain has not enough subsidy left")
)
