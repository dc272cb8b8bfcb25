package chain

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// mempoolPolls is how many looks at the best block there are to one look at the mempool, whose list
// is long.
const mempoolPolls = 30

// poll looks at a bitcoind that has no ZMQ. It is the only polling in the program.
func (l *link) poll(interval time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	l.wg.Go(func() {
		defer cancel()
		<-l.broken
	})
	l.wg.Go(func() { l.routinePoll(ctx, interval) })
}

// routinePoll runs until the link breaks; close waits for it.
func (l *link) routinePoll(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var known map[chainhash.Hash]bool
	for n := 0; ; n++ {
		if n%mempoolPolls == 0 {
			var err error
			if known, err = l.lookAtMempool(ctx, known); err != nil {
				l.fail(err)
				return
			}
		}
		select {
		case <-ticker.C:
			l.look()
		case <-ctx.Done():
			return
		}
	}
}

// lookAtMempool hears what is not known yet. At first everything is known: the mempool of the main
// network takes minutes to read.
func (l *link) lookAtMempool(ctx context.Context,
	known map[chainhash.Hash]bool) (map[chainhash.Hash]bool, error) {

	list, err := l.Mempool(ctx)
	if err != nil {
		return nil, err
	}
	now := make(map[chainhash.Hash]bool, len(list))
	for _, txid := range list {
		now[txid] = true
		if known == nil || known[txid] {
			continue
		}
		tx, err := l.Tx(ctx, txid)
		if isRefusal(err) {
			continue // mined or replaced meanwhile
		}
		if err != nil {
			return nil, err
		}
		l.hear(tx)
	}
	return now, nil
}
