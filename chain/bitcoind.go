package chain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"

	"github.com/inletlsp/inlet/chain/rpc"
)

const (
	nameBitcoind = "bitcoind"

	// oldestBitcoind is the first version that finds the spender of an output in the mempool.
	oldestBitcoind = 240000
)

// NewBitcoind makes a Source of a bitcoind, which tells of blocks and transactions over ZMQ, or is
// polled. It starts nothing.
func NewBitcoind(opts Options, cfg BitcoindConfig) (Source, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	switch {
	case cfg.RPCHost == "":
		return nil, errors.New("chain: chain.bitcoind.rpc_host is missing")
	case cfg.CookieFile != "" && cfg.RPCPassword != "":
		return nil, errors.New("chain: give chain.bitcoind.cookie_file or rpc_password, not both")
	case cfg.ZMQTx != "" && cfg.ZMQBlock == "":
		return nil, errors.New("chain: chain.bitcoind.zmq_tx needs zmq_block, too")
	}
	cfg.RPCHost = withPort(cfg.RPCHost, bitcoindPorts[opts.Params.Name])
	return newSource(opts, &bitcoind{cfg: cfg, opts: &opts}), nil
}

// bitcoind implements backend and feeSource.
type bitcoind struct {
	cfg  BitcoindConfig
	opts *Options
}

func (b *bitcoind) name() string { return nameBitcoind }
func (b *bitcoind) host() string { return b.cfg.RPCHost }

// Credentials are the user and password for its RPC. A cookie is read anew each time:
// bitcoind writes another one at each start.
func (c BitcoindConfig) Credentials() (user, password string, err error) {
	if c.CookieFile == "" {
		return c.RPCUser, c.RPCPassword, nil
	}
	cookie, err := os.ReadFile(c.CookieFile)
	if err != nil {
		return "", "", fmt.Errorf("read chain.bitcoind.cookie_file: %w", err)
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(cookie)), ":")
	if !ok {
		return "", "", fmt.Errorf("chain.bitcoind.cookie_file %s is no cookie", c.CookieFile)
	}
	return user, password, nil
}

func (b *bitcoind) dial(ctx context.Context,
	wanted func(*wire.MsgTx) bool) (*link, error) {

	l, err := b.connect(ctx, wanted)
	if err != nil {
		return nil, explain(b, err, ", or cookie_file")
	}
	return l, nil
}

func (b *bitcoind) connect(ctx context.Context,
	wanted func(*wire.MsgTx) bool) (*link, error) {

	user, password, err := b.cfg.Credentials()
	if err != nil {
		return nil, err
	}
	l := newLink(wanted)
	l.Client = rpc.WithTimeout(rpc.NewHTTP(b.cfg.RPCHost, user, password, nil),
		b.opts.RequestTimeout)
	err = checkNetwork(ctx, l.Node, nameBitcoind, b.cfg.RPCHost, b.opts)
	if err == nil {
		err = checkVersion(ctx, l.Node)
	}
	if err == nil {
		err = b.subscribe(ctx, l)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func checkVersion(ctx context.Context, node rpc.Node) error {
	var info struct {
		Version    int    `json:"version"`
		Subversion string `json:"subversion"`
	}
	if err := node.Call(ctx, "getnetworkinfo", &info); err != nil {
		return fmt.Errorf("is it a bitcoind? %w", err)
	}
	if info.Version < oldestBitcoind {
		return fmt.Errorf("it is %s, but version %d or later is needed", info.Subversion,
			oldestBitcoind/10000)
	}
	return nil
}

// subscribe begins to hear of blocks and transactions.
func (b *bitcoind) subscribe(ctx context.Context, l *link) error {
	if b.cfg.ZMQBlock == "" {
		l.poll(b.opts.PollInterval) //nolint:contextcheck // it lives as long as the link
		return nil
	}
	if err := l.hearBlocks(ctx, b.cfg.ZMQBlock); err != nil {
		return err
	}
	if b.cfg.ZMQTx == "" {
		return nil
	}
	return l.hearTxs(ctx, b.cfg.ZMQTx)
}

func (b *bitcoind) estimate(ctx context.Context, node rpc.Node,
	confTarget uint32) (chainfee.SatPerKWeight, error) {

	var answer struct {
		FeeRate *rpc.Amount `json:"feerate"` // of 1000 virtual bytes; absent without data
	}
	err := node.Call(ctx, "estimatesmartfee", &answer, confTarget, "CONSERVATIVE")
	if isRefusal(err) || (err == nil && (answer.FeeRate == nil || *answer.FeeRate <= 0)) {
		return 0, errNoEstimate
	}
	if err != nil {
		return 0, err
	}
	return perKW(*answer.FeeRate), nil
}

func (b *bitcoind) minimum(ctx context.Context, node rpc.Node) (chainfee.SatPerKWeight, error) {
	var info struct {
		Minimum  rpc.Amount `json:"mempoolminfee"`
		MinRelay rpc.Amount `json:"minrelaytxfee"`
	}
	if err := node.Call(ctx, "getmempoolinfo", &info); err != nil {
		return 0, err
	}
	return perKW(max(info.Minimum, info.MinRelay)), nil
}
