package funding

import (
	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Room is what must fit through a new channel at once, from us to the peer.
type Room struct {
	// Forward is the sum of the HTLCs; zero asks for no room.
	Forward lnwire.MilliSatoshi
	// Smallest is the smallest of them; zero means not known, then Forward
	// divided by Parts is taken.
	Smallest lnwire.MilliSatoshi
	// Parts is how many HTLCs there are; zero means one.
	Parts int
}

// Reserve says which channel_reserve a peer will demand of us: the larger of
// Floor and Ppm millionths of the capacity. The zero value is what LDK and lnd
// ask for: 1000 sat or one percent.
type Reserve struct {
	Floor btcutil.Amount
	Ppm   uint64
}

// Capacity is the smallest channel through which room fits, given the feerate
// of the commitment transaction and the reserve that the peer will demand.
func Capacity(room Room, rate chainfee.SatPerKWeight, anchors bool, r Reserve) btcutil.Amount {
	return 0
}
