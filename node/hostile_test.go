package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// What becomes of a channel whose peer breaks the protocol.
const (
	ignored    = "goes on"
	waits      = "stands still until the next connection"
	reconnects = "goes on with a new connection"
	closed     = "is closed by force"
)

// violation is a message of a client that owns a channel.
type violation struct {
	name string
	msg  func(id lnwire.ChannelID) lnwire.Message
	want string
}

func violations() []violation {
	sig, _ := lnwire.NewSigFromWireECDSA(bytes.Repeat([]byte{1}, 64))
	add := func(change func(*lnwire.UpdateAddHTLC)) func(lnwire.ChannelID) lnwire.Message {
		return func(id lnwire.ChannelID) lnwire.Message {
			m := &lnwire.UpdateAddHTLC{ChanID: id, Amount: 1_000_000, Expiry: 500, PaymentHash: [32]byte{1}}
			change(m)
			return m
		}
	}
	return []violation{
		{"update_add_htlc with a gap", add(func(m *lnwire.UpdateAddHTLC) { m.ID = 7 }), waits},
		{"update_add_htlc of nothing", add(func(m *lnwire.UpdateAddHTLC) { m.Amount = 0 }), waits},
		{"update_add_htlc of too much", add(func(m *lnwire.UpdateAddHTLC) { m.Amount = 1 << 50 }), waits},
		{"update_fee of who did not open", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.UpdateFee{ChanID: id, FeePerKw: 253}
		}, waits},
		{"commitment_signed, signed wrongly", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.CommitSig{ChanID: id, CommitSig: sig}
		}, closed},
		{"commitment_signed with a signature too many", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.CommitSig{ChanID: id, CommitSig: sig, HtlcSigs: []lnwire.Sig{sig}}
		}, closed},
		{"revoke_and_ack unasked", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.RevokeAndAck{ChanID: id, Revocation: [32]byte{1}, NextRevocationKey: newKey().PubKey()}
		}, reconnects},
		{"update_fulfill_htlc of none", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.UpdateFulfillHTLC{ChanID: id, ID: 99, PaymentPreimage: [32]byte{1}}
		}, waits},
		{"update_fail_htlc of none", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.UpdateFailHTLC{ChanID: id, ID: 99, Reason: bytes.Repeat([]byte{0x1b}, 60_000)}
		}, waits},
		{"update_fail_malformed_htlc without BADONION", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.UpdateFailMalformedHTLC{ChanID: id, ID: 99, FailureCode: 1}
		}, waits},
		{"channel_ready again, with another's alias", func(id lnwire.ChannelID) lnwire.Message {
			m := lnwire.NewChannelReady(id, newKey().PubKey())
			alias := lnwire.NewShortChanIDFromInt(16_000_000<<40 | 1)
			m.AliasScid = &alias
			return m
		}, ignored},
		{"funding_signed again", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.FundingSigned{ChanID: id, CommitSig: sig}
		}, ignored},
		{"channel_reestablish in between", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.ChannelReestablish{ChanID: id, NextLocalCommitHeight: 100,
				RemoteCommitTailHeight: 99, LocalUnrevokedCommitPoint: newKey().PubKey()}
		}, ignored},
		{"error of 60 kB that draws", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.Error{ChanID: id, Data: []byte(strings.Repeat("\x1b[2J\u202e\n", 6000))}
		}, waits},
		{"warning", func(id lnwire.ChannelID) lnwire.Message {
			return &lnwire.Warning{ChanID: id, Data: []byte("\x1b[2J\n")}
		}, ignored},
	}
}

// TestChannelViolations is annex c 12-14 and 29 on channels that were sold: the stated
// outcome for that channel, and none for the channels of others.
func TestChannelViolations(t *testing.T) {
	m := newMarket(t, marketPlan{coins: 20})
	honest := m.node("honest", nil)
	inv := m.buy(honest, 50_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.paidOver(inv)
	for i, v := range violations() {
		client := m.node(fmt.Sprint("client ", i), nil)
		inv := m.buy(client, 50_000_000)
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
		m.paidOver(inv)
		id := lnwire.NewChanIDFromOutPoint(*m.order(inv).Point)
		before := m.seller.Node.ConnOf(client.Key())
		must(t, client.Say(m.seller.Key(), v.msg(id)))
		if got := m.outcome(client, before, v.want); got != v.want {
			t.Errorf("%s: the channel %s, want: it %s", v.name, got, v.want)
		}
		m.send(m.payer, honest, 1_000_000)
		client.Stop()
	}
}

// outcome waits for what should become of a client's only channel, and says what did.
func (m *market) outcome(client *member, before uint64, want string) (got string) {
	m.t.Helper()
	if want == ignored {
		m.send(m.payer, client, 1_000_000)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), waitLink)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got = ignored
		list := m.channels(m.seller, client)
		switch {
		case len(list) == 0 || list[0].State != api.ChannelOpen:
			got = closed
		case m.seller.Node.ConnOf(client.Key()) != before && list[0].Active:
			got = reconnects
		case !list[0].Active:
			got = waits
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return got
		}
		if got == want {
			return got
		}
	}
}

// TestDispatch sends a node thousands of messages of all types, spoilt in all ways, each
// behind init. Whatever it answers, it serves the next who comes.
func TestDispatch(t *testing.T) {
	m := newMarket(t, marketPlan{})
	const seed = 1
	random := mrand.New(mrand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	key := newKey()
	for range 400 {
		s, err := greet(key, m.seller.Key(), m.seller.Addr())
		must(t, err)
		go s.drain()
		for range 10 {
			if s.send(spoilt(random)) != nil {
				break
			}
		}
		s.Close()
	}
	client := m.node("client", nil)
	inv := m.buy(client, 50_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
}

// spoilt is a message of a random type with random contents.
func spoilt(r *mrand.Rand) []byte {
	kinds := []uint16{1, 2, 16, 17, 18, 19, 32, 33, 34, 35, 36, 38, 39, 128, 130, 131, 132, 133, 134, 135, 136,
		256, 257, 258, 259, 263, 264, 265, 513, 37913, 32769, 65535}
	kind := kinds[r.IntN(len(kinds))]
	raw := []byte{byte(kind >> 8), byte(kind)}
	body := make([]byte, r.IntN(600))
	_, _ = rand.Read(body)
	switch r.IntN(4) {
	case 0:
		return append(raw, body...)
	case 1:
		return append(raw, make([]byte, len(body))...)
	case 2:
		good := encoded(strangerOpen(newKey().PubKey()))
		good[2+r.IntN(len(good)-2)] ^= byte(1 + r.IntN(255))
		return good
	}
	return append([]byte{0x94, 0x19}, badLSPS[r.IntN(len(badLSPS))]...)
}

// TestReconnectStorm is annex c 40: a client's node id connects from 50 sockets at once
// while its channel is being opened. The order funds one channel at most, and the payment
// arrives, at the second try if not at the first.
func TestReconnectStorm(t *testing.T) {
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 50_000_000)
	var wg sync.WaitGroup
	var once sync.Once
	m.log.on(orders.StageOpenSent, func() {
		once.Do(func() {
			for range 50 {
				wg.Go(func() { m.impersonate(client) })
			}
		})
	})
	first := <-m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	wg.Wait()
	must(t, first.err)
	t.Logf("the first try: %s", first.payment.Status)
	if first.payment.Status != pay.Succeeded {
		ctx, cancel := m.Context()
		defer cancel()
		must(t, client.Connect(ctx, m.seller.Key(), m.seller.Addr()))
		m.pay(m.payer, inv.Invoice.Bolt11, 0)
	}
	if n := len(m.channels(m.seller, client)); n != 1 {
		t.Errorf("the client has %d channels", n)
	}
}

// impersonate connects with a node's own key, and says what a confused copy of it might.
func (m *market) impersonate(of *member) {
	s, err := greetAs(of.Identity(), m.seller.Key(), m.seller.Addr())
	if err != nil {
		return // another one was faster
	}
	defer s.Close()
	_ = s.say(strangerOpen(newKey().PubKey()))
}
