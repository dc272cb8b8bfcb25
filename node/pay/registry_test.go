package pay

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/lightningnetwork/lnd/tlv"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// quietNotifier never tells of a block.
type quietNotifier struct {
	chainntnfs.ChainNotifier
}

func (quietNotifier) RegisterBlockEpochNtfn(*chainntnfs.BlockEpoch) (
	*chainntnfs.BlockEpochEvent, error) {

	return &chainntnfs.BlockEpochEvent{Epochs: make(chan *chainntnfs.BlockEpoch, 1),
		Cancel: func() {}}, nil
}

// fakeSkim has bought HTLCs of some hashes, up to a fee for each.
type fakeSkim struct {
	bought map[lntypes.Hash]lnwire.MilliSatoshi
	asked  int
	held   []invoices.CircuitKey // when it was asked last
}

func (s *fakeSkim) Judge(hash lntypes.Hash, _ invoices.CircuitKey, _ lnwire.MilliSatoshi,
	records lnwire.CustomRecords, held []invoices.CircuitKey) (lnwire.MilliSatoshi, bool) {

	s.asked++
	s.held = held
	fee, ok := s.ExtraFee(records)
	return fee, ok && fee <= s.bought[hash]
}

func (s *fakeSkim) ExtraFee(records lnwire.CustomRecords) (lnwire.MilliSatoshi, bool) {
	raw, ok := records[ExtraFeeType]
	if !ok || len(raw) != 8 {
		return 0, false
	}
	return lnwire.MilliSatoshi(binary.BigEndian.Uint64(raw)), true
}

func extraFee(fee uint64) lnwire.CustomRecords {
	return lnwire.CustomRecords{ExtraFeeType: binary.BigEndian.AppendUint64(nil, fee)}
}

type testSigner struct{}

func (testSigner) SignMessageCompact(loc keychain.KeyLocator, msg []byte, double bool) ([]byte,
	error) {

	if double || loc.Family != keychain.KeyFamilyNodeKey {
		panic("BUG: an invoice is signed by the node key over a single hash")
	}
	return signWith('U')(msg)
}

// till is a node that is paid.
type till struct {
	*Invoices
	t    *testing.T
	reg  *Registry
	skim *fakeSkim
	now  *clock.TestClock
	hodl chan interface{}
}

func newTill(t *testing.T, chans ...PrivateChannel) *till {
	t.Helper()
	return openTill(t, openChannelDB(t), chans...)
}

// openChannelDB is a real one; it dates HTLCs by the tests' clock, as the registry does.
func openChannelDB(t *testing.T) *channeldb.DB {
	return channeldb.OpenForTesting(t, t.TempDir(),
		channeldb.OptionClock(clock.NewTestClock(testNow)))
}

func openTill(t *testing.T, db *channeldb.DB, chans ...PrivateChannel) *till {
	t.Helper()
	s := &till{t: t, now: clock.NewTestClock(testNow), hodl: make(chan interface{}, 10),
		skim: &fakeSkim{bought: make(map[lntypes.Hash]lnwire.MilliSatoshi)}}
	var err error
	s.reg, err = NewRegistry(RegistryOptions{DB: db, Notifier: quietNotifier{}, Height: 100,
		Hash: chainhash.Hash{1}, Skim: s.skim, Clock: s.now})
	require.NoError(t, err)
	require.NoError(t, s.reg.Start())
	t.Cleanup(func() { _ = s.reg.Stop() })
	s.Invoices, err = NewInvoices(InvoiceOptions{Registry: s.reg,
		Params: &chaincfg.RegressionNetParams, Signer: testSigner{}, Hints: fakeHinter(chans),
		Clock: s.now})
	require.NoError(t, err)
	return s
}

type fakeHinter []PrivateChannel

func (h fakeHinter) PrivateChannels() []PrivateChannel { return h }

// onion is the final payload of a part.
type onion struct {
	invoices.Payload
	total   lnwire.MilliSatoshi
	secret  [32]byte
	records record.CustomSet
	forward lnwire.MilliSatoshi
}

func (o onion) ForwardingInfo() hop.ForwardingInfo {
	return hop.ForwardingInfo{AmountToForward: o.forward}
}

func (o onion) MultiPath() *record.MPP            { return record.NewMPP(o.total, o.secret) }
func (o onion) AMPRecord() *record.AMP            { return nil }
func (o onion) CustomRecords() record.CustomSet   { return o.records }
func (o onion) Metadata() []byte                  { return nil }
func (o onion) PathID() *chainhash.Hash           { return nil }
func (o onion) TotalAmtMsat() lnwire.MilliSatoshi { return o.total }

// part is an HTLC that arrives.
type part struct {
	id      uint64
	amount  lnwire.MilliSatoshi
	total   lnwire.MilliSatoshi
	records lnwire.CustomRecords
	onion   record.CustomSet
	expiry  uint32

	// forward is the amount in the onion; 0 is the amount and the extra_fee.
	forward lnwire.MilliSatoshi
}

// arrive gives an HTLC to the registry as a link does.
func (s *till) arrive(inv Invoice, p part) invoices.HtlcResolution {
	s.t.Helper()
	stored, err := s.reg.LookupInvoice(context.Background(), inv.Hash)
	require.NoError(s.t, err)
	if p.expiry == 0 {
		p.expiry = 100 + DefaultFinalDelta
	}
	if p.forward == 0 {
		fee, _ := s.skim.ExtraFee(p.records)
		p.forward = p.amount + fee
	}
	res, err := s.reg.NotifyExitHopHtlc(inv.Hash, p.amount, p.expiry, 100,
		invoices.CircuitKey{ChanID: scid(7), HtlcID: p.id}, s.hodl, p.records,
		onion{total: p.total, secret: stored.Terms.PaymentAddr, records: p.onion,
			forward: p.forward})
	require.NoError(s.t, err, "an error would fail the channel")
	return res
}

func requireSettled(t *testing.T, res invoices.HtlcResolution) {
	t.Helper()
	require.IsType(t, &invoices.HtlcSettleResolution{}, res)
}

func requireFailed(t *testing.T, res invoices.HtlcResolution) {
	t.Helper()
	require.IsType(t, &invoices.HtlcFailResolution{}, res)
}

func TestReceiveInParts(t *testing.T) {
	s := newTill(t)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount, Description: "tea"})
	require.NoError(t, err)
	require.Equal(t, InvoiceOpen, inv.State)
	waited := make(chan Invoice, 1)
	go func() {
		got, _ := s.Wait(context.Background(), inv.Hash)
		waited <- got
	}()
	require.Nil(t, s.arrive(inv, part{id: 1, amount: 60_000_000, total: testAmount}), "held")
	requireFailed(t, s.arrive(inv, part{id: 2, amount: 1, total: testAmount,
		expiry: 100 + DefaultFinalDelta - 1}))
	requireSettled(t, s.arrive(inv, part{id: 3, amount: 40_000_000, total: testAmount}))
	requireSettled(t, (<-s.hodl).(invoices.HtlcResolution))

	got := <-waited
	require.Equal(t, InvoiceSettled, got.State)
	require.Equal(t, testAmount, got.Paid)
	require.Equal(t, testAmount, got.Received())
	require.Equal(t, 2, got.Parts)
	require.Equal(t, inv.Hash, got.Preimage.Hash())
	require.Equal(t, "tea", got.Description)
	require.ErrorIs(t, s.Cancel(t.Context(), inv.Hash), ErrNotOpen)
	requireFailed(t, s.arrive(inv, part{id: 4, amount: testAmount, total: testAmount}))
}

// A fee that was bought counts as paid: the set is complete with the fee, and not a msat before.
func TestSkimBought(t *testing.T) {
	checklist.Shows(t, "LSPS2-45", "the fee does not count as paid")
	s := newTill(t)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount})
	require.NoError(t, err)
	s.skim.bought[inv.Hash] = 2_000_000
	require.Nil(t, s.arrive(inv, part{id: 1, amount: 58_000_000, total: testAmount,
		records: extraFee(2_000_000)}))
	require.Nil(t, s.arrive(inv, part{id: 2, amount: 39_999_999, total: testAmount}),
		"one msat is missing")
	requireFailed(t, s.arrive(inv, part{id: 4, amount: 9, total: testAmount, forward: 11,
		records: extraFee(1)}))
	requireFailed(t, s.arrive(inv, part{id: 5, amount: 9, total: testAmount, forward: 9,
		records: extraFee(10)}))
	requireSettled(t, s.arrive(inv, part{id: 3, amount: 1, total: testAmount}))
	got, err := s.Lookup(t.Context(), inv.Hash)
	require.NoError(t, err)
	require.Equal(t, testAmount, got.Paid)
	require.EqualValues(t, 2_000_000, got.Skimmed)
	require.EqualValues(t, 98_000_000, got.Received())
	require.Equal(t, 1, s.skim.asked)
}

// An HTLC with a fee that nobody agreed to is failed at once, and so is what it came with.
func TestSkimNotBought(t *testing.T) {
	checklist.Shows(t, "LSPS2-44", "a fee that was not agreed is credited")
	for name, records := range map[string]lnwire.CustomRecords{
		"no purchase":  extraFee(1),
		"too dear":     extraFee(2_000_001),
		"seven bytes":  {ExtraFeeType: make([]byte, 7)},
		"empty record": {ExtraFeeType: nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTill(t)
			inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount})
			require.NoError(t, err)
			if name != "no purchase" {
				s.skim.bought[inv.Hash] = 2_000_000
			}
			require.Nil(t, s.arrive(inv, part{id: 1, amount: 50_000_000, total: testAmount}))
			requireFailed(t, s.arrive(inv, part{id: 2, amount: 50_000_000, total: testAmount,
				records: records}))
			requireFailed(t, (<-s.hodl).(invoices.HtlcResolution))
			got, err := s.Lookup(t.Context(), inv.Hash)
			require.NoError(t, err)
			require.Equal(t, InvoiceOpen, got.State, "the invoice can still be paid")
			requireSettled(t, s.arrive(inv, part{id: 3, amount: testAmount, total: testAmount}))
		})
	}
}

// A replay is answered from the record, also after a restart and when its purchase has ended.
func TestSkimReplayed(t *testing.T) {
	db := openChannelDB(t)
	s := openTill(t, db)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount})
	require.NoError(t, err)
	s.skim.bought[inv.Hash] = 2_000_000
	held := part{id: 1, amount: 58_000_000, total: testAmount, records: extraFee(2_000_000)}
	require.Nil(t, s.arrive(inv, held))
	require.NoError(t, s.reg.Stop())

	s = openTill(t, db)
	require.Nil(t, s.arrive(inv, held), "held again")
	last := part{id: 2, amount: 40_000_000, total: testAmount}
	requireSettled(t, s.arrive(inv, last))
	requireSettled(t, (<-s.hodl).(invoices.HtlcResolution))
	requireSettled(t, s.arrive(inv, held))
	requireSettled(t, s.arrive(inv, last))
	require.Zero(t, s.skim.asked)
}

// A part counts beside the others while it is held and when it is settled, and no more when
// its set has timed out.
func TestSkimHeld(t *testing.T) {
	s := newTill(t)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount})
	require.NoError(t, err)
	s.skim.bought[inv.Hash] = 2_000_000
	key := func(id uint64) invoices.CircuitKey {
		return invoices.CircuitKey{ChanID: scid(7), HtlcID: id}
	}
	held := func(want ...invoices.CircuitKey) {
		t.Helper()
		got, err := s.reg.Held(inv.Hash)
		require.NoError(t, err)
		require.ElementsMatch(t, want, got)
	}
	held()
	require.Nil(t, s.arrive(inv, part{id: 1, amount: 48_000_000, total: testAmount,
		records: extraFee(2_000_000)}))
	require.Empty(t, s.skim.held)
	require.Nil(t, s.arrive(inv, part{id: 2, amount: 10_000_000, total: testAmount,
		records: extraFee(1_000_000)}))
	require.Equal(t, []invoices.CircuitKey{key(1)}, s.skim.held)
	held(key(1), key(2))
	s.now.SetTime(testNow.Add(invoices.DefaultHtlcHoldDuration + time.Millisecond))
	requireFailed(t, (<-s.hodl).(invoices.HtlcResolution))
	requireFailed(t, (<-s.hodl).(invoices.HtlcResolution))
	held()

	requireSettled(t, s.arrive(inv, part{id: 3, amount: 98_000_000, total: testAmount,
		records: extraFee(2_000_000)}))
	require.Empty(t, s.skim.held, "the payer's first try has failed")
	held(key(3))
	_, err = s.reg.Held(lntypes.Hash{1})
	require.ErrorIs(t, err, invoices.ErrInvoiceNotFound)
}

// A payer cannot pretend, by a record in the onion, that its peer withheld a fee.
func TestSkimOfPayerIgnored(t *testing.T) {
	s := newTill(t)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: testAmount})
	require.NoError(t, err)
	requireSettled(t, s.arrive(inv, part{id: 1, amount: testAmount, total: testAmount,
		onion: record.CustomSet{ExtraFeeType: extraFee(5)[ExtraFeeType], 70000: {1}}}))
	got, err := s.Lookup(t.Context(), inv.Hash)
	require.NoError(t, err)
	require.Zero(t, got.Skimmed)
	require.Equal(t, testAmount, got.Received())
}

func TestShaper(t *testing.T) {
	s := NewShaper(&fakeSkim{})
	require.True(t, s.IsCustomHTLC(extraFee(1)))
	require.False(t, s.IsCustomHTLC(nil))
	require.False(t, s.IsCustomHTLC(lnwire.CustomRecords{ExtraFeeType: {1}}))
	require.False(t, s.IsCustomHTLC(lnwire.CustomRecords{ExtraFeeType + 1: make([]byte, 8)}))
	require.False(t, Shaper{}.IsCustomHTLC(extraFee(1)), "a node that buys nothing")
	handles, err := s.ShouldHandleTraffic(scid(1), fn.None[tlv.Blob](), fn.None[tlv.Blob]())
	require.NoError(t, err)
	require.False(t, handles)
	none := fn.None[tlv.Blob]()
	room, err := s.PaymentBandwidth(none, none, none, 5, 6, lnwallet.AuxHtlcView{}, route.Vertex{})
	require.NoError(t, err)
	require.EqualValues(t, 5, room)
	amount, records, err := s.ProduceHtlcExtraData(7, extraFee(1), route.Vertex{})
	require.NoError(t, err)
	require.EqualValues(t, 7, amount)
	require.Equal(t, extraFee(1), records)
}

func TestExpiryAndCancel(t *testing.T) {
	s := newTill(t)
	short, err := s.Create(t.Context(), InvoiceRequest{Amount: 1000, Expiry: time.Minute})
	require.NoError(t, err)
	long, err := s.Create(t.Context(), InvoiceRequest{Amount: 1000})
	require.NoError(t, err)
	require.NoError(t, s.Cancel(t.Context(), long.Hash))
	require.ErrorIs(t, s.Cancel(t.Context(), long.Hash), ErrNotOpen)
	got, err := s.Lookup(t.Context(), long.Hash)
	require.NoError(t, err)
	require.Equal(t, InvoiceCanceled, got.State)
	requireFailed(t, s.arrive(long, part{id: 1, amount: 1000, total: 1000}))

	waited := make(chan Invoice, 1)
	go func() {
		got, _ := s.Wait(context.Background(), short.Hash)
		waited <- got
	}()
	// lnd's watcher spins on a clock that stands at the very moment of expiry.
	s.now.SetTime(testNow.Add(time.Minute + time.Millisecond))
	require.Equal(t, InvoiceExpired, (<-waited).State)

	_, err = s.Lookup(t.Context(), lntypes.Hash{1})
	require.ErrorIs(t, err, ErrUnknownInvoice)
	_, err = s.Wait(t.Context(), lntypes.Hash{1})
	require.ErrorIs(t, err, ErrUnknownInvoice)
	require.ErrorIs(t, s.Cancel(t.Context(), lntypes.Hash{1}), ErrUnknownInvoice)
}

func TestWaitEndsWithTheRegistry(t *testing.T) {
	s := newTill(t)
	inv, err := s.Create(t.Context(), InvoiceRequest{Amount: 1000})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Wait(context.Background(), inv.Hash)
		ended <- err
	}()
	require.NoError(t, s.reg.Stop())
	require.ErrorIs(t, <-ended, ErrStopped)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = newTill(t)
	inv, err = s.Create(t.Context(), InvoiceRequest{Amount: 1000})
	require.NoError(t, err)
	_, err = s.Wait(ctx, inv.Hash)
	require.ErrorIs(t, err, context.Canceled)
}
