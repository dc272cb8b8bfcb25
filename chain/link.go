package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain/rpc"
)

// backend is one kind of program.
type backend interface {
	name() string // "btcd" or "bitcoind"
	host() string

	// dial makes a link that is ready for use: right network, credentials accepted, news
	// subscribed to, of which those that are not wanted are dropped at once. Its errors are for
	// the operator's eyes.
	dial(ctx context.Context, wanted func(*wire.MsgTx) bool) (*link, error)
}

// maxNews bounds the wanted mempool transactions that wait to be told. What is over it is not seen
// before it is in a block.
const maxNews = 2000

// link is one live connection to the backend. When it breaks it stays broken; the Source makes a
// new one.
type link struct {
	rpc.Node

	// looks says that the best block may have changed. It is a hint: a missed or needless one
	// does no harm, since the chain is then read by requests.
	looks chan struct{}

	// news are wanted transactions that have come into the mempool.
	news   chan *wire.MsgTx
	wanted func(*wire.MsgTx) bool

	// watch tells the backend which transactions are news; nil where it tells all.
	watch func(ctx context.Context, addrs []btcutil.Address, ops []wire.OutPoint) error

	broken chan struct{} // closed when the link is broken
	once   sync.Once
	err    error // why it broke; valid once broken is closed

	wg sync.WaitGroup // goroutines of the link
}

func newLink(wanted func(*wire.MsgTx) bool) *link {
	return &link{
		wanted: wanted,
		looks:  make(chan struct{}, 1),
		news:   make(chan *wire.MsgTx, maxNews),
		broken: make(chan struct{}),
	}
}

// look asks for a look at the best block.
func (l *link) look() {
	select {
	case l.looks <- struct{}{}:
	default: // one look sees everything
	}
}

// hear passes a mempool transaction on. Without the filter, the thousands that bitcoind publishes
// with each block would push out the few that matter.
func (l *link) hear(tx *wire.MsgTx) {
	if !l.wanted(tx) {
		return
	}
	select {
	case l.news <- tx:
	default:
	}
}

// fail breaks the link; the first cause counts.
func (l *link) fail(cause error) {
	l.once.Do(func() {
		l.err = cause
		close(l.broken)
	})
}

// close breaks the link and waits for its goroutines.
func (l *link) close() {
	l.fail(rpc.ErrClosed)
	if l.Client != nil {
		l.Client.Close()
	}
	l.wg.Wait()
}

// checkNetwork compares the genesis blocks.
func checkNetwork(ctx context.Context, node rpc.Node, name, host string, opts *Options) error {
	genesis, err := node.BlockHash(ctx, 0)
	if err != nil {
		return err
	}
	if genesis != *opts.Params.GenesisHash {
		return fmt.Errorf("chain: the %s at %s is on %s, but this node is configured for %s; "+
			"set network, or chain.%s.rpc_host, to match: %w", name, host,
			networkName(genesis.String()), opts.Params.Name, name, ErrWrongNetwork)
	}
	return nil
}

// explain makes an error of dialling say what to do, and gives it its sentinel.
func explain(b backend, err error, hint string) error {
	switch {
	case errors.Is(err, ErrWrongNetwork):
		return err
	case errors.Is(err, rpc.ErrAuth):
		return fmt.Errorf("chain: the %s at %s refuses the credentials; correct "+
			"chain.%s.rpc_user and rpc_password%s: %w", b.name(), b.host(), b.name(), hint,
			ErrAuth)
	case rpc.IsCode(err, rpc.CodeInWarmup):
		return fmt.Errorf("chain: the %s at %s is still starting (%w); try again later: %w",
			b.name(), b.host(), err, ErrUnreachable)
	}
	return fmt.Errorf("chain: the %s at %s does not answer (%w); start it, or correct "+
		"chain.%s.rpc_host: %w", b.name(), b.host(), err, b.name(), ErrUnreachable)
}
