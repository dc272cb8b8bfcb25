package pay

import (
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

// PrivateChannel is a channel of ours that the network does not know.
type PrivateChannel struct {
	// Hop is the way in: the peer's node id, the scid by which the peer knows the channel towards
	// us (an alias of ours if the channel has one), and the policy of the peer's channel_update.
	Hop zpay32.HopHint

	// Receivable is how much the peer can still send to us.
	Receivable lnwire.MilliSatoshi

	// Away says that the channel is not usable at this moment, for instance because we were just
	// started. An invoice lives longer than that: with no other channel it names this one.
	Away bool
}

// Hinter names the private channels by which we can be paid, whose peer has sent us its
// channel_update. It is asked for every invoice.
type Hinter interface {
	PrivateChannels() []PrivateChannel
}
