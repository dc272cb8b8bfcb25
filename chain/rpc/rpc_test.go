package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func TestAmount(t *testing.T) {
	for text, want := range map[string]Amount{
		"0": 0, "1": 1e8, "0.00001": 1000, "1e-05": 1000, "20999999.97690000": 2099999997690000,
		"0.123456789": 12345678, "-1": -1e8, "0.1": 1e7, "12.34567891": 1234567891,
	} {
		var a Amount
		require.NoError(t, json.Unmarshal([]byte(text), &a), text)
		require.Equal(t, want, a, text)
	}
	for _, text := range []string{`"abc"`, `{}`, `1e30`} {
		require.Error(t, json.Unmarshal([]byte(text), new(Amount)), text)
	}
}

// serve answers each request with what reply makes of its method.
func serve(t *testing.T, reply func(w http.ResponseWriter, method string)) *HTTP {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var req request
		if json.NewDecoder(r.Body).Decode(&req) == nil {
			reply(w, req.Method)
		}
	}))
	t.Cleanup(server.Close)
	h := NewHTTP(strings.TrimPrefix(server.URL, "http://"), "u", "p", nil)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func TestHTTP(t *testing.T) {
	h := serve(t, func(w http.ResponseWriter, method string) {
		switch method {
		case "good":
			fmt.Fprint(w, `{"result":[1,2],"error":null,"id":1}`)
		case "null":
			fmt.Fprint(w, `{"result":null,"error":null,"id":1}`)
		case "refused":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"result":null,"error":{"code":-5,"message":"no such thing"},"id":1}`)
		case "busy":
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "Work queue depth exceeded")
		case "endless":
			fmt.Fprint(w, strings.Repeat(" ", 2000))
		}
	})
	ctx := t.Context()
	var list []int
	require.NoError(t, h.Call(ctx, "good", &list))
	require.Equal(t, []int{1, 2}, list)
	require.NoError(t, h.Call(ctx, "good", nil))
	require.NoError(t, h.Call(ctx, "null", &list))
	var wrong map[string]int
	err := h.Call(ctx, "good", &wrong)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoAnswer, "an answer of another form is an answer")

	err = h.Call(ctx, "refused", nil)
	require.True(t, IsCode(err, CodeNotFound))
	require.False(t, IsCode(err, CodeInWarmup))
	require.ErrorContains(t, err, "no such thing")
	require.NotErrorIs(t, err, ErrNoAnswer)
	err = h.Call(ctx, "busy", nil)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.ErrorContains(t, err, "503")
	h.limit = 1000
	require.ErrorContains(t, h.Call(ctx, "endless", nil), "over")

	h.password = "wrong"
	require.ErrorIs(t, h.Call(ctx, "good", nil), ErrAuth)
}

func TestHTTPEnds(t *testing.T) {
	hold := make(chan struct{})
	h := serve(t, func(http.ResponseWriter, string) { <-hold })
	t.Cleanup(func() { close(hold) }) // before the server's, which waits for it
	err := WithTimeout(h, 10*time.Millisecond).Call(t.Context(), "slow", nil)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ended := make(chan error)
	go func() { ended <- h.Call(context.Background(), "slow", nil) }()
	require.NoError(t, h.Close())
	require.ErrorIs(t, <-ended, ErrNoAnswer)
	require.ErrorIs(t, h.Call(t.Context(), "late", nil), ErrNoAnswer)
}

// wsServer is a node with a websocket, whose messages each handle gets.
func wsServer(t *testing.T, notify func(string, []json.RawMessage),
	handle func(conn *websocket.Conn, req request)) *Websocket {

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		up := websocket.Upgrader{}
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			var req request
			if conn.ReadJSON(&req) != nil {
				return
			}
			handle(conn, req)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	_, err := DialWebsocket(t.Context(), WebsocketConfig{Host: host, Password: "wrong"})
	require.ErrorIs(t, err, ErrAuth)
	ws, err := DialWebsocket(t.Context(), WebsocketConfig{Host: host, Password: "p", Notify: notify})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close()) })
	return ws
}

func TestWebsocket(t *testing.T) {
	var held atomic.Int32
	heard := make(chan string, 10)
	ws := wsServer(t, func(method string, params []json.RawMessage) {
		heard <- method + string(params[0])
	}, func(conn *websocket.Conn, req request) {
		switch req.Method {
		case "echo":
			_ = conn.WriteJSON(map[string]any{"method": "news", "params": req.Params})
			_ = conn.WriteJSON(map[string]any{"id": req.ID, "result": req.Params[0]})
		case "refuse":
			_ = conn.WriteJSON(map[string]any{"id": req.ID,
				"error": map[string]any{"code": -28, "message": "Loading"}})
		case "hold":
			held.Add(1)
		case "hang up":
			conn.Close()
		}
	})
	var s string
	require.NoError(t, ws.Call(t.Context(), "echo", &s, "hello"))
	require.Equal(t, "hello", s)
	require.Equal(t, `news"hello"`, <-heard)
	require.True(t, IsCode(ws.Call(t.Context(), "refuse", nil), CodeInWarmup))

	// requests over the limit wait for a slot
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, maxInFlight+1)
	for range maxInFlight {
		go func() { ended <- ws.Call(ctx, "hold", nil) }()
	}
	for len(ws.slots) < maxInFlight {
		require.NoError(t, ctx.Err())
	}
	short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	require.ErrorIs(t, ws.Call(short, "echo", nil, "late"), ErrNoAnswer)
	cancel()
	for range maxInFlight {
		require.ErrorIs(t, <-ended, ErrNoAnswer)
	}
	require.Empty(t, ws.pending)
	require.NoError(t, ws.Call(t.Context(), "echo", &s, "again"))

	require.NoError(t, ws.Err())
	err := ws.Call(t.Context(), "hang up", nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, err, ErrNoAnswer)
	<-ws.Done()
	require.Error(t, ws.Err())
	require.ErrorIs(t, ws.Call(t.Context(), "echo", nil, "x"), ErrClosed)
}

func TestWebsocketNonsense(t *testing.T) {
	ws := wsServer(t, nil, func(conn *websocket.Conn, req request) {
		_ = conn.WriteMessage(websocket.TextMessage, []byte("{"))
	})
	require.ErrorIs(t, ws.Call(t.Context(), "x", nil), ErrClosed)
}
