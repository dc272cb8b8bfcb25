package itest

import (
	"testing"
	"time"

	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// TestLDKUnderBlocks: LDK clients buy and are paid while a block comes every 0.25
// seconds, with an LSP that follows bitcoind by ZMQ, or by asking again and again.
func TestLDKUnderBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"ZMQ", nil},
		{"polling", []string{"--chain.bitcoind.zmq_block=", "--chain.bitcoind.zmq_tx="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, onBitcoind, c.flags...)
			// A coin for each sale: they may all be made before the backend is asked for a block, and
			// until then the change of none can be spent.
			h.lsp.fund(10_000_000, 5)
			client := h.ldk("ldk", h.lsp, ldk.Trusted)
			h.payer.mustPay(client.JIT(50_000_000), nil)
			h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)

			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				ticker := time.NewTicker(250 * time.Millisecond)
				defer ticker.Stop()
				for {
					select {
					case <-ticker.C:
						h.mine(1)
					case <-stop:
						return
					}
				}
			}()
			const sales = 6
			for range sales {
				invoice := client.JIT(40_000_000)
				// LDK takes no more than lnd's 3 blocks between the payer and itself: what
				// takes longer is refused in time, and paid at the next try.
				h.until("sale while blocks come", func() bool {
					_, err := h.payer.pay(invoice, nil)
					if err != nil {
						t.Logf("once more: %v", err)
					}
					return err == nil
				})
			}
			close(stop)
			<-done
			for range sales {
				if got := client.Received(); got != 38_000_000 {
					t.Errorf("a payment brought %d msat", got)
				}
			}
		})
	}
}
