package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"

	"github.com/inletlsp/inlet/lsp/jit"
)

// Reasons for which we don't close a channel that we sold.
var (
	// ErrMinLifetime: the client has paid for the channel to stay.
	ErrMinLifetime = errors.New("node: the client has paid for this channel to stay open")
	// ErrPaymentUnderWay: the payment for the channel is being made.
	ErrPaymentUnderWay = errors.New("node: the payment for this channel is under way")
)

// CloseOption says how to close a channel.
type CloseOption uint8

// BreakMinLifetime closes a channel although its client has paid, or is paying, for it to stay: it
// breaks what the offer promised (bLIP-52, min_lifetime), and the client may rightly complain.
const BreakMinLifetime CloseOption = 1

// mayClose refuses to close what a client has paid for.
//
// bLIP-52: "the LSP MUST NOT close the channel" before its funding transaction is min_lifetime
// blocks deep, if the fee was paid. What nobody has paid for may be closed at once.
func (n *Node) mayClose(point wire.OutPoint, how []CloseOption) error {
	if slices.Contains(how, BreakMinLifetime) {
		return nil
	}
	r, sold := n.orders.OfChannel(point)
	if !sold {
		return nil
	}
	ch, err := n.channels.ChannelStateDB().FetchChannel(point)
	if err != nil || closes(ch) {
		return nil //nolint:nilerr // there is nothing to close, or it is too late
	}
	switch r.Order.State.(type) {
	case jit.Paid:
	case jit.Owed:
		return nil
	default:
		return fmt.Errorf("%w: close it when that has come to an end, or break the promise of "+
			"min_lifetime", ErrPaymentUnderWay)
	}
	promised, depth := r.Order.Terms.MinLifetime, n.depth(ch)
	if depth >= promised {
		return nil
	}
	return fmt.Errorf("%w for at least %d blocks (min_lifetime), and it is %d blocks deep: close it in "+
		"%d blocks, or break the promise", ErrMinLifetime, promised, depth, promised-depth)
}

// depth is how many blocks deep the channel's funding is, 0 before it confirms.
func (n *Node) depth(ch *channeldb.OpenChannel) uint32 {
	at, tip := confirmedScid(ch).BlockHeight, n.source.Status().Height
	if at == 0 || tip < at {
		return 0
	}
	return tip - at + 1
}

// closes says that a close has begun, by whomever.
func closes(ch *channeldb.OpenChannel) bool {
	if ch.ChanStatus() != channeldb.ChanStatusDefault {
		return true
	}
	shutdown, err := ch.ShutdownInfo()
	return err == nil && shutdown.IsSome()
}
