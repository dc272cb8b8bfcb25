package pay

import (
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/routing/route"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp/checklist"
)

func hopHint(n uint64, from byte) zpay32.HopHint {
	return zpay32.HopHint{NodeID: privKey(from).PubKey(), ChannelID: n, FeeBaseMSat: 1,
		FeeProportionalMillionths: 2, CLTVExpiryDelta: 3}
}

func decode(t *testing.T, bolt11 string) *zpay32.Invoice {
	t.Helper()
	inv, err := zpay32.Decode(bolt11, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return inv
}

func TestCreateDefaults(t *testing.T) {
	s := newTill(t, PrivateChannel{Hop: hopHint(5, 'P'), Receivable: 1})
	inv, err := s.Create(t.Context(), InvoiceRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 1, inv.Index)
	require.Equal(t, testNow.Add(time.Hour), inv.Expires.UTC())
	got := decode(t, inv.Bolt11)
	require.Nil(t, got.MilliSat)
	require.Equal(t, "", *got.Description)
	require.Equal(t, time.Hour, got.Expiry())
	require.EqualValues(t, 80, got.MinFinalCLTVExpiry())
	require.Equal(t, node('U'), route.NewVertex(got.Destination))
	require.Len(t, got.RouteHints, 1)
	require.EqualValues(t, 5, got.RouteHints[0][0].ChannelID)
	require.EqualValues(t, 3, got.RouteHints[0][0].CLTVExpiryDelta)
	for _, bit := range []lnwire.FeatureBit{8, 14, 17} {
		require.True(t, got.Features.IsSet(bit), "bit %d", bit)
	}
	other, err := s.Create(t.Context(), InvoiceRequest{})
	require.NoError(t, err)
	require.NotEqual(t, inv.Hash, other.Hash)
	require.NotEqual(t, got.PaymentAddr, decode(t, other.Bolt11).PaymentAddr)
}

// What a client of bLIP-52 writes for an order with a variable amount.
func TestCreateForJIT(t *testing.T) {
	checklist.Shows(t, "LSPS2-37", "PadDelta is left out of the invoice")
	checklist.Shows(t, "LSPS2-38", "NoMPP is not heeded")
	s := newTill(t, PrivateChannel{Hop: hopHint(5, 'P'), Receivable: 1})
	preimage := lntypes.Preimage{9}
	inv, err := s.Create(t.Context(), InvoiceRequest{
		Description: "tea",
		NotAfter:    testNow.Add(10 * time.Minute),
		FinalDelta:  40,
		PadDelta:    2,
		Hints:       [][]zpay32.HopHint{{hopHint(77, 'L')}},
		NoMPP:       true,
		Preimage:    &preimage,
	})
	require.NoError(t, err)
	require.Equal(t, preimage.Hash(), inv.Hash)
	got := decode(t, inv.Bolt11)
	require.Equal(t, 10*time.Minute, got.Expiry())
	require.EqualValues(t, 42, got.MinFinalCLTVExpiry(), "2 blocks more are written")
	require.Len(t, got.RouteHints, 1)
	require.EqualValues(t, 77, got.RouteHints[0][0].ChannelID)
	require.False(t, got.Features.HasFeature(lnwire.MPPOptional))
	requireSettled(t, s.arrive(inv, part{id: 1, amount: 5000, total: 5000, expiry: 140}))

	_, err = s.Create(t.Context(), InvoiceRequest{Preimage: &preimage})
	require.ErrorIs(t, err, ErrBadRequest, "the preimage is out")
}

func TestCreateRefuses(t *testing.T) {
	s := newTill(t)
	hash := &[32]byte{1}
	longHints := make([][]zpay32.HopHint, 60)
	for n := range longHints {
		longHints[n] = []zpay32.HopHint{hopHint(1, 'P')}
	}
	for _, c := range []struct {
		req  InvoiceRequest
		text string
	}{
		{InvoiceRequest{Amount: maxMoney + 1}, "all bitcoin"},
		{InvoiceRequest{Description: strings.Repeat("a", 640)}, "640 bytes, at most 639"},
		{InvoiceRequest{Description: "\xff"}, "UTF-8"},
		{InvoiceRequest{Description: "a", DescriptionHash: hash}, "not both"},
		{InvoiceRequest{FinalDelta: 20}, "between 21 and 1800"},
		{InvoiceRequest{FinalDelta: 1801}, "between 21 and 1800"},
		{InvoiceRequest{FinalDelta: 1800, PadDelta: 1}, "between 21 and 1800"},
		{InvoiceRequest{Expiry: -time.Second}, "expiry"},
		{InvoiceRequest{Expiry: time.Millisecond}, "expiry"},
		{InvoiceRequest{Expiry: MaxExpiry + time.Second}, "365 days"},
		{InvoiceRequest{NotAfter: testNow}, "expiry"},
		{InvoiceRequest{Hints: longHints}, "fewer hints"},
	} {
		_, err := s.Create(t.Context(), c.req)
		require.ErrorIs(t, err, ErrBadRequest, c.text)
		require.ErrorContains(t, err, c.text)
	}
	list, err := s.List(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Empty(t, list)

	inv, err := s.Create(t.Context(), InvoiceRequest{Description: strings.Repeat("a", 639)})
	require.NoError(t, err)
	require.Len(t, *decode(t, inv.Bolt11).Description, 639)
	inv, err = s.Create(t.Context(), InvoiceRequest{DescriptionHash: hash})
	require.NoError(t, err)
	require.Equal(t, *hash, *decode(t, inv.Bolt11).DescriptionHash)
}

func TestInvoiceList(t *testing.T) {
	s := newTill(t)
	for range 5 {
		_, err := s.Create(t.Context(), InvoiceRequest{Amount: 1000})
		require.NoError(t, err)
	}
	for _, c := range []struct {
		before uint64
		limit  int
		want   []uint64
	}{
		{0, 0, []uint64{5, 4, 3, 2, 1}},
		{0, 2, []uint64{5, 4}},
		{4, 2, []uint64{3, 2}},
		{2, 9, []uint64{1}},
		{1, 9, nil},
	} {
		list, err := s.List(t.Context(), c.before, c.limit)
		require.NoError(t, err)
		var got []uint64
		for _, inv := range list {
			got = append(got, inv.Index)
			found, err := s.Lookup(t.Context(), inv.Hash)
			require.NoError(t, err)
			require.Equal(t, found, inv)
		}
		require.Equal(t, c.want, got, "before %d, at most %d", c.before, c.limit)
	}
}

func TestPickHints(t *testing.T) {
	chans := make([]PrivateChannel, 8)
	for n := range chans {
		chans[n] = PrivateChannel{Hop: hopHint(uint64(n), 'P'),
			Receivable: lnwire.MilliSatoshi(n * 1000)}
	}
	for _, c := range []struct {
		name   string
		amount lnwire.MilliSatoshi
		noMPP  bool
		want   []uint64
	}{
		{"any amount", 0, false, []uint64{7, 6, 5, 4, 3, 2}},
		{"a small one", 3500, false, []uint64{7}},
		{"twice the amount", 5000, false, []uint64{7, 6}},
		{"a large one", 1_000_000, false, []uint64{7, 6, 5, 4, 3, 2}},
		{"in one part", 6000, true, []uint64{7, 6}},
		{"too large for one part", 7001, true, nil},
	} {
		var got []uint64
		for _, hint := range pickHints(chans, c.amount, c.noMPP) {
			require.Len(t, hint, 1)
			got = append(got, hint[0].ChannelID)
		}
		require.Equal(t, c.want, got, c.name)
	}
	require.EqualValues(t, 1000, chans[1].Receivable, "the list is left as it is")

	chans[7].Away, chans[6].Away = true, true
	for amount, want := range map[lnwire.MilliSatoshi]uint64{1000: 5, 1_000_000: 5} {
		got := pickHints(chans, amount, false)
		require.Equal(t, want, got[0][0].ChannelID, "a usable channel goes first")
	}
	got := pickHints(chans, 7000, true)
	require.Len(t, got, 1, "with no other, the one whose peer is away")
	require.EqualValues(t, 7, got[0][0].ChannelID)
}
