package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cli is the program under test, with a daemon that it can reach.
type cli struct {
	app            *app
	node           *apitest.Node
	dir            string
	stdout, stderr bytes.Buffer

	// verified is what was asked of a backup without a daemon; verifyFails is the answer.
	verified    verifyOrder
	verifyFails error
}

// newCLI runs a server over the canned node and makes the program that talks to it.
func newCLI(t *testing.T) *cli {
	t.Helper()
	c := &cli{node: cannedNode(), dir: t.TempDir()}
	server, err := api.NewServer(api.Options{Dir: c.dir, Backend: c.node.Backend()})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { server.Close(); web.Close() })
	c.app = &app{
		stdout: &c.stdout, stderr: &c.stderr, stdin: strings.NewReader(""), home: t.TempDir(),
		env: []string{
			"INLET_DATA_DIR=" + c.dir, "INLET_ADMIN_LISTEN=" + web.Listener.Addr().String(),
		},
	}
	withNodes(c)
	return c
}

// run runs one command line.
func (c *cli) run(t *testing.T, args ...string) (status int) {
	t.Helper()
	c.stdout.Reset()
	c.stderr.Reset()
	c.app.started, c.app.options = false, options{}
	return c.app.execute(t.Context(), args)
}

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if got != string(want) {
		t.Errorf("%s changed (go test -update rewrites it):\n%s", name, got)
	}
}

// commands are all that only talk to the daemon, one of each kind.
var commands = []string{
	"info", "wallet address", "wallet balance", "wallet utxos", "wallet send bcrt1qexample 5000",
	"wallet send bcrt1qexample --all", "wallet bump " + fundingTxid, "peers",
	"peers connect " + peerKey + "@192.0.2.2:9735", "peers disconnect " + peerKey, "channels",
	"channels open " + peerKey + "@192.0.2.2:9735 100000", "channels close 700123x45x0",
	"channels close " + fundingTxid + ":1 --force --fee-rate-sat-per-vb 7",
	"invoices create --amount-msat 2000000000 --description tea", "invoices list",
	"pay " + bolt11, "payments", "backup verify /mnt/channels.backup", "lsp menu",
	"lsp quote --amount-msat 100000000 --feerate-sat-per-vb 10 --parts 3",
	"lsp lifetimes", "lsp orders --state dead", "lsp order order-1", "lsp admission", "lsp trust client",
	"jit invoice --lsp " + peerKey + "@192.0.2.2:9735 --amount-msat 2000000000",
	"stop --no-wait",
}

func TestAnswersAsText(t *testing.T) {
	c := newCLI(t)
	var all strings.Builder
	for _, line := range commands {
		if status := c.run(t, strings.Fields(line)...); status != exitOK || c.stderr.Len() > 0 {
			t.Errorf("%s: status %d, %s", line, status, &c.stderr)
		}
		all.WriteString("$ inlet " + line + "\n" + c.stdout.String() + "\n")
	}
	golden(t, "text.golden", all.String())
	if strings.ContainsRune(all.String(), '\x1b') {
		t.Error("an escape sequence of a stranger reached the terminal")
	}
}

func TestAnswersAsJSON(t *testing.T) {
	c := newCLI(t)
	var all strings.Builder
	for _, line := range commands {
		if status := c.run(t, append(strings.Fields(line), "--json")...); status != exitOK {
			t.Errorf("%s: status %d, %s", line, status, &c.stderr)
		}
		decoder := json.NewDecoder(bytes.NewReader(c.stdout.Bytes()))
		var document map[string]any
		require.NoError(t, decoder.Decode(&document), line)
		require.ErrorIs(t, decoder.Decode(&document), io.EOF, "exactly one document: %s", line)
		all.WriteString("$ inlet " + line + " --json\n" + c.stdout.String() + "\n")
	}
	golden(t, "json.golden", all.String())
}

func TestEmptyAnswersAsText(t *testing.T) {
	c := newCLI(t)
	*c.node = apitest.Node{}
	var all strings.Builder
	for _, line := range []string{"info", "wallet utxos", "peers", "channels", "invoices list",
		"payments", "lsp menu", "lsp orders", "lsp order 7", "lsp admission"} {
		require.Equal(t, exitOK, c.run(t, strings.Fields(line)...), c.stderr.String())
		all.WriteString("$ inlet " + line + "\n" + c.stdout.String() + "\n")
	}
	golden(t, "empty.golden", all.String())
}

func TestGuardsReachTheNode(t *testing.T) {
	for _, c := range []struct {
		line string
		want any
	}{
		{"pay " + bolt11 + " --amount-msat 5 --max-fee-msat 0 --timeout-seconds 9", api.PayRequest{
			Bolt11: bolt11, AmountMsat: api.SomeMsat(5), MaxFeeMsat: api.SomeMsat(0),
			TimeoutSeconds: 9,
		}},
		{"pay lightning:" + strings.ToUpper(bolt11), api.PayRequest{
			Bolt11: bolt11, TimeoutSeconds: 60,
		}},
		{"wallet send a --all --fee-rate-sat-per-vb 3", api.SendRequest{
			Address: "a", All: true, FeeRateSatPerVb: 3,
		}},
		{"wallet send a --amount-sat 7", api.SendRequest{Address: "a", AmountSat: 7}},
		{"wallet bump b --fee_rate_sat_per_vb 9", api.BumpRequest{Txid: "b", FeeRateSatPerVb: 9}},
		{"channels close a:1 --force --fee-rate-sat-per-vb 3", api.CloseRequest{
			ChannelPoint: "a:1", Force: true, FeeRateSatPerVb: 3,
		}},
		{"channels close a:1 --break-min-lifetime", api.CloseRequest{
			ChannelPoint: "a:1", BreakMinLifetime: true,
		}},
		{"channels close 16000000x8x1", api.CloseRequest{ChannelPoint: fundingTxid + ":1"}},
		{"channels open a 9 --push-msat 5 --private --zero-conf", api.OpenRequest{
			Peer: "a", CapacitySat: 9, PushMsat: 5, Private: true, ZeroConf: true,
		}},
		{"invoices create", api.InvoiceRequest{ExpirySeconds: 3600}},
		{"jit invoice --lsp a --max-fee-msat 4 --description d --client-trusts-lsp", api.JITRequest{
			LSP: "a", MaxFeeMsat: api.SomeMsat(4), Description: "d", ClientTrustsLSP: true,
		}},
		{"peers disconnect " + peerKey + "@h:1", api.DisconnectRequest{NodeID: peerKey}},
		{"lsp trust lsp", api.TrustRequest{Policy: api.TrustLSP}},
		{"lsp orders --client c --limit 5 --offset 6", api.OrdersRequest{
			Client: "c", Limit: 5, Offset: 6,
		}},
	} {
		cli := newCLI(t)
		if status := cli.run(t, strings.Fields(c.line)...); status != exitOK {
			t.Errorf("%s: status %d, %s", c.line, status, &cli.stderr)
			continue
		}
		requests := cli.node.Requests()
		if got := requests[len(requests)-1]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: the node got %+v, want %+v", c.line, got, c.want)
		}
	}
}

func TestWrongUsageIsStatus2(t *testing.T) {
	for _, line := range []string{
		"walet", "wallet", "wallet balanse", "wallet send", "wallet send a", "wallet send a b",
		"wallet send a 5 --all", "wallet send a 5 --amount-sat 5", "wallet send a 0",
		"wallet send a -5", "wallet send a 5 --fee-rate-sat-per-vb x", "pay", "pay a b",
		"pay a --max-fee 5", "pay a --amount-msat -1", "channels close", "channels open a",
		"jit", "jit invoice", "lsp order", "lsp trust", "lsp trust auto lsp", "invoices", "peers conect x", "info x",
		"run --lsp.lsps2.hold_seconds=long", "run --lsp.lsps2.hold_second=5",
		"create --words-file x", "create --backup x", "backup", "backup export",
		"--nonsense", "conform", "conform lsps2", "conform lsps1 x",
		"conform lsps2 abc@h:1", "conform lsps2 " + peerKey + "@h", "conform lsps2 " + peerKey,
		"conform lsps2 --timeout-seconds 0 " + peerKey + "@h:1",
	} {
		c := newCLI(t)
		if status := c.run(t, strings.Fields(line)...); status != exitUsage {
			t.Errorf("%s: status %d, want 2: %s", line, status, &c.stderr)
		}
		if c.stdout.Len() > 0 || !strings.Contains(c.stderr.String(), "--help") {
			t.Errorf("%s: stdout %q, stderr %q", line, &c.stdout, &c.stderr)
		}
		if len(c.node.Requests()) > 0 {
			t.Errorf("%s reached the node", line)
		}
	}
}

func TestRefusalIsStatus1WithWhatToDo(t *testing.T) {
	c := newCLI(t)
	c.node.Before = func(context.Context, any) error {
		return &api.Error{Code: api.NotFound, Message: "there is no order 7", Hint: "list them"}
	}
	status := c.run(t, "lsp", "order", "7", "--json")
	want := "inlet: there is no order 7\n       list them\n"
	if status != exitError || c.stderr.String() != want || c.stdout.Len() != 0 {
		t.Errorf("status %d, stderr %q, stdout %q", status, &c.stderr, &c.stdout)
	}
}

func TestPaymentThatIsNotSettledIsStatus1(t *testing.T) {
	for _, p := range []api.Payment{
		{Status: api.PaymentFailed, Failure: "unknown_next_peer"}, {Status: api.PaymentPending},
	} {
		c := newCLI(t)
		c.node.PayAnswer = p
		if status := c.run(t, "pay", bolt11, "--json"); status != exitError {
			t.Errorf("%s: status %d", p.Status, status)
		}
		if !strings.Contains(c.stdout.String(), string(p.Status)) || c.stderr.Len() != 0 {
			t.Errorf("stdout %q, stderr %q", &c.stdout, &c.stderr)
		}
	}
}

func TestDaemonThatDoesNotRun(t *testing.T) {
	c := newCLI(t)
	c.app.env = nil
	status := c.run(t, "info", "--network", "regtest", "--data-dir", filepath.Join(c.dir, "none"))
	if status != exitError || !strings.Contains(c.stderr.String(), "inlet create --network regtest") {
		t.Errorf("status %d: %s", status, &c.stderr)
	}
	status = c.run(t, "info", "--data_dir", c.dir, "--admin-listen", "127.0.0.1:1")
	want := "inlet: no daemon answers on 127.0.0.1:1\n       start it with: inlet run --data_dir " +
		c.dir + " --admin_listen 127.0.0.1:1\n"
	if status != exitError || c.stderr.String() != want {
		t.Errorf("status %d: %s", status, &c.stderr)
	}
}

func TestStopWaitsForTheEnd(t *testing.T) {
	c := newCLI(t)
	server, err := api.NewServer(api.Options{Dir: c.dir, Backend: c.node.Backend()})
	require.NoError(t, err)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.Handler().ServeHTTP(w, r)
		server.Close()
	}))
	defer web.Close()
	c.app.env = append(c.app.env, "INLET_ADMIN_LISTEN="+web.Listener.Addr().String())
	if status := c.run(t, "stop"); status != exitOK || c.stdout.String() != "The node has stopped.\n" {
		t.Errorf("status %d: %s%s", status, &c.stdout, &c.stderr)
	}
}

func TestVersionAndHelp(t *testing.T) {
	c := newCLI(t)
	require.Equal(t, exitOK, c.run(t, "version", "--json"))
	require.Contains(t, c.stdout.String(), `"version"`)
	require.Equal(t, exitOK, c.run(t, "run", "--help"))
	require.Contains(t, c.stdout.String(), "--lsp.lsps2.hold_seconds")
	require.Equal(t, exitOK, c.run(t))
	require.Contains(t, c.stdout.String(), "Available Commands")
}

func TestRunPassesOnWhatItFailedWith(t *testing.T) {
	c := newCLI(t)
	c.app.nodes.signals = func(_, _ func()) func() { return func() {} }
	c.app.nodes.run = func(context.Context, Config, []byte, *slog.Logger) error {
		return errors.Join(errors.New("store: write"), syscall.ENOSPC)
	}
	status := c.run(t, "run", "--network", "regtest", "--insecure_no_passphrase")
	if status != exitError || !strings.Contains(c.stderr.String(), "make room") {
		t.Errorf("status %d: %s", status, &c.stderr)
	}
}
