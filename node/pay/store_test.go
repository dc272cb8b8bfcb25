package pay

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// fakePayment is a payment of its own hash in a state.
func fakePayment(n byte, s state) transfer {
	t := newTransfer(testBill(1000), 1000, limits{0, 1, time.Minute}, testNow)
	t.bill.hash = lntypes.Hash{n}
	t.state = s
	if t.known() {
		t.ended = testNow
	}
	return t
}

func indexes(list []Payment) []uint64 {
	out := make([]uint64, len(list))
	for n, p := range list {
		out[n] = p.Index
	}
	return out
}

func TestListPages(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	for n := range byte(5) {
		_, _, err := r.store.add(fakePayment(n, failed{}), testNow)
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
		{2, 2, []uint64{1}},
		{1, 2, []uint64{}},
		{99, 1, []uint64{5}},
	} {
		list, err := r.List(c.before, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.want, indexes(list), "before %d, at most %d", c.before, c.limit)
	}
	require.Equal(t, MaxPage, pageSize(MaxPage+1))
}

func TestPrune(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	for n, s := range []state{failed{}, paid{}, sending{}, failed{}} {
		_, _, err := r.store.add(fakePayment(byte(n), s), testNow)
		require.NoError(t, err)
	}
	late := fakePayment(4, failed{})
	late.ended = testNow.Add(time.Hour)
	_, _, err := r.store.add(late, testNow)
	require.NoError(t, err)
	again := fakePayment(0, failed{}) // a second try of the first
	again.ended = testNow.Add(time.Hour)
	_, _, err = r.store.add(again, testNow)
	require.NoError(t, err)

	deleted, err := r.Prune(testNow.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, 2, deleted, "the two that failed")
	list, err := r.List(0, 0)
	require.NoError(t, err)
	require.Equal(t, []uint64{6, 5, 3, 2}, indexes(list))
	_, err = r.Lookup(lntypes.Hash{0})
	require.NoError(t, err, "the second try is still found")
	_, err = r.Lookup(lntypes.Hash{3})
	require.ErrorIs(t, err, ErrUnknownPayment)

	r.now.SetTime(testNow.Add(2 * time.Hour))
	deleted, err = r.Prune(testNow.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, 1, deleted, "the paid one, since its invoice has expired")
}

// The switch may forget the results of attempts that are not awaited, and only of those.
func TestPruneKeepsAwaitedResults(t *testing.T) {
	channels := fakeChannels{channel(1, 'P', 200_000_000)}
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), channels).run()
	out := r.start(PayRequest{Invoice: invoiceOf(t, &chaincfg.RegressionNetParams)})
	first := r.sw.next(t)
	_, err := r.Prune(testNow)
	require.NoError(t, err)
	r.sw.resolve(first.id, forwarding(2, lnwire.NewFailIncorrectDetails(1, 1)))
	require.Equal(t, Failed, (<-out).payment.Status)
	_, err = r.Prune(testNow)
	require.NoError(t, err)
	require.Equal(t, []map[uint64]struct{}{{}, {first.id: {}}, {}}, r.sw.cleaned)
	require.Empty(t, r.sw.results)
}

// Beyond the limit the oldest go, but not those that are in flight or must be remembered.
func TestStoreIsBounded(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	r.store.max = 10
	for n := range byte(30) {
		var s state = failed{}
		switch n {
		case 0:
			s = sending{}
		case 1:
			s = paid{}
		}
		_, _, err := r.store.add(fakePayment(n, s), testNow)
		require.NoError(t, err)
	}
	list, err := r.List(0, 0)
	require.NoError(t, err)
	require.Len(t, list, 12)
	require.Equal(t, []uint64{21, 2, 1}, indexes(list[9:]))
}

// The database itself refuses a second payment, whatever has been checked before.
func TestStoreRefusesSecond(t *testing.T) {
	r := newRig(t, openDB(t, t.TempDir()), newFakeSwitch(), twoChannels)
	for n, c := range []struct {
		state state
		want  error
	}{{sending{}, ErrInFlight}, {draining{}, ErrInFlight}, {paid{}, ErrAlreadyPaid},
		{failed{}, nil}} {

		first, _, err := r.store.add(fakePayment(byte(n), c.state), testNow)
		require.NoError(t, err)
		_, earlier, err := r.store.add(fakePayment(byte(n), sending{}), testNow)
		require.ErrorIs(t, err, c.want)
		require.Equal(t, first.index, earlier.index)
	}
}
