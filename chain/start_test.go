package chain_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
)

const secret = "correct horse battery staple"

// wantError tells that starting fails with these words, and without the password.
func wantError(t *testing.T, s chain.Source, err error, sentinel error, words ...string) {
	t.Helper()
	require.NoError(t, err)
	err = s.Start(testContext(t))
	require.ErrorIs(t, err, sentinel)
	for _, word := range words {
		require.ErrorContains(t, err, word)
	}
	require.NotContains(t, err.Error(), secret)
	require.NoError(t, s.Stop(), "a Source that did not start can be stopped")
	require.False(t, s.Status().BackendReachable)
}

func TestStartUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())

	s, err := chain.NewBtcd(options(), chain.BtcdConfig{RPCHost: addr, RPCPassword: secret})
	wantError(t, s, err, chain.ErrUnreachable, addr, "chain.btcd.rpc_host")
	s, err = chain.NewBitcoind(options(), chain.BitcoindConfig{RPCHost: addr, RPCPassword: secret})
	wantError(t, s, err, chain.ErrUnreachable, addr, "chain.bitcoind.rpc_host")
}

func TestStartBtcd(t *testing.T) {
	b, err := regtest.StartBtcd(testContext(t),
		regtest.Btcd{Dir: t.TempDir(), Blocks: regtest.NoBlocks})
	need(t, err)
	defer func() { require.NoError(t, b.Stop()) }()
	good := b.Config()

	o := options()
	o.Params = &chaincfg.TestNet3Params
	s, err := chain.NewBtcd(o, good)
	wantError(t, s, err, chain.ErrWrongNetwork, "regtest", "testnet3", "chain.btcd.rpc_host")

	bad := good
	bad.RPCPassword = secret
	s, err = chain.NewBtcd(options(), bad)
	wantError(t, s, err, chain.ErrAuth, "chain.btcd.rpc_user", good.RPCHost)

	bad = good
	bad.CertFile = ""
	s, err = chain.NewBtcd(options(), bad)
	wantError(t, s, err, chain.ErrUnreachable, "chain.btcd.cert_file")

	bad.CertFile = filepath.Join(t.TempDir(), "missing.cert")
	s, err = chain.NewBtcd(options(), bad)
	wantError(t, s, err, chain.ErrUnreachable, "chain.btcd.cert_file", bad.CertFile)

	s, err = chain.NewBitcoind(options(), chain.BitcoindConfig{RPCHost: good.RPCHost})
	wantError(t, s, err, chain.ErrUnreachable, good.RPCHost)
}

func TestStartBitcoind(t *testing.T) {
	b, err := regtest.StartBitcoind(testContext(t),
		regtest.Bitcoind{Dir: t.TempDir(), Blocks: regtest.NoBlocks})
	need(t, err)
	defer func() { require.NoError(t, b.Stop()) }()
	good := b.Config()

	o := options()
	o.Params = &chaincfg.MainNetParams
	s, err := chain.NewBitcoind(o, good)
	wantError(t, s, err, chain.ErrWrongNetwork, "regtest", "mainnet")

	bad := good
	bad.RPCPassword = secret
	s, err = chain.NewBitcoind(options(), bad)
	wantError(t, s, err, chain.ErrAuth, "cookie_file", good.RPCHost)

	bad = good
	bad.ZMQBlock = "tcp://127.0.0.1:1" // where nobody listens
	s, err = chain.NewBitcoind(options(), bad)
	wantError(t, s, err, chain.ErrUnreachable, "zmq_block")

	s, err = chain.NewBtcd(options(), chain.BtcdConfig{RPCHost: good.RPCHost})
	wantError(t, s, err, chain.ErrUnreachable, good.RPCHost)

	cookie := good
	cookie.RPCUser, cookie.RPCPassword = "", ""
	cookie.CookieFile = b.CookieFile()
	s, err = chain.NewBitcoind(options(), cookie)
	require.NoError(t, err)
	require.NoError(t, s.Start(testContext(t)))
	defer func() { require.NoError(t, s.Stop()) }()

	// another cookie after a restart
	before, err := os.ReadFile(b.CookieFile())
	require.NoError(t, err)
	require.NoError(t, b.Stop())
	unreachable(t, s)
	require.NoError(t, b.Restart(testContext(t)))
	after, err := os.ReadFile(b.CookieFile())
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
	require.NoError(t, err)
	recv(t, sub.Epochs, "the present block")
	_, err = b.Mine(1)
	require.NoError(t, err)
	recv(t, sub.Epochs, "a new block")
}

func TestBadOptions(t *testing.T) {
	good := chain.BitcoindConfig{RPCHost: "127.0.0.1"}
	for name, try := range map[string]func() error{
		"Params": func() error {
			_, err := chain.NewBitcoind(chain.Options{}, good)
			return err
		},
		"max_fee_rate_sat_per_vb": func() error {
			o := options()
			o.FeeCap = 252
			_, err := chain.NewBitcoind(o, good)
			return err
		},
		"chain.bitcoind.rpc_host": func() error {
			_, err := chain.NewBitcoind(options(), chain.BitcoindConfig{})
			return err
		},
		"chain.btcd.rpc_host": func() error {
			_, err := chain.NewBtcd(options(), chain.BtcdConfig{})
			return err
		},
		"cookie_file": func() error {
			_, err := chain.NewBitcoind(options(), chain.BitcoindConfig{
				RPCHost: "h", RPCPassword: secret, CookieFile: "f"})
			return err
		},
		"zmq_tx": func() error {
			_, err := chain.NewBitcoind(options(), chain.BitcoindConfig{
				RPCHost: "h", ZMQTx: "tcp://127.0.0.1:1"})
			return err
		},
	} {
		err := try()
		require.ErrorContains(t, err, name)
		require.False(t, strings.Contains(err.Error(), secret))
	}
	s, err := chain.NewBitcoind(options(), good)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:18443", s.Status().Host, "the standard port")
}
