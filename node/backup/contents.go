package backup

import (
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Limits of a backup. Each is beyond what a node can have.
const (
	maxChannels   = 100_000
	maxAddresses  = 8
	maxAddrBytes  = 300
	maxOrders     = 100_000
	maxOrderID    = 128
	maxOrderBytes = 1 << 20
	maxTxBytes    = 400_000
)

// Contents are what a backup holds.
type Contents struct {
	// WrittenAt is when it was written.
	WrittenAt time.Time

	// Network is chaincfg's name of it, NodeID the node's public key.
	Network string
	NodeID  [33]byte

	// Channels are those whose funding output is not known to be spent.
	Channels []Channel

	// Orders are the books of JIT orders.
	Orders []Order
}

// Order is one order as the desk stores it.
type Order struct {
	ID     string
	Record json.RawMessage
}

// Channel is what must be known of a channel to get its money back from a peer that closes it. None
// of it changes while the channel lives, but for the addresses and where it confirmed.
type Channel struct {
	Point wire.OutPoint

	// Scid is where the funding transaction is in the chain; zero before it confirmed.
	Scid lnwire.ShortChannelID

	// BroadcastHeight is the block at which the funding was signed: the search for it begins
	// there.
	BroadcastHeight uint32

	Peer *btcec.PublicKey

	// Addresses are host:port where the peer was reached; none when it always came by itself.
	Addresses []string

	Capacity btcutil.Amount

	// Type holds the bits of channeldb's type that say what the scripts are.
	Type channeldb.ChannelType

	// Initiator says that we opened it; it is needed to read the numbers of commitments.
	Initiator bool

	// Private says that the channel is not announced.
	Private bool

	Local  LocalKeys
	Remote RemoteKeys

	// RevocationRoot is the wallet's key from which our revocation secrets come.
	RevocationRoot keychain.KeyLocator

	// ThawHeight is the height until which a leased or frozen channel can't be closed.
	ThawHeight uint32

	// FundingTx is our funding transaction while it may be out and is not confirmed: nobody
	// else may have it. Nil otherwise.
	FundingTx *wire.MsgTx
}

// LocalKeys say where in the wallet our keys of a channel are, and how long our own outputs wait.
type LocalKeys struct {
	CSVDelay                                      uint16
	MultiSig, Revocation, Payment, Delayed, HTLCs keychain.KeyLocator
}

// RemoteKeys are the peer's.
type RemoteKeys struct {
	CSVDelay                                      uint16
	MultiSig, Revocation, Payment, Delayed, HTLCs *btcec.PublicKey
}

// check looks at every limit.
func (c Contents) check() error {
	switch {
	case len(c.Channels) > maxChannels:
		return fmt.Errorf("%w: %d channels, the most are %d", ErrTooLarge, len(c.Channels), maxChannels)
	case len(c.Orders) > maxOrders:
		return fmt.Errorf("%w: %d orders, the most are %d", ErrTooLarge, len(c.Orders), maxOrders)
	}
	for _, o := range c.Orders {
		if len(o.ID) > maxOrderID || len(o.Record) > maxOrderBytes {
			return fmt.Errorf("%w: order %.*q has %d bytes", ErrTooLarge, maxOrderID, o.ID, len(o.Record))
		}
	}
	for _, ch := range c.Channels {
		if err := ch.check(); err != nil {
			return fmt.Errorf("channel %v: %w", ch.Point, err)
		}
	}
	return nil
}

func (ch Channel) check() error {
	if len(ch.Addresses) > maxAddresses {
		return fmt.Errorf("%w: %d addresses, the most are %d", ErrTooLarge, len(ch.Addresses), maxAddresses)
	}
	for _, a := range ch.Addresses {
		if len(a) > maxAddrBytes {
			return fmt.Errorf("%w: an address of %d bytes", ErrTooLarge, len(a))
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("%w: address %q is not HOST:PORT", ErrDamaged, a)
		}
	}
	if ch.FundingTx == nil {
		return nil
	}
	if size := ch.FundingTx.SerializeSize(); size > maxTxBytes {
		return fmt.Errorf("%w: a transaction of %d bytes", ErrTooLarge, size)
	}
	if ch.FundingTx.TxHash() != ch.Point.Hash {
		return fmt.Errorf("%w: it has another funding transaction", ErrDamaged)
	}
	return nil
}
