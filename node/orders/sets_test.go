package orders

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
)

var otherScid = lnwire.ShortChannelID{BlockHeight: 16_060_001, TxIndex: 1, TxPosition: 2}

// offer offers an HTLC of the payment 5 towards an scid.
func (w *world) offer(id uint64, scid lnwire.ShortChannelID, amount lnwire.MilliSatoshi) bool {
	return w.desk.Offer(htlcswitch.InterceptedPacket{
		IncomingCircuit: key(id), OutgoingChanID: scid, Hash: lntypes.Hash{5},
		IncomingAmount: amount, OutgoingAmount: amount,
		IncomingExpiry: 1100, OutgoingExpiry: 900,
	})
}

// TestOneHashOverSeveralWays: a payment hash is public. Parts of it count for the order
// that they name, and a payment of the same hash over another channel is not ours to hold.
func TestOneHashOverSeveralWays(t *testing.T) {
	checklist.Shows(t, "LSPS2-60", "routes.get answers for any scid while there is an order")
	checklist.Shows(t, "LSPS2-61", "routes.get answers with the first order for any scid of an order")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.sell(1_000_000)
		second := jit.New("o2", jit.Terms{
			Client: client, SCID: otherScid, PaymentSize: 1_000_000, MinFee: 10_000, PPM: 20_000,
			ValidUntil: time.Now().Add(time.Hour), AliasUntil: time.Now().Add(time.Hour),
			CLTVExpiryDelta: 144, MaxClientToSelfDelay: 2016, Rules: jit.DefaultRules(),
		})
		if err := w.desk.Add(Record{Order: second, CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		w.desk.ClientOnline(client, 3)
		if !w.offer(1, jitScid, 400_000) || !w.offer(2, otherScid, 700_000) {
			t.Fatal("the desk does not take the parts of its orders")
		}
		if w.offer(3, payChan, 600_000) {
			t.Error("the desk holds a part that names an ordinary channel")
		}
		w.want()
		for id, parts := range map[string]int{"o1": 1, "o2": 1} {
			r, err := w.desk.Get(id)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(r.Order.Held()); n != parts {
				t.Errorf("order %s holds %d parts, want %d", id, n, parts)
			}
		}
		w.offer(4, otherScid, 300_000)
		w.want("open for 980000 msat in 2 parts, attempt 1")
	})
}
