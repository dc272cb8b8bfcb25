package wallet

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/stretchr/testify/require"
)

func TestChangeListGolden(t *testing.T) {
	raw, err := json.Marshal(changeList{V: recordVersion, Addresses: []string{"bcrt1p"}})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"addresses":["bcrt1p"]}`, string(raw))
}

func TestChangeAddressesAreTakenOnce(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.change.warm())
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = make(map[string]bool)
	)
	const takers, each = 4, 3 * changeReady / 2
	for range takers {
		wg.Go(func() {
			for range each {
				addr, err := b.Lightning().NewAddress(lnwallet.TaprootPubkey, true,
					lnwallet.DefaultAccountName)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[addr.EncodeAddress()] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, takers*each)

	// They are change addresses of the wallet, and watched.
	for text := range seen {
		addr, err := btcutil.DecodeAddress(text, b.opts.Params)
		require.NoError(t, err)
		info, err := b.btcw.AddressInfo(addr)
		require.NoError(t, err)
		require.True(t, info.Internal())
		_, err = b.node.Fund(addr, 9_000, 1)
		require.NoError(t, err)
		b.awaitBalance("the coin", func(now Balance) bool { return now.Confirmed == 9_000 })
		break
	}

	// Neither change nor own addresses of another kind come from the pool.
	before := b.poolSize()
	_, err := b.NewAddress()
	require.NoError(t, err)
	_, err = b.Lightning().NewAddress(lnwallet.WitnessPubKey, true, lnwallet.DefaultAccountName)
	require.NoError(t, err)
	require.Equal(t, before, b.poolSize())
}

func (b *bench) poolSize() int {
	b.change.mu.Lock()
	defer b.change.mu.Unlock()

	return len(b.change.ready)
}

// Restarts that use no change leave no gap in the branch: a restore would stop searching at it.
func TestChangeSurvivesRestarts(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.change.warm())
	first, err := b.change.take()
	require.NoError(t, err)
	left := append([]btcutil.Address(nil), b.change.ready...)
	for range 3 {
		b.reopen()
		require.NoError(t, b.change.warm())
	}
	// The one that was taken and never paid comes again.
	require.Equal(t, append([]btcutil.Address{first}, left...), b.change.ready)

	_, err = b.node.Fund(first, 9_000, 1)
	require.NoError(t, err)
	b.awaitBalance("the coin", func(now Balance) bool { return now.Confirmed == 9_000 })
	b.reopen()
	require.NoError(t, b.change.warm())
	require.NotContains(t, b.change.ready, first, "a used one does not come again")
	require.Equal(t, left, b.change.ready[:len(left)])
	require.Len(t, b.change.ready, changeReady)
}
