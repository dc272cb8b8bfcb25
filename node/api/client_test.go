package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

// dirWithToken is a data directory in which a daemon has run.
func dirWithToken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	token := strings.Repeat("ab", 32) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, api.TokenFile), []byte(token), 0o600))
	return dir
}

// clientOf returns a client of whatever f answers.
func clientOf(t *testing.T, f http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client, err := api.NewClient(api.ClientOptions{
		Address: server.Listener.Addr().String(), Dir: dirWithToken(t), StartHint: "inlet run",
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// wantError checks code, message and hint of a client's error.
func wantError(t *testing.T, err error, want api.Error) {
	t.Helper()
	var got *api.Error
	require.ErrorAs(t, err, &got)
	if got.Code != want.Code || !strings.Contains(got.Message, want.Message) ||
		!strings.Contains(got.Hint, want.Hint) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClientWithoutATokenFile(t *testing.T) {
	_, err := api.NewClient(api.ClientOptions{Dir: t.TempDir(), StartHint: "inlet run"})
	wantError(t, err, api.Error{
		Code: api.Unavailable, Message: "no daemon has run", Hint: "inlet run",
	})
}

func TestClientKeepsTheTokenOnTheMachine(t *testing.T) {
	_, err := api.NewClient(api.ClientOptions{Address: "192.0.2.1:9736", Dir: dirWithToken(t)})
	require.ErrorIs(t, err, api.ErrNotLoopback)
}

func TestClientOfADaemonThatDoesNotRun(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())

	client, err := api.NewClient(api.ClientOptions{
		Address: addr, Dir: dirWithToken(t), StartHint: "start it with: inlet run",
	})
	require.NoError(t, err)
	_, err = client.Info(t.Context())
	wantError(t, err, api.Error{
		Code: api.Unavailable, Message: "no daemon answers on " + addr, Hint: "inlet run",
	})
	wantError(t, client.StopAndWait(t.Context()), api.Error{Code: api.Unavailable})
}

func TestClientWithTheTokenOfAnotherNode(t *testing.T) {
	other := newServer(t, &apitest.Node{})
	client := clientOf(t, other.Handler().ServeHTTP)
	_, err := client.Info(t.Context())
	wantError(t, err, api.Error{
		Code: api.Unauthenticated, Message: "doesn't know the token", Hint: "data_dir",
	})
	wantError(t, client.Stop(t.Context()), api.Error{Code: api.Unauthenticated})
}

func TestClientPassesOnTheNodesError(t *testing.T) {
	node := &apitest.Node{}
	node.Before = func(context.Context, any) error {
		return &api.Error{Code: api.NotFound, Message: "no such order", Hint: "list them"}
	}
	synctest.Test(t, func(t *testing.T) {
		l := serveLive(t, node)
		_, err := l.client.Order(t.Context(), api.OrderRequest{ID: "7"})
		wantError(t, err, api.Error{
			Code: api.NotFound, Message: "no such order", Hint: "list them",
		})
		if want := "no such order\nlist them"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		l.stop()
	})
}

func TestClientOfSomethingElse(t *testing.T) {
	for name, f := range map[string]http.HandlerFunc{
		"a web page": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>hello</html>")
		},
		"another API's error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, `{"message":"no"}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.invalid/", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientOf(t, f)
			_, err := client.Info(t.Context())
			wantError(t, err, api.Error{
				Code: api.Unavailable, Message: "not an inlet", Hint: "admin_listen",
			})
			wantError(t, client.Stop(t.Context()), api.Error{Code: api.Unavailable})
		})
	}
}

func TestClientOfADaemonThatDiesWhileAsked(t *testing.T) {
	client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	_, err := client.Send(t.Context(), api.SendRequest{Address: "a", AmountSat: 1})
	wantError(t, err, api.Error{Code: api.Unavailable, Message: "ended while it was asked"})
}

func TestClientGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, release := &apitest.Node{}, make(chan struct{})
		node.Before = func(context.Context, any) error { <-release; return nil }
		l := serveLive(t, node)
		_, err := l.client.Info(t.Context())
		wantError(t, err, api.Error{
			Code: api.DeadlineExceeded, Message: "too long", Hint: "look before",
		})

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.client.Info(ctx)
		wantError(t, err, api.Error{Code: api.Canceled})
		close(release)
		l.stop()
	})
}

// TestClientMakesEveryCall sends each method of the client to a real server, so that a name or a
// type that differs between the two shows.
func TestClientMakesEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &apitest.Node{}
		l := serveLive(t, node)
		c, ctx := l.client, t.Context()
		calls := []func() error{
			func() error { _, err := c.Info(ctx); return err },
			func() error { _, err := c.NewAddress(ctx); return err },
			func() error { _, err := c.Balance(ctx); return err },
			func() error { _, err := c.Utxos(ctx); return err },
			func() error { _, err := c.Send(ctx, api.SendRequest{Address: "a", All: true}); return err },
			func() error { _, err := c.Bump(ctx, api.BumpRequest{Txid: "a"}); return err },
			func() error { _, err := c.Peers(ctx); return err },
			func() error { _, err := c.Connect(ctx, api.ConnectRequest{Peer: "a"}); return err },
			func() error { return c.Disconnect(ctx, api.DisconnectRequest{NodeID: "a"}) },
			func() error { _, err := c.Channels(ctx); return err },
			func() error {
				_, err := c.OpenChannel(ctx, api.OpenRequest{Peer: "a", CapacitySat: 1})
				return err
			},
			func() error {
				_, err := c.CloseChannel(ctx, api.CloseRequest{ChannelPoint: "a"})
				return err
			},
			func() error { _, err := c.CreateInvoice(ctx, api.InvoiceRequest{}); return err },
			func() error { _, err := c.Invoices(ctx, api.ListRequest{Limit: 5}); return err },
			func() error { _, err := c.Pay(ctx, api.PayRequest{Bolt11: "a"}); return err },
			func() error { _, err := c.Payments(ctx, api.ListRequest{}); return err },
			func() error { _, err := c.VerifyBackup(ctx, api.VerifyBackupRequest{}); return err },
			func() error { _, err := c.Menu(ctx); return err },
			func() error { _, err := c.Quote(ctx, api.QuoteRequest{AmountMsat: 1}); return err },
			func() error { _, err := c.Lifetimes(ctx, api.LifetimesRequest{}); return err },
			func() error { _, err := c.Orders(ctx, api.OrdersRequest{}); return err },
			func() error { _, err := c.Order(ctx, api.OrderRequest{ID: "a"}); return err },
			func() error { _, err := c.Admission(ctx); return err },
			func() error { _, err := c.SetTrust(ctx, api.TrustRequest{Policy: "lsp"}); return err },
			func() error { _, err := c.JITInvoice(ctx, api.JITRequest{LSP: "a"}); return err },
			func() error { return c.Stop(ctx) },
		}
		for i, call := range calls {
			if err := call(); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if got, want := len(calls), len(api.Routes(node.Backend())); got != want {
			t.Errorf("the client has %d calls, the server %d", got, want)
		}
		if got := len(node.Requests()); got != len(calls) {
			t.Errorf("the node saw %d calls of %d", got, len(calls))
		}
		l.stop()
	})
}
