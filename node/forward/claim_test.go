package forward

import (
	"slices"
	"testing"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

// claims notes the preimages that count.
type claims struct {
	quietEvents
	got []lntypes.Preimage
}

func (c *claims) Fulfilled(p lntypes.Preimage) { c.got = append(c.got, p) }

// strangePeer is another connection.
type strangePeer struct{ *quietPeer }

func (strangePeer) ID() uint64 { return 6 }

// TestClaimsThatCount: a withheld funding is let out by a preimage. So it must come from the peer that
// the HTLC was sent to, for that HTLC, and once: else a stranger lets it out, and the client fails the
// payment; or fills our memory with claims of nothing.
func TestClaimsThatCount(t *testing.T) {
	ours, theirs, err := lnwallet.CreateTestChannels(t,
		channeldb.SingleFunderTweaklessBit|channeldb.AnchorOutputsBit)
	if err != nil {
		t.Fatal(err)
	}
	preimage, other := lntypes.Preimage{1}, lntypes.Preimage{2}
	add := &lnwire.UpdateAddHTLC{PaymentHash: preimage.Hash(), Amount: 50_000_000, Expiry: 500}
	index, err := ours.AddHTLC(add, nil)
	if err != nil {
		t.Fatal(err)
	}
	add.ID = index
	if _, err := theirs.ReceiveHTLC(add); err != nil {
		t.Fatal(err)
	}
	if err := lnwallet.ForceStateTransition(ours, theirs); err != nil {
		t.Fatal(err)
	}

	l, p, ch, id := linksOf(t, ours)
	seen := &claims{}
	l.cfg.Events = seen
	claim := func(from Peer, id lnwire.ChannelID, htlc uint64, p lntypes.Preimage) {
		t.Helper()
		// An error ends the connection of a stranger, who has none here.
		_ = l.Deliver(from, id, &lnwire.UpdateFulfillHTLC{ChanID: id, ID: htlc, PaymentPreimage: p})
	}
	claim(p, id, index, preimage) // before the link is made there is no HTLC to claim
	l.conns[p.PubKey()].parked = map[lnwire.ChannelID][]lnwire.Message{}
	if err := l.Ready(p, ch, lnwire.NewChannelReady(id, testKey.PubKey())); err != nil {
		t.Fatal(err)
	}
	stranger := strangePeer{&quietPeer{key: testKey.PubKey(), sent: make(chan lnwire.Message, 100)}}
	claim(stranger, id, index, preimage)
	claim(p, lnwire.ChannelID{7}, index, preimage)
	if len(seen.got) != 0 {
		t.Fatalf("claims of nothing count: %v", seen.got)
	}
	one := l.find(id)
	for _, wrong := range []*lnwire.UpdateFulfillHTLC{
		{ID: index + 1, PaymentPreimage: preimage}, {ID: index, PaymentPreimage: other},
	} {
		if one.claims(wrong) {
			t.Errorf("%v of HTLC %d counts", wrong.PaymentPreimage, wrong.ID)
		}
	}
	for range 3 {
		claim(p, id, index, preimage)
	}
	if !slices.Equal(seen.got, []lntypes.Preimage{preimage}) {
		t.Errorf("the claims that count: %v", seen.got)
	}
}
