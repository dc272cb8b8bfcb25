package node

import (
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
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
