package chain

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/rpc"
)

// fakeBackend is a program in memory. It implements backendWithFees and rpc.Client.
type fakeBackend struct {
	mu      sync.Mutex
	main    []*wire.MsgBlock                  // guarded by mu; by height
	known   map[chainhash.Hash]*wire.MsgBlock // guarded by mu; of all branches
	index   map[chainhash.Hash]chainhash.Hash // guarded by mu; transaction to block
	refuse  map[string]error                  // guarded by mu; by method
	loading bool                              // guarded by mu; initialblockdownload
	headers int32                             // guarded by mu; how many more it knows of
	rates   map[uint32]chainfee.SatPerKWeight // guarded by mu
	least   chainfee.SatPerKWeight            // guarded by mu
	asked   int                               // guarded by mu; estimates
	dials   []time.Time                       // guarded by mu
	down    error                             // guarded by mu; what dial fails with
	current *link                             // guarded by mu
}

func newFake() *fakeBackend {
	f := &fakeBackend{
		known:  make(map[chainhash.Hash]*wire.MsgBlock),
		index:  make(map[chainhash.Hash]chainhash.Hash),
		refuse: make(map[string]error),
		rates:  make(map[uint32]chainfee.SatPerKWeight),
	}
	genesis := chaincfg.RegressionNetParams.GenesisBlock
	f.main = []*wire.MsgBlock{genesis}
	f.known[genesis.BlockHash()] = genesis
	return f
}

// mine adds a block, different from all others.
func (f *fakeBackend) mine(txs ...*wire.MsgTx) *wire.MsgBlock {
	f.mu.Lock()
	defer f.mu.Unlock()
	tip := f.main[len(f.main)-1].BlockHash()
	b := wire.NewMsgBlock(wire.NewBlockHeader(4, &tip, &chainhash.Hash{}, 0,
		uint32(len(f.known))))
	b.Header.Timestamp = time.Now()
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, 1), nil, nil))
	b.Transactions = append([]*wire.MsgTx{coinbase}, txs...)
	hash := b.BlockHash()
	for _, tx := range txs {
		f.index[tx.TxHash()] = hash
	}
	f.main = append(f.main, b)
	f.known[hash] = b
	if f.current != nil {
		f.current.look()
	}
	return b
}

// cut takes blocks from the end; forget makes the program know nothing of them.
func (f *fakeBackend) cut(height int, forget bool) (left []*wire.MsgBlock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left = f.main[height+1:]
	f.main = f.main[: height+1 : height+1]
	if forget {
		for _, b := range left {
			delete(f.known, b.BlockHash())
		}
	}
	f.current.look()
	return left
}

// regain brings blocks back.
func (f *fakeBackend) regain(blocks []*wire.MsgBlock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range blocks {
		f.main = append(f.main, b)
		f.known[b.BlockHash()] = b
	}
	f.current.look()
}

func (f *fakeBackend) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	if f.current != nil {
		f.current.look()
	}
}

func (f *fakeBackend) name() string { return "fake" }
func (f *fakeBackend) host() string { return "nowhere:1" }

func (f *fakeBackend) dial(_ context.Context,
	wanted func(*wire.MsgTx) bool) (*link, error) {

	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, time.Now())
	if f.down != nil {
		return nil, explain(f, f.down, "")
	}
	f.current = newLink(wanted)
	f.current.Client = f
	return f.current, nil
}

func (f *fakeBackend) estimate(_ context.Context, _ rpc.Node,
	target uint32) (chainfee.SatPerKWeight, error) {

	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if rate, ok := f.rates[target]; ok {
		return rate, nil
	}
	return 0, errNoEstimate
}

func (f *fakeBackend) minimum(context.Context, rpc.Node) (chainfee.SatPerKWeight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.least, f.refuse["minimum"]
}

func (f *fakeBackend) Close() error { return nil }

var errFake = &rpc.Error{Code: rpc.CodeNotFound, Message: "not found"}

// Call implements rpc.Client.
func (f *fakeBackend) Call(_ context.Context, method string, result any, params ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse[method]; err != nil {
		return err
	}
	answer, err := f.answer(method, params)
	if err != nil || result == nil {
		return err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

func (f *fakeBackend) answer(method string, params []any) (any, error) {
	block := func() *wire.MsgBlock {
		hash, err := chainhash.NewHashFromStr(params[0].(string))
		if err != nil {
			return nil
		}
		return f.known[*hash]
	}
	switch method {
	case "getblockchaininfo":
		tip := int32(len(f.main) - 1)
		return rpc.ChainInfo{Blocks: tip, Headers: tip + f.headers,
			BestBlockHash:        f.main[tip].BlockHash().String(),
			InitialBlockDownload: f.loading}, nil
	case "getblockhash":
		height := params[0].(int64)
		if height >= int64(len(f.main)) {
			return nil, errFake
		}
		return f.main[height].BlockHash().String(), nil
	case "getblock":
		if b := block(); b != nil {
			return serialized(b.Serialize), nil
		}
	case "getblockheader":
		b := block()
		if b == nil {
			return nil, errFake
		}
		if !params[1].(bool) {
			return serialized(b.Header.Serialize), nil
		}
		for height, m := range f.main {
			if m == b {
				return map[string]any{"hash": params[0], "height": height}, nil
			}
		}
	case "getrawtransaction":
		return f.transaction(params)
	case "gettxout":
		return nil, nil
	case "gettxspendingprevout":
		return []any{}, nil
	case "sendrawtransaction":
		tx, err := rpc.ParseTx(params[0].(string))
		if err != nil {
			return nil, err
		}
		return tx.TxHash().String(), nil
	default:
		return nil, errors.New("fake: what is " + method)
	}
	return nil, errFake
}

func (f *fakeBackend) transaction(params []any) (any, error) {
	txid, err := chainhash.NewHashFromStr(params[0].(string))
	if err != nil {
		return nil, err
	}
	hash, ok := f.index[*txid]
	if !ok {
		return nil, errFake
	}
	for _, tx := range f.known[hash].Transactions {
		if tx.TxHash() == *txid {
			return map[string]any{"hex": serialized(tx.Serialize),
				"blockhash": hash.String()}, nil
		}
	}
	return nil, errFake
}

func serialized[W any](serialize func(W) error) string {
	var buf bytes.Buffer
	if err := serialize(any(&buf).(W)); err != nil {
		return ""
	}
	return hex.EncodeToString(buf.Bytes())
}

// open starts a Source on the fake that the test's end stops.
func (f *fakeBackend) open(t *testing.T) *source {
	opts := Options{
		Params:        &chaincfg.RegressionNetParams,
		RetryInterval: 100 * time.Millisecond,
		Log:           testLog(),
	}
	require.NoError(t, opts.fill())
	s := newSource(opts, f)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func testLog() *slog.Logger {
	if os.Getenv("CHAIN_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
