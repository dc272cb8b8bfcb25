package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/inletlsp/inlet/chain/rpc"
)

// connection is the current link, or the lack of one.
type connection struct {
	backend backend

	mu      sync.Mutex
	link    *link         // guarded by mu; nil while there is none
	changed chan struct{} // guarded by mu; closed and renewed when link changes
	level   bool          // guarded by mu; the backend has all blocks that we have seen
	stopped bool          // guarded by mu
	since   time.Time     // guarded by mu; when the link was lost
	lastErr error         // guarded by mu; why there is no link
}

func newConnection(b backend) *connection {
	return &connection{
		backend: b,
		changed: make(chan struct{}),
		lastErr: ErrStopped,
	}
}

// up makes l the current link.
func (c *connection) up(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.lastErr, c.since, c.level = l, nil, time.Time{}, false
	close(c.changed)
	c.changed = make(chan struct{})
}

// down records that there is no link, and why.
func (c *connection) down(now time.Time, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		c.since = now
	}
	c.link, c.lastErr, c.level = nil, cause, false
	close(c.changed)
	c.changed = make(chan struct{})
}

// setLevel says whether the backend has all blocks that we have seen.
func (c *connection) setLevel(level bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil || c.level == level {
		return
	}
	c.level = level
	close(c.changed)
	c.changed = make(chan struct{})
}

// stop makes all later and waiting calls fail.
func (c *connection) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.stopped = nil, true
	close(c.changed)
	c.changed = make(chan struct{})
}

// ended tells whether stop was called.
func (c *connection) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// current is the link, or an error that says why there is none.
func (c *connection) current() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return nil, ErrStopped
	case c.link == nil:
		return nil, c.unreachable(c.lastErr)
	}
	return c.link, nil
}

// await waits for a link to a backend that is level: one that has lost blocks would refuse requests
// for them, and the refusal would be taken for the truth. It fails when ctx or the Source ends.
func (c *connection) await(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		l, level, stopped, changed := c.link, c.level, c.stopped, c.changed
		c.mu.Unlock()
		if stopped {
			return nil, ErrStopped
		}
		if level {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// do sends requests over the current link, once.
func (c *connection) do(request func(ctx context.Context, node *link) error) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return c.judge(l, request(context.Background(), l))
}

// persist sends requests until the backend has answered them, over as many links as it
// takes. It is for what must not be given up because the backend is away.
func (c *connection) persist(ctx context.Context,
	request func(ctx context.Context, node *link) error) error {

	for {
		l, err := c.await(ctx)
		if err != nil {
			return err
		}
		err = c.judge(l, request(ctx, l))
		if !errors.Is(err, ErrUnreachable) {
			return err
		}
		if err := c.awaitOther(ctx, l); err != nil {
			return err
		}
	}
}

// awaitOther waits until l is no longer the current link.
func (c *connection) awaitOther(ctx context.Context, l *link) error {
	for {
		c.mu.Lock()
		same, stopped, changed := c.link == l, c.stopped, c.changed
		c.mu.Unlock()
		if stopped {
			return ErrStopped
		}
		if !same {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// judge breaks the link when the backend has not answered. Answers pass through unchanged, also
// refusals.
func (c *connection) judge(l *link, err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, rpc.ErrNoAnswer), errors.Is(err, rpc.ErrAuth),
		rpc.IsCode(err, rpc.CodeInWarmup):
		l.fail(err)
		return c.unreachable(err)
	}
	return err
}

func (c *connection) unreachable(cause error) error {
	if errors.Is(cause, ErrUnreachable) {
		return cause
	}
	return fmt.Errorf("chain: the %s at %s does not answer (%w): %w", c.backend.name(),
		c.backend.host(), cause, ErrUnreachable)
}
