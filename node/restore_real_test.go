package node_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/nodetest/lnd"
)

// TestRealPeersClose: what our restored LSP says makes a real lnd and a real LDK client close by force,
// and what is ours comes home from lnd.
//
// The LDK client has no coins of its own, as most clients of an LSP. It gives the channel up at once,
// but its commitment pays less than it wants to pay now, and it can't add to that: it publishes when the
// fees are down. Our part of that channel waits for it.
func TestRealPeersClose(t *testing.T) {
	lnd.Program(t)
	m := newLDKMarket(t, nil)
	payer := lnd.Start(t, filepath.Join(m.dir, "lnd"), m.bitcoind.Config())
	payer.Fund(m.Chain, 20_000_000)
	payer.Connect(m.seller.NodeID(), m.seller.Addr())
	payer.Open(m.Chain, m.bitcoind, m.seller.NodeID(), 10_000_000)
	client := m.client(t, "client")
	got, err := payer.Pay(lnd.Pay{Invoice: client.JIT(500_000_000)})
	must(t, err)
	if !got.Paid() {
		t.Fatalf("lnd could not pay: %s", got.Codes())
	}
	m.mine(6, client)
	file := m.backupOf(m.seller, func(c backup.Contents) bool { return confirmedChannels(c) == 4 })
	was := m.accounts(m.seller)
	for _, r := range m.seller.Orders() {
		delete(was.channels, *r.Point)
	}

	m.seller.Burn()
	m.seller.Restore(file)
	payer.Connect(m.seller.NodeID(), m.seller.Addr())
	m.comesBack(client)
	client.Event("ChannelClosed")
	m.wantAllBack(m.seller, was)
	m.soon(waitLink, func(ctx context.Context) bool { return len(m.channelsOf(ctx, m.seller)) <= 1 })
}
