package lsp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Transport sends a message of type MessageType to a connected peer.
type Transport interface {
	Send(peer [33]byte, raw []byte) error
}

// Errors of a Client.
var (
	// ErrPeerGone is for an LSP that disconnected before it answered.
	ErrPeerGone = errors.New("lsp: the LSP disconnected before it answered: connect and try again")

	// ErrMuted is for an LSP that has sent a malformed message. bLIP-50: nothing is
	// asked of it before it was connected anew.
	ErrMuted = errors.New("lsp: the LSP sent a malformed message: reconnect to it and try again")

	// ErrBusy is for a client that waits for too many answers.
	ErrBusy = errors.New("lsp: too many requests under way: try again later")
)

const (
	// answerTimeout ends a call that no deadline ends. bLIP-50: "on the scale of minutes".
	answerTimeout = time.Minute

	maxPending = 16  // calls to one LSP
	maxLSPs    = 256 // that were asked on their present connections

	maxErrorText = 256 // runes of an error message
)

// RPCError is an error answer of the LSP. Its message has no control characters.
type RPCError struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *RPCError) Error() string {
	return fmt.Sprintf("lsp: the LSP refused: %s (code %d)", e.Message, e.Code)
}

// Client asks LSPs. Its methods may be called from any goroutine.
type Client struct {
	transport Transport

	mu   sync.Mutex // guards what follows
	rand io.Reader
	lsps map[[33]byte]*asked
}

// asked is an LSP that was asked something on its present connection. Guarded by
// Client.mu.
type asked struct {
	pending map[string]chan<- answer // by request id; each takes one answer
	muted   bool
}

type answer struct {
	result json.RawMessage
	err    error
}

// NewClient is a client that draws its request ids from rand, a CSPRNG.
func NewClient(t Transport, rand io.Reader) *Client {
	return &Client{transport: t, rand: rand, lsps: map[[33]byte]*asked{}}
}

// Call sends one request and waits for its answer, which it decodes into result. It
// ends with ctx, with the connection, or after a minute. An error that the LSP
// answered is an *RPCError.
func (c *Client) Call(ctx context.Context, lsp [33]byte, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()

	id, answers, err := c.begin(lsp)
	if err != nil {
		return err
	}
	defer c.end(lsp, id)

	raw, err := appendJSON(nil, struct {
		Version string `json:"jsonrpc"`
		ID      string `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{"2.0", id, method, params})
	if err != nil {
		return fmt.Errorf("lsp: write %s: %w", method, err)
	}
	if err := c.transport.Send(lsp, raw); err != nil {
		c.unsent(lsp, id)
		return fmt.Errorf("lsp: send %s: %w", method, err)
	}

	select {
	case a := <-answers:
		if a.err != nil {
			return a.err
		}
		if err := json.Unmarshal(a.result, result); err != nil {
			return fmt.Errorf("lsp: read the answer to %s: %w", method, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lsp: wait for the answer to %s: %w", method, ctx.Err())
	}
}

// begin draws an id and waits for its answer from here on.
func (c *Client) begin(lsp [33]byte) (string, <-chan answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.lsps[lsp]
	switch {
	case a == nil && len(c.lsps) >= maxLSPs:
		return "", nil, ErrBusy
	case a == nil:
		a = &asked{pending: map[string]chan<- answer{}}
		c.lsps[lsp] = a
	case a.muted:
		return "", nil, ErrMuted
	case len(a.pending) >= maxPending:
		return "", nil, ErrBusy
	}
	// bLIP-50: an id has at least 80 bits of entropy, so that nobody can answer for
	// the LSP and no answer can be taken for another.
	var b [16]byte
	if _, err := io.ReadFull(c.rand, b[:]); err != nil {
		return "", nil, fmt.Errorf("lsp: draw a request id: %w", err)
	}
	id, answers := hex.EncodeToString(b[:]), make(chan answer, 1)
	a.pending[id] = answers
	return id, answers, nil
}

func (c *Client) end(lsp [33]byte, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.lsps[lsp]; a != nil {
		delete(a.pending, id)
	}
}

// unsent forgets an LSP to which nothing could be sent: no PeerGone will come for it.
func (c *Client) unsent(lsp [33]byte, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.lsps[lsp]; a != nil && !a.muted {
		delete(a.pending, id)
		if len(a.pending) == 0 {
			delete(c.lsps, lsp)
		}
	}
}

// Deliver hands in a message of a peer. It is false when the message is none of the
// client's: a request, or from a peer that was asked nothing on this connection.
func (c *Client) Deliver(lsp [33]byte, raw []byte) bool {
	if !c.asks(lsp) {
		return false // without parsing: any stranger can send much that is none of ours
	}
	m := parseMessage(raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.lsps[lsp]
	if a == nil || m.kind == request {
		return false
	}
	switch {
	case a.muted || m.kind == notification:
		// No LSPS that we speak has notifications; unknown ones are ignored.

	case m.kind == malformed || m.result == nil && m.err == nil:
		// bLIP-50: ignore it, and send nothing more on this connection.
		a.muted = true
		a.fail(ErrMuted)

	case m.id == "":
		// It could not read a request of ours; which one it cannot say.
		if len(a.pending) == 1 {
			a.fail(readError(m.err))
		}

	case a.pending[m.id] != nil: // else it is late, or unknown: ignored
		a.pending[m.id] <- m.answer()
		delete(a.pending, m.id)
	}
	return true
}

// asks says that the peer was asked something on its present connection.
func (c *Client) asks(lsp [33]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lsps[lsp] != nil
}

func (m message) answer() answer {
	if m.err != nil {
		return answer{err: readError(m.err)}
	}
	return answer{result: m.result}
}

// fail ends all calls.
func (a *asked) fail(err error) {
	for id, answers := range a.pending {
		answers <- answer{err: err}
		delete(a.pending, id)
	}
}

// PeerGone fails what waits for this LSP and forgets its faults.
func (c *Client) PeerGone(lsp [33]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.lsps[lsp]; a != nil {
		a.fail(ErrPeerGone)
		delete(c.lsps, lsp)
	}
}

// readError reads an error answer, leniently: it fails the call in any case.
func readError(raw json.RawMessage) *RPCError {
	e := &RPCError{Code: CodeInternal, Message: "no reason given"}
	o, err := members(raw)
	if err != nil {
		return e
	}
	var code int
	if json.Unmarshal(o["code"], &code) == nil {
		e.Code = code
	}
	if text, err := parseString(o["message"]); err == nil && text != "" {
		e.Message = clean(text)
	}
	e.Data = o["data"]
	return e
}

// clean makes foreign text fit for a log or a screen.
//
// bLIP-50: the client MUST filter NUL, "<", newlines and control characters.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxErrorText {
			b.WriteString("...")
			break
		}
		if r == '<' || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
