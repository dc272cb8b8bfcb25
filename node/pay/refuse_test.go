package pay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"
)

// What cannot be paid is refused before anything is stored or sent, and says what to do.
func TestPayRefuses(t *testing.T) {
	regtest := &chaincfg.RegressionNetParams
	features := func(bits ...lnwire.FeatureBit) func(*zpay32.Invoice) {
		return zpay32.Features(lnwire.NewFeatureVector(
			lnwire.NewRawFeatureVector(bits...), lnwire.Features))
	}
	noAmount := func(i *zpay32.Invoice) { i.MilliSat = nil }
	noSecret := func(i *zpay32.Invoice) { i.PaymentAddr = fn.None[[32]byte]() }
	good := invoiceOf(t, regtest)
	for _, c := range []struct {
		name    string
		invoice string
		amount  lnwire.MilliSatoshi
		now     time.Time
		want    error
		text    string
	}{
		{name: "nothing", want: ErrBadInvoice},
		{name: "an address", invoice: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7k", want: ErrBadInvoice},
		{name: "a changed letter", invoice: good[:60] + "q" + good[61:], want: ErrBadInvoice},
		{name: "cut off", invoice: good[:len(good)-1], want: ErrBadInvoice},
		{name: "mainnet", invoice: invoiceOf(t, &chaincfg.MainNetParams),
			want: ErrForeignNetwork, text: "for mainnet and this node is on regtest"},
		{name: "testnet", invoice: invoiceOf(t, &chaincfg.TestNet3Params),
			want: ErrForeignNetwork, text: "testnet"},
		{name: "signet", invoice: invoiceOf(t, &chaincfg.SigNetParams),
			want: ErrForeignNetwork, text: "signet"},
		{name: "expired", invoice: good, now: testNow.Add(time.Hour), want: ErrExpired,
			text: "2026-11-23T13:00:00Z"},
		{name: "no secret", invoice: invoiceOf(t, regtest, noSecret), want: ErrBadInvoice,
			text: "no payment secret"},
		{name: "an unknown feature", want: ErrUnsupported, text: "[260]",
			invoice: invoiceOf(t, regtest, features(9, 14, 260))},
		{name: "AMP", invoice: invoiceOf(t, regtest, features(9, 14, 30)), want: ErrUnsupported},
		{name: "a huge final delta", want: ErrUnsupported, text: "2017",
			invoice: invoiceOf(t, regtest, zpay32.CLTVExpiry(2017))},
		{name: "no amount", invoice: invoiceOf(t, regtest, noAmount), want: ErrAmountMissing},
		{name: "no amount, too much", invoice: invoiceOf(t, regtest, noAmount),
			amount: maxMoney + 1, want: ErrAmountTooLarge},
		{name: "too little", invoice: good, amount: testAmount - 1, want: ErrUnderpaid,
			text: "100000000 msat"},
		{name: "too much", invoice: good, amount: 2*testAmount + 1, want: ErrOverpaid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
			if !c.now.IsZero() {
				r.now.SetTime(c.now)
			}
			r.run()
			_, err := r.Pay(t.Context(), PayRequest{Invoice: c.invoice, Amount: c.amount})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			list, err := r.List(0, 0)
			require.NoError(t, err)
			require.Empty(t, list)
			require.Empty(t, r.sw.sends)
		})
	}
}

func TestPayRefusesOwnInvoice(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	r.opts.Self = node('D')
	r.run()
	_, err := r.Pay(t.Context(), PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	require.ErrorIs(t, err, ErrOwnInvoice)
}

func TestPayNeedsRoom(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	r.limit = 0
	r.run()
	_, err := r.Pay(t.Context(), PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	require.ErrorIs(t, err, ErrBusy)
}

// A payment without a way is stored as failed and tells why; another try is free to come.
func TestPayWithoutWay(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), fakeChannels{}).run()
	for n := range 3 {
		p, err := r.Pay(t.Context(),
			PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
		require.NoError(t, err)
		require.Equal(t, Failed, p.Status)
		require.Contains(t, p.Failure.Text, "no channel of ours")
		require.EqualValues(t, n+1, p.Index)
	}
}

// Two who pay the same invoice at once: one pays, the other is told.
func TestPayTwiceAtOnce(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels).run()
	req := PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams), MaxParts: 2}
	const callers = 20
	outs := make(chan outcome, callers)
	for range callers {
		go func() {
			p, err := r.Pay(context.Background(), req)
			outs <- outcome{p, err}
		}()
	}
	for range callers - 1 {
		require.ErrorIs(t, (<-outs).err, ErrInFlight)
	}
	r.sw.resolve(r.sw.next(t).id, nil)
	r.sw.resolve(r.sw.next(t).id, nil)
	require.NoError(t, (<-outs).err)
	require.Empty(t, r.sw.sends)
}

// brokenDB fails writes once it is broken.
type brokenDB struct {
	kvdb.Backend
	broken bool
}

var errDisk = errors.New("no space left on device")

func (b *brokenDB) Update(f func(kvdb.RwTx) error, reset func()) error {
	if b.broken {
		return errDisk
	}
	return b.Backend.Update(f, reset)
}

// What cannot be stored is not sent.
func TestPayOnFullDisk(t *testing.T) {
	db := &brokenDB{Backend: openDB(t, t.TempDir())}
	r := newRig(t, db, newFakeSwitch(), twoChannels).run()
	db.broken = true
	_, err := r.Pay(t.Context(), PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	require.ErrorIs(t, err, errDisk)
	require.Empty(t, r.sw.sends)
}

// The switch refuses a part and keeps no circuit: it goes another way.
func TestSendRefused(t *testing.T) {
	for _, refusal := range []error{
		htlcswitch.NewLinkError(&lnwire.FailUnknownNextPeer{}),
		errors.New("fee exposure exceeded"),
	} {
		channels := fakeChannels{channel(1, 'P', 200_000_000), channel(2, 'Q', 150_000_000)}
		r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), channels)
		r.sw.refuse = func(s sent) (error, bool) {
			if s.scid == scid(1) {
				return refusal, false
			}
			return nil, false
		}
		r.run()
		out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
		require.Equal(t, scid(1), r.sw.next(t).scid)
		second := r.sw.next(t)
		require.Equal(t, scid(2), second.scid)
		r.sw.resolve(second.id, nil)
		got := <-out
		require.Equal(t, Succeeded, got.payment.Status)
		require.Equal(t, "this node", got.payment.Parts[0].Failure.Source)
	}
}

// The switch gives an error but keeps a circuit: the part may still leave, so it is waited for and
// nothing is sent in its place.
func TestSendInLimbo(t *testing.T) {
	channels := fakeChannels{channel(1, 'P', 200_000_000), channel(2, 'Q', 150_000_000)}
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), channels)
	r.sw.refuse = func(s sent) (error, bool) {
		return errors.New("mailbox is shutting down"), true
	}
	r.run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams),
		Timeout: time.Minute})
	r.sw.next(t)
	r.now.SetTime(testNow.Add(time.Minute))
	got := <-out
	require.Equal(t, InFlight, got.payment.Status)
	require.Equal(t, 1, got.payment.Live())
	require.Empty(t, r.sw.sends)
}
