package chain

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

// source implements Source for both programs.
type source struct {
	opts    Options
	conn    *connection
	watched *watchList
	blocks  *blockReader
	wallet  *walletSource
	fees    *feeEstimator

	// set by Start
	notifier *notifier
	mempool  *mempoolWatch
	serving  sync.WaitGroup

	mu       sync.Mutex
	begun    bool               // guarded by mu; Start was called
	follower *follower          // guarded by mu; nil before Start has succeeded
	cancel   context.CancelFunc // guarded by mu; nil before Start and after Stop
	seen     progress           // guarded by mu; of the backend
}

// backendWithFees is what a Source is made of.
type backendWithFees interface {
	backend
	feeSource
}

func newSource(opts Options, b backendWithFees) *source {
	s := &source{
		opts:    opts,
		conn:    newConnection(b),
		watched: newWatchList(),
	}
	s.blocks = newBlockReader(s.conn)
	s.wallet = &walletSource{
		blockReader: s.blocks,
		watched:     s.watched,
		params:      opts.Params,
		name:        b.name(),
		synced:      func() bool { return s.Status().Synced },
		log:         opts.Log,
		out:         make(chan any),
		wake:        make(chan struct{}, 1),
	}
	s.fees = &feeEstimator{
		source:   b,
		conn:     s.conn,
		fallback: opts.FeeFallback,
		limit:    opts.FeeCap,
		now:      time.Now,
		log:      opts.Log,
		known:    make(map[uint32]estimate),
	}
	return s
}

// Start implements Source.
func (s *source) Start(ctx context.Context) error {
	s.mu.Lock()
	again := s.begun
	s.begun = true
	s.mu.Unlock()
	if again {
		return errors.New("chain: a Source is started once")
	}
	l, err := s.conn.backend.dial(ctx, s.watched.wants)
	if err != nil {
		return err
	}
	follower, err := newFollower(ctx, l.Node, s.opts.Hints)
	if err == nil {
		err = s.fees.refresh(ctx, l.Node)
	}
	if err != nil {
		l.close()
		return explain(s.conn.backend, err, "")
	}
	s.run(l, follower) //nolint:contextcheck // it lives until Stop
	return nil
}

func (s *source) run(l *link, f *follower) {
	life, cancel := context.WithCancel(context.Background())
	s.blocks.view = f.view
	s.notifier = &notifier{
		txs: f.txs, view: f.view, conn: s.conn, blocks: s.blocks,
		log: s.opts.Log, scans: make(chan struct{}, maxScans), life: life,
		searches: make(map[chainntnfs.ConfRequest]bool),
	}
	s.mempool = newMempoolWatch(s.notifier, s.watched)
	f.blocks, f.log, f.onTip = s.blocks, s.opts.Log, s.mempool.connected
	s.mu.Lock()
	s.follower, s.cancel = f, cancel
	s.mu.Unlock()

	s.conn.up(l)
	s.conn.setLevel(true)
	s.serving.Go(func() { s.routineServe(life, l) })
	s.opts.Log.Info("chain backend connected", "backend", s.conn.backend.name(),
		"peer", s.conn.backend.host(), "height", f.view.best().height)
}

// Stop implements Source.
func (s *source) Stop() error {
	s.conn.stop()
	s.mu.Lock()
	cancel := s.cancel
	s.cancel = nil
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	s.serving.Wait()
	s.notifier.stop()
	s.mempool.notes.TearDown()
	return nil
}

// Notifier implements Source.
func (s *source) Notifier() chainntnfs.ChainNotifier { return s.notifier }

// Searched implements Source.
func (s *source) Searched(txid *chainhash.Hash, script []byte) bool {
	return s.notifier.searched(txid, script)
}

// Mempool implements Source.
func (s *source) Mempool() chainntnfs.MempoolWatcher { return s.mempool }

// WalletSource implements Source.
func (s *source) WalletSource() btcwchain.Interface { return s.wallet }

// Fees implements Source.
func (s *source) Fees() chainfee.Estimator { return s.fees }

// Blocks implements Source.
func (s *source) Blocks() Blocks { return s.blocks }

// Broadcast implements Source.
func (s *source) Broadcast(tx *wire.MsgTx, label string) error {
	return broadcast(s.conn, tx, label, s.opts.Log)
}

// maxTipAge is how old the best block of a chain with real work may be before the backend counts as
// behind.
const maxTipAge = 24 * time.Hour

// Status implements Source.
func (s *source) Status() Status {
	st := Status{
		Backend:     s.conn.backend.name(),
		Host:        s.conn.backend.host(),
		Network:     s.opts.Params.Name,
		FeeFallback: s.fees.usesFallback(),
	}
	s.mu.Lock()
	f, seen := s.follower, s.seen
	s.mu.Unlock()
	if f != nil {
		tip := f.view.best()
		st.Height, st.BlockHash = uint32(tip.height), tip.hash
		st.BlockTime = tip.header.Timestamp
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	st.BackendReachable, st.DownSince = s.conn.link != nil, s.conn.since
	if s.conn.lastErr != nil {
		st.LastError = s.conn.lastErr.Error()
	}
	st.Synced = st.BackendReachable && s.conn.level && !seen.loading &&
		(quiet(s.opts.Params) || time.Since(st.BlockTime) < maxTipAge)
	return st
}

// quiet networks have blocks only when somebody wants them.
func quiet(params *chaincfg.Params) bool {
	return params.Net == chaincfg.RegressionNetParams.Net ||
		params.Net == chaincfg.SimNetParams.Net
}
