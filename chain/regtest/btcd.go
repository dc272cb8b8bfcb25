package regtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/rpc"
)

// DefaultBtcdBlocks is the height at which segwit and taproot have become active on btcd's
// regtest, two blocks on.
const DefaultBtcdBlocks = 434

// Btcd says what btcd to start, and is it once it runs.
type Btcd struct {
	Binary string // path; empty: FindBtcd
	Dir    string // for everything that it writes; made when missing

	// Blocks is the height to mine to at first; 0 is DefaultBtcdBlocks, NoBlocks is none.
	Blocks int

	*node
	front *front // what clients connect to
}

var _ Regtest = (*Btcd)(nil)

// StartBtcd runs a btcd and returns once it answers and its chain is as high as asked for.
func StartBtcd(ctx context.Context, want Btcd) (*Btcd, error) {
	b := &want
	var err error
	if b.Binary == "" {
		if b.Binary, err = FindBtcd(); err != nil {
			return nil, err
		}
	}
	if b.node, err = newNode(b.Dir, 1); err != nil {
		return nil, err
	}
	b.program, b.front = b, &front{}
	if b.Blocks == 0 {
		b.Blocks = DefaultBtcdBlocks
	}
	if err := b.start(ctx, b.Blocks); err != nil {
		return nil, err
	}
	if err := b.openFront(); err != nil {
		return nil, errors.Join(err, b.Kill())
	}
	return b, nil
}

// openFront lets clients in.
func (b *Btcd) openFront() error {
	b.front.target = b.rpcAddr
	return b.front.open()
}

// Stop implements Regtest.
func (b *Btcd) Stop() error { return b.endWith(b.node.Stop) }

// Kill implements Regtest.
func (b *Btcd) Kill() error { return b.endWith(b.node.Kill) }

func (b *Btcd) endWith(end func() error) error {
	if !b.running() {
		return nil
	}
	b.front.close()
	return end()
}

// Restart implements Regtest. Clients are let in when the whole chain is there again.
func (b *Btcd) Restart(ctx context.Context) error {
	if err := b.node.Restart(ctx); err != nil {
		return err
	}
	if err := b.openFront(); err != nil {
		return errors.Join(err, b.node.Kill()) //nolint:contextcheck // also when ctx has ended
	}
	return nil
}

// Config says how to reach it.
func (b *Btcd) Config() chain.BtcdConfig {
	return chain.BtcdConfig{
		RPCHost:     b.front.addr,
		RPCUser:     rpcUser,
		RPCPassword: b.password,
		CertFile:    b.certFile(),
		TLS:         true,
	}
}

func (b *Btcd) certFile() string { return filepath.Join(b.Dir, "rpc.cert") }

func (b *Btcd) draw() (err error) {
	if b.peerAddr, err = freeAddr(); err != nil {
		return err
	}
	if b.rpcAddr, err = freeAddr(); err != nil {
		return err
	}
	b.front.addr, err = freeAddr()
	return err
}

func (b *Btcd) args() (string, []string, error) {
	conf := []string{
		"[Application Options]",
		"regtest=1",
		"datadir=" + b.Dir,
		"logdir=" + b.Dir,
		"listen=" + b.peerAddr,
		"rpclisten=" + b.rpcAddr,
		"rpcuser=" + rpcUser,
		"rpcpass=" + b.password,
		"rpccert=" + b.certFile(),
		"rpckey=" + filepath.Join(b.Dir, "rpc.key"),
		"rpcmaxclients=500",
		"rpcmaxwebsockets=500",
		"txindex=1",
		"miningaddr=" + b.miner.addr.EncodeAddress(),
		"nodnsseed=1",
		"nobanning=1",
		"nostalldetect=1",
		"rejectnonstd=1", // as on the main network
		"trickleinterval=20ms",
		"debuglevel=info",
	}
	path, err := writeConfig(b.Dir, "btcd.conf", conf)
	return b.Binary, []string{"--configfile=" + path}, err
}

func (b *Btcd) dial(ctx context.Context) (rpc.Client, error) {
	cert, err := os.ReadFile(b.certFile())
	if err != nil {
		return nil, fmt.Errorf("regtest: read certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	w, err := rpc.DialWebsocket(ctx, rpc.WebsocketConfig{
		Host:     b.rpcAddr,
		User:     rpcUser,
		Password: b.password,
		TLS:      &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (b *Btcd) generate(ctx context.Context, n int) ([]chainhash.Hash, error) {
	return b.RPC().Hashes(ctx, "generate", n)
}

func (b *Btcd) mineTo(ctx context.Context, n int,
	addr btcutil.Address) ([]chainhash.Hash, error) {

	return mineFromTemplate(ctx, b.RPC(), n, addr, false)
}

func (b *Btcd) mineEmpty(ctx context.Context, n int) ([]chainhash.Hash, error) {
	return mineFromTemplate(ctx, b.RPC(), n, b.miner.addr, true)
}

func (b *Btcd) connect(ctx context.Context, addr string) error {
	return b.RPC().Call(ctx, "node", nil, "connect", addr, "perm")
}

// writeConfig writes a program's configuration file, which has its password, for us alone.
func writeConfig(dir, name string, lines []string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("regtest: make directory: %w", err)
	}
	path := filepath.Join(dir, name)
	body := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		return "", fmt.Errorf("regtest: write configuration: %w", err)
	}
	return path, nil
}
