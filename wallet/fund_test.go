package wallet

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwallet/chanfunding"
	"github.com/stretchr/testify/require"
)

// anAddress is where nobody is; a stored channel needs one.
func anAddress() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9735} }

// reserveChannel asks lnwallet for a private zero-conf channel of the amount.
func (b *bench) reserveChannel(amount btcutil.Amount, minConfs int32) (
	*lnwallet.ChannelReservation, error) {

	peer, err := btcec.NewPrivateKey()
	require.NoError(b.t, err)

	return b.Lightning().InitChannelReservation(&lnwallet.InitFundingReserveMsg{
		ChainHash: chaincfg.RegressionNetParams.GenesisHash, PendingChanID: [32]byte(randomBytes(32)),
		NodeID: peer.PubKey(), NodeAddr: anAddress(), LocalFundingAmt: amount,
		CommitFeePerKw:  500,
		FundingFeePerKw: 1000, MinConfs: minConfs, ChanFunder: b.Funder(), ZeroConf: true,
		CommitType: lnwallet.CommitmentTypeAnchorsZeroFeeHtlcTx, OptionScidAlias: true,
		ScidAliasFeature: true,
	})
}

func TestFunderReservesAndFrees(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 2)
	require.NoError(t, b.CanFund(150_000, 1000))

	// Who remembers what can be spent (the LSP's menu does) must hear of both, or channels are
	// refused until the next block after each opening that failed.
	heard := func(do func()) {
		t.Helper()
		changed := b.Changed()
		do()
		select {
		case <-changed:
		default:
			t.Error("the coins have changed, and nobody was told")
		}
	}
	var (
		res *lnwallet.ChannelReservation
		err error
	)
	heard(func() { res, err = b.reserveChannel(150_000, 1) })
	require.NoError(t, err)
	require.Equal(t, btcutil.Amount(200_000), b.balance().Leased)
	require.Zero(t, b.balance().Spendable)
	require.ErrorIs(t, b.CanFund(20_000, 1000), ErrInsufficientFunds)
	_, err = b.reserveChannel(20_000, 1)
	var short *FundsError
	require.ErrorAs(t, err, &short)
	require.Equal(t, btcutil.Amount(200_000), short.Leased)

	heard(func() { require.NoError(t, res.Cancel()) })
	require.Equal(t, Balance{Confirmed: 200_000, Spendable: 200_000}, b.balance())
}

func TestFunderLeavesTheReserve(t *testing.T) {
	reserve := btcutil.Amount(60_000)
	b := newBench(t, func(o *Options) { o.AnchorReserve = func(int) btcutil.Amount { return reserve } })
	b.fund(100_000, 1)

	// One coin has to pay for both: the change is the reserve.
	require.NoError(t, b.CanFund(39_000, 253))
	require.ErrorIs(t, b.CanFund(40_000, 253), ErrInsufficientFunds)
	_, err := b.reserveChannel(40_000, 1)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	require.Equal(t, Balance{Confirmed: 100_000, Spendable: 40_000, Reserved: 60_000}, b.balance(),
		"the refusal holds nothing")
	require.Equal(t, btcutil.Amount(40_000), b.fundable())
	res, err := b.reserveChannel(39_000, 1)
	require.NoError(t, err)
	require.NoError(t, res.Cancel())

	reserve = 200_000
	require.Equal(t, Balance{Confirmed: 100_000, Reserved: 100_000}, b.balance())
	require.Zero(t, b.fundable())
	_, err = b.reserveChannel(20_000, 1)
	require.ErrorIs(t, err, ErrInsufficientFunds)
}

// The channel to come has its part in the reserve: looked ahead it is one more, at its opening it is
// counted already.
func TestReserveOfTheNewChannel(t *testing.T) {
	channels := 0
	b := newBench(t, func(o *Options) {
		o.AnchorReserve = func(more int) btcutil.Amount {
			return 10_000 * btcutil.Amount(channels+more)
		}
	})
	b.fund(100_000, 1)
	require.Equal(t, Balance{Confirmed: 100_000, Spendable: 100_000}, b.balance())
	require.Equal(t, btcutil.Amount(90_000), b.fundable())
	require.NoError(t, b.CanFund(89_000, 253))
	require.ErrorIs(t, b.CanFund(90_000, 253), ErrInsufficientFunds)

	channels = 1 // being opened
	_, err := b.reserveChannel(90_000, 1)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	res, err := b.reserveChannel(89_000, 1)
	require.NoError(t, err)
	require.NoError(t, res.Cancel())
}

// A channel that the peer funds needs no coins.
func TestFunderOfThePeer(t *testing.T) {
	b := newBench(t, nil)
	intent, err := b.Funder().ProvisionChannel(&chanfunding.Request{RemoteAmt: 50_000})
	require.NoError(t, err)
	require.Equal(t, btcutil.Amount(50_000), intent.RemoteFundingAmt())
	intent.Cancel()
}

func TestFunderUsesChangeWhenAsked(t *testing.T) {
	b := newBench(t, nil)
	b.fund(100_000, 1)
	b.send(SendRequest{Address: foreign(t).EncodeAddress(), Amount: 20_000, FeeRate: 2})

	_, err := b.reserveChannel(50_000, 1)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	res, err := b.reserveChannel(50_000, 0)
	require.NoError(t, err)
	require.NoError(t, res.Cancel())
	b.mine(1)
}

// Openings, sends and leases at once: no coin has two uses, and everything comes back.
func TestFunderConcurrent(t *testing.T) {
	b := newBench(t, nil)
	const each, count = btcutil.Amount(50_000), 10
	b.fund(each, count)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		all []*lnwallet.ChannelReservation
	)
	for range count {
		wg.Go(func() {
			res, err := b.reserveChannel(30_000, 1)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, res)
		})
	}
	wg.Wait()
	require.Len(t, all, count)
	require.Equal(t, Balance{Confirmed: each * count, Leased: each * count}, b.balance())
	for _, res := range all {
		wg.Go(func() {
			if err := res.Cancel(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, Balance{Confirmed: each * count, Spendable: each * count}, b.balance())
}

// A whole opening between two wallets: keys, signatures and the funding transaction are good.
func TestOpening(t *testing.T) {
	us, them := newBench(t, nil), newBench(t, nil)
	us.fund(1_000_000, 1)
	require.NoError(t, us.WarmKeys())
	ch, tx := openChannel(t, us, them)
	require.Equal(t, btcutil.Amount(500_000), ch.Capacity)
	require.True(t, ch.ChanType.HasFundingTx(), "the funding transaction is stored with the channel")

	// Withheld: the coins stay leased, renewed and over a restart, and nothing is broadcast.
	pool, err := us.node.Mempool()
	require.NoError(t, err)
	require.NotContains(t, pool, tx.TxHash())
	var inputs []wire.OutPoint
	for _, in := range tx.TxIn {
		inputs = append(inputs, in.PreviousOutPoint)
	}
	require.NoError(t, us.RenewLeases(tx, time.Now().Add(time.Hour)))
	us.reopen()
	stale, err := us.ReleaseStale(func(p wire.OutPoint) bool { return p == inputs[0] })
	require.NoError(t, err)
	require.Empty(t, stale)
	require.Equal(t, btcutil.Amount(1_000_000), us.balance().Leased)
	require.Zero(t, us.balance().Spendable)

	require.NoError(t, us.Publish(tx, "funding"))
	us.inMempool(tx.TxHash())
	got := us.awaitBalance("the change", func(now Balance) bool { return now.Unconfirmed > 0 })
	require.Equal(t, got.Unconfirmed, got.Spendable)
	require.Zero(t, got.Leased, "what is spent is not leased")
	require.NoError(t, us.Publish(tx, "funding"), "again is fine")
	us.mine(1)
	require.Equal(t, got.Unconfirmed, us.balance().Confirmed)
}

// openChannel runs lnwallet's reservation on both sides and withholds the transaction.
func openChannel(t testing.TB, us, them *bench) (*channeldb.OpenChannel, *wire.MsgTx) {
	t.Helper()
	ours, err := us.reserveChannel(500_000, 1)
	require.NoError(t, err)
	pending := [32]byte(randomBytes(32))
	theirs, err := them.Lightning().InitChannelReservation(&lnwallet.InitFundingReserveMsg{
		ChainHash: chaincfg.RegressionNetParams.GenesisHash, PendingChanID: pending,
		NodeID: us.NodeKey().PubKey(), NodeAddr: anAddress(), RemoteFundingAmt: 500_000,
		CommitFeePerKw: 500,
		ZeroConf:       true, CommitType: lnwallet.CommitmentTypeAnchorsZeroFeeHtlcTx,
		OptionScidAlias: true, ScidAliasFeature: true,
	})
	require.NoError(t, err)

	bounds := channeldb.ChannelStateBounds{
		ChanReserve: 5_000, MaxPendingAmount: 400_000_000, MinHTLC: 1, MaxAcceptedHtlcs: 483,
	}
	params := channeldb.CommitmentParams{DustLimit: 354, CsvDelay: 144}
	require.NoError(t, ours.CommitConstraints(&bounds, &params, 2016, false))
	require.NoError(t, theirs.CommitConstraints(&bounds, &params, 2016, true))
	their := theirs.OurContribution()
	their.ChannelStateBounds, their.CommitmentParams = bounds, params
	require.NoError(t, ours.ProcessContribution(their))
	our := ours.OurContribution()
	our.ChannelStateBounds, our.CommitmentParams = bounds, params
	require.NoError(t, theirs.ProcessSingleContribution(our))

	_, ourSig := ours.OurSignatures()
	point := ours.FundingOutpoint()
	_, err = theirs.CompleteReservationSingle(point, ourSig,
		fn.None[lnwallet.AuxFundingDesc]())
	require.NoError(t, err)
	_, theirSig := theirs.OurSignatures()
	ch, err := ours.CompleteReservation(nil, theirSig)
	require.NoError(t, err)

	return ch, ch.FundingTxn
}

func BenchmarkOpening(b *testing.B) {
	us := newBench(b, nil)
	us.fund(100_000, 60)
	require.NoError(b, us.WarmKeys())
	b.Run("reserve", func(b *testing.B) {
		for range b.N {
			res, err := us.reserveChannel(50_000, 1)
			require.NoError(b, err)
			b.StopTimer()
			require.NoError(b, res.Cancel())
			b.StartTimer()
		}
	})
	b.Run("coins", func(b *testing.B) {
		for range b.N {
			_, err := us.coins()
			require.NoError(b, err)
		}
	})
	b.Run("change address", func(b *testing.B) {
		for range b.N {
			_, err := us.changeScript()
			require.NoError(b, err)
		}
	})
}
