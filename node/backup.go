package node

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/orders"
)

// composeBackup makes the keeper of the channel backup, beside the database.
func (n *Node) composeBackup() error {
	n.backups = backup.NewKeeper(backup.KeeperConfig{
		Path: filepath.Join(n.opts.Dir, backup.FileName), Key: n.wallet.DeriveSecret(backup.Purpose),
		Gather: n.backupNow, Clock: n.clock, Log: n.log.With("part", "backup"),
	})
	return nil
}

// backupNow is everything that a restore needs, from the store as it is. Of orders these are the ones
// that are open, that have a channel, or whose channel was never paid for: with all that have ever
// been, each write would be of megabytes.
func (n *Node) backupNow() (backup.Contents, error) {
	c := backup.Contents{
		Network: n.opts.Params.Name, NodeID: [33]byte(n.wallet.NodeKey().PubKey().SerializeCompressed()),
	}
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return c, fmt.Errorf("node: load channels: %w", err)
	}
	addrs, err := n.knownAddrs()
	if err != nil {
		return c, err
	}
	txs, err := n.fundingsOut()
	if err != nil {
		return c, err
	}
	for _, ch := range chans {
		b, err := backup.Of(ch)
		if err != nil {
			return c, err
		}
		if addr := addrs[[33]byte(ch.IdentityPub.SerializeCompressed())]; addr != "" {
			b.Addresses = []string{addr}
		}
		b.FundingTx = txs[ch.FundingOutpoint]
		c.Channels = append(c.Channels, b)
	}
	slices.SortFunc(c.Channels, func(a, b backup.Channel) int {
		return slices.Compare(pointKey(a.Point), pointKey(b.Point))
	})
	open := map[wire.OutPoint]bool{}
	for _, ch := range c.Channels {
		open[ch.Point] = true
	}
	books, err := orders.Books(slices.DeleteFunc(n.orders.List(), func(r orders.Record) bool {
		return r.Over() && (r.Point == nil || !open[*r.Point])
	}))
	for _, b := range books {
		c.Orders = append(c.Orders, backup.Order(b))
	}
	return c, err
}

func pointKey(p wire.OutPoint) []byte {
	return append(p.Hash[:], byte(p.Index>>8), byte(p.Index))
}

// fundingsOut are the funding transactions of ours that may be out and are not confirmed.
func (n *Node) fundingsOut() (map[wire.OutPoint]*wire.MsgTx, error) {
	list, err := n.factory.Fundings()
	if err != nil {
		return nil, err
	}
	out, err := n.restoredFundings()
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if f.State == chanfactory.Released && f.Tx != nil {
			out[f.Point] = f.Tx
		}
	}
	return out, nil
}
