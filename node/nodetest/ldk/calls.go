package ldk

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// request is one line of input; Amount is in msat.
type request struct {
	ID            int
	Do            string
	Amount        uint64 `json:",omitempty"`
	Invoice       string `json:",omitempty"`
	Peer          string `json:",omitempty"`
	Addr, Channel string `json:",omitempty"`
}

// do sends one request and decodes its result, which may be nil.
func (c *Client) do(q request, result any) error {
	r, ch := c.run, make(chan line, 1)
	r.mu.Lock()
	r.next++
	q.ID = r.next
	r.replies[q.ID] = ch
	r.mu.Unlock()
	raw, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if _, err := r.in.Write(append(raw, '\n')); err != nil {
		return err
	}
	select {
	case l := <-ch:
		switch {
		case l.Error != "":
			return fmt.Errorf("%s: %s", c.name, l.Error)
		case result == nil || len(l.Result) == 0:
			return nil
		}
		return json.Unmarshal(l.Result, result)
	case <-r.done:
		return fmt.Errorf("%s has ended", c.name)
	case <-time.After(wait):
		return fmt.Errorf("%s does not answer %s", c.name, q.Do)
	}
}

func (c *Client) must(q request, result any) {
	c.Helper()
	if err := c.do(q, result); err != nil {
		c.Fatal(err)
	}
}

// JIT buys a channel; amount 0 is an invoice of variable amount.
func (c *Client) JIT(msat uint64) string {
	c.Helper()
	invoice, err := c.TryJIT(msat)
	if err != nil {
		c.Fatal(err)
	}
	return invoice
}

// TryJIT is JIT that may fail.
func (c *Client) TryJIT(msat uint64) (invoice string, err error) {
	do := "jit"
	if msat == 0 {
		do = "jit-variable"
	}
	err = c.do(request{Do: do, Amount: msat}, &invoice)
	return invoice, err
}

// Invoice makes an ordinary one.
func (c *Client) Invoice(msat uint64) (invoice string) {
	c.Helper()
	c.must(request{Do: "invoice", Amount: msat}, &invoice)
	return invoice
}

// Pay starts a payment; its outcome is an event.
func (c *Client) Pay(invoice string) error {
	return c.do(request{Do: "pay", Invoice: invoice}, nil)
}

// Event waits for an event by name.
func (c *Client) Event(name string) json.RawMessage {
	c.Helper()
	timeout := time.After(wait)
	for {
		select {
		case e := <-c.run.events:
			if e.Event == name {
				return e.Detail
			}
			c.Logf("%s: %s %s", c.name, e.Event, e.Detail)
		case <-timeout:
			c.Fatalf("%s had no event %s", c.name, name)
		}
	}
}

// Received waits for a payment and returns what arrived, in msat.
func (c *Client) Received() uint64 {
	c.Helper()
	var e struct{ AmountMsat uint64 }
	if err := json.Unmarshal(c.Event("PaymentReceived"), &e); err != nil {
		c.Fatal(err)
	}
	return e.AmountMsat
}

// Channel is what LDK says of one of its channels.
type Channel struct {
	CounterpartyNodeId    string
	ChannelValueSats      uint64
	IsUsable              bool
	IsAnnounced           bool
	Confirmations         *uint32
	ConfirmationsRequired *uint32
	OutboundCapacityMsat  uint64
	InboundCapacityMsat   uint64
}

// Channels lists the client's channels.
func (c *Client) Channels() (list []Channel) {
	c.Helper()
	c.must(request{Do: "channels"}, &list)
	return list
}

// Connect connects the client to a peer, at once; by itself it does so once a minute.
func (c *Client) Connect(peer, addr string) error {
	return c.do(request{Do: "connect", Peer: peer, Addr: addr}, nil)
}

// Connected reports whether the client is connected to any peer.
func (c *Client) Connected() bool {
	c.Helper()
	var peers []struct{ IsConnected bool }
	c.must(request{Do: "peers"}, &peers)
	return slices.ContainsFunc(peers, func(p struct{ IsConnected bool }) bool {
		return p.IsConnected
	})
}

// Height is the block that the client has followed the chain to.
func (c *Client) Height() uint32 {
	c.Helper()
	var s struct{ CurrentBestBlock struct{ Height uint32 } }
	c.must(request{Do: "status"}, &s)
	return s.CurrentBestBlock.Height
}

// Events are those that came and nobody waited for, as NAME DETAIL.
func (c *Client) Events() (list []string) {
	for {
		select {
		case e := <-c.run.events:
			list = append(list, e.Event+" "+string(e.Detail))
		default:
			return list
		}
	}
}
