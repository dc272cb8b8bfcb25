package rpc

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// maxInFlight bounds the requests that wait for an answer on one websocket. btcd works on
	// 20 at a time and queues the rest.
	maxInFlight = 64

	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second

	// A peer that lost power never closes its connection; without pings such a link would
	// look alive for ever, and blocks would be missed in silence.
	pingInterval = 20 * time.Second
	readTimeout  = 3 * pingInterval
)

// WebsocketConfig says where to connect and who hears notifications.
type WebsocketConfig struct {
	Host     string // host:port
	User     string
	Password string
	TLS      *tls.Config // nil: not encrypted

	// Notify is called with each notification, in order, from the goroutine that also reads
	// the answers: it must not wait for anything, least of all for a Call. May be nil.
	Notify func(method string, params []json.RawMessage)
}

// Websocket is a Client on btcd's websocket endpoint. When its connection breaks it stays broken.
type Websocket struct {
	conn   *websocket.Conn
	notify func(method string, params []json.RawMessage)
	slots  chan struct{} // one for each request in flight

	writeMu sync.Mutex // one writer at a time

	mu      sync.Mutex
	nextID  uint64                  // guarded by mu
	pending map[uint64]chan *answer // guarded by mu; at most maxInFlight
	err     error                   // guarded by mu; why the connection broke

	done chan struct{} // closed when the connection is broken
	wg   sync.WaitGroup
}

var _ Client = (*Websocket)(nil)

// DialWebsocket connects. It fails with ErrAuth when the node refuses the credentials.
func DialWebsocket(ctx context.Context, cfg WebsocketConfig) (*Websocket, error) {
	dialer := websocket.Dialer{TLSClientConfig: cfg.TLS, HandshakeTimeout: dialTimeout}
	scheme := "ws"
	if cfg.TLS != nil {
		scheme = "wss"
	}
	login := base64.StdEncoding.EncodeToString([]byte(cfg.User + ":" + cfg.Password))
	header := http.Header{"Authorization": {"Basic " + login}}
	//nolint:bodyclose // there is none to close: the connection belongs to conn, or is closed
	conn, resp, err := dialer.DialContext(ctx, scheme+"://"+cfg.Host+"/ws", header)
	if resp != nil {
		switch resp.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return nil, ErrAuth
		}
	}
	if err != nil {
		if resp != nil {
			err = errors.Join(err, errors.New("HTTP status "+resp.Status))
		}
		return nil, fmt.Errorf("rpc: connect to %s: %w: %w", cfg.Host, ErrNoAnswer, err)
	}
	conn.SetReadLimit(maxAnswerBytes)
	w := &Websocket{
		conn:    conn,
		notify:  cfg.Notify,
		slots:   make(chan struct{}, maxInFlight),
		pending: make(map[uint64]chan *answer),
		done:    make(chan struct{}),
	}
	w.wg.Add(2)
	go w.routineRead()
	go w.routinePing()
	return w, nil
}

// Done is closed when the connection is broken.
func (w *Websocket) Done() <-chan struct{} { return w.done }

// Err says why the connection broke; nil while it is good.
func (w *Websocket) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Call implements Client.
func (w *Websocket) Call(ctx context.Context, method string, result any, params ...any) error {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-w.done:
		return w.Err()
	case <-ctx.Done():
		return noAnswer(method, ctx.Err())
	}
	reply := make(chan *answer, 1)
	w.mu.Lock()
	w.nextID++
	id := w.nextID
	w.pending[id] = reply
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.pending, id)
		w.mu.Unlock()
	}()

	body, err := encode(id, method, params)
	if err != nil {
		return err
	}
	if err := w.write(websocket.TextMessage, body); err != nil {
		w.fail(err)
		return w.Err()
	}
	select {
	case a := <-reply:
		return a.decode(method, result)
	case <-w.done:
		return w.Err()
	case <-ctx.Done():
		return noAnswer(method, ctx.Err())
	}
}

// Close implements Client. It waits until no notification can come any more.
func (w *Websocket) Close() error {
	w.fail(ErrClosed)
	w.wg.Wait()
	return nil
}

// routineRead delivers answers and notifications; Close waits for it.
func (w *Websocket) routineRead() {
	defer w.wg.Done()
	w.conn.SetPongHandler(func(string) error { return w.extendRead() })
	if err := w.extendRead(); err != nil {
		w.fail(err)
		return
	}
	for {
		_, msg, err := w.conn.ReadMessage()
		if err != nil {
			w.fail(err)
			return
		}
		var a answer
		if err := json.Unmarshal(msg, &a); err != nil {
			w.fail(fmt.Errorf("decode message: %w", err))
			return
		}
		if a.ID == nil {
			if w.notify != nil && a.Method != "" {
				w.notify(a.Method, a.Params)
			}
			continue
		}
		w.mu.Lock()
		reply := w.pending[*a.ID]
		delete(w.pending, *a.ID)
		w.mu.Unlock()
		if reply != nil {
			reply <- &a
		}
	}
}

// routinePing keeps the read deadline of a live connection moving; Close waits for it.
func (w *Websocket) routinePing() {
	defer w.wg.Done()
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := w.write(websocket.PingMessage, nil); err != nil {
				w.fail(err)
				return
			}
		case <-w.done:
			return
		}
	}
}

func (w *Websocket) write(kind int, body []byte) error {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return w.conn.WriteMessage(kind, body)
}

func (w *Websocket) extendRead() error {
	return w.conn.SetReadDeadline(time.Now().Add(readTimeout))
}

// fail breaks the connection for good; the first cause counts.
func (w *Websocket) fail(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = ErrClosed
	if !errors.Is(cause, ErrClosed) {
		w.err = fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	close(w.done)
	w.conn.Close()
}
