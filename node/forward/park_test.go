package forward

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/contractcourt"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnpeer"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

// quietPeer is a connection to the other side of a channel; it notes what it is sent.
type quietPeer struct {
	lnpeer.Peer
	key  *btcec.PublicKey
	sent chan lnwire.Message
}

func (p *quietPeer) ID() uint64                    { return 5 }
func (p *quietPeer) IdentityKey() *btcec.PublicKey { return p.key }
func (p *quietPeer) PubKey() [33]byte              { return [33]byte(p.key.SerializeCompressed()) }
func (p *quietPeer) QuitSignal() <-chan struct{}   { return nil }
func (p *quietPeer) Disconnect(error)              {}

func (p *quietPeer) SendMessage(_ bool, msgs ...lnwire.Message) error {
	for _, m := range msgs {
		p.sent <- m
	}
	return nil
}

// quietCourt watches nothing.
type quietCourt struct{}

func (quietCourt) SubscribeChannelEvents(ChannelPoint) (
	*contractcourt.ChainEventSubscription, error) {
	return &contractcourt.ChainEventSubscription{Cancel: func() {}}, nil
}

func (quietCourt) UpdateContractSignals(ChannelPoint, *contractcourt.ContractSignals) error {
	return nil
}

func (quietCourt) NotifyContractUpdate(ChannelPoint, *contractcourt.ContractUpdate) error {
	return nil
}

func (quietCourt) ForceClose(ChannelPoint) error { return nil }

// quietEvents forgets what it is told.
type quietEvents struct{}

func (quietEvents) ChannelUsable(Usable)                 {}
func (quietEvents) ChannelUnusable(ChannelPoint)         {}
func (quietEvents) Fulfilled(lntypes.Preimage)           {}
func (quietEvents) Reestablished(Peer, lnwire.ChannelID) {}

// noInvoices is a registry that holds nothing.
type noInvoices struct{ htlcswitch.InvoiceDatabase }

func (noInvoices) HodlUnsubscribeAll(chan<- any) {}

// noBeacon forgets what it learns.
type noBeacon struct{ contractcourt.WitnessBeacon }

func (noBeacon) AddPreimages(...lntypes.Preimage) error { return nil }

// fresh is a channel of this connection whose link is not made yet.
func fresh(t *testing.T) (*Links, *quietPeer, *channeldb.OpenChannel, lnwire.ChannelID) {
	t.Helper()
	ours, _, err := lnwallet.CreateTestChannels(t,
		channeldb.SingleFunderTweaklessBit|channeldb.AnchorOutputsBit)
	if err != nil {
		t.Fatal(err)
	}
	return linksOf(t, ours)
}

// linksOf are the links of a node that has the channel, and none for it yet.
func linksOf(t *testing.T, ours *lnwallet.LightningChannel) (*Links, *quietPeer,
	*channeldb.OpenChannel, lnwire.ChannelID) {

	t.Helper()
	b := newBench(t)
	b.cfg.Channels = ours.State().Db.GetParentDB()
	l := NewLinks(LinksConfig{
		Engine: b.Engine, Court: quietCourt{},
		Registry: noInvoices{}, Beacon: noBeacon{}, Events: quietEvents{},
	})
	t.Cleanup(l.Stop)
	p := &quietPeer{key: ours.State().IdentityPub, sent: make(chan lnwire.Message, 100)}
	l.conns[p.PubKey()] = &connLinks{
		peer: p, pending: map[lnwire.ChannelID]bool{},
		parked: map[lnwire.ChannelID][]lnwire.Message{},
	}
	ch, err := l.channels().FetchChannel(ours.ChannelPoint())
	if err != nil {
		t.Fatal(err)
	}
	return l, p, ch, lnwire.NewChanIDFromOutPoint(ch.FundingOutpoint)
}

// TestMessagesBeforeTheLink: a peer may send HTLCs right behind its channel_ready. The
// link gets what came before it: here a claim of an HTLC that never was, which it answers.
func TestMessagesBeforeTheLink(t *testing.T) {
	l, p, ch, id := fresh(t)
	if err := l.Deliver(p, id, &lnwire.UpdateFulfillHTLC{ChanID: id, ID: 7}); err != nil {
		t.Fatal(err)
	}
	if len(p.sent) != 0 {
		t.Fatalf("a message before its link is answered: %v", (<-p.sent).MsgType())
	}
	if err := l.Ready(p, ch, lnwire.NewChannelReady(id, testKey.PubKey())); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(waitFor)
	for {
		select {
		case m := <-p.sent:
			if e, ok := m.(*lnwire.Error); ok {
				if e.ChanID != id {
					t.Errorf("the error is about channel %v", e.ChanID)
				}
				return
			}
		case <-timeout:
			t.Fatal("the link never saw the message that came before it")
		}
	}
}

// TestMessagesBeforeTheLinkAreLimited: who sends on and on before the channel is usable
// is cut off.
func TestMessagesBeforeTheLinkAreLimited(t *testing.T) {
	l, p, _, id := fresh(t)
	add := &lnwire.UpdateAddHTLC{ChanID: id}
	for range maxParked {
		if err := l.Deliver(p, id, add); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Deliver(p, id, add); err == nil {
		t.Errorf("message %d was kept", maxParked+1)
	}
}
