package regtest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/rpc"
)

// DefaultBitcoindBlocks gives the miner 50 mature coins of 50 bitcoin each.
const DefaultBitcoindBlocks = 150

// Bitcoind says what bitcoind to start, and is it once it runs. It is of version 24 or later, Core
// or Knots.
type Bitcoind struct {
	Binary string // path; empty: FindBitcoind
	Dir    string // for everything that it writes; made when missing

	// Blocks is the height to mine to at first; 0 is DefaultBitcoindBlocks, NoBlocks is none.
	Blocks int

	*node
	zmqBlock, zmqTx string
}

var _ Regtest = (*Bitcoind)(nil)

// StartBitcoind runs a bitcoind and returns once it answers and its chain is as high as asked for.
func StartBitcoind(ctx context.Context, want Bitcoind) (*Bitcoind, error) {
	b := &want
	var err error
	if b.Binary == "" {
		if b.Binary, err = FindBitcoind(); err != nil {
			return nil, err
		}
	}
	if b.node, err = newNode(b.Dir, 2); err != nil {
		return nil, err
	}
	b.program = b
	if b.Blocks == 0 {
		b.Blocks = DefaultBitcoindBlocks
	}
	if err := b.start(ctx, b.Blocks); err != nil {
		return nil, err
	}
	return b, nil
}

// Config says how to reach it: by user and password, and with ZMQ.
func (b *Bitcoind) Config() chain.BitcoindConfig {
	return chain.BitcoindConfig{
		RPCHost:     b.rpcAddr,
		RPCUser:     rpcUser,
		RPCPassword: b.password,
		ZMQBlock:    "tcp://" + b.zmqBlock,
		ZMQTx:       "tcp://" + b.zmqTx,
	}
}

// CookieFile is where it writes another password at each start.
func (b *Bitcoind) CookieFile() string {
	return filepath.Join(b.Dir, "regtest", ".cookie")
}

func (b *Bitcoind) draw() (err error) {
	for _, addr := range []*string{&b.peerAddr, &b.rpcAddr, &b.zmqBlock, &b.zmqTx} {
		if *addr, err = freeAddr(); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bitcoind) args() (string, []string, error) {
	host, port, err := net.SplitHostPort(b.rpcAddr)
	if err != nil {
		return "", nil, err
	}
	// A password in the form of rpcauth leaves the cookie in place.
	const salt = "00112233445566778899aabbccddeeff"
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(b.password))
	conf := []string{
		"regtest=1",
		"server=1",
		"txindex=1",
		"disablewallet=1",
		"printtoconsole=0",
		"dnsseed=0",
		"fixedseeds=0",
		"listenonion=0",
		"discover=0",
		// announces transactions at once instead of after seconds
		"whitelist=in,out,noban@127.0.0.1",
		"rpcauth=" + rpcUser + ":" + salt + "$" + hex.EncodeToString(mac.Sum(nil)),
		"rpcthreads=16",
		"rpcworkqueue=256",
		"[regtest]",
		"bind=" + b.peerAddr,
		"rpcbind=" + host,
		"rpcport=" + port,
		"rpcallowip=127.0.0.1",
		"zmqpubrawblock=tcp://" + b.zmqBlock,
		"zmqpubrawtx=tcp://" + b.zmqTx,
	}
	path, err := writeConfig(b.Dir, "bitcoin.conf", conf)
	return b.Binary, []string{"-datadir=" + b.Dir, "-conf=" + path}, err
}

func (b *Bitcoind) dial(context.Context) (rpc.Client, error) {
	return rpc.NewHTTP(b.rpcAddr, rpcUser, b.password, nil), nil
}

func (b *Bitcoind) generate(ctx context.Context, n int) ([]chainhash.Hash, error) {
	return b.mineTo(ctx, n, b.miner.addr)
}

func (b *Bitcoind) mineTo(ctx context.Context, n int,
	addr btcutil.Address) ([]chainhash.Hash, error) {

	return b.RPC().Hashes(ctx, "generatetoaddress", n, addr.EncodeAddress())
}

func (b *Bitcoind) mineEmpty(ctx context.Context, n int) ([]chainhash.Hash, error) {
	return mineFromTemplate(ctx, b.RPC(), n, b.miner.addr, true)
}

func (b *Bitcoind) connect(ctx context.Context, addr string) error {
	return b.RPC().Call(ctx, "addnode", nil, addr, "onetry")
}
