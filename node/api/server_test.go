package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

// newServer returns a server before a canned node.
func newServer(t *testing.T, node *apitest.Node) *api.Server {
	t.Helper()
	server, err := api.NewServer(api.Options{Dir: t.TempDir(), Backend: node.Backend()})
	require.NoError(t, err)
	return server
}

// ask makes a call without a network and returns status and body.
func ask(s *api.Server, name, body string, change ...func(*http.Request)) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/v1/"+name, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.Token())
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// wantRefusal checks an error document.
func wantRefusal(t *testing.T, status int, body string, wantStatus int, want api.Error) {
	t.Helper()
	var sent struct{ Error api.Error }
	require.NoError(t, json.Unmarshal([]byte(body), &sent), body)
	if status != wantStatus || sent.Error.Code != want.Code {
		t.Errorf("got %d %s, want %d %s", status, sent.Error.Code, wantStatus, want.Code)
	}
	if !strings.Contains(sent.Error.Message, want.Message) {
		t.Errorf("message %q doesn't say %q", sent.Error.Message, want.Message)
	}
	if !strings.Contains(sent.Error.Hint, want.Hint) {
		t.Errorf("hint %q doesn't say %q", sent.Error.Hint, want.Hint)
	}
}

func TestCallAnswersOneDocument(t *testing.T) {
	node := &apitest.Node{BalanceAnswer: api.Balance{ConfirmedSat: 5, SpendableSat: 4}}
	status, body := ask(newServer(t, node), "wallet/balance", "")
	want := `{"confirmed_sat":"5","unconfirmed_sat":"0","leased_sat":"0","reserved_sat":"0",` +
		`"spendable_sat":"4"}`
	if status != http.StatusOK || body != want {
		t.Errorf("got %d %s, want %s", status, body, want)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	server := newServer(t, &apitest.Node{Sales: apitest.Sales{
		Orders: api.OrderList{Orders: []api.Order{{ID: "1"}}},
	}})
	for _, r := range api.Routes((&apitest.Node{}).Backend()) {
		_, body := ask(server, r.Name, exampleRequest(r.Name))
		for _, list := range []string{"uris", "peers", "channels", "protocols", "aliases",
			"orders", "parts", "timeline", "utxos", "invoices", "payments", "clients", "tokens",
			"addresses"} {
			if strings.Contains(body, `"`+list+`":null`) {
				t.Errorf("%s answers with null for the list %s: %s", r.Name, list, body)
			}
		}
	}
}

// exampleRequest is a body that the call accepts.
func exampleRequest(name string) string {
	return map[string]string{
		"wallet/send":      `{"address":"a","amount_sat":"1"}`,
		"wallet/bump":      `{"txid":"a"}`,
		"peers/connect":    `{"peer":"a"}`,
		"peers/disconnect": `{"node_id":"a"}`,
		"channels/open":    `{"peer":"a","capacity_sat":"20000"}`,
		"channels/close":   `{"channel_point":"a:0"}`,
		"pay":              `{"bolt11":"lnbc1"}`,
		"lsp/quote":        `{"amount_msat":"1"}`,
		"lsp/order":        `{"id":"1"}`,
		"lsp/trust":        `{"policy":"auto"}`,
		"jit/invoice":      `{"lsp":"a@b:1"}`,
	}[name]
}

func TestEveryCallWantsTheToken(t *testing.T) {
	node := &apitest.Node{}
	server := newServer(t, node)
	token := server.Token()
	for _, r := range api.Routes(node.Backend()) {
		for _, header := range []string{
			"", "Bearer", "Bearer ", "Bearer x" + token, "Bearer " + token[:10], "Basic " + token,
			token, "Bearer " + strings.ToUpper(token) + " ",
		} {
			status, body := ask(server, r.Name, exampleRequest(r.Name), func(q *http.Request) {
				q.Header.Set("Authorization", header)
			})
			wantRefusal(t, status, body, 401, api.Error{
				Code: api.Unauthenticated, Message: "token", Hint: "admin.token",
			})
		}
		if status, body := ask(server, r.Name, exampleRequest(r.Name)); status != http.StatusOK {
			t.Errorf("%s with the right token: %d %s", r.Name, status, body)
		}
	}
	if got, want := len(node.Requests()), len(api.Routes(node.Backend())); got != want {
		t.Errorf("the node saw %d calls, want %d: a refused call must not reach it", got, want)
	}
}

func TestHostHeaderOfAnotherMachineIsRefused(t *testing.T) {
	server := newServer(t, &apitest.Node{})
	for host, allowed := range map[string]bool{
		"127.0.0.1:9736": true, "127.0.0.1": true, "localhost:9736": true, "LocalHost": true,
		"[::1]:9736": true, "[::1]": true, "127.9.9.9": true,
		"evil.example:9736": false, "": false, "0.0.0.0:9736": false, "10.0.0.1": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "[::]:9736": false,
	} {
		status, body := ask(server, "info", "", func(r *http.Request) { r.Host = host })
		if allowed != (status == http.StatusOK) {
			t.Errorf("host %q: %d %s", host, status, body)
		}
	}
}

func TestHealthzNeedsNoTokenAndTellsNothing(t *testing.T) {
	server := newServer(t, &apitest.Node{InfoAnswer: api.Info{NodeID: "02aa"}})
	get := func(r *http.Request) {
		r.Header.Del("Authorization")
		r.Method, r.URL.Path = http.MethodGet, "/healthz"
	}
	status, body := ask(server, "", "", get)
	if status != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("got %d %s", status, body)
	}
	status, body = ask(server, "", "", get, func(r *http.Request) { r.Method = "POST" })
	wantRefusal(t, status, body, http.StatusMethodNotAllowed, api.Error{Code: api.InvalidArgument})
}

func TestMetricsNeedTheToken(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1")) })
	server, err := api.NewServer(api.Options{
		Dir: t.TempDir(), Backend: (&apitest.Node{}).Backend(), Metrics: page,
	})
	require.NoError(t, err)
	get := func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, "/metrics" }
	status, body := ask(server, "", "", get)
	if status != http.StatusOK || body != "up 1" {
		t.Errorf("got %d %s", status, body)
	}
	status, body = ask(server, "", "", get, func(r *http.Request) { r.Header.Del("Authorization") })
	wantRefusal(t, status, body, http.StatusUnauthorized, api.Error{Code: api.Unauthenticated})
	status, body = ask(server, "", "", get, func(r *http.Request) { r.Method = "POST" })
	wantRefusal(t, status, body, http.StatusMethodNotAllowed, api.Error{Code: api.InvalidArgument})

	// A server that measures nothing says so as for any other path.
	status, body = ask(newServer(t, &apitest.Node{}), "", "", get)
	wantRefusal(t, status, body, http.StatusNotFound, api.Error{Code: api.NotFound})
}

func TestWrongPathAndMethod(t *testing.T) {
	server := newServer(t, &apitest.Node{})
	status, body := ask(server, "wallet/balanse", "")
	wantRefusal(t, status, body, 404, api.Error{
		Code: api.NotFound, Message: "/v1/wallet/balanse", Hint: "/v1/wallet/balance",
	})
	status, body = ask(server, "info", "", func(r *http.Request) { r.Method = http.MethodGet })
	wantRefusal(t, status, body, 405, api.Error{Code: api.InvalidArgument, Message: "POST"})
}

func TestStrictRequests(t *testing.T) {
	for _, c := range []struct{ name, body, message, hint string }{
		{"an unknown field", `{"bolt11":"a","max_fee_msats":"1"}`, `"max_fee_msats"`, "max_fee_msat"},
		{"another case", `{"Bolt11":"a"}`, `"Bolt11"`, "bolt11"},
		{"the same field twice", `{"bolt11":"a","bolt11":"b"}`, "twice", "one"},
		{"a number for a text", `{"bolt11":5}`, `"bolt11" can't be a number`, "string"},
		{"a fraction", `{"bolt11":"a","amount_msat":1.5}`, `"amount_msat"`, ""},
		{"a negative amount", `{"bolt11":"a","amount_msat":"-1"}`, `"amount_msat"`, ""},
		{"a negative number", `{"bolt11":"a","timeout_seconds":-1}`, `"timeout_seconds"`, "number"},
		{"a list", `[]`, "not a JSON object", ""},
		{"no JSON", `bolt11=a`, "not a JSON object", ""},
		{"cut short", `{"bolt11":"a"`, "not a JSON object", ""},
		{"cut short after a name", `{"bolt11"`, "not a JSON object", ""},
		{"a bad value", `{"bolt11":nope}`, "not a JSON object", ""},
		{"text behind it", `{"bolt11":"a"} {}`, "after the request's JSON object", ""},
		{"a missing field", `{}`, `"bolt11" is missing`, "invoice"},
		{"a zero amount", `{"bolt11":"a","amount_msat":"0"}`, "amount_msat is 0", ""},
		{"too much time", `{"bolt11":"a","timeout_seconds":3601}`, "3600", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := &apitest.Node{}
			status, body := ask(newServer(t, node), "pay", c.body)
			wantRefusal(t, status, body, 400, api.Error{
				Code: api.InvalidArgument, Message: c.message, Hint: c.hint,
			})
			if len(node.Requests()) != 0 {
				t.Error("a malformed request must not reach the node")
			}
		})
	}
}

func TestRequestsThatContradictThemselves(t *testing.T) {
	for _, c := range []struct{ call, body string }{
		{"wallet/send", `{"address":"a"}`},
		{"wallet/send", `{"address":"a","all":true,"amount_sat":"5"}`},
		{"wallet/send", `{"amount_sat":"5"}`},
		{"channels/open", `{"peer":"a","capacity_sat":"20000","push_msat":"20001000"}`},
		{"channels/open", `{"peer":"a"}`},
		{"channels/open", `{"capacity_sat":"20000"}`},
		{"invoices/create", `{"amount_msat":"0"}`},
		{"invoices", `{"limit":1001}`},
		{"payments", `{"offset":-1}`},
		{"jit/invoice", `{"lsp":"a","amount_msat":"0"}`},
		{"lsp/orders", `{"state":"sold"}`},
		{"lsp/trust", `{"policy":"both"}`},
		{"lsp/trust", `{}`},
	} {
		status, body := ask(newServer(t, &apitest.Node{}), c.call, c.body)
		if status != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s", c.call, c.body, status, body)
		}
	}
}

func TestRequestReachesTheNodeAsItWasSent(t *testing.T) {
	node := &apitest.Node{}
	status, body := ask(newServer(t, node), "pay",
		`{"bolt11":"lnbc1","amount_msat":"5000","max_fee_msat":7,"timeout_seconds":9}`)
	require.Equal(t, http.StatusOK, status, body)
	want := api.PayRequest{
		Bolt11: "lnbc1", AmountMsat: api.SomeMsat(5000), MaxFeeMsat: api.SomeMsat(7),
		TimeoutSeconds: 9,
	}
	if got := node.Requests()[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBodyBeyondTheLimitIsRefused(t *testing.T) {
	server := newServer(t, &apitest.Node{})
	fill := func(n int) string {
		const frame = `{"bolt11":""}`
		return `{"bolt11":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	if status, body := ask(server, "pay", fill(api.MaxBodyBytes)); status != http.StatusOK {
		t.Errorf("a request of the allowed size: %d %s", status, body)
	}
	status, body := ask(server, "pay", fill(api.MaxBodyBytes+1))
	wantRefusal(t, status, body, 413, api.Error{Code: api.InvalidArgument, Message: "larger"})
}

func TestErrorsOfTheNodeKeepTheirMeaning(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   api.Error
	}{
		{&api.Error{Code: api.NotFound, Message: "m", Hint: "h"}, 404,
			api.Error{Code: api.NotFound, Message: "m", Hint: "h"}},
		{fmt.Errorf("x: %w", &api.Error{Code: api.AlreadyExists, Message: "m"}), 409,
			api.Error{Code: api.AlreadyExists, Message: "m"}},
		{&api.Error{Code: api.FailedPrecondition}, 400, api.Error{Code: api.FailedPrecondition}},
		{&api.Error{Code: api.ResourceExhausted}, 429, api.Error{Code: api.ResourceExhausted}},
		{&api.Error{Code: api.Unavailable}, 503, api.Error{Code: api.Unavailable}},
		{&api.Error{Code: "new"}, 500, api.Error{Code: "new"}},
		{context.Canceled, 499, api.Error{Code: api.Canceled}},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), 504,
			api.Error{Code: api.DeadlineExceeded}},
		{errors.New("disk on fire"), 500,
			api.Error{Code: api.Internal, Message: "disk on fire", Hint: "log"}},
	} {
		node := &apitest.Node{Before: func(context.Context, any) error { return c.err }}
		status, body := ask(newServer(t, node), "info", "")
		wantRefusal(t, status, body, c.status, c.want)
	}
}

func TestPanicInACallEndsOnlyTheCall(t *testing.T) {
	node := &apitest.Node{Before: func(context.Context, any) error { panic("BUG") }}
	server := newServer(t, node)
	status, body := ask(server, "info", "")
	wantRefusal(t, status, body, 500, api.Error{Code: api.Internal, Hint: "log"})
	if strings.Contains(body, "BUG") {
		t.Error("what was in the panic stays in the log")
	}
	node.Before = nil
	if status, body := ask(server, "info", ""); status != http.StatusOK {
		t.Errorf("the server goes on after a panic: %d %s", status, body)
	}
}

func TestServicesThatAreSwitchedOffSaySo(t *testing.T) {
	backend := (&apitest.Node{}).Backend()
	backend.LSP, backend.JIT = nil, nil
	server, err := api.NewServer(api.Options{Dir: t.TempDir(), Backend: backend})
	require.NoError(t, err)
	for _, name := range []string{"lsp/menu", "lsp/quote", "lsp/orders", "lsp/order", "jit/invoice", "lsp/lifetimes",
		"lsp/admission", "lsp/trust"} {
		status, body := ask(server, name, exampleRequest(name))
		wantRefusal(t, status, body, 501, api.Error{Code: api.Unimplemented})
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, api.TokenFile)
	start := func() (*api.Server, error) {
		return api.NewServer(api.Options{Dir: dir, Backend: (&apitest.Node{}).Backend()})
	}
	_, err := api.ReadToken(dir)
	require.ErrorIs(t, err, api.ErrNoToken)

	first, err := start()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if info.Mode().Perm() != 0o600 || len(first.Token()) != 64 {
		t.Errorf("mode %04o, token of %d letters", info.Mode().Perm(), len(first.Token()))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	if len(entries) != 1 {
		t.Errorf("%d files in the directory, want the token alone", len(entries))
	}
	second, err := start()
	require.NoError(t, err)
	if first.Token() != second.Token() {
		t.Error("a token must survive a restart")
	}

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = start()
	require.ErrorContains(t, err, "chmod 600")

	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, err = start()
	require.ErrorContains(t, err, "delete it")

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink("/etc/hostname", path))
	_, err = start()
	require.Error(t, err, "a link in the place of the token is not followed")
}

func TestListenOffLoopbackIsRefused(t *testing.T) {
	for addr, allowed := range map[string]bool{
		"127.0.0.1:9736": true, "[::1]:9736": true, "localhost:9736": true, "127.1.2.3:1": true,
		"0.0.0.0:9736": false, ":9736": false, "[::]:9736": false, "10.0.0.1:9736": false,
		"example.com:9736": false, "127.0.0.1": false,
	} {
		if err := api.CheckListen(addr); (err == nil) != allowed {
			t.Errorf("%s: %v", addr, err)
		}
	}
	_, err := api.NewServer(api.Options{Listen: "0.0.0.0:9736", Dir: t.TempDir()})
	require.ErrorIs(t, err, api.ErrNotLoopback)
	require.ErrorContains(t, err, "SSH")
}

func TestPortInUseSaysWhatToDo(t *testing.T) {
	first, err := api.NewServer(api.Options{
		Listen: "127.0.0.1:0", Dir: t.TempDir(), Backend: (&apitest.Node{}).Backend(),
	})
	require.NoError(t, err)
	require.NoError(t, first.Listen())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() { require.NoError(t, first.Run(ctx)) }()

	second, err := api.NewServer(api.Options{
		Listen: first.Addr(), Dir: t.TempDir(), Backend: (&apitest.Node{}).Backend(),
	})
	require.NoError(t, err)
	require.ErrorContains(t, second.Listen(), "set admin_listen to a free port")
}
