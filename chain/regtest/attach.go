package regtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/rpc"
)

var (
	// ErrNotRegtest means that a bitcoind follows another chain.
	ErrNotRegtest = errors.New("the bitcoind is not on regtest")

	// ErrNoMining means that a bitcoind makes no blocks for us.
	ErrNoMining = errors.New("the bitcoind makes no blocks when it is asked to: start a bitcoind " +
		"with -regtest and let this RPC user call generatetoaddress")
)

// Attached is a bitcoind on regtest that somebody else runs. It can be asked for blocks.
type Attached struct{ node rpc.Node }

// Attach reaches a bitcoind. ErrNotRegtest unless it is on regtest; of ErrNoMining nothing is
// known yet.
func Attach(ctx context.Context, cfg chain.BitcoindConfig) (*Attached, error) {
	user, password, err := cfg.Credentials()
	if err != nil {
		return nil, fmt.Errorf("regtest: %w", err)
	}
	a := &Attached{rpc.Node{Client: rpc.WithTimeout(
		rpc.NewHTTP(cfg.RPCHost, user, password, nil), requestTimeout)}}
	info, err := a.node.ChainInfo(ctx)
	if err == nil && info.Chain != "regtest" {
		err = fmt.Errorf("%w: it says that its chain is %q", ErrNotRegtest, info.Chain)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("regtest: %s: %w", cfg.RPCHost, err), a.Close())
	}
	return a, nil
}

// MineTo makes n blocks whose subsidy goes to addr, and returns the height of the last.
func (a *Attached) MineTo(ctx context.Context, n int, addr btcutil.Address) (uint32, error) {
	hashes, err := a.node.Hashes(ctx, "generatetoaddress", n, addr.EncodeAddress())
	var refusal *rpc.Error
	switch {
	case errors.As(err, &refusal):
		return 0, fmt.Errorf("regtest: %w (%w)", ErrNoMining, err)
	case err != nil:
		return 0, fmt.Errorf("regtest: %w", err)
	case len(hashes) == 0:
		return 0, fmt.Errorf("regtest: %w", ErrNoMining)
	}
	header, err := a.node.HeaderVerbose(ctx, hashes[len(hashes)-1])
	if err != nil {
		return 0, fmt.Errorf("regtest: %w", err)
	}
	return uint32(header.Height), nil
}

// Knows says whether an output is in the mempool or in a block, and was not spent.
func (a *Attached) Knows(ctx context.Context, op wire.OutPoint) (bool, error) {
	var out *struct{}
	if err := a.node.Call(ctx, "gettxout", &out, op.Hash.String(), op.Index, true); err != nil {
		return false, fmt.Errorf("regtest: look for %v: %w", op, err)
	}
	return out != nil, nil
}

// Close ends the connection.
func (a *Attached) Close() error { return a.node.Close() }
