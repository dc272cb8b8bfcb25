package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/conform"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest"
)

// conformed runs inlet conform against a node and returns the lines that were seen.
func (c *cli) conformed(t *testing.T, uri string) map[string]conform.Verdict {
	t.Helper()
	status := c.run(t, "conform", "lsps2", uri, "--json", "--timeout-seconds", "60")
	var answer conformAnswer
	require.NoError(t, json.Unmarshal(c.stdout.Bytes(), &answer), c.stderr.String())
	verdicts := map[string]conform.Verdict{}
	for _, l := range answer.Lines {
		verdicts[l.Line] = l.Verdict
		// How fast a busy machine answers is not what is tested here.
		if l.Verdict == conform.Fail || l.Verdict == conform.Differs && l.Line != "LSPS2-28" {
			t.Errorf("%s: %s: %s", l.Line, l.Verdict, l.Reason)
		}
	}
	require.Equal(t, exitOK, status)
	require.Empty(t, c.stderr.String())
	require.Greater(t, answer.Pass, 30)
	// These say how fast the machine is, and what coins and channels are left.
	delete(verdicts, "LSPS2-28")
	delete(verdicts, "LSPS2-17")
	return verdicts
}

// TestConformOverTCP asks a real node, over TCP, and asks it again after it was started
// anew.
func TestConformOverTCP(t *testing.T) {
	checklist.Shows(t, "LSPS0-14", "a connection begins with a notification of ours")
	checklist.Shows(t, "LSPS0-15", "each answer is sent twice")
	checklist.Shows(t, "LSPS2-10", "the promise key is drawn at each start")
	c := newCLI(t)
	c.app.nodes.signals = func(func(), func()) func() { return func() {} }
	net := nodetest.New(t)
	addr := "127.0.0.1:" + freePort(t) // where the payer finds it again
	seller := net.Node("lsp", func(o *node.Options) {
		o.Listen, o.LSP = []string{addr}, lspOptions(DefaultConfig().LSP)
	})
	// Without coins, and a channel to be paid over, it sells nothing.
	payer := net.Node("payer", nil)
	seller.Fund(5_000_000, 40)
	payer.Fund(20_000_000, 1)
	nodetest.OpenConfirmed(payer, seller, 10_000_000)
	first := c.conformed(t, seller.URI())
	for _, id := range []string{"LSPS0-01", "LSPS0-06", "LSPS0-14", "LSPS0-15", "LSPS0-17", "LSPS2-08", "LSPS2-21"} {
		require.Equal(t, conform.Pass, first[id], id)
	}
	client := newStranger(t)
	menu := client.call(t, seller.URI(), "lsps2.get_info", "{}")
	_, item, found := strings.Cut(menu, `"opening_fee_params_menu":[`)
	require.True(t, found, menu)
	seller.Stop()
	seller.Start()
	sold := client.soon(t, seller.URI(), `{"opening_fee_params":`+
		strings.TrimSuffix(item, "]}}")+`,"payment_size_msat":"100000000"}`)
	require.Contains(t, sold, "jit_channel_scid", "an offer of before the restart")
	require.Equal(t, first, c.conformed(t, seller.URI()))
}

// newStranger is a client with a key of its own.
func newStranger(t *testing.T) *stranger {
	t.Helper()
	return &stranger{keys: map[int]*btcec.PrivateKey{}}
}

// soon buys, again as long as nothing can reach the LSP because its channels are not up.
func (s *stranger) soon(t *testing.T, uri, params string) string {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(90 * time.Second)
	for {
		sold := s.call(t, uri, "lsps2.buy", params)
		if !strings.Contains(sold, `"code":203`) {
			return sold
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("nothing reaches the LSP: %s", sold)
		}
	}
}

// call connects, asks one thing and returns the answer.
func (s *stranger) call(t *testing.T, uri, method, params string) string {
	t.Helper()
	var err error
	s.lsp, s.addr, err = parseTarget(uri)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := s.dial(ctx, 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, conn.Send(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"7","method":%q,"params":%s}`,
		method, params)))
	raw, err := conn.Next(ctx)
	require.NoError(t, err)
	return string(raw)
}

// TestConformWithoutAnLSP: nobody there, somebody who is no node, and a node that sells
// nothing.
func TestConformWithoutAnLSP(t *testing.T) {
	c := newCLI(t)
	c.app.nodes.signals = func(func(), func()) func() { return func() {} }
	run := func(uri, want string) {
		t.Helper()
		require.Equal(t, exitUsage, c.run(t, "conform", "lsps2", uri, "--timeout-seconds", "1"))
		require.Empty(t, c.stdout.String())
		require.Contains(t, c.stderr.String(), want)
		require.NotContains(t, c.stderr.String(), "--help")
	}
	// A key that is nobody's.
	const nobody = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	run(nobody+"@127.0.0.1:"+freePort(t), "refused")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 4)))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	run(nobody+"@"+listener.Addr().String(), "could not connect")

	client := nodetest.New(t).Node("client", nil)
	run(client.URI(), "lsps0.list_protocols")
}

// TestConformTable: the text for people has every line and the summary.
func TestConformTable(t *testing.T) {
	c := newCLI(t)
	lines := checklist.Lines()
	results := []conform.Result{
		{Line: lines[0], Verdict: conform.Pass}, {Line: lines[1], Verdict: conform.Differs, Reason: "so"},
	}
	require.NoError(t, c.app.showConformance("lsp", results))
	require.Contains(t, c.stdout.String(), "LSPS0-02   differs")
	require.Contains(t, c.stdout.String(), "1 pass, 0 fail, 1 differ")
	results[1].Verdict = conform.Fail
	require.ErrorIs(t, c.app.showConformance("lsp", results), errReported)
}
