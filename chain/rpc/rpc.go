// Package rpc speaks JSON-RPC to Bitcoin full nodes: over HTTP, as bitcoind wants it, and over a
// websocket, on which btcd also sends notifications.
//
// Each Call is bounded by its context, and no connection is ever made again behind the caller's
// back: whoever owns a Client learns that it is broken and makes a new one.
package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Client sends requests to one full node. It is safe for concurrent use.
type Client interface {
	// Call sends one request and decodes the answer into result, unless that is nil. The
	// node's refusal is a *Error; without an answer the error is ErrNoAnswer or ErrAuth.
	Call(ctx context.Context, method string, result any, params ...any) error

	// Close ends the connections. Calls under way fail with ErrClosed. Idempotent.
	Close() error
}

var (
	// ErrAuth means that the node refuses the user, password or cookie.
	ErrAuth = errors.New("rpc: the node refuses the credentials")

	// ErrNoAnswer means that nothing is known about the outcome of a request: no connection,
	// a connection that broke, no answer in time, or one that is not JSON-RPC.
	ErrNoAnswer = errors.New("rpc: no answer from the node")

	// ErrClosed means that the connection is gone, by Close or by loss. It is an ErrNoAnswer.
	ErrClosed = fmt.Errorf("%w: the connection is closed", ErrNoAnswer)
)

// Error is a node's refusal of a request.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error gives the node's words and its code.
func (e *Error) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Codes of refusals that callers tell apart.
const (
	CodeInWarmup = -28 // bitcoind still loads its chain
	CodeNotFound = -5  // no such block or transaction
)

// IsCode tells whether err is a node's refusal with one of the codes.
func IsCode(err error, codes ...int) bool {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return false
	}
	for _, code := range codes {
		if refusal.Code == code {
			return true
		}
	}
	return false
}

// maxAnswerBytes bounds one answer. The largest real ones are blocks, at most 8 MB in hex, and the
// list of a full mempool, about 20 MB.
const maxAnswerBytes = 64 << 20

type request struct {
	Version string `json:"jsonrpc"`
	ID      uint64 `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

// answer is a reply, or a notification when ID is absent.
type answer struct {
	ID     *uint64           `json:"id"`
	Result json.RawMessage   `json:"result"`
	Error  *Error            `json:"error"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// noAnswer explains why a request has no answer.
func noAnswer(method string, cause error) error {
	return fmt.Errorf("rpc: call %s: %w: %w", method, ErrNoAnswer, cause)
}

func encode(id uint64, method string, params []any) ([]byte, error) {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(request{Version: "1.0", ID: id, Method: method, Params: params})
	if err != nil {
		return nil, fmt.Errorf("rpc: encode %s: %w", method, err)
	}
	return body, nil
}

func (a *answer) decode(method string, result any) error {
	if a.Error != nil {
		return a.Error
	}
	if result == nil {
		return nil
	}
	if len(a.Result) == 0 || bytes.Equal(a.Result, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return fmt.Errorf("rpc: decode answer to %s: %w", method, err)
	}
	return nil
}
