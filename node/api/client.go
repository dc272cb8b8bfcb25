package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// The client's limits.
const (
	dialTimeout      = 5 * time.Second
	quickTimeout     = 30 * time.Second
	longTimeout      = 5 * time.Minute
	maxDocumentBytes = 64 << 20
)

// ClientOptions configure a Client.
type ClientOptions struct {
	// Address is the node's admin_listen; empty is DefaultListen.
	Address string

	// Dir is the node's data directory, from which the token is read.
	Dir string

	// StartHint is what to do when no daemon answers, for instance the command that starts it.
	StartHint string
}

// Client calls a node over HTTP. It implements the interfaces of a Backend, and its errors are
// of type *Error whenever there is something to do about them.
type Client struct {
	options ClientOptions
	token   string
	http    *http.Client

	// dial connects to the node; it is replaced in tests that have no network.
	dial func(context.Context) (net.Conn, error)
}

// The client is at one end what the node is at the other.
var _ interface {
	Informer
	Stopper
	Wallet
	Spender
	Peers
	Channels
	Invoices
	Payments
	LSP
	JIT
} = (*Client)(nil)

// NewClient reads the token. It opens no connection.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Address == "" {
		o.Address = DefaultListen
	}
	if err := CheckListen(o.Address); err != nil {
		return nil, err // the token must not leave the machine in the clear
	}
	token, err := ReadToken(o.Dir)
	if errors.Is(err, ErrNoToken) {
		return nil, &Error{
			Code:    Unavailable,
			Message: "there is no token in " + o.Dir + ": no daemon has run there yet",
			Hint:    o.StartHint,
		}
	}
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, token: token}
	c.dial = func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", o.Address)
	}
	c.http = &http.Client{
		Transport: &http.Transport{ // no proxy: the environment's would get the token
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return c.dial(ctx)
			},
			IdleConnTimeout: idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call makes one call and reads its answer into out.
func (c *Client) call(ctx context.Context, name string, limit time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	response, err := c.post(ctx, name, in)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return c.read(ctx, response, out)
}

func (c *Client) post(ctx context.Context, name string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("api: encode request: %w", err)
	}
	url := "http://" + c.options.Address + prefix + name
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("api: make request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return response, nil
}

func (c *Client) read(ctx context.Context, response *http.Response, out any) error {
	document, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentBytes))
	if err != nil {
		return c.explain(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		return c.refusal(response, document)
	}
	if err := json.Unmarshal(document, out); err != nil {
		return c.stranger(err.Error())
	}
	return nil
}

// refusal turns an answer that isn't a success into the Error that the node sent.
func (c *Client) refusal(response *http.Response, document []byte) error {
	var sent errorDocument
	if err := json.Unmarshal(document, &sent); err != nil || sent.Error == nil {
		return c.stranger(response.Status)
	}
	if sent.Error.Code == Unauthenticated {
		return &Error{
			Code:    Unauthenticated,
			Message: "the daemon on " + c.options.Address + " doesn't know the token in " + c.options.Dir,
			Hint: "another node has that port: give the data_dir or network of the one that " +
				"you mean, or its admin_listen",
		}
	}
	return sent.Error
}

// stranger says that whatever answers is no node of ours.
func (c *Client) stranger(what string) error {
	return &Error{
		Code:    Unavailable,
		Message: "what answers on " + c.options.Address + " is not an inlet: " + what,
		Hint:    "set admin_listen to the address that the daemon prints when it starts",
	}
}

// explain says what to do about a connection that failed.
func (c *Client) explain(ctx context.Context, err error) error {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Error{
			Code:    Unavailable,
			Message: "no daemon answers on " + c.options.Address,
			Hint:    c.options.StartHint,
		}
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Code: Canceled, Message: "given up",
			Hint: "what was started goes on in the daemon"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &Error{
			Code:    DeadlineExceeded,
			Message: "the daemon on " + c.options.Address + " took too long to answer",
			Hint:    "what was asked for may still happen: look before you try again",
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET):
		return &Error{
			Code:    Unavailable,
			Message: "the daemon on " + c.options.Address + " ended while it was asked",
			Hint:    "its log says why; what was started goes on when it runs again",
		}
	}
	return fmt.Errorf("api: call the daemon on %s: %w", c.options.Address, err)
}
