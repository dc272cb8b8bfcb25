package itest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// end is how one end of a line of payments pays and is paid.
type end struct {
	// bill makes an invoice; settled waits until it is paid.
	bill func(msat uint64) (bolt11 string, settled func(), err error)
	// pay returns when the payment succeeded, or was started by one whose payments
	// end later; the other end's settled tells then.
	pay func(bolt11 string) error
}

func endOfInlet(n *inlet) end {
	return end{
		bill: func(msat uint64) (string, func(), error) {
			inv, err := n.CreateInvoice(context.Background(),
				api.InvoiceRequest{AmountMsat: api.SomeMsat(api.Msat(msat))})
			if err != nil {
				return "", nil, err
			}
			return inv.Bolt11, func() { n.settled(inv.PaymentHash) }, nil
		},
		pay: func(bolt11 string) error { _, err := n.tryPay(bolt11); return err },
	}
}

// endOfLnd only pays: lnd names no channel with a node that is not public in its
// invoices, so nobody behind the LSP finds the way to it.
func endOfLnd(n *lnd) end {
	return end{pay: func(bolt11 string) error { _, err := n.pay(bolt11, nil); return err }}
}

func endOfLDK(c *ldk.Client) end {
	return end{
		bill: func(msat uint64) (string, func(), error) { return c.Invoice(msat), func() {}, nil },
		pay:  c.Pay,
	}
}

// busy makes 50 payments each way over a client's new channel while a block comes
// every two seconds, and one right behind each fifth payment. The client pays payee.
func (h *house) busy(payer, client, payee end, id string) {
	h.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(2 * time.Second)
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
	defer func() { close(stop); <-done }()

	var both sync.WaitGroup
	for _, way := range []struct{ from, to end }{{payer, client}, {client, payee}} {
		both.Go(func() {
			for i := range 50 {
				if !h.transfer(way.from, way.to, 400_000) {
					h.Errorf("payment %d failed", i)
					return
				}
				if i%5 == 4 {
					h.mine(1)
				}
			}
		})
	}
	both.Wait()
	if c := h.lsp.channel(id); c == nil || !c.Active || c.State != api.ChannelOpen {
		h.Errorf("afterwards the channel is %+v", c)
	}
}

// canSend waits until what an LDK client received is its own to send: it says that it
// was paid before the HTLC is off the commitments.
func (h *house) canSend(c *ldk.Client) {
	h.Helper()
	h.until("client that can send", func() bool {
		list := c.Channels()
		return len(list) == 1 && list[0].OutboundCapacityMsat > 30_000_000
	})
}

// transfer pays once.
func (h *house) transfer(from, to end, msat uint64) bool {
	h.Helper()
	bolt11, settled, err := to.bill(msat)
	if err == nil {
		err = from.pay(bolt11)
	}
	if err != nil {
		h.Errorf("payment: %v", err)
		return false
	}
	settled()
	return true
}

// TestLDKUnderLoad: lnd -> Inlet -> LDK, 50 payments each way over the new channel.
func TestLDKUnderLoad(t *testing.T) {
	h := newHouse(t, onBtcd)
	client := h.ldk("ldk", h.lsp, ldk.Trusted)
	h.payer.mustPay(client.JIT(50_000_000), nil)
	h.paid(client.ID, client.Received(), 50_000_000, 2_000_000)
	h.canSend(client)
	h.busy(endOfLnd(h.payer), endOfLDK(client), endOfInlet(h.lsp), client.ID)
}
