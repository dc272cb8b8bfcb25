package node_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/wallet"
)

// TestReadyCoinsSellWithoutABlock: an opening binds whole coins until the next block. An LSP whose
// money came in one coin sells several channels between two blocks, for the coin was split before.
func TestReadyCoinsSellWithoutABlock(t *testing.T) {
	stock := wallet.Stock{Ready: 4, Size: 1_000_000}
	m := newMarket(t, marketPlan{coins: 1, seller: func(o *node.Options) { o.Onchain.Stock = stock }})
	m.soon(waitLink, func(context.Context) bool {
		coins, err := m.seller.Utxos()
		must(t, err)
		ready := 0
		for _, c := range coins {
			if c.Value >= stock.Size && c.Confirmations > 0 {
				ready++
			}
		}
		if txs, err := m.Chain.Mempool(); err == nil && len(txs) > 0 {
			m.Mine(1)
		}
		return ready == stock.Ready
	})
	for i := range stock.Ready - 1 {
		client := m.node(fmt.Sprint("client ", i), nil)
		inv := m.buy(client, 50_000_000)
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		m.paidOver(inv)
	}
}
