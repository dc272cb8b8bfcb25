package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxHTTPConnections is the number of threads that bitcoind answers requests with by
	// default.
	maxHTTPConnections = 4

	// idleTimeout is under bitcoind's 30 seconds, after which it closes a connection, perhaps
	// in the face of a request.
	idleTimeout = 10 * time.Second
)

// HTTP is a Client of a node's HTTP server. It keeps connections open between requests.
type HTTP struct {
	url      string
	user     string
	password string
	client   *http.Client
	limit    int64 // of one answer, in bytes
	nextID   atomic.Uint64

	closed context.Context // the life of the client: calls end with it
	cancel context.CancelFunc
}

var _ Client = (*HTTP)(nil)

// NewHTTP makes a client for host, which is host:port. A nil tls means plain HTTP. It does not
// connect yet.
func NewHTTP(host, user, password string, tls *tls.Config) *HTTP {
	scheme := "http"
	if tls != nil {
		scheme = "https"
	}
	transport := &http.Transport{
		TLSClientConfig:     tls,
		MaxConnsPerHost:     maxHTTPConnections,
		MaxIdleConnsPerHost: maxHTTPConnections,
		IdleConnTimeout:     idleTimeout,
	}
	closed, cancel := context.WithCancel(context.Background())
	return &HTTP{
		url:      scheme + "://" + host + "/",
		user:     user,
		password: password,
		client:   &http.Client{Transport: transport},
		limit:    maxAnswerBytes,
		closed:   closed,
		cancel:   cancel,
	}
}

// Call implements Client.
func (h *HTTP) Call(ctx context.Context, method string, result any, params ...any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	//nolint:contextcheck // the client's life, which ends the call as its own context does
	defer context.AfterFunc(h.closed, func() { cancel(ErrClosed) })()

	body, err := encode(h.nextID.Add(1), method, params)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("rpc: request %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	// Lets the transport send the request again when the node had closed the idle connection.
	// Empty, it is not sent itself.
	req.Header["Idempotency-Key"] = nil
	req.SetBasicAuth(h.user, h.password)
	resp, err := h.client.Do(req)
	if err != nil {
		if h.closed.Err() != nil {
			err = ErrClosed
		}
		return noAnswer(method, err)
	}
	defer resp.Body.Close()

	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrAuth
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, h.limit+1))
	if err != nil {
		return noAnswer(method, err)
	}
	if int64(len(reply)) > h.limit {
		return fmt.Errorf("rpc: answer to %s is over %d bytes", method, h.limit)
	}
	var a answer
	if err := json.Unmarshal(reply, &a); err != nil {
		return noAnswer(method, fmt.Errorf("HTTP status %s: %w", resp.Status, err))
	}
	return a.decode(method, result)
}

// Close implements Client.
func (h *HTTP) Close() error {
	h.cancel()
	h.client.CloseIdleConnections()
	return nil
}
