package node_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
	"github.com/inletlsp/inlet/node/pay"
)

// opened pays for a channel whose opening is not as usual. A reason is what LDK must
// have said against it; without one the payment must arrive.
func (m *ldkMarket) opened(t *testing.T, change func(*culprit), reason string) *ldk.Client {
	t.Helper()
	client := m.client(t, t.Name()[len("TestLDK"):])
	m.bad.do(t, change)
	p := m.attempt(t, client.JIT(50_000_000), 0)
	if reason == "" {
		wantPaid(t, p, client, 48_000_000)
		return client
	}
	if p.Status == pay.Succeeded {
		t.Error("the payment arrived")
	}
	if !client.Logged(reason) {
		t.Errorf("LDK's log does not say %q", reason)
	}
	return client
}

// onOpenChannel changes open_channel as it leaves.
func onOpenChannel(change func(*lnwire.OpenChannel)) func(*culprit) {
	return func(bad *culprit) {
		bad.wire = func(sent bool, msg lnwire.Message) {
			if m, ok := msg.(*lnwire.OpenChannel); ok && sent {
				change(m)
			}
		}
	}
}

// onOpenRequest changes what we want of the channel.
func onOpenRequest(change func(*chanfactory.OpenRequest)) func(*culprit) {
	return func(bad *culprit) { bad.open = change }
}

// TestLDKChannelTypes: LDK takes each of these types before its funding confirms, and
// none at all is an error.
func TestLDKChannelTypes(t *testing.T) {
	m := newLDKMarket(t, nil)
	for _, c := range []struct {
		name    string
		bits    []lnwire.FeatureBit
		anchors bool
	}{
		{"12,22,46,50", []lnwire.FeatureBit{12, 22, 46, 50}, true},
		{"12,22,46", []lnwire.FeatureBit{12, 22, 46}, true},
		{"12,22,50", []lnwire.FeatureBit{12, 22, 50}, true},
		{"12,22", []lnwire.FeatureBit{12, 22}, true},
		{"12,46,50", []lnwire.FeatureBit{12, 46, 50}, false},
		{"12,46", []lnwire.FeatureBit{12, 46}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ours *lnwire.ChannelType
			theirs := (*lnwire.ChannelType)(lnwire.NewRawFeatureVector(c.bits...))
			depth := uint32(99)
			m.opened(t, func(bad *culprit) {
				bad.open = func(r *chanfactory.OpenRequest) { r.WithoutAnchors = !c.anchors }
				// LDK sees the type of this test; we go on with ours, which differs in
				// nothing that is signed.
				bad.wire = func(sent bool, msg lnwire.Message) {
					switch msg := msg.(type) {
					case *lnwire.OpenChannel:
						ours, msg.ChannelType = msg.ChannelType, theirs
					case *lnwire.AcceptChannel:
						got := (*lnwire.RawFeatureVector)(msg.ChannelType)
						if !got.Equals((*lnwire.RawFeatureVector)(theirs)) {
							t.Errorf("accept_channel has the type %v", got)
						}
						depth, msg.ChannelType = msg.MinAcceptDepth, ours
					}
				}
			}, "")
			if depth != 0 {
				t.Errorf("minimum_depth is %d", depth)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		m.opened(t, onOpenChannel(func(m *lnwire.OpenChannel) { m.ChannelType = nil }),
			"option_channel_type assumed to be supported")
	})
}

// TestLDKLimits: the limits of LDK to what open_channel asks for, from both sides.
func TestLDKLimits(t *testing.T) {
	m := newLDKMarket(t, nil)
	for _, c := range []struct {
		name   string
		change func(*culprit)
		reason string
	}{
		{
			"feerate 252", onOpenChannel(func(m *lnwire.OpenChannel) { m.FeePerKiloWeight = 252 }),
			"Our expected lower limit: 253",
		},
		{
			"feerate 253", onOpenRequest(func(r *chanfactory.OpenRequest) { r.CommitFeeRate = 253 }),
			"",
		},
		{
			"csv 2017", onOpenChannel(func(m *lnwire.OpenChannel) { m.CsvDelay = 2017 }),
			"Upper limit: 2016",
		},
		{
			// The delay that we ask for grows with the capacity; this is LDK's largest.
			"csv 2015", func(bad *culprit) {
				bad.open = func(r *chanfactory.OpenRequest) { r.Capacity = 16_777_215 }
				bad.wire = func(sent bool, msg lnwire.Message) {
					if m, ok := msg.(*lnwire.OpenChannel); ok && m.CsvDelay != 2015 {
						t.Errorf("to_self_delay is %d", m.CsvDelay)
					}
				}
			}, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) { m.opened(t, c.change, c.reason) })
	}

	// No channel has the delay of 2016 that LDK would take, so it ends with our
	// signature, which is for another.
	t.Run("csv 2016", func(t *testing.T) {
		client := m.client(t, "csv 2016")
		var accepted atomic.Bool
		m.bad.do(t, func(bad *culprit) {
			bad.wire = func(sent bool, msg lnwire.Message) {
				switch m := msg.(type) {
				case *lnwire.OpenChannel:
					m.CsvDelay = 2016
				case *lnwire.AcceptChannel:
					accepted.Store(true)
				}
			}
		})
		invoice := client.JIT(50_000_000)
		out := <-m.paying(m.payer, pay.PayRequest{Invoice: invoice, Timeout: time.Second})
		if must(t, out.err); out.payment.Status == pay.Succeeded {
			t.Error("the signature of another commitment was taken")
		}
		if !accepted.Load() {
			t.Error("LDK does not accept a to_self_delay of 2016")
		}
	})

	t.Run("max csv 100", func(t *testing.T) {
		client := m.opened(t, onOpenRequest(func(r *chanfactory.OpenRequest) {
			r.MaxToSelfDelay = 100
		}), "to_self_delay")
		if n := len(client.Channels()); n != 0 {
			t.Errorf("the client has %d channels", n)
		}
	})
}

// TestLDKCapacity: 100 sat less than our formula says would be too small, and with
// what it says the payment fits. Without the formula the channel would be opened, and
// the payment would not go through it.
func TestLDKCapacity(t *testing.T) {
	m := newLDKMarket(t, nil)
	const rate = 2500
	sized := func(more btcutil.Amount, unchecked bool) func(*culprit) {
		return onOpenRequest(func(r *chanfactory.OpenRequest) {
			r.CommitFeeRate = rate
			r.Capacity = more + chanfactory.Capacity(r.Room, rate, true, chanfactory.Reserve{})
			if unchecked {
				r.Room = chanfactory.Room{}
			}
		})
	}
	for _, c := range []struct {
		name     string
		change   func(*culprit)
		refused  string // empty: it is paid
		channels int
	}{
		{"as large as the formula says", sized(0, false), "", 1},
		{"100 sat more", sized(100, false), "", 1},
		{"100 sat less", sized(-100, false), "unknown_next_peer", 0},
		{"100 sat less, unchecked", sized(-100, true), "temporary_channel_failure", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := m.client(t, c.name)
			m.bad.do(t, c.change)
			if c.refused == "" {
				wantPaid(t, m.attempt(t, client.JIT(50_000_000), 0), client, 48_000_000)
			} else {
				m.wantRefused(client.JIT(50_000_000), 0, c.refused)
			}
			if n := len(client.Channels()); n != c.channels {
				t.Errorf("the client has %d channels, want %d", n, c.channels)
			}
		})
	}
}
