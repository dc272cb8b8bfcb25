package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwchain "github.com/btcsuite/btcwallet/chain"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

// fakeView is a view of the chain for btcwallet that does what a test says.
type fakeView struct {
	btcwchain.Interface

	notes    chan any
	startErr error
	watched  error
	stops    int
}

func (f *fakeView) Start(context.Context) error            { return f.startErr }
func (f *fakeView) Stop()                                  { f.stops++ }
func (f *fakeView) WaitForShutdown()                       {}
func (f *fakeView) Notifications() <-chan any              { return f.notes }
func (f *fakeView) NotifyReceived([]btcutil.Address) error { return f.watched }

// fakeChain answers Broadcast.
type fakeChain struct {
	Chain

	view   *fakeView
	mu     sync.Mutex
	answer error
	labels []string
}

func (f *fakeChain) WalletSource() btcwchain.Interface { return f.view }

func (f *fakeChain) Notifier() chainntnfs.ChainNotifier { return nil }
func (f *fakeChain) Fees() chainfee.Estimator           { return nil }
func (f *fakeChain) Blocks() chain.Blocks               { return nil }

func (f *fakeChain) Broadcast(_ *wire.MsgTx, label string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.labels = append(f.labels, label)

	return f.answer
}

func newFakeSource(t *testing.T) (*source, *fakeChain) {
	t.Helper()
	c := &fakeChain{view: &fakeView{notes: make(chan any)}}
	s := newSource(c, slog.New(slog.DiscardHandler))
	s.ours = func(chainhash.Hash) bool { return false }
	s.done = func(any) {}

	return s, c
}

func TestSourceForgetsOnlyWhatIsRefused(t *testing.T) {
	tx := wire.NewMsgTx(2)
	txid := tx.TxHash()
	refused := func(kind error) error {
		return fmt.Errorf("x: %w", &chain.RejectedError{Txid: txid, Kind: kind, Reason: "y"})
	}

	// forget: what btcwallet does with the transaction after an error from SendRawTransaction.
	cases := []struct {
		name      string
		answer    error
		ours      bool
		forget    bool // in a Publish
		forgetOld bool // on a repeat
	}{
		{"accepted", nil, false, false, false},
		{"unreachable", chain.ErrUnreachable, false, false, false},
		{"any other error", errors.New("timeout"), false, false, false},
		{"double spend", refused(chain.ErrDoubleSpend), true, true, true},
		{"invalid", refused(chain.ErrInvalid), true, true, true},
		{"inputs missing, ours", refused(chain.ErrMissingInputs), true, true, false},
		{"inputs missing, others'", refused(chain.ErrMissingInputs), false, true, true},
		{"fee too low", refused(chain.ErrFeeTooLow), false, true, false},
		{"not final", refused(chain.ErrNonFinal), false, true, false},
		{"chain too long", refused(chain.ErrNonStandard), false, true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, fake := newFakeSource(t)
			s.ours = func(id chainhash.Hash) bool { return c.ours && id == txid }
			fake.answer = c.answer

			end := s.begin(txid, "a label")
			_, err := s.SendRawTransaction(tx, false)
			require.Equal(t, c.forget, err != nil)
			unknown := end()
			require.Equal(t, c.answer != nil && !c.forget, unknown != nil,
				"a publisher hears of an unknown outcome")
			require.Empty(t, s.running)

			_, err = s.SendRawTransaction(tx, false)
			require.Equal(t, c.forgetOld, err != nil)
			require.Equal(t, []string{"a label", "repeated"}, fake.labels)
		})
	}
}

func TestPublishErrorsAreLnds(t *testing.T) {
	refused := func(kind error) error { return &chain.RejectedError{Kind: kind, Reason: "no"} }
	for kind, want := range map[error]error{
		chain.ErrDoubleSpend:   lnwallet.ErrDoubleSpend,
		chain.ErrMissingInputs: lnwallet.ErrDoubleSpend,
		chain.ErrFeeTooLow:     lnwallet.ErrMempoolFee,
	} {
		err := publishError(refused(kind))
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, err, kind)
		var r *chain.RejectedError
		require.ErrorAs(t, err, &r)
	}
	require.NoError(t, publishError(nil))
	err := publishError(refused(chain.ErrNonStandard))
	require.ErrorIs(t, err, chain.ErrNonStandard)
	require.NotErrorIs(t, err, lnwallet.ErrDoubleSpend)
}

func TestSourceWatchesAddressesWithoutTheChain(t *testing.T) {
	s, fake := newFakeSource(t)
	fake.view.watched = fmt.Errorf("dial: %w", chain.ErrUnreachable)
	require.NoError(t, s.NotifyReceived(nil))
	fake.view.watched = errDisk
	require.ErrorIs(t, s.NotifyReceived(nil), errDisk)
}

// The call comes when btcwallet is through with the notification, not before.
func TestSourceTellsWhatIsProcessed(t *testing.T) {
	s, fake := newFakeSource(t)
	done := make(chan any, 2)
	s.done = func(note any) { done <- note }
	require.NoError(t, s.Start(context.Background()))

	for _, note := range []any{btcwchain.BlockConnected{}, &btcwchain.RescanFinished{}} {
		fake.view.notes <- note
		require.Equal(t, note, <-s.Notifications())
		require.Empty(t, done, "btcwallet still works on it")
		require.IsType(t, processed{}, <-s.Notifications())
		require.Equal(t, note, <-done)
	}

	s.Stop()
	s.Stop()
	s.WaitForShutdown()
	require.Equal(t, 1, fake.view.stops)
	_, open := <-s.Notifications()
	require.False(t, open)
}

func TestSourceStopsWhileNobodyReads(t *testing.T) {
	s, fake := newFakeSource(t)
	require.NoError(t, s.Start(context.Background()))
	fake.view.notes <- btcwchain.BlockConnected{}
	s.Stop()
	s.WaitForShutdown()
}

func TestSourceConcurrentPublishers(t *testing.T) {
	s, fake := newFakeSource(t)
	fake.answer = chain.ErrUnreachable
	tx := wire.NewMsgTx(2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				end := s.begin(tx.TxHash(), "x")
				if _, err := s.SendRawTransaction(tx, false); err != nil {
					t.Error(err)
				}
				if end() == nil {
					t.Error("the outcome was unknown")
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, s.running)
}
