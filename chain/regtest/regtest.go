package regtest

import (
	"context"
	"errors"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Regtest is a private chain backend on regtest: a child process with a miner's key.
type Regtest interface {
	// Mine makes n blocks, with their subsidy for this Regtest, and returns their hashes.
	Mine(n int) ([]chainhash.Hash, error)

	// MineTo makes n blocks whose subsidy goes to addr.
	MineTo(n int, addr btcutil.Address) ([]chainhash.Hash, error)

	// Fund pays count outputs of each to addr, mines one block and returns the outpoints.
	// Blocks are mined first where the miner's own coins don't suffice.
	Fund(addr btcutil.Address, each btcutil.Amount, count int) ([]wire.OutPoint, error)

	// FundMany pays all outs in one transaction, mines one block and returns the transaction.
	FundMany(outs []wire.TxOut) (*wire.MsgTx, error)

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

	// InvalidateBlock makes the program forget a block and all after it, as a reorganisation
	// does. The next Mine builds the other branch.
	InvalidateBlock(hash chainhash.Hash) error

	// PeerAddr is host:port for the peer-to-peer protocol.
	PeerAddr() string

	// ConnectTo makes the two programs peers and returns once they are connected.
	ConnectTo(ctx context.Context, peer Regtest) error

	// WaitSynced returns once both have the same best block.
	WaitSynced(ctx context.Context, peer Regtest) error

	// WaitTx returns once the program has the transaction, in its mempool or in a block.
	WaitTx(ctx context.Context, txid chainhash.Hash) error

	// Stop asks the program to end and waits for it. Idempotent.
	Stop() error

	// Kill ends the program at once, as a power cut does, and waits for it. Idempotent.
	Kill() error

	// Restart starts a stopped or killed program again on the same directory and ports.
	Restart(ctx context.Context) error
}

// Tx is a transaction that the program knows.
type Tx struct {
	Tx            *wire.MsgTx
	Confirmations uint32         // 0: in the mempool
	BlockHash     chainhash.Hash // zero while in the mempool
}

var (
	// ErrNoProgram means that btcd or bitcoind was not found on this machine. The text says
	// which command gets it.
	ErrNoProgram = errors.New("program not found")

	// ErrNoTx means that neither mempool nor chain has the transaction.
	ErrNoTx = errors.New("no such transaction")
)
