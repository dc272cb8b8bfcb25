package node

import (
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/pay"
)

// RegisterAlias gives a channel one more alias, as an order does.
func (n *Node) RegisterAlias(alias lnwire.ShortChannelID, point wire.OutPoint) error {
	return orderAliases{n}.Register(alias, point)
}

// AliasesOf lists the aliases that are stored for a channel.
func (n *Node) AliasesOf(point wire.OutPoint) ([]lnwire.ShortChannelID, error) {
	ch, err := n.channels.ChannelStateDB().FetchChannel(point)
	if err != nil {
		return nil, err
	}
	return n.aliases.GetAliases(ch.ShortChannelID), nil
}

// Identity is the key of the node id.
func (n *Node) Identity() keychain.SingleKeyECDH { return n.wallet.NodeKey() }

// PaymentParts lists the attempts of a payment.
func (n *Node) PaymentParts(hash lntypes.Hash) ([]pay.Part, error) {
	p, err := n.payments.Lookup(hash)
	return p.Parts, err
}

// PolicyOf is what is stored of the peer's channel_update for a channel; nil: nothing.
func (n *Node) PolicyOf(point wire.OutPoint) (*lnwire.ChannelUpdate1, error) {
	return n.links.PeerPolicy(lnwire.NewChanIDFromOutPoint(point))
}
