package node

import (
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/wallet"
)

// liquidity is what could be sold to a client at this moment. It is asked on every
// get_info and buy, so it reads what is in memory.
func (n *Node) liquidity(client [33]byte) lsp.Liquidity {
	l := lsp.Unlimited()
	l.CanOpen = n.source.Status().Synced
	if n.opts.LSP.SellUnchecked {
		return l
	}
	l.Inbound = n.links.Inbound(client)
	coins, err := n.coins.fundable()
	if err != nil {
		n.log.Warn("the coins cannot be read: no channel is sold", "err", err)
	}
	l.Coins = coins
	return l
}

// coinCount remembers what openings may spend until the wallet says that it has changed.
type coinCount struct {
	wallet *wallet.Wallet

	mu      sync.Mutex
	changed <-chan struct{} // closed when amount is out of date; guarded by mu
	amount  btcutil.Amount  // guarded by mu
}

func (c *coinCount) fundable() (btcutil.Amount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.changed:
	default:
		if c.changed != nil {
			return c.amount, nil
		}
	}
	changed := c.wallet.Changed() // before the look, so that no change is missed
	amount, err := c.wallet.Fundable()
	if err != nil {
		return 0, err
	}
	c.changed, c.amount = changed, amount
	return amount, nil
}

// fundingRate is the fee rate that an opening would pay now.
func (n *Node) fundingRate() lsp.SatPerKWeight {
	rate, err := n.feeRate(0, n.opts.Onchain.OpenConfTarget)
	if err != nil {
		rate = chainfee.FeePerKwFloor
	}
	return lsp.SatPerKWeight(rate)
}

// channelNeeds is what a channel with anchors keeps back. The fee rate of such a
// commitment has a cap, since it can be bumped.
func channelNeeds(u lsp.ChannelUse) lsp.ChannelNeeds {
	rate := min(chainfee.SatPerKWeight(u.FeeRate), chanfactory.MaxAnchorFeeRate)
	return needsOf(chanfactory.Room{Forward: u.Forward, Parts: u.Parts}, rate, true)
}

func needsOf(room chanfactory.Room, rate chainfee.SatPerKWeight, anchors bool) lsp.ChannelNeeds {
	var needs lsp.ChannelNeeds
	needs.Anchors, needs.CommitFee = room.Costs(rate, anchors)
	total := chanfactory.Capacity(room, rate, anchors, chanfactory.Reserve{})
	forward := room.Forward.ToSatoshis()
	if room.Forward%1000 != 0 {
		forward++
	}
	needs.Reserve = total - needs.Anchors - needs.CommitFee - forward
	return needs
}

// capacity is the size of a new channel: what the payment needs at the commitment's fee
// rate, and room to receive again.
func (n *Node) capacity(room chanfactory.Room, rate chainfee.SatPerKWeight, anchors bool) btcutil.Amount {
	return n.opts.LSP.channels().Size(room.Forward, needsOf(room, rate, anchors)).Capacity
}
