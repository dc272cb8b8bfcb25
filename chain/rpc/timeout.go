package rpc

import (
	"context"
	"time"
)

// timed is a Client each of whose calls ends in time.
type timed struct {
	Client
	limit time.Duration
}

// WithTimeout bounds each Call on the client. One that takes longer fails with ErrNoAnswer.
func WithTimeout(client Client, limit time.Duration) Client { return timed{client, limit} }

// Call implements Client.
func (t timed) Call(ctx context.Context, method string, result any, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Client.Call(ctx, method, result, params...)
}
