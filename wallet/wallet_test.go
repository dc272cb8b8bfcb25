package wallet

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/stretchr/testify/require"
)

func TestReceive(t *testing.T) {
	b := newBench(t, nil)
	require.Equal(t, Balance{}, b.balance())

	addr, err := b.NewAddress()
	require.NoError(t, err)
	require.IsType(t, &btcutil.AddressTaproot{}, addr)
	old, err := b.NewAddressOf(WitnessPubKey)
	require.NoError(t, err)
	require.IsType(t, &btcutil.AddressWitnessPubKeyHash{}, old)
	again, err := b.NewAddress()
	require.NoError(t, err)
	require.NotEqual(t, addr, again)

	for _, a := range []btcutil.Address{addr, old} {
		_, err := b.node.Fund(a, 50_000, 2)
		require.NoError(t, err)
	}
	want := Balance{Confirmed: 200_000, Spendable: 200_000}
	b.awaitBalance("the coins", func(now Balance) bool { return now == want })

	utxos, err := b.Utxos()
	require.NoError(t, err)
	require.Len(t, utxos, 4)
	seen := make(map[string]int)
	for _, u := range utxos {
		seen[u.Address.EncodeAddress()]++
		require.True(t, u.Trusted)
		require.False(t, u.Leased)
		require.Positive(t, u.Confirmations)
		require.Equal(t, btcutil.Amount(50_000), u.Value)
	}
	require.Equal(t, map[string]int{addr.EncodeAddress(): 2, old.EncodeAddress(): 2}, seen)
}
