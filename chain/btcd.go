package chain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"

	"github.com/inletlsp/inlet/chain/rpc"
)

const nameBtcd = "btcd"

// NewBtcd makes a Source of a btcd, which tells of blocks and transactions over a websocket. It
// starts nothing.
func NewBtcd(opts Options, cfg BtcdConfig) (Source, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	if cfg.RPCHost == "" {
		return nil, errors.New("chain: chain.btcd.rpc_host is missing")
	}
	cfg.RPCHost = withPort(cfg.RPCHost, btcdPorts[opts.Params.Name])
	return newSource(opts, &btcd{cfg: cfg, opts: &opts}), nil
}

// btcd implements backend and feeSource.
type btcd struct {
	cfg  BtcdConfig
	opts *Options
}

func (b *btcd) name() string { return nameBtcd }
func (b *btcd) host() string { return b.cfg.RPCHost }

// tls reads the certificate anew for each link: btcd makes another one when it expires.
func (b *btcd) tls() (*tls.Config, error) {
	if !b.cfg.TLS {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.cfg.CertFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(b.cfg.CertFile)
	if err != nil {
		return nil, fmt.Errorf("read chain.btcd.cert_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("chain.btcd.cert_file %s has no certificate", b.cfg.CertFile)
	}
	return config, nil
}

func (b *btcd) dial(ctx context.Context,
	wanted func(*wire.MsgTx) bool) (*link, error) {

	l, err := b.connect(ctx, wanted)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &unknown) || errors.As(err, &certificate) {
			err = fmt.Errorf("%w; is chain.btcd.cert_file its certificate?", err)
		}
		return nil, explain(b, err, "")
	}
	return l, nil
}

func (b *btcd) connect(ctx context.Context,
	wanted func(*wire.MsgTx) bool) (*link, error) {

	config, err := b.tls()
	if err != nil {
		return nil, err
	}
	l := newLink(wanted)
	ws, err := rpc.DialWebsocket(ctx, rpc.WebsocketConfig{
		Host:     b.cfg.RPCHost,
		User:     b.cfg.RPCUser,
		Password: b.cfg.RPCPassword,
		TLS:      config,
		Notify: func(method string, params []json.RawMessage) {
			btcdNews(l, method, params)
		},
	})
	if err != nil {
		return nil, err
	}
	l.Client = rpc.WithTimeout(ws, b.opts.RequestTimeout)
	l.watch = func(ctx context.Context, addrs []btcutil.Address, ops []wire.OutPoint) error {
		return extendFilter(ctx, l.Node, addrs, ops)
	}
	l.wg.Go(func() {
		<-ws.Done()
		l.fail(ws.Err())
	})
	err = checkNetwork(ctx, l.Node, nameBtcd, b.cfg.RPCHost, b.opts)
	if err == nil {
		err = l.Call(ctx, "notifyblocks", nil)
	}
	if err == nil {
		// without a filter the first call to extend it would be the one to make it
		err = l.Call(ctx, "loadtxfilter", nil, true, []string{}, []any{})
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// btcdNews hears btcd's notifications.
func btcdNews(l *link, method string, params []json.RawMessage) {
	switch method {
	case "blockconnected", "blockdisconnected",
		"filteredblockconnected", "filteredblockdisconnected":
		l.look()
	case "relevanttxaccepted":
		var raw string
		if len(params) == 0 || json.Unmarshal(params[0], &raw) != nil {
			return
		}
		if tx, err := rpc.ParseTx(raw); err == nil {
			l.hear(tx)
		}
	}
}

// maxFilterPart bounds the addresses and outputs in one request.
const maxFilterPart = 1000

func extendFilter(ctx context.Context, node rpc.Node, addrs []btcutil.Address,
	ops []wire.OutPoint) error {

	type outpoint struct {
		Hash  string `json:"hash"`
		Index uint32 `json:"index"`
	}
	for len(addrs)+len(ops) > 0 {
		names, points := []string{}, []outpoint{}
		for len(addrs) > 0 && len(names) < maxFilterPart {
			names = append(names, addrs[0].EncodeAddress())
			addrs = addrs[1:]
		}
		for len(ops) > 0 && len(points) < maxFilterPart {
			points = append(points, outpoint{ops[0].Hash.String(), ops[0].Index})
			ops = ops[1:]
		}
		if err := node.Call(ctx, "loadtxfilter", nil, false, names, points); err != nil {
			return fmt.Errorf("chain: extend the filter of btcd: %w", err)
		}
	}
	return nil
}

func (b *btcd) estimate(ctx context.Context, node rpc.Node,
	confTarget uint32) (chainfee.SatPerKWeight, error) {

	var amount rpc.Amount
	err := node.Call(ctx, "estimatefee", &amount, min(confTarget, maxBtcdTarget))
	if isRefusal(err) || (err == nil && amount <= 0) {
		return 0, errNoEstimate
	}
	return perKW(amount), err
}

// maxBtcdTarget is the last target that btcd keeps statistics for.
const maxBtcdTarget = 25

func (b *btcd) minimum(ctx context.Context, node rpc.Node) (chainfee.SatPerKWeight, error) {
	var info struct {
		RelayFee rpc.Amount `json:"relayfee"`
	}
	if err := node.Call(ctx, "getinfo", &info); err != nil {
		return 0, err
	}
	return perKW(info.RelayFee), nil
}
