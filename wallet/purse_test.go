package wallet

import (
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
	"github.com/stretchr/testify/require"
)

func TestPayScript(t *testing.T) {
	regtest := &chaincfg.RegressionNetParams
	hash := make([]byte, 20)
	of := func(addr btcutil.Address, err error) string {
		require.NoError(t, err)

		return addr.EncodeAddress()
	}
	p2wkh := of(btcutil.NewAddressWitnessPubKeyHash(hash, regtest))
	p2tr := of(btcutil.NewAddressTaproot(make([]byte, 32), regtest))
	p2pkh := of(btcutil.NewAddressPubKeyHash(hash, regtest))
	p2sh := of(btcutil.NewAddressScriptHashFromHash(hash, regtest))
	for _, good := range []string{
		p2wkh, p2tr, p2pkh, p2sh, " " + p2wkh + "\n", strings.ToUpper(p2tr),
	} {
		script, err := payScript(good, regtest)
		require.NoError(t, err, good)
		require.NotEmpty(t, script)
	}

	main := of(btcutil.NewAddressWitnessPubKeyHash(hash, &chaincfg.MainNetParams))
	test := of(btcutil.NewAddressTaproot(make([]byte, 32), &chaincfg.TestNet3Params))
	key := strings.Repeat("02", 33)
	for bad, want := range map[string]string{
		"":                       "empty",
		"nonsense":               "nonsense",
		main:                     "is for mainnet, this node is on regtest",
		test:                     "is for testnet3 or signet, this node is on regtest",
		p2wkh[:len(p2wkh)-1]:     p2wkh[:10],
		key:                      "public key, not an address",
		"lnbcrt10u1pjjjjjjjjjjj": "lnbcrt",
	} {
		_, err := payScript(bad, regtest)
		require.ErrorIs(t, err, ErrAddress, bad)
		require.ErrorContains(t, err, want)
	}
	_, err := payScript(p2pkh, &chaincfg.MainNetParams)
	require.ErrorContains(t, err, "is for testnet3 or signet or regtest, this node is on mainnet")
}

// fixedFees answers every estimate with one rate.
type fixedFees struct {
	chainfee.Estimator

	rate   chainfee.SatPerKWeight
	err    error
	target uint32
}

func (f *fixedFees) EstimateFeePerKW(target uint32) (chainfee.SatPerKWeight, error) {
	f.target = target

	return f.rate, f.err
}

type feeChain struct {
	Chain

	fees *fixedFees
}

func (f feeChain) Fees() chainfee.Estimator { return f.fees }

func TestFeeRate(t *testing.T) {
	fees := &fixedFees{rate: 2500}
	w := &Wallet{opts: Options{Chain: feeChain{fees: fees}, MaxFeeRate: 50}}
	rate := func(asked chainfee.SatPerVByte, target uint32) chainfee.SatPerKWeight {
		r, err := w.feeRate(asked, target)
		require.NoError(t, err)

		return r
	}

	require.Equal(t, chainfee.SatPerKWeight(2500), rate(0, 0))
	require.Equal(t, uint32(defaultConfTarget), fees.target)
	require.Equal(t, chainfee.SatPerKWeight(2500), rate(0, 2))
	require.Equal(t, uint32(2), fees.target)
	require.Equal(t, chainfee.SatPerKWeight(12500), rate(50, 2), "the asked rate wins")
	require.Equal(t, chainfee.FeePerKwFloor, rate(1, 0))

	fees.rate = 1_000_000
	require.Equal(t, chainfee.SatPerKWeight(12500), rate(0, 2), "an estimate is held to the cap")
	fees.rate = 1
	require.Equal(t, chainfee.FeePerKwFloor, rate(0, 2))

	_, err := w.feeRate(51, 0)
	require.ErrorIs(t, err, ErrFeeRate)
	require.ErrorContains(t, err, "max_fee_rate_sat_per_vb = 50")
	fees.err = errors.New("no estimate")
	_, err = w.feeRate(0, 0)
	require.ErrorIs(t, err, fees.err)
}

// testCoin is a p2wkh coin; its number makes its outpoint.
func testCoin(n byte, value btcutil.Amount, confs int32, ancestors int) coin {
	return coin{
		point: wire.OutPoint{Hash: chainhash.Hash{n}}, value: value, confs: confs,
		ancestors: ancestors, trusted: true, pkScript: append([]byte{0, 20}, make([]byte, 20)...),
	}
}

func TestPurseOrder(t *testing.T) {
	p := &purse{coins: []coin{
		testCoin(1, 1_000_000, 0, 3), testCoin(2, 5_000, 1, 0), testCoin(3, 9_000, 8, 0),
		testCoin(4, 700, 0, 1), testCoin(5, 800, 0, 1), testCoin(6, 60, 9, 0),
	}}
	list, order := p.inOrder(0, maxConfirmations)
	require.Len(t, list, 6)

	sorted, err := order.ArrangeCoins(list, 1000)
	require.NoError(t, err)
	var got []byte
	for _, c := range sorted {
		got = append(got, c.OutPoint.Hash[0])
	}
	// Confirmed first, large before small; then change by depth; coin 6 is not worth its fee.
	require.Equal(t, []byte{3, 2, 5, 4, 1}, got)

	list, _ = p.inOrder(1, maxConfirmations)
	require.Len(t, list, 3, "confirmed ones only")
	list, _ = p.inOrder(8, 8)
	require.Len(t, list, 1)
}

func TestPurseCheck(t *testing.T) {
	p := &purse{total: 100_000, reserve: 30_000, leased: 7}
	require.NoError(t, p.check(100_000, 30_000))
	require.NoError(t, p.check(70_000, 0))

	err := p.check(100_000, 29_999)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	var short *FundsError
	require.ErrorAs(t, err, &short)
	require.Equal(t, FundsError{
		Needed: 70_001, Spendable: 70_000, Reserved: 30_000, Leased: 7,
	}, *short)
	require.ErrorContains(t, err, "70001 sat needed with fees, 70000 sat spendable")
	require.ErrorContains(t, err, "30000 sat are kept back")
	require.ErrorContains(t, err, "7 sat are held by channel openings")

	// A reserve above everything.
	p = &purse{total: 10, reserve: 50}
	require.ErrorAs(t, p.check(1, 0), &short)
	require.Equal(t, FundsError{Needed: 1, Spendable: 0, Reserved: 10}, *short)
}

func TestPurseSelectError(t *testing.T) {
	p := &purse{coins: []coin{testCoin(1, 500, 1, 0)}, total: 500}
	list, order := p.inOrder(0, maxConfirmations)
	var rest input.TxWeightEstimator
	rest.AddP2WKHOutput()
	_, _, err := chanfunding.CoinSelect(1000, 2000, 294, list, order, rest,
		chanfunding.P2TRChangeAddress, maxSendFeeRatio)
	require.Error(t, err)

	var short *FundsError
	require.ErrorAs(t, p.selectError(err, 2000, 1000, rest), &short)
	require.Equal(t, btcutil.Amount(500), short.Spendable)
	require.Greater(t, short.Needed, btcutil.Amount(2300), "the fee is in it")
	require.Less(t, short.Needed, btcutil.Amount(2600))

	other := errors.New("another")
	require.ErrorIs(t, p.selectError(other, 1, 1, rest), other)
}

func TestInputFee(t *testing.T) {
	p2wkh := append([]byte{0, 20}, make([]byte, 20)...)
	p2tr := append([]byte{txscript.OP_1, 32}, make([]byte, 32)...)
	require.InDelta(t, 68, int64(inputFee(p2wkh, 1000)), 2)
	require.InDelta(t, 58, int64(inputFee(p2tr, 1000)), 2)
}

func TestFromCoinbase(t *testing.T) {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}})
	require.True(t, fromCoinbase(tx))
	tx.TxIn[0].PreviousOutPoint.Hash[0] = 1
	require.False(t, fromCoinbase(tx))
}
