package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest"
	"github.com/inletlsp/inlet/node/pay"
)

// someLSP is where nobody is.
const someLSP = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798@127.0.0.1:1"

// TestRegtestPayElsewhere: no other network and no other backend, and what to do.
func TestRegtestPayElsewhere(t *testing.T) {
	c := newCLI(t)
	c.app.nodes.signals = func(func(), func()) func() {
		t.Error("it begins")
		return func() {}
	}
	for _, tc := range []struct{ flags, want string }{
		{"", "--network regtest"}, // mainnet is the default
		{"--network mainnet", "--network regtest"},
		{"--network testnet", "--network regtest"},
		{"--network signet", "--network regtest"},
		{"--network regtest --chain.backend btcd", "--chain.backend bitcoind"},
		{"--network regtest --chain.backend neutrino", "--chain.backend bitcoind"},
		{"--network regtest --chain.bitcoind.rpc_user u", "rpc_user has no rpc_password"},
	} {
		args := append([]string{"conform", "lsps2", someLSP, "--regtest-pay"}, strings.Fields(tc.flags)...)
		require.Equal(t, exitUsage, c.run(t, args...), tc.flags)
		require.Empty(t, c.stdout.String())
		require.Contains(t, c.stderr.String(), tc.want)
		require.Contains(t, c.stderr.String(), "conform lsps2 --help")
	}
}

// backendOf answers RPC as told: by method, or with a refusal.
func backendOf(t *testing.T, answers map[string]string) (flags []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		said, ok := answers[q.Method]
		if !ok {
			said = `"error":{"code":-32601,"message":"Method not found"}`
		}
		_, _ = fmt.Fprintf(w, `{"id":%d,%s}`, q.ID, said)
	}))
	t.Cleanup(server.Close)
	return []string{
		"--network=regtest", "--chain.bitcoind.rpc_host=" + strings.TrimPrefix(server.URL, "http://"),
		"--chain.bitcoind.rpc_user=u", "--chain.bitcoind.rpc_password=p",
	}
}

// payCLI is the program with temporary folders of the test's own, and a node to ask.
func payCLI(t *testing.T) (c *cli, uri, folders string) {
	t.Helper()
	uri = nodetest.New(t).Node("lsp", nil).URI()
	folders = t.TempDir()
	t.Setenv("TMPDIR", folders)
	c = newCLI(t)
	c.app.nodes.signals = func(func(), func()) func() { return func() {} }
	return c, uri, folders
}

// TestRegtestPayRefused: nobody there, a backend of mainnet whatever the configuration
// says, and one that cannot be reached. No wallet is made and no block asked for.
func TestRegtestPayRefused(t *testing.T) {
	c, uri, folders := payCLI(t)
	mainnet := backendOf(t, map[string]string{"getblockchaininfo": `"result":{"chain":"main"}`})
	gone := []string{"--network=regtest", "--chain.bitcoind.rpc_host=127.0.0.1:1",
		"--chain.bitcoind.rpc_user=u", "--chain.bitcoind.rpc_password=p"}
	for _, tc := range []struct {
		uri   string
		flags []string
		want  string
	}{
		{someLSP, mainnet, "could not connect"},
		{uri, mainnet, "not on regtest"},
		{uri, gone, "refused"},
	} {
		args := append([]string{"conform", "lsps2", tc.uri, "--regtest-pay"}, tc.flags...)
		require.Equal(t, exitUsage, c.run(t, args...))
		require.Empty(t, c.stdout.String())
		require.Contains(t, c.stderr.String(), tc.want)
		left, err := os.ReadDir(folders)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// TestRegtestPayInterrupted: Ctrl-C while the payer starts, which it never will with this
// backend. Its node ends and the folder goes.
func TestRegtestPayInterrupted(t *testing.T) {
	c, uri, folders := payCLI(t)
	var once sync.Once
	interrupted := make(chan func(), 1)
	c.app.nodes.signals = func(interrupt, _ func()) func() {
		interrupted <- interrupt
		return func() {}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		left, _ := os.ReadDir(folders)
		if len(left) > 0 { // the payer's own question
			once.Do(func() { (<-interrupted)() })
		}
		_, _ = fmt.Fprintf(w, `{"id":%d,"result":{"chain":"regtest","initialblockdownload":true}}`, q.ID)
	}))
	defer server.Close()
	status := c.run(t, "conform", "lsps2", uri, "--regtest-pay", "--network=regtest",
		"--chain.bitcoind.rpc_host="+strings.TrimPrefix(server.URL, "http://"),
		"--chain.bitcoind.rpc_user=u", "--chain.bitcoind.rpc_password=p")
	require.Equal(t, exitError, status, c.stderr.String())
	require.Contains(t, c.stderr.String(), errStopped.Error())
	left, err := os.ReadDir(folders)
	require.NoError(t, err)
	require.Empty(t, left, "the folder is removed")
}

// TestOutcome: which failures of a payment are the LSP's.
func TestOutcome(t *testing.T) {
	key, err := node.ParseNodeID(someLSP[:66])
	require.NoError(t, err)
	tr := &troupe{theatre: theatre{lsp: key}}
	failed := func(codes ...string) pay.Payment {
		p := pay.Payment{Status: pay.Failed, Failure: &pay.Failure{Text: "no channel"}}
		for n := 0; n < len(codes); n += 2 {
			f := &pay.Failure{Code: codes[n], Source: codes[n+1]}
			p.Parts = append(p.Parts, pay.Part{Status: pay.Failed, Failure: f})
		}
		return p
	}
	got, err := tr.outcome(failed("unknown_next_peer", "peer "+someLSP[:66], "", "unknown",
		"mpp_timeout", "the recipient", "temporary_channel_failure", "this node"))
	require.NoError(t, err)
	require.Len(t, got.Failures, 3)
	require.True(t, got.Failures[0].FromLSP)
	require.False(t, got.Failures[1].FromLSP || got.Failures[2].FromLSP)
	require.Equal(t, "", got.Failures[1].Code)

	_, err = tr.outcome(failed())
	require.ErrorContains(t, err, "no channel")
	_, err = tr.outcome(failed("temporary_channel_failure", "this node"))
	require.ErrorContains(t, err, "no channel")

	got, err = tr.outcome(pay.Payment{Status: pay.InFlight, Parts: []pay.Part{{}}})
	require.NoError(t, err)
	require.True(t, got.Pending && !got.Paid && got.Parts == 1)
	got, err = tr.outcome(pay.Payment{Status: pay.Succeeded, Parts: []pay.Part{{}, {}}})
	require.NoError(t, err)
	require.True(t, got.Paid && got.Parts == 2)
}
