package wallet

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/stretchr/testify/require"
)

func pays(tx *wire.MsgTx, addr btcutil.Address) btcutil.Amount {
	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		panic(err)
	}
	var sum btcutil.Amount
	for _, out := range tx.TxOut {
		if string(out.PkScript) == string(script) {
			sum += btcutil.Amount(out.Value)
		}
	}

	return sum
}

// wantRate checks that a transaction pays the rate, and hardly more.
func (b *bench) wantRate(tx *wire.MsgTx, rate chainfee.SatPerVByte) {
	b.t.Helper()
	weight := blockchain.GetTransactionWeight(btcutil.NewTx(tx))
	fee := int64(b.fee(tx))
	require.GreaterOrEqual(b.t, fee, weight*int64(rate)/4, "the asked rate")
	require.LessOrEqual(b.t, fee, (weight+16)*int64(rate)/4+330, "and hardly more")
}

func TestSend(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 3)
	to := foreign(t)

	txid, err := b.Send(context.Background(), SendRequest{
		Address: to.EncodeAddress(), Amount: 120_000, FeeRate: 7, Label: "rent",
	})
	require.NoError(t, err)
	tx := b.inMempool(txid)
	require.Equal(t, btcutil.Amount(120_000), pays(tx, to))
	require.Len(t, tx.TxIn, 2)
	require.Len(t, tx.TxOut, 2)
	b.wantRate(tx, 7)

	// The change counts at once and may be spent: it is ours alone.
	fee := b.fee(tx)
	b.awaitBalance("the change", func(now Balance) bool {
		return now == Balance{
			Confirmed: 100_000, Unconfirmed: 80_000 - fee, Spendable: 180_000 - fee,
		}
	})
	require.Equal(t, btcutil.Amount(100_000), b.fundable(), "the change is not confirmed")
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases)
	details, err := b.details(txid)
	require.NoError(t, err)
	require.Equal(t, "inlet: send: rent", details.Label)

	second, err := b.Send(context.Background(), SendRequest{
		Address: to.EncodeAddress(), Amount: 150_000,
	})
	require.NoError(t, err)
	require.Len(t, b.inMempool(second).TxIn, 2, "the confirmed coin and the change")

	b.mine(1)
	require.Zero(t, b.balance().Unconfirmed)
}

func TestSendAll(t *testing.T) {
	for _, reserve := range []btcutil.Amount{0, 1, 30_000} {
		t.Run(fmt.Sprintf("reserve %d", int64(reserve)), func(t *testing.T) {
			b := newBench(t, func(o *Options) {
				o.AnchorReserve = func(int) btcutil.Amount { return reserve }
			})
			b.fund(100_000, 3)
			require.Equal(t, 300_000-reserve, b.balance().Spendable)
			require.Equal(t, reserve, b.balance().Reserved)
			to := foreign(t)

			txid, err := b.Send(context.Background(), SendRequest{
				Address: to.EncodeAddress(), All: true, FeeRate: 3,
			})
			require.NoError(t, err)
			tx := b.inMempool(txid)
			require.Len(t, tx.TxIn, 3)
			fee := b.fee(tx)
			kept := reserve
			if kept > 0 {
				kept = max(kept, dustOf(34))
			}
			require.Equal(t, 300_000-fee-kept, pays(tx, to))
			b.wantRate(tx, 3)

			got := b.awaitBalance("the spend", func(now Balance) bool { return now.Confirmed == 0 })
			require.Equal(t, kept, got.Unconfirmed)
			require.LessOrEqual(t, got.Spendable, dustOf(34))

			_, err = b.Send(context.Background(), SendRequest{Address: to.EncodeAddress(), All: true})
			require.ErrorIs(t, err, ErrInsufficientFunds)
		})
	}
}

func TestSendRefuses(t *testing.T) {
	reserve := btcutil.Amount(20_000)
	b := newBench(t, func(o *Options) {
		o.MaxFeeRate, o.AnchorReserve = 40, func(int) btcutil.Amount { return reserve }
	})
	b.fund(100_000, 1)
	to := foreign(t).EncodeAddress()
	elsewhere, err := btcutil.NewAddressTaproot(make([]byte, 32), &chaincfg.MainNetParams)
	require.NoError(t, err)

	foreignNet := elsewhere.EncodeAddress()
	cases := map[string]struct {
		r    SendRequest
		want error
		text string
	}{
		"nothing":        {r: SendRequest{Address: to}, want: ErrAmount, text: "positive amount"},
		"amount and all": {r: SendRequest{Address: to, Amount: 1, All: true}, want: ErrAmount},
		"negative":       {r: SendRequest{Address: to, Amount: -5}, want: ErrAmount},
		"too much": {
			r: SendRequest{Address: to, Amount: btcutil.MaxSatoshi + 1}, want: ErrAmount,
		},
		"dust": {
			r: SendRequest{Address: to, Amount: 293}, want: ErrDust,
			text: "least that this address can get is 294 sat",
		},
		"mainnet address": {
			r: SendRequest{Address: foreignNet, Amount: 9_999}, want: ErrAddress,
			text: "is for mainnet, this node is on regtest",
		},
		"rate too high": {
			r: SendRequest{Address: to, Amount: 9_999, FeeRate: 41}, want: ErrFeeRate,
			text: "max_fee_rate_sat_per_vb = 40",
		},
		"more than there is": {
			r: SendRequest{Address: to, Amount: 500_000}, want: ErrInsufficientFunds,
			text: "80000 sat spendable (20000 sat are kept back",
		},
		"all but the fee": {
			r: SendRequest{Address: to, Amount: 100_000}, want: ErrInsufficientFunds,
			text: "80000 sat spendable",
		},
		"the reserve": {
			r:    SendRequest{Address: to, Amount: 80_000, FeeRate: 1},
			want: ErrInsufficientFunds, text: "80000 sat spendable",
		},
		"the fee from the reserve": {
			r:    SendRequest{Address: to, Amount: 79_950, FeeRate: 1},
			want: ErrInsufficientFunds, text: "kept back for fee bumps",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := b.Send(context.Background(), c.r)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
		})
	}

	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases, "every refusal frees what it held")
	require.Equal(t, Balance{Confirmed: 100_000, Spendable: 80_000, Reserved: 20_000}, b.balance())
}

func TestNothingWorksAfterStop(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	to := foreign(t).EncodeAddress()

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.Send(ended, SendRequest{Address: to, Amount: 5_000})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Balance{Confirmed: 100_000, Spendable: 100_000}, b.balance())

	require.NoError(t, b.Stop())
	_, err = b.Send(context.Background(), SendRequest{Address: to, Amount: 5_000})
	require.ErrorIs(t, err, ErrStopped)
	_, err = b.Bump(context.Background(), chainhash.Hash{}, 5)
	require.ErrorIs(t, err, ErrStopped)
	_, err = b.NewAddress()
	require.ErrorIs(t, err, ErrStopped)
	require.ErrorIs(t, b.Publish(wire.NewMsgTx(2), ""), ErrStopped)
	require.ErrorIs(t, b.Start(context.Background()), ErrStopped)
	require.False(t, b.Synced())
}

// Another's unconfirmed payment can vanish: it is neither spent nor counted as spendable.
func TestUnconfirmedOfOthersIsNotSpent(t *testing.T) {
	payer, b := newBench(t, nil), newBench(t, nil)
	payer.fund(200_000, 1)
	addr, err := b.NewAddress()
	require.NoError(t, err)
	txid, err := payer.Send(context.Background(), SendRequest{
		Address: addr.EncodeAddress(), Amount: 90_000,
	})
	require.NoError(t, err)

	b.awaitBalance("the payment", func(now Balance) bool { return now.Unconfirmed == 90_000 })
	require.Zero(t, b.balance().Spendable)
	_, err = b.Send(context.Background(), SendRequest{
		Address: foreign(t).EncodeAddress(), Amount: 10_000,
	})
	require.ErrorIs(t, err, ErrInsufficientFunds)
	require.ErrorIs(t, b.CanFund(20_000, 253), ErrInsufficientFunds)
	utxos, err := b.Utxos()
	require.NoError(t, err)
	require.Len(t, utxos, 1)
	require.False(t, utxos[0].Trusted)
	require.False(t, b.AllowUtxo(lnwallet.Utxo{OutPoint: utxos[0].Outpoint}))

	// Bumping it spends it, and what stands on it is not trusted either.
	child, err := b.Bump(context.Background(), txid, 10)
	require.NoError(t, err)
	b.inMempool(child)
	b.await("the child", func() bool {
		utxos, err := b.Utxos()
		require.NoError(t, err)

		return len(utxos) == 1 && utxos[0].Outpoint.Hash == child
	})
	require.Zero(t, b.balance().Spendable)

	b.mine(1)
	require.Equal(t, b.balance().Confirmed, b.balance().Spendable)
	require.Positive(t, b.balance().Spendable)
}

// Chains of change end before the mempools refuse them.
func TestUnconfirmedChainIsBounded(t *testing.T) {
	b := newBench(t, nil)
	b.fund(1_000_000, 1)
	to := foreign(t).EncodeAddress()
	for i := range maxAncestors + 1 {
		_, err := b.Send(context.Background(), SendRequest{Address: to, Amount: 1_000, FeeRate: 2})
		require.NoError(t, err, "send %d", i)
	}
	_, err := b.Send(context.Background(), SendRequest{Address: to, Amount: 1_000, FeeRate: 2})
	require.ErrorIs(t, err, ErrInsufficientFunds)
	require.Positive(t, b.balance().Unconfirmed)
	require.Zero(t, b.balance().Spendable)

	b.mine(1)
	_, err = b.Send(context.Background(), SendRequest{Address: to, Amount: 1_000, FeeRate: 2})
	require.NoError(t, err)
}

// Sends at the same time never choose the same coin.
func TestSendConcurrent(t *testing.T) {
	b := newBench(t, nil)
	const senders = 8
	b.fund(50_000, senders)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		ids = make(map[chainhash.Hash]bool)
	)
	for range senders {
		wg.Go(func() {
			txid, err := b.Send(context.Background(), SendRequest{
				Address: foreign(t).EncodeAddress(), Amount: 30_000, FeeRate: 2,
			})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[txid] = true
		})
	}
	wg.Wait()
	require.Len(t, ids, senders)
	spent := make(map[wire.OutPoint]bool)
	for txid := range ids {
		for _, in := range b.inMempool(txid).TxIn {
			require.False(t, spent[in.PreviousOutPoint], "a coin was spent twice")
			spent[in.PreviousOutPoint] = true
		}
	}
	b.mine(1)
	leases, err := b.Leases()
	require.NoError(t, err)
	require.Empty(t, leases)
}
