package pay

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"
)

// invoiceOf writes an invoice of node D; fields come after the usual ones and so replace them.
func invoiceOf(t *testing.T, params *chaincfg.Params, fields ...func(*zpay32.Invoice)) string {
	t.Helper()
	hint := func(n uint64, from byte) zpay32.HopHint {
		return zpay32.HopHint{NodeID: privKey(from).PubKey(), ChannelID: n, FeeBaseMSat: 1000,
			FeeProportionalMillionths: 100, CLTVExpiryDelta: 40}
	}
	usual := []func(*zpay32.Invoice){
		zpay32.Amount(testAmount), zpay32.Description("tea"), zpay32.CLTVExpiry(80),
		zpay32.PaymentAddr([32]byte{7}), zpay32.Features(invoiceFeatures(false)),
		zpay32.Metadata([]byte("metadata")),
		zpay32.RouteHint([]zpay32.HopHint{hint(1001, 'P')}),
		zpay32.RouteHint([]zpay32.HopHint{hint(1002, 'Q')}),
	}
	inv, err := zpay32.NewInvoice(params, testPreimage.Hash(), testNow, append(usual, fields...)...)
	require.NoError(t, err)
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: signWith('D')})
	require.NoError(t, err)
	return text
}

func signWith(name byte) func([]byte) ([]byte, error) {
	return func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(privKey(name), chainhash.HashB(msg), true), nil
	}
}

// fakeChannels are our channels: two of 60,000 sat, with P and with Q.
type fakeChannels []Channel

func (c fakeChannels) Sendable() []Channel { return c }

var twoChannels = fakeChannels{channel(1, 'P', 60_100_000), channel(2, 'Q', 60_100_000)}

// rig is a node that pays.
type rig struct {
	*Payments
	t    *testing.T
	sw   *fakeSwitch
	db   kvdb.Backend
	now  *clock.TestClock
	stop func()

	mu      sync.Mutex
	updates []Payment
}

func openDB(t *testing.T, dir string) kvdb.Backend {
	t.Helper()
	db, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{DBPath: dir, DBFileName: "test.db",
		NoFreelistSync: true, DBTimeout: kvdb.DefaultDBTimeout})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newRig(t *testing.T, db kvdb.Backend, sw *fakeSwitch, channels Channels) *rig {
	t.Helper()
	r := &rig{t: t, sw: sw, db: db, now: clock.NewTestClock(testNow)}
	p, err := New(Options{DB: db, Params: &chaincfg.RegressionNetParams, Self: node('U'),
		Switch: sw, Channels: channels, IDs: sw, Clock: r.now, Updates: r.update})
	require.NoError(t, err)
	r.Payments = p
	return r
}

// run starts the payments; they stop with the test at the latest.
func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-done)
	})
	r.t.Cleanup(r.stop)
	select {
	case <-r.Ready():
	case err := <-done:
		require.NoError(r.t, err)
	}
	return r
}

func (r *rig) update(p Payment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = append(r.updates, p)
}

type outcome struct {
	payment Payment
	err     error
}

// start pays in the background.
func (r *rig) start(req PayRequest) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		p, err := r.Pay(context.Background(), req)
		out <- outcome{p, err}
	}()
	return out
}

func TestPay(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	_, err := r.Pay(t.Context(), PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	require.ErrorIs(t, err, ErrStopped, "before Run")
	r.run()

	inv := invoiceOf(t, &chaincfg.RegressionNetParams)
	out := r.start(PayRequest{Invoice: "LIGHTNING:" + inv})
	first, second := r.sw.next(t), r.sw.next(t)
	again, err := r.Pay(t.Context(), PayRequest{Invoice: inv})
	require.ErrorIs(t, err, ErrInFlight)
	require.Equal(t, InFlight, again.Status)
	require.Len(t, again.Parts, 2)

	r.sw.resolve(first.id, nil)
	got := <-out
	require.NoError(t, got.err)
	require.Equal(t, Succeeded, got.payment.Status)
	require.Equal(t, testPreimage, *got.payment.Preimage)
	require.Equal(t, testAmount, got.payment.Amount)
	require.Equal(t, first.add.Amount+second.add.Amount-testAmount, got.payment.Fee)
	require.Equal(t, 2, got.payment.Live())

	again, err = r.Pay(t.Context(), PayRequest{Invoice: inv})
	require.ErrorIs(t, err, ErrAlreadyPaid)
	require.Equal(t, testPreimage, *again.Preimage, "the stored result comes with the error")
	r.now.SetTime(testNow.Add(48 * time.Hour))
	_, err = r.Pay(t.Context(), PayRequest{Invoice: inv})
	require.ErrorIs(t, err, ErrAlreadyPaid, "also when the invoice has expired since")
	r.sw.resolve(second.id, nil)
	r.waitOver()

	require.Empty(t, r.sw.sends, "nothing else was sent")
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.updates, 3)
	last := r.updates[2]
	require.Equal(t, Succeeded, last.Parts[0].Status)
	require.Equal(t, Succeeded, last.Parts[1].Status)
}

// The onion that leaves is what each node of the route must get.
func TestOnionPayloads(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels).run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams),
		Amount: testAmount + 5000})
	var sum lnwire.MilliSatoshi
	for range 2 {
		msg := r.sw.next(t)
		peer, edge := byte('P'), uint64(1001)
		if msg.scid == scid(2) {
			peer, edge = 'Q', 1002
		}
		require.EqualValues(t, 800_000+80+3+40, msg.add.Expiry, "padded by 3 blocks")
		forward, next := peel(t, peer, msg.add.OnionBlob[:], msg.add.PaymentHash)
		require.Equal(t, hop.NewChannelNextHop(scid(edge)), forward.ForwardingInfo().NextHop)
		require.EqualValues(t, 800_000+80+3, forward.ForwardingInfo().OutgoingCLTV)
		amount := forward.ForwardingInfo().AmountToForward
		require.Equal(t, msg.add.Amount, amount+1000+amount*100/1_000_000, "the hint's fee")

		final, _ := peel(t, 'D', next, msg.add.PaymentHash)
		require.Equal(t, amount, final.ForwardingInfo().AmountToForward)
		require.EqualValues(t, 800_000+80+3, final.ForwardingInfo().OutgoingCLTV)
		require.Equal(t, testAmount+5000, final.MultiPath().TotalMsat(), "of the whole set")
		require.Equal(t, [32]byte{7}, final.MultiPath().PaymentAddr())
		require.Equal(t, "metadata", string(final.Metadata()))
		sum += amount
		r.sw.resolve(msg.id, nil)
	}
	require.Equal(t, testAmount+5000, sum)
	require.Equal(t, Succeeded, (<-out).payment.Status)
}

// peel reads the payload of a node and gives the onion for the next.
func peel(t *testing.T, name byte, onion []byte, hash [32]byte) (*hop.Payload, []byte) {
	t.Helper()
	var packet sphinx.OnionPacket
	require.NoError(t, packet.Decode(bytes.NewReader(onion)))
	router := sphinx.NewRouter(&keychain.PrivKeyECDH{PrivKey: privKey(name)},
		sphinx.NewMemoryReplayLog())
	require.NoError(t, router.Start())
	defer router.Stop()
	processed, err := router.ProcessOnionPacket(&packet, hash[:], 1)
	require.NoError(t, err)
	payload, _, err := hop.ParseTLVPayload(bytes.NewReader(processed.Payload.Payload))
	require.NoError(t, err)
	var next bytes.Buffer
	if processed.NextPacket != nil {
		require.NoError(t, processed.NextPacket.Encode(&next))
	}
	return payload, next.Bytes()
}
