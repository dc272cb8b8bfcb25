package forward

import (
	"reflect"
	"slices"
	"testing"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// packet has the fields of lnd's packet that incomingKey and isAnswer read.
type packet struct {
	incomingChanID lnwire.ShortChannelID
	incomingHTLCID uint64
	htlc           lnwire.Message
}

// TestLndPacketFields: incomingKey and isAnswer read three fields of lnd by their names. A new
// lnd that renames one must fail here, not when a payer's HTLC is replayed.
func TestLndPacketFields(t *testing.T) {
	forward := reflect.TypeOf((*htlcswitch.Switch).ForwardPackets)
	lndPacket := forward.In(forward.NumIn() - 1).Elem().Elem() // ...*htlcPacket
	want := reflect.TypeOf(packet{})
	for i := range want.NumField() {
		f := want.Field(i)
		got, ok := lndPacket.FieldByName(f.Name)
		if !ok || got.Type != f.Type {
			t.Errorf("lnd's packet has no field %s of type %v", f.Name, f.Type)
		}
	}
	// And reading them from the real type works.
	key := incomingKey(reflect.New(lndPacket).Interface())
	if key != (models.CircuitKey{}) {
		t.Errorf("key of an empty packet is %v", key)
	}
	if isAnswer(reflect.New(lndPacket).Interface()) {
		t.Error("an empty packet is an answer")
	}
}

func TestPastInterceptor(t *testing.T) {
	p := func(id uint64) *packet {
		return &packet{
			lnwire.ShortChannelID{BlockHeight: 7, TxIndex: 8, TxPosition: 9}, id, &lnwire.UpdateAddHTLC{},
		}
	}
	var offered, direct []uint64
	ids := func(to *[]uint64, ps []*packet) {
		for _, p := range ps {
			*to = append(*to, p.incomingHTLCID)
		}
	}
	f := pastInterceptor(
		func(_ <-chan struct{}, _ bool, ps ...*packet) error { ids(&offered, ps); return nil },
		func(_ <-chan struct{}, ps ...*packet) error { ids(&direct, ps); return nil },
		func(k models.CircuitKey) bool {
			if k.ChanID != p(0).incomingChanID {
				t.Errorf("asked for channel %v", k.ChanID)
			}
			return k.HtlcID%2 == 1
		},
	)
	if err := f(nil, true, p(1), p(2), p(3), p(4)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(direct, []uint64{1, 3}) || !slices.Equal(offered, []uint64{2, 4}) {
		t.Errorf("replay: %v went to the switch and %v to the interceptor, "+
			"want what is forwarded (1, 3) at the switch", direct, offered)
	}
	offered, direct = nil, nil
	if err := f(nil, false, p(1), p(2)); err != nil {
		t.Fatal(err)
	}
	if len(direct) != 0 || !slices.Equal(offered, []uint64{1, 2}) {
		t.Errorf("new HTLCs: %v went to the switch, %v to the interceptor", direct, offered)
	}
}

// TestAnswersOutliveTheirLink: a link that has ended takes back what it offers, but not what it
// answers.
func TestAnswersOutliveTheirLink(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	for _, c := range []struct {
		name    string
		packets []*packet
		lives   bool
	}{
		{"settle", []*packet{{htlc: &lnwire.UpdateFulfillHTLC{}}}, true},
		{"fail", []*packet{{htlc: &lnwire.UpdateFailHTLC{}}}, true},
		{"add", []*packet{{htlc: &lnwire.UpdateAddHTLC{}}}, false},
		{"add among answers", []*packet{
			{htlc: &lnwire.UpdateFailHTLC{}}, {htlc: &lnwire.UpdateAddHTLC{}},
		}, false},
	} {
		var taken bool
		f := pastInterceptor(
			func(quit <-chan struct{}, _ bool, _ ...*packet) error {
				select {
				case <-quit:
				default:
					taken = true
				}
				return nil
			},
			func(<-chan struct{}, ...*packet) error { return nil },
			func(models.CircuitKey) bool { return false },
		)
		if err := f(ended, false, c.packets...); err != nil {
			t.Fatal(err)
		}
		if taken != c.lives {
			t.Errorf("%s: taken %t, want %t", c.name, taken, c.lives)
		}
	}
}
