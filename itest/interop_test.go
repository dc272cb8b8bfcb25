package itest

import (
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// TestLDKLines are lines of what an LDK client is known to need, each once.
func TestLDKLines(t *testing.T) {
	h := newHouse(t, onBitcoind, "--chain.bitcoind.zmq_block=", "--chain.bitcoind.zmq_tx=")

	t.Run("client offline for a while", func(t *testing.T) {
		client := h.ldk("ldk-offline", h.lsp, ldk.Trusted)
		invoice := client.JIT(50_000_000)
		client.Stop()
		paid := make(chan error, 1)
		go func() {
			_, err := h.payer.pay(invoice, nil)
			paid <- err
		}()
		h.until("held part", func() bool {
			o := h.lsp.order(client.ID)
			return o != nil && o.State == api.AwaitingClient
		})
		time.Sleep(12 * time.Second) // the client sleeps this long
		client.Start()
		if err := <-paid; err != nil {
			t.Fatal(err)
		}
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
	})

	t.Run("a block while the payment is held", func(t *testing.T) {
		client := h.ldk("ldk-block", h.lsp, ldk.Trusted)
		invoice := client.JIT(50_000_000)
		client.Stop()
		paid := make(chan error, 1)
		go func() {
			_, err := h.payer.pay(invoice, nil)
			paid <- err
		}()
		h.until("held part", func() bool {
			o := h.lsp.order(client.ID)
			return o != nil && o.State == api.AwaitingClient
		})
		h.mine(2) // lnd pads its expiry by 3 blocks
		client.Start()
		if err := <-paid; err != nil {
			t.Fatal(err)
		}
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
	})

	t.Run("too many blocks while the payment is held: no channel", func(t *testing.T) {
		client := h.ldk("ldk-late", h.lsp, ldk.Trusted)
		invoice := client.JIT(50_000_000)
		client.Stop()
		paid := make(chan error, 1)
		go func() {
			_, err := h.payer.pay(invoice, func(r *routerrpc.SendPaymentRequest) {
				r.TimeoutSeconds = 10
			})
			paid <- err
		}()
		h.until("held part", func() bool {
			o := h.lsp.order(client.ID)
			return o != nil && o.State == api.AwaitingClient
		})
		h.mine(4)
		h.until("failed part", func() bool {
			o := h.lsp.order(client.ID)
			return o.Failure != nil && o.Failure.Code == "temporary_channel_failure"
		})
		client.Start()
		<-paid // lnd may try again with a fresh height, and then it works
		if o := h.lsp.order(client.ID); o.State != api.Paid && o.ChannelPoint != "" {
			t.Errorf("a channel was opened for a payment that came too late: %+v", o)
		}
	})

	t.Run("several buys of one client, paid at once", func(t *testing.T) {
		client := h.ldk("ldk-several", h.lsp, ldk.Trusted)
		var all sync.WaitGroup
		for range 4 {
			invoice := client.JIT(30_000_000)
			all.Go(func() {
				if _, err := h.payer.pay(invoice, nil); err != nil {
					t.Errorf("one of several payments at once: %v", err)
				}
			})
		}
		all.Wait()
		for range 4 {
			if got := client.Received(); got != 28_000_000 {
				t.Errorf("one of them brought %d msat", got)
			}
		}
		if n := len(client.Channels()); n != 4 {
			t.Errorf("the client has %d channels, want one for each buy", n)
		}
	})

	t.Run("fee as large as the payment is refused at buy", func(t *testing.T) {
		client := h.ldk("ldk-small", h.lsp, ldk.Trusted)
		if invoice, err := client.TryJIT(2_000_000); err == nil {
			t.Errorf("the LSP sold a channel for a payment that is all fee: %q", invoice)
		}
	})

	t.Run("client killed after the payment", func(t *testing.T) {
		client := h.ldk("ldk-killed", h.lsp, ldk.Trusted)
		h.payer.mustPay(client.JIT(50_000_000), nil)
		h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
		client.Persisted()
		client.Kill()
		client.Start()
		h.until("usable channel after kill -9", func() bool {
			c := client.Channels()
			return len(c) == 1 && c[0].IsUsable
		})
		h.payer.mustPay(client.Invoice(3_000_000), nil)
		got := client.Received()
		if got == 48_000_000 { // the event that the killed one had not ticked off
			got = client.Received()
		}
		if got != 3_000_000 {
			t.Errorf("after kill -9 a payment brings %d msat", got)
		}
	})
}
