package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest"
)

// daemon is the program with real nodes behind it, on a chain of the test's own.
type daemon struct {
	*cli
	env []string
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	btcd, ok := nodetest.New(t).Chain.(*regtest.Btcd)
	require.True(t, ok)
	chain := btcd.Config()
	d := &daemon{cli: newCLI(t), env: []string{
		"INLET_NETWORK=regtest", "INLET_DATA_DIR=" + t.TempDir() + "/node",
		"INLET_LISTEN=127.0.0.1:0", "INLET_ADMIN_LISTEN=127.0.0.1:" + freePort(t),
		"INLET_PASSPHRASE=secret", "INLET_CHAIN_BACKEND=btcd", "INLET_LSP_ENABLED=true",
		"INLET_CHAIN_BTCD_RPC_HOST=" + chain.RPCHost, "INLET_CHAIN_BTCD_RPC_USER=" + chain.RPCUser,
		"INLET_CHAIN_BTCD_RPC_PASSWORD=" + chain.RPCPassword,
		"INLET_CHAIN_BTCD_CERT_FILE=" + chain.CertFile,
	}}
	d.app.env = d.env
	if !chain.TLS {
		d.env = append(d.env, "INLET_CHAIN_BTCD_TLS=false")
		d.app.env = d.env
	}
	d.app.nodes = nodes{
		create: createWallet, verify: verifyBackup, run: runNode, signals: watchSignals,
	}
	return d
}

// freePort is a port that nobody has at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

// busyPort is an address that the test itself has.
func busyPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

// start runs the node and returns when its API answers; the channel gets its exit status.
func (d *daemon) start(t *testing.T) <-chan int {
	t.Helper()
	log, logged := io.Pipe()
	running := &app{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: logged, env: d.env,
		home: d.app.home, nodes: d.app.nodes,
	}
	up, read := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(read)
		defer close(up)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			t.Log(lines.Text())
			if strings.Contains(lines.Text(), "admin API is up") {
				up <- true
			}
		}
	}()
	ended := make(chan int, 1)
	go func() {
		status := running.execute(t.Context(), []string{"run"})
		_ = logged.Close()
		<-read
		ended <- status
	}()
	require.True(t, <-up, "the node ended before its API was up")
	return ended
}

func TestCreateRunAskStop(t *testing.T) {
	d := newDaemon(t)
	require.Equal(t, exitError, d.run(t, "run"))
	require.Contains(t, d.stderr.String(), "inlet create")

	require.Equal(t, exitOK, d.run(t, "create", "--json"), d.stderr.String())
	var created createAnswer
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &created))
	require.Len(t, created.Words, wordCount)
	require.Equal(t, exitError, d.run(t, "create"), "a wallet is never made over another")

	ended := d.start(t)
	require.Equal(t, exitError, d.run(t, "run"))
	require.Contains(t, d.stderr.String(), "another inlet is running")
	require.Equal(t, exitOK, d.run(t, "info", "--json"), d.stderr.String())
	var info api.Info
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &info))
	require.Equal(t, "regtest", info.Network)
	require.True(t, info.LSP.Enabled)
	require.Equal(t, exitOK, d.run(t, "wallet", "address"), d.stderr.String())
	require.Contains(t, d.stdout.String(), "bcrt1")
	require.Equal(t, exitOK, d.run(t, "lsp", "menu"), d.stderr.String())
	require.Contains(t, d.stdout.String(), "4,000", "the menu has the configured price")

	require.Equal(t, exitOK, d.run(t, "stop"), d.stderr.String())
	require.Equal(t, exitOK, <-ended)
	ended = d.start(t) // the directory is free
	require.Equal(t, exitOK, d.run(t, "stop"), d.stderr.String())
	require.Equal(t, exitOK, <-ended)
}

// TestRunSaysWhatIsWrong starts nodes that can't run: one line each, and what to do.
func TestRunSaysWhatIsWrong(t *testing.T) {
	d := newDaemon(t)
	require.Equal(t, exitOK, d.run(t, "create"), d.stderr.String())
	for _, c := range []struct{ name, variable, want string }{
		{"wrong passphrase", "INLET_PASSPHRASE=guess", "wrong passphrase"},
		{"no passphrase", "INLET_INSECURE_NO_PASSPHRASE=true", "under a passphrase"},
		{"chain not there", "INLET_CHAIN_BTCD_RPC_HOST=127.0.0.1:1", "chain.btcd.rpc_host"},
		{"wrong credentials", "INLET_CHAIN_BTCD_RPC_PASSWORD=x", "chain.btcd.rpc_user"},
		{"another network", "INLET_NETWORK=signet", "set network"},
		{"port in use", "INLET_ADMIN_LISTEN=" + busyPort(t), "admin_listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.app.env = append(append([]string(nil), d.env...), c.variable)
			require.Equal(t, exitError, d.run(t, "run"))
			var last string
			for line := range strings.Lines(d.stderr.String()) {
				if strings.HasPrefix(line, "inlet: ") {
					require.Empty(t, last, "one error is told once")
					last = line
				}
			}
			if !strings.Contains(d.stderr.String(), c.want) {
				t.Errorf("got %s, want something with %q", d.stderr.String(), c.want)
			}
		})
	}
}
