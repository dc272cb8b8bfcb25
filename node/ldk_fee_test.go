package node_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// carelessly lets an LSP take more than LDK lets pass, and forward what comes too
// late for it.
func carelessly(o *node.Options) {
	o.LSP.Offer.Rules.VariableCompatFee = false
	o.LSP.Offer.Rules.MinFinalExpiryDelta = 1
}

// less withholds this much more than agreed.
func less(more lnwire.MilliSatoshi) func(*forwarded) {
	return func(h *forwarded) {
		fee := lnwire.MilliSatoshi(binary.BigEndian.Uint64(h.records[lsp.ExtraFeeType]))
		h.amount -= more
		h.records = lnwire.CustomRecords{lsp.ExtraFeeType: lsp.AppendExtraFee(nil, fee+more)}
	}
}

// TestLDKFee: what LDK lets an LSP withhold, to the millisatoshi.
func TestLDKFee(t *testing.T) {
	m := newLDKMarket(t, carelessly)
	const size, unknown = 50_000_000, "incorrect_or_unknown_payment_details"
	var minusOne lnwire.MilliSatoshi
	minusOne--
	for _, c := range []struct {
		name     string
		variable bool
		forward  func(*forwarded)
		refused  string
		received uint64
	}{
		{name: "as agreed", forward: less(0), received: 48_000_000},
		{name: "skim+1", forward: less(1), refused: unknown},
		{name: "skim-1", forward: less(minusOne), received: 48_000_001},
		{
			name: "no TLV", forward: func(h *forwarded) { h.records = nil },
			refused: "final_incorrect_htlc_amount",
		},
		{name: "variable, spec fee", variable: true, forward: less(0), refused: unknown},
		{
			name: "5.5 s after channel_ready", received: 48_000_000,
			forward: func(*forwarded) { <-time.After(5500 * time.Millisecond) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := m.client(t, "fee of "+c.name)
			m.bad.do(t, func(bad *culprit) { bad.forward = c.forward })
			invoice, amount := client.JIT(size), lnwire.MilliSatoshi(0)
			if c.variable {
				// The minimum fee is far less than 1 % here, as bLIP-52 wants it charged.
				invoice, amount = client.JIT(0), 300_000_000
			}
			p := m.attempt(t, invoice, amount)
			if c.refused == "" {
				wantPaid(t, p, client, c.received)
				return
			}
			wantCode(t, p, c.refused)
			if n := len(client.Channels()); n != 1 {
				t.Errorf("the client has %d channels, want the one that it was opened", n)
			}
		})
	}
}

// TestLDKFinalExpiry: LDK counts the blocks of the final expiry exactly, when the
// HTLC arrives. What the payer adds for its own sake is 3.
func TestLDKFinalExpiry(t *testing.T) {
	m := newLDKMarket(t, carelessly)
	const padding = 3
	for _, c := range []struct {
		name   string
		final  uint64
		blocks int // mined while the LSP holds
		paid   bool
	}{
		{"final 43", 43, 0, false},
		{"final 44", 44, 0, true},
		{"final 44 and a block", 44, 1, false},
		{"final 47 and 3 blocks", 47, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := m.client(t, c.name)
			invoice := rewrite(t, client, client.JIT(50_000_000), func(inv *zpay32.Invoice) {
				zpay32.CLTVExpiry(c.final - padding)(inv)
			})
			if c.blocks > 0 {
				m.bad.do(t, func(bad *culprit) {
					bad.forward = func(*forwarded) { m.mine(c.blocks, client) }
				})
			}
			p := m.attempt(t, invoice, 0)
			if c.paid {
				wantPaid(t, p, client, 48_000_000)
				return
			}
			wantCode(t, p, "incorrect_or_unknown_payment_details")
		})
	}
}

// TestLDKFinalExpiryKept: our LSP neither opens nor forwards what LDK would refuse
// for its final expiry.
func TestLDKFinalExpiryKept(t *testing.T) {
	m := newLDKMarket(t, nil)
	client := m.client(t, "client")
	invoice := rewrite(t, client, client.JIT(50_000_000), func(inv *zpay32.Invoice) {
		zpay32.CLTVExpiry(40)(inv)
	})
	m.wantRefused(invoice, 0, "temporary_channel_failure")
	if n := len(client.Channels()); n != 0 {
		t.Errorf("%d channels were opened for a payment that came too late", n)
	}
}

// TestLDKTruncatedFee: an extra_fee that is a tu64 ends the connection, and again
// each time that the HTLC is repeated. It is why ours has 8 bytes.
func TestLDKTruncatedFee(t *testing.T) {
	m := newLDKMarket(t, nil)
	client := m.client(t, "client")
	var sent atomic.Int32
	m.bad.do(t, func(bad *culprit) {
		bad.forward = func(h *forwarded) {
			h.records = lnwire.CustomRecords{lsp.ExtraFeeType: {0x1e, 0x84, 0x80}}
		}
		bad.wire = func(out bool, msg lnwire.Message) {
			if _, ok := msg.(*lnwire.UpdateAddHTLC); ok && out {
				sent.Add(1)
			}
		}
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: client.JIT(50_000_000)})
	for try := range int32(3) {
		m.soon(waitLink, func(context.Context) bool {
			if client.Connected() {
				return false
			}
			if sent.Load() > try {
				return true
			}
			// It may say that it failed, when the connection ended as soon as it began.
			_ = client.Connect(m.seller.NodeID(), m.seller.Addr())
			return false
		})
		stillHeld(t, out)
	}
}
