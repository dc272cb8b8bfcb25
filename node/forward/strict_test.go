package forward

import (
	"testing"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// policyLink is a link whose own check always wants more fee.
type policyLink struct {
	htlcswitch.ChannelLink
	id lnwire.ChannelID
}

func (l policyLink) ChanID() lnwire.ChannelID { return l.id }

func (policyLink) CheckHtlcForward([32]byte, lnwire.MilliSatoshi, lnwire.MilliSatoshi, uint32,
	uint32, models.InboundFee, uint32, lnwire.ShortChannelID,
	lnwire.CustomRecords) *htlcswitch.LinkError {
	return htlcswitch.NewLinkError(lnwire.NewFeeInsufficient(0, lnwire.ChannelUpdate1{}))
}

func (policyLink) CheckHtlcTransit([32]byte, lnwire.MilliSatoshi, uint32, uint32,
	lnwire.CustomRecords) *htlcswitch.LinkError {
	return nil
}

// routeTable answers from a map.
type routeTable map[lnwire.ShortChannelID]lnwire.ChannelID

func (r routeTable) Route(s lnwire.ShortChannelID) (lnwire.ChannelID, bool) {
	only, ok := r[s]
	return only, ok
}

func (r routeTable) Delta(s lnwire.ShortChannelID) (uint16, bool) {
	_, ok := r[s]
	return jitDelta, ok
}

func TestStrictLink(t *testing.T) {
	ours, other := lnwire.ChannelID{1}, lnwire.ChannelID{2}
	unpaid, paid, plain := scid(1), scid(2), scid(3)
	routes := routeTable{unpaid: ours, paid: {}}
	for _, c := range []struct {
		name      string
		link      lnwire.ChannelID
		scid      lnwire.ShortChannelID
		in, out   lnwire.MilliSatoshi
		inE, outE uint32
		want      lnwire.FailCode // 0: forwarded
	}{
		{"unpaid order, its channel", ours, unpaid, 1000, 900, 300, 156, 0},
		{"unpaid order, another channel of the client", other, unpaid, 1000, 900, 300, 156,
			lnwire.CodeTemporaryChannelFailure},
		{"paid order, any channel, without a fee", other, paid, 1000, 1000, 300, 156, 0},
		{"less in than out", ours, unpaid, 1000, 1001, 300, 156, lnwire.CodeFeeInsufficient},
		{"too few blocks", ours, unpaid, 1000, 900, 300, 221, lnwire.CodeIncorrectCltvExpiry},
		{"expiries the wrong way round", ours, unpaid, 1000, 900, 300, 301,
			lnwire.CodeIncorrectCltvExpiry},
		{"not a JIT scid: the channel's own policy", ours, plain, 1000, 1000, 300, 156,
			lnwire.CodeFeeInsufficient},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &strictLink{
				ChannelLink: policyLink{id: c.link}, routes: routes, delta: 80,
				update: func(lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error) {
					return &lnwire.ChannelUpdate1{}, nil
				},
			}
			err := s.CheckHtlcForward([32]byte{}, c.in, c.out, c.inE, c.outE,
				models.InboundFee{}, 100, c.scid, nil)
			var got lnwire.FailCode
			if err != nil {
				got = err.WireMessage().Code()
			}
			if got != c.want {
				t.Errorf("answer is %v, want %v", got, c.want)
			}
		})
	}
}

// TestWithheldChannelIsItsOrders: what else was on a channel would be void when the
// channel is dropped, with its HTLC still held upstream.
func TestWithheldChannelIsItsOrders(t *testing.T) {
	ours := lnwire.ChannelID{1}
	unpaid, paid, plain := scid(1), scid(2), scid(3)
	withheld := true
	s := &strictLink{
		ChannelLink: policyLink{id: ours}, routes: routeTable{unpaid: ours, paid: {}}, delta: 80,
		withheld: func() bool { return withheld },
	}
	check := func(scid lnwire.ShortChannelID) bool {
		return s.CheckHtlcForward([32]byte{}, 1000, 1000, 300, 156, models.InboundFee{}, 100,
			scid, nil) == nil
	}
	if !check(unpaid) || check(paid) || check(plain) {
		t.Error("a withheld channel takes what is not its order's, or refuses what is")
	}
	if withheld = false; !check(paid) {
		t.Error("a channel that was released refuses another payment")
	}
}

func scid(n uint32) lnwire.ShortChannelID {
	return lnwire.ShortChannelID{BlockHeight: 16_050_000, TxIndex: n}
}
