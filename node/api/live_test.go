package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

// pipes is a listener whose connections are pipes in memory, so that time can be virtual.
type pipes struct {
	arriving chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes {
	return &pipes{arriving: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.arriving <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.arriving:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9736} }

// live is a running server, a client of it, and the way to stop the server.
type live struct {
	server *api.Server
	client *api.Client
	net    *pipes
	stop   func()
}

// serveLive runs a server over pipes; call it and all it returns inside one synctest bubble.
func serveLive(t *testing.T, node *apitest.Node) *live {
	t.Helper()
	dir, network := t.TempDir(), newPipes()
	server, err := api.NewServer(api.Options{Dir: dir, Backend: node.Backend()})
	require.NoError(t, err)
	server.ListenOn(network)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()

	client, err := api.NewClient(api.ClientOptions{Dir: dir, StartHint: "inlet run"})
	require.NoError(t, err)
	client.DialWith(network.dial)
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		server.Close()
		client.Close()
	})
	t.Cleanup(stop)
	return &live{server, client, network, stop}
}

func TestLongCallOutlivesTheReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &apitest.Node{PayAnswer: api.Payment{Status: api.PaymentSettled}}
		node.Before = func(ctx context.Context, _ any) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(api.DefaultPaySeconds * time.Second):
				return nil
			}
		}
		l := serveLive(t, node)
		paid, err := l.client.Pay(t.Context(), api.PayRequest{Bolt11: "lnbc1"})
		require.NoError(t, err)
		if paid.Status != api.PaymentSettled {
			t.Errorf("got %+v", paid)
		}
		l.stop()
	})
}

func TestCallLearnsThatItsCallerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, seen := &apitest.Node{}, make(chan error, 1)
		node.Before = func(ctx context.Context, _ any) error {
			<-ctx.Done()
			seen <- ctx.Err()
			return ctx.Err()
		}
		l := serveLive(t, node)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.client.Pay(ctx, api.PayRequest{Bolt11: "lnbc1"})
		require.Error(t, err)
		require.ErrorIs(t, <-seen, context.Canceled)
		l.stop()
	})
}

func TestStopEndsCallsUnderWayWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &apitest.Node{}
		node.Before = func(ctx context.Context, _ any) error {
			<-ctx.Done()
			return ctx.Err()
		}
		l := serveLive(t, node)
		failed := make(chan error, 1)
		go func() {
			_, err := l.client.Pay(t.Context(), api.PayRequest{Bolt11: "lnbc1"})
			failed <- err
		}()
		synctest.Wait()
		l.stop()
		var refused *api.Error
		require.ErrorAs(t, <-failed, &refused)
		if refused.Code != api.Unavailable || !strings.Contains(refused.Message, "stopping") {
			t.Errorf("got %+v", refused)
		}
	})
}

func TestCallThatIgnoresItsContextIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, release := &apitest.Node{}, make(chan struct{})
		node.Before = func(context.Context, any) error { <-release; return nil }
		l := serveLive(t, node)
		failed := make(chan error, 1)
		go func() { _, err := l.client.Info(t.Context()); failed <- err }()
		synctest.Wait()
		l.stop()
		var cut *api.Error
		require.ErrorAs(t, <-failed, &cut)
		if cut.Code != api.Unavailable {
			t.Errorf("got %+v", cut)
		}
		close(release)
	})
}

func TestStopAndWaitReturnsWhenTheNodeHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := serveLive(t, &apitest.Node{})
		ended := make(chan error, 1)
		go func() { ended <- l.client.StopAndWait(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the wait ended before the node did: %v", err)
		default:
		}
		require.NoError(t, l.client.Stop(t.Context()), "who doesn't wait gets the answer at once")
		l.stop()
		require.NoError(t, <-ended)
	})
}

func TestPlacesForCallsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, release := &apitest.Node{}, make(chan struct{})
		node.Before = func(_ context.Context, request any) error {
			if _, quick := request.(api.Empty); !quick {
				<-release
			}
			return nil
		}
		l := serveLive(t, node)
		full := 0
		results := make(chan error, api.MaxLongCalls+5)
		for range api.MaxLongCalls + 5 {
			go func() {
				_, err := l.client.Pay(t.Context(), api.PayRequest{Bolt11: "lnbc1"})
				results <- err
			}()
		}
		synctest.Wait()
		_, err := l.client.Info(t.Context())
		require.NoError(t, err, "quick calls have places that long ones can't take")
		close(release)
		for range api.MaxLongCalls + 5 {
			var refused *api.Error
			if err := <-results; errors.As(err, &refused) {
				require.Equal(t, api.ResourceExhausted, refused.Code)
				full++
			}
		}
		if full != 5 {
			t.Errorf("%d of %d calls were refused, want 5", full, api.MaxLongCalls+5)
		}
		_, err = l.client.Pay(t.Context(), api.PayRequest{Bolt11: "lnbc1"})
		require.NoError(t, err, "a place that was left is free again")
		l.stop()
	})
}

func TestAllPlacesTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, release := &apitest.Node{}, make(chan struct{})
		node.Before = func(context.Context, any) error { <-release; return nil }
		server, err := api.NewServer(api.Options{Dir: t.TempDir(), Backend: node.Backend()})
		require.NoError(t, err)
		var calls sync.WaitGroup
		for range api.MaxCalls {
			calls.Go(func() { ask(server, "info", "") })
		}
		synctest.Wait()
		status, body := ask(server, "info", "")
		wantRefusal(t, status, body, 429, api.Error{Code: api.ResourceExhausted})
		close(release)
		calls.Wait()
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := serveLive(t, &apitest.Node{})
		var held []net.Conn
		for range api.MaxConnections {
			conn, err := l.net.dial(t.Context())
			require.NoError(t, err)
			held = append(held, conn)
		}
		synctest.Wait()
		over, err := l.net.dial(t.Context())
		require.NoError(t, err)
		_, err = over.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "one connection too many is closed at once")

		for _, conn := range held {
			require.NoError(t, conn.Close())
		}
		synctest.Wait()
		_, err = l.client.Info(t.Context())
		require.NoError(t, err, "closed connections make room")
		l.stop()
	})
}

func TestSlowAndIdleCallersAreDropped(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":       "",
		"half a header": "POST /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\n",
		"half a request": "POST /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n" +
			"Authorization: Bearer TOKEN\r\n\r\n{",
		"half a request without a token": "POST /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
			"Content-Length: 9\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := serveLive(t, &apitest.Node{})
				conn, err := l.net.dial(t.Context())
				require.NoError(t, err)
				text := strings.ReplaceAll(sent, "TOKEN", l.server.Token())
				if text != "" {
					_, err = io.WriteString(conn, text)
					require.NoError(t, err)
				}
				start := time.Now()
				_, _ = io.ReadAll(conn)
				if waited := time.Since(start); waited > api.IdleTimeout {
					t.Errorf("the connection was kept for %s", waited)
				}
				l.stop()
			})
		})
	}
}

func TestOneConnectionServesCallAfterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := serveLive(t, &apitest.Node{})
		conn, err := l.net.dial(t.Context())
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		for range 3 {
			r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/v1/info", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+l.server.Token())
			require.NoError(t, r.Write(conn))
			response, err := http.ReadResponse(reader, r)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			<-time.After(api.IdleTimeout - time.Second) // virtual: the bubble's clock jumps
		}
		require.NoError(t, conn.Close())
		l.stop()
	})
}
