package funding

import (
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// RenewEvery is how often the coins of an unconfirmed funding are leased again. A lease ends
	// after ten minutes; if one did, the next opening would spend the same coins.
	RenewEvery = 4 * time.Minute

	// FundeeBlocks is how long an acceptor waits for the funding transaction.
	//
	// BOLT 2: "SHOULD forget the channel if it does not see the correct funding transaction after
	// a timeout of 2016 blocks."
	FundeeBlocks = 2016
)

// Facts are what does not change about a stored channel.
type Facts struct {
	Point wire.OutPoint
	// Opener says that the funding transaction is ours.
	Opener   bool
	ZeroConf bool
	// GiveUpAt is the height at which an acceptor forgets the channel if its funding has not
	// confirmed; zero means never.
	GiveUpAt uint32
}

// Channel is a stored channel on its way to being usable and confirmed. All of it can be made
// again from the store: a restart makes the same Channel by Resume.
type Channel struct {
	Facts Facts
	// Tx is where the funding transaction is.
	Tx TxState
	// Use is how far the two sides are with channel_ready.
	Use UseState
}

// TxState is where the funding transaction is.
type TxState interface{ tx() }

type (
	// Withheld: ours, and must not go out.
	Withheld struct{ RenewAt time.Time }
	// Leaving: ours, and may be out; the backend has not taken it in this process yet.
	Leaving struct{ RenewAt time.Time }
	// Out: ours, taken by the backend, not confirmed.
	Out struct{ RenewAt time.Time }
	// Theirs: the opener's, not confirmed.
	Theirs struct{}
	// Deep: confirmed as deep as wanted.
	Deep struct{ Scid lnwire.ShortChannelID }
	// Abandoned: the funding came to nothing.
	Abandoned struct{ Reason string }
)

// UseState is how far the two sides are with channel_ready.
type UseState interface{ use() }

type (
	// AwaitDepth: an ordinary channel that is not confirmed. The peer may see the depth first:
	// its channel_ready is kept, the latest one.
	AwaitDepth struct{ Early *lnwire.ChannelReady }
	// AwaitOpen: the store marks the channel as open.
	AwaitOpen struct{ Early *lnwire.ChannelReady }
	// AwaitChannelReady: our channel_ready is out, or goes when the peer is back.
	AwaitChannelReady struct{}
	// AwaitLink: both are there, the link is being made.
	AwaitLink struct{}
	// Usable: the link was made.
	Usable struct{}
	// Stuck: our store or court failed; the next start takes the channel up again.
	Stuck struct{ Reason string }
)

// ChannelEvent is something that happened to a stored channel.
type ChannelEvent interface{ channelEvent() }

type (
	// RecvChannelReady: channel_ready came.
	RecvChannelReady struct{ Msg *lnwire.ChannelReady }
	// RecvChannelError: the peer failed the channel.
	RecvChannelError struct{ Text string }
	// PeerOnline: the peer is back. Linked says that a link was made already, which then sends
	// our channel_ready by itself.
	PeerOnline struct{ Linked bool }
	// Opened answers MarkOpen.
	Opened struct{}
	// Linked answers Link.
	Linked struct{}
	// LinkFailed answers Link: there is no link now, the peer's next channel_ready tries again.
	LinkFailed struct{}
	// Published: the backend took the funding transaction.
	Published struct{}
	// Confirmed: the funding transaction is deep enough, and right.
	Confirmed struct{ Scid lnwire.ShortChannelID }
	// BadFunding: the confirmed transaction does not fund this channel.
	BadFunding struct{ Reason string }
	// Block: a new tip.
	Block struct{ Height uint32 }
	// Release: our caller lets the transaction out.
	Release struct{}
	// ReleaseKept answers KeepReleased.
	ReleaseKept struct{}
	// Drop: our caller gives a withheld funding up.
	Drop struct{ Reason string }
	// DropKept answers KeepDropped.
	DropKept struct{ Reason string }
	// Worthless answers WeighLoss and LookForFunding: nothing would be lost with the channel.
	Worthless struct{ Reason string }
	// StoreFailed answers Watch and MarkOpen: it could not be done.
	StoreFailed struct{ Reason string }
	// RenewTick: time has passed.
	RenewTick struct{}
)

// Commands for a stored channel. Those that answer do so at once and once.
type (
	// Watch puts the channel under the court's watch: nothing, or StoreFailed.
	Watch struct{}
	// MarkOpen marks the channel as open under its alias, or with confirmed set under its
	// confirmed scid: Opened or StoreFailed.
	MarkOpen struct{ Confirmed *lnwire.ShortChannelID }
	// MarkReal stores the confirmed scid of a channel that lives by its alias; in the link's
	// goroutine if there is a link.
	MarkReal struct{ Scid lnwire.ShortChannelID }
	// SendReady sends channel_ready, if the peer is there.
	SendReady struct{}
	// Link hands both channel_ready to the links: Linked or LinkFailed.
	Link struct{ Msg *lnwire.ChannelReady }
	// KeepAlias stores the alias of a redundant channel_ready.
	KeepAlias struct{ Alias lnwire.ShortChannelID }
	// WaitDepth starts to wait for the confirmations: later Confirmed or BadFunding.
	WaitDepth struct{}
	// Publish broadcasts the stored transaction: later Published, or nothing.
	Publish struct{}
	// RenewCoins leases the inputs again.
	RenewCoins struct{}
	// KeepReleased journals the release: ReleaseKept, or nothing if it could not be written.
	KeepReleased struct{}
	// KeepDropped journals the end: DropKept, or nothing if it could not be written.
	KeepDropped struct{ Reason string }
	// KeepConfirmed journals the confirmation.
	KeepConfirmed struct{}
	// LookForFunding looks whether a block has the transaction: Worthless if all that can have it
	// were searched and none has, nothing if one has or if that is not known yet.
	LookForFunding struct{ Reason string }
	// WeighLoss looks whether the channel was ever used: Worthless if not, else nothing.
	WeighLoss struct{ Reason string }
	// CloseUnfunded removes the link and marks the channel FundingCanceled.
	CloseUnfunded struct{}
	// FreeCoins releases the inputs, after CloseUnfunded.
	FreeCoins struct{}
)

// Reports about a stored channel.
type (
	// ToldBroadcast: the backend took the funding transaction.
	ToldBroadcast struct{}
	// ToldReady: channel_ready has gone both ways, the link is made.
	ToldReady struct{}
	// ToldConfirmed: the funding is confirmed.
	ToldConfirmed struct{ Scid lnwire.ShortChannelID }
	// ToldDropped: the funding came to nothing.
	ToldDropped struct{ Reason string }
)

func (Withheld) tx()  {}
func (Leaving) tx()   {}
func (Out) tx()       {}
func (Theirs) tx()    {}
func (Deep) tx()      {}
func (Abandoned) tx() {}

func (AwaitDepth) use()        {}
func (AwaitOpen) use()         {}
func (AwaitChannelReady) use() {}
func (AwaitLink) use()         {}
func (Usable) use()            {}
func (Stuck) use()             {}

func (RecvChannelReady) channelEvent() {}
func (RecvChannelError) channelEvent() {}
func (PeerOnline) channelEvent()       {}
func (Opened) channelEvent()           {}
func (Linked) channelEvent()           {}
func (LinkFailed) channelEvent()       {}
func (Published) channelEvent()        {}
func (Confirmed) channelEvent()        {}
func (BadFunding) channelEvent()       {}
func (Block) channelEvent()            {}
func (Release) channelEvent()          {}
func (ReleaseKept) channelEvent()      {}
func (Drop) channelEvent()             {}
func (DropKept) channelEvent()         {}
func (Worthless) channelEvent()        {}
func (StoreFailed) channelEvent()      {}
func (RenewTick) channelEvent()        {}

func (Watch) command()          {}
func (MarkOpen) command()       {}
func (MarkReal) command()       {}
func (SendReady) command()      {}
func (Link) command()           {}
func (KeepAlias) command()      {}
func (WaitDepth) command()      {}
func (Publish) command()        {}
func (RenewCoins) command()     {}
func (KeepReleased) command()   {}
func (KeepDropped) command()    {}
func (KeepConfirmed) command()  {}
func (LookForFunding) command() {}
func (WeighLoss) command()      {}
func (CloseUnfunded) command()  {}
func (FreeCoins) command()      {}

func (ToldBroadcast) report() {}
func (ToldReady) report()     {}
func (ToldConfirmed) report() {}
func (ToldDropped) report()   {}
