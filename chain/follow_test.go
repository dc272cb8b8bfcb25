package chain

import (
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/rpc"
)

// inBubble runs a test in which Wait returns once everything that could happen has.
func inBubble(t *testing.T, test func(*testing.T, *fakeBackend)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for range 3 {
			f.mine()
		}
		test(t, f)
	})
}

// drain takes the blocks that a subscriber has been told of.
func drain(sub *chainntnfs.BlockEpochEvent) []chainhash.Hash {
	synctest.Wait()
	var list []chainhash.Hash
	for {
		select {
		case epoch := <-sub.Epochs:
			list = append(list, *epoch.Hash)
		default:
			return list
		}
	}
}

func hashes(blocks ...*wire.MsgBlock) []chainhash.Hash {
	var list []chainhash.Hash
	for _, b := range blocks {
		list = append(list, b.BlockHash())
	}
	return list
}

// fakeTx spends op, an output of another fakeTx. lnd's TxNotifier finds only spends whose witness
// fits the script.
func fakeTx(op wire.OutPoint) *wire.MsgTx {
	witnessScript := []byte{0x51}
	hash := sha256.Sum256(witnessScript)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&op, nil, wire.TxWitness{witnessScript}))
	tx.AddTxOut(wire.NewTxOut(1, append([]byte{0, 32}, hash[:]...)))
	return tx
}

func subscribe(t *testing.T, s *source) *chainntnfs.BlockEpochEvent {
	sub, err := s.Notifier().RegisterBlockEpochNtfn(nil)
	require.NoError(t, err)
	require.Len(t, drain(sub), 1)
	return sub
}

func TestBackendLosesBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		height int
		forget bool
	}{
		"some, of which it has the headers": {4, false},
		"some":                              {4, true},
		"all":                               {0, true},
		"more than were remembered":         {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fakeBackend) {
				s := f.open(t)
				sub := subscribe(t, s)
				first, second := f.mine(), f.mine()
				require.Equal(t, hashes(first, second), drain(sub))
				require.True(t, s.Status().Synced)

				left := f.cut(c.height, c.forget)
				require.Empty(t, drain(sub), "nothing is undone")
				require.EqualValues(t, 5, s.Status().Height)
				require.False(t, s.Status().Synced)

				f.regain(left)
				third := f.mine()
				require.Equal(t, hashes(third), drain(sub), "and nothing is told twice")
				require.True(t, s.Status().Synced)
			})
		})
	}
}

func TestOtherBranch(t *testing.T) {
	for name, fork := range map[string]int{
		"one block deep":             4,
		"deeper than was remembered": 1,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fakeBackend) {
				s := f.open(t)
				sub := subscribe(t, s)
				f.mine()
				f.mine()
				require.Len(t, drain(sub), 2)
				f.cut(fork, false)
				branch := hashes(f.mine())
				for range 4 {
					branch = append(branch, f.mine().BlockHash())
				}
				require.Equal(t, branch, drain(sub))
				require.EqualValues(t, fork+5, s.Status().Height)
			})
		})
	}
}

func TestNotSynced(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		synctest.Wait()
		require.True(t, s.Status().Synced)
		for _, change := range []func(){
			func() { f.loading = true },
			func() { f.loading, f.headers = false, 10 },
		} {
			f.set(change)
			synctest.Wait()
			require.False(t, s.Status().Synced)
		}
		f.set(func() { f.headers = 0 })
		synctest.Wait()
		require.True(t, s.Status().Synced)
		require.True(t, s.WalletSource().IsCurrent())
	})
}

func TestDialBackOff(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		f.set(func() { f.down = errors.New("no route") })
		f.current.fail(errors.New("cable cut"))
		time.Sleep(10 * time.Second) // of the bubble's clock
		tx := fakeTx(wire.OutPoint{})
		require.ErrorContains(t, s.Broadcast(tx, ""), "no route")
		var waits []time.Duration
		f.set(func() {
			for i := 2; i < len(f.dials); i++ {
				waits = append(waits, f.dials[i].Sub(f.dials[i-1]))
			}
		})
		for i, tenths := range []int{2, 4, 8, 16, 16, 16} {
			require.Equal(t, time.Duration(tenths)*s.opts.RetryInterval, waits[i])
		}
		f.set(func() { f.down = nil })
		time.Sleep(10 * time.Second)
		require.True(t, s.Status().BackendReachable)
		require.NoError(t, s.Broadcast(tx, ""))
	})
}

// TestStaleIndex asks for a transaction whose block was left, and which is in an earlier block of
// the other branch. bitcoind's index may still name the block that was left.
func TestStaleIndex(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		tx := fakeTx(wire.OutPoint{Hash: chainhash.Hash{7}})
		txid := tx.TxHash()
		f.mine()
		stale := f.mine(tx)
		s := f.open(t)
		f.cut(3, false)
		f.mine(tx)
		f.mine()
		f.mine()
		synctest.Wait()
		f.set(func() { f.index[txid] = stale.BlockHash() })

		conf, err := s.Notifier().RegisterConfirmationsNtfn(&txid, tx.TxOut[0].PkScript, 1, 1)
		require.NoError(t, err)
		require.EqualValues(t, 4, (<-conf.Confirmed).BlockHeight)
		// an output of a transaction in a block that was left says nothing of where to start
		child := fakeTx(wire.OutPoint{Hash: txid})
		f.mine(child)
		spend, err := s.Notifier().RegisterSpendNtfn(&child.TxIn[0].PreviousOutPoint,
			tx.TxOut[0].PkScript, 1)
		require.NoError(t, err)
		require.EqualValues(t, 7, (<-spend.Spend).SpendingHeight)
	})
}

// TestSearchWhileBehind asks for what is in blocks that the backend has lost for a while.
func TestSearchWhileBehind(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		tx := fakeTx(wire.OutPoint{})
		txid := tx.TxHash()
		f.mine(tx)
		f.mine()
		synctest.Wait()
		left := f.cut(2, true)
		f.set(func() { delete(f.index, txid) })
		synctest.Wait()
		conf, err := s.Notifier().RegisterConfirmationsNtfn(&txid, tx.TxOut[0].PkScript, 1, 1)
		require.NoError(t, err)
		late, err := s.Notifier().RegisterBlockEpochNtfn(&chainntnfs.BlockEpoch{Height: 3,
			Hash: &left[1].Header.PrevBlock})
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, conf.Confirmed)
		require.Empty(t, late.Epochs)
		f.regain(left)
		require.EqualValues(t, 4, (<-conf.Confirmed).BlockHeight)
		require.Len(t, drain(late), 2)
	})
}

func TestRefusedBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		sub := subscribe(t, s)
		f.set(func() { f.refuse["getblock"] = errFake })
		b := f.mine()
		time.Sleep(time.Second)
		require.Empty(t, drain(sub))
		require.False(t, s.Status().Synced)
		require.True(t, s.Status().BackendReachable)
		f.set(func() { delete(f.refuse, "getblock") })
		require.Equal(t, hashes(b), drain(sub))
	})
}

func TestPrunedSearch(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		f.set(func() {
			f.refuse["getblock"] = &rpc.Error{Code: -1,
				Message: "Block not available (pruned data)"}
		})
		conf, err := s.Notifier().RegisterConfirmationsNtfn(&chainhash.Hash{1},
			fakeTx(wire.OutPoint{}).TxOut[0].PkScript, 1, 1)
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, conf.Confirmed)
		require.True(t, s.Status().BackendReachable, "a refusal is an answer")
	})
}

func TestSlowSubscriber(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		sub := subscribe(t, s)
		v := s.follower.view
		for i := range int32(maxSteps + epochBuffer + 2) {
			v.advance(block{10 + i, chainhash.Hash{byte(i), byte(i >> 8)}, &wire.BlockHeader{}})
			v.announce()
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		n := 0
		for range sub.Epochs {
			n++
		}
		require.LessOrEqual(t, n, epochBuffer+maxSteps)
		require.Len(t, v.steps, maxSteps)
		require.LessOrEqual(t, len(v.recent), maxBlocks+1)
		require.LessOrEqual(t, len(v.headers), maxSteps+maxBlocks+4)

		// a reader that has not begun to read is told that it is lost
		at := cursor{}
		_, _, lost := v.read(&at)
		require.True(t, lost)
	})
}

func TestLateSubscriber(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		last := &chainntnfs.BlockEpoch{Height: 1, Hash: new(chainhash.Hash)}
		*last.Hash = f.main[1].BlockHash()
		sub, err := s.Notifier().RegisterBlockEpochNtfn(last)
		require.NoError(t, err)
		require.Equal(t, hashes(f.main[2], f.main[3]), drain(sub))

		last.Hash[0] ^= 1 // a block that the backend knows nothing of
		sub, err = s.Notifier().RegisterBlockEpochNtfn(last)
		require.NoError(t, err)
		require.Equal(t, hashes(f.main[3]), drain(sub), "at least the present block")
	})
}

// A transaction that nobody was told of is in no block once the past was searched, and not before.
func TestSearched(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeBackend) {
		s := f.open(t)
		script := append([]byte{0, 20}, make([]byte, 20)...)
		register := func(txid chainhash.Hash) (ended bool) {
			ev, err := s.Notifier().RegisterConfirmationsNtfn(&txid, script, 1, 1)
			require.NoError(t, err)
			defer ev.Cancel()
			synctest.Wait()
			return s.Searched(&txid, script)
		}
		require.True(t, register(chainhash.Hash{1}))
		f.set(func() { f.refuse["getblock"] = errFake })
		s.blocks.cache = newBlockReader(nil).cache
		require.False(t, register(chainhash.Hash{2}), "it failed")
		require.True(t, s.Searched(&chainhash.Hash{1}, script))
	})
}
