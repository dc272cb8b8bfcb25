package chain

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/wire"
)

// routineServe keeps a link to the backend and follows the chain over it; Stop waits for it.
func (s *source) routineServe(ctx context.Context, l *link) {
	log := s.opts.Log.With("backend", s.conn.backend.name(), "peer", s.conn.backend.host())
	for {
		err := s.serve(ctx, l)
		l.close()
		if ctx.Err() != nil {
			return
		}
		s.conn.down(time.Now(), err)
		log.Warn("chain backend lost", "err", err)
		if l = s.dialAgain(ctx); l == nil {
			return
		}
		s.conn.up(l)
		log.Info("chain backend is back", "height", s.follower.view.best().height)
	}
}

// dialAgain tries until there is a link, or nil when ctx ends.
func (s *source) dialAgain(ctx context.Context) *link {
	wait := s.opts.RetryInterval
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		l, err := s.conn.backend.dial(ctx, s.watched.wants)
		if err == nil {
			return l
		}
		if ctx.Err() != nil {
			return nil
		}
		s.conn.down(time.Now(), err)
		s.opts.Log.Debug("connect to the chain backend again", "err", err)
		wait = min(2*wait, maxRetryFactor*s.opts.RetryInterval)
		timer.Reset(wait)
	}
}

// serve follows the chain over one link until it breaks.
func (s *source) serve(ctx context.Context, l *link) error {
	if err := s.catchUpNews(ctx, l); err != nil {
		return err
	}
	l.look()
	// again after a refusal: the backend knew of a block before it could give it out
	again := time.NewTimer(0)
	again.Stop()
	defer again.Stop()
	stale := time.NewTimer(s.fees.stale())
	defer stale.Stop()
	for {
		select {
		case <-stale.C:
			err := s.fees.refresh(ctx, l.Node)
			next := s.fees.stale()
			if isRefusal(err) {
				s.opts.Log.Warn("ask for fee rates", "err", err)
				next = maxRetryFactor * s.opts.RetryInterval
			} else if err != nil {
				return err
			}
			stale.Reset(next)
			continue
		case tx := <-l.news:
			s.mempool.tell(tx)
			s.wallet.hear(tx)
			continue
		case <-l.looks:
		case <-again.C:
		case <-l.broken:
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
		before := s.follower.view.best()
		seen, err := s.follower.catchUp(ctx, l.Node)
		if err == nil && s.follower.view.best() != before {
			if err = s.fees.refresh(ctx, l.Node); err == nil {
				stale.Reset(s.fees.stale())
			}
		}
		if isRefusal(err) {
			s.opts.Log.Warn("follow the chain", "err", err)
			again.Reset(s.opts.RetryInterval)
			seen.behind = true
		} else if err != nil {
			return err
		}
		s.conn.setLevel(!seen.behind)
		s.mu.Lock()
		s.seen = seen
		s.mu.Unlock()
	}
}

// catchUpNews sets the filter of a new link and looks for what the mempool got meanwhile.
func (s *source) catchUpNews(ctx context.Context, l *link) error {
	addrs, ops := s.watched.all()
	if l.watch != nil {
		if err := l.watch(ctx, addrs, ops); err != nil {
			return err
		}
	}
	err := s.mempool.find(ctx, l.Node, ops, func(tx *wire.MsgTx) {
		s.mempool.tell(tx)
		s.wallet.hear(tx)
	})
	if isRefusal(err) {
		s.opts.Log.Warn("look for news in the mempool", "err", err)
		return nil
	}
	return err
}
