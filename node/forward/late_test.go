package forward

import (
	"errors"
	"testing"

	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/lnwire"
)

// laterPeer is the next connection of the same peer.
type laterPeer struct{ *quietPeer }

func (laterPeer) ID() uint64 { return 6 }

// linked is fresh, with the link made.
func linked(t *testing.T) (*Links, *quietPeer, lnwire.ChannelID) {
	t.Helper()
	l, p, ch, id := fresh(t)
	if err := l.Ready(p, ch, lnwire.NewChannelReady(id, testKey.PubKey())); err != nil {
		t.Fatal(err)
	}
	return l, p, id
}

// TestLateFailureOfALink: a link that ends with its connection may report its failure when
// the peer is back already. If that took the new link, the channel would be dead, and what
// is under way on it held, until the peer happens to connect once more.
func TestLateFailureOfALink(t *testing.T) {
	l, p, id := linked(t)
	old := l.find(id)
	l.PeerGone(p)
	if err := l.PeerOnline(laterPeer{p}); err != nil {
		t.Fatal(err)
	}
	l.failed(old, htlcswitch.LinkFailureError{})
	now := l.find(id)
	if now == nil || now == old {
		t.Fatal("the new connection has no link")
	}
	if _, err := l.cfg.Engine.swtch.GetLink(id); err != nil {
		t.Fatalf("the switch has lost the new link: %v", err)
	}
}

// TestFailureOfALink: a link that failed is gone from the switch.
func TestFailureOfALink(t *testing.T) {
	l, _, id := linked(t)
	l.failed(l.find(id), htlcswitch.LinkFailureError{})
	if l.find(id) != nil {
		t.Fatal("a link that failed is still found")
	}
	_, err := l.cfg.Engine.swtch.GetLink(id)
	if !errors.Is(err, htlcswitch.ErrChannelLinkNotFound) {
		t.Fatalf("the switch has the link that failed: %v", err)
	}
}

// TestLateFailureThatBreaksTheChannel: what ends the channel, and not only the link, also
// ends the link of the next connection.
func TestLateFailureThatBreaksTheChannel(t *testing.T) {
	l, p, id := linked(t)
	old := l.find(id)
	l.PeerGone(p)
	if err := l.PeerOnline(laterPeer{p}); err != nil {
		t.Fatal(err)
	}
	l.failed(old, htlcswitch.LinkFailureError{PermanentFailure: true})
	if l.find(id) != nil {
		t.Fatal("a broken channel has a link")
	}
}

// TestRetire: a channel that is being given up has no link, whatever happens meanwhile, and one again
// with the first connection after that.
func TestRetire(t *testing.T) {
	l, p, ch, id := fresh(t)
	ready := lnwire.NewChannelReady(id, testKey.PubKey())
	if err := l.Ready(p, ch, ready); err != nil {
		t.Fatal(err)
	}
	l.Retire(p.PubKey(), id)
	if l.find(id) != nil {
		t.Fatal("a retired channel has a link")
	}
	if err := l.Ready(p, ch, ready); !errors.Is(err, errRetired) || l.find(id) != nil {
		t.Errorf("channel_ready for a retired channel: %v", err)
	}
	l.PeerGone(p)
	if err := l.PeerOnline(laterPeer{p}); err != nil || l.find(id) != nil {
		t.Fatalf("a new connection makes the link of a retired channel: %v", err)
	}
	l.PeerGone(laterPeer{p})
	l.Restore(id)
	if err := l.PeerOnline(p); err != nil || l.find(id) == nil {
		t.Fatalf("no link after Restore: %v", err)
	}
}

// TestInternalFailureIsAWarning: what goes wrong on our side does not cost the channel. A peer fails a
// channel for which it gets `error`.
func TestInternalFailureIsAWarning(t *testing.T) {
	if got := (htlcswitch.LinkFailureError{}).Error(); got != "internal error" {
		t.Fatalf("lnd's zero code is %q", got)
	}
	for what, v := range map[string]struct {
		failure htlcswitch.LinkFailureError
		warning bool
	}{
		"the disk is full":    {htlcswitch.LinkFailureError{FailureAction: htlcswitch.LinkFailureForceNone}, true},
		"the channel is lost": {htlcswitch.LinkFailureError{PermanentFailure: true}, false},
	} {
		l, p, id := linked(t)
		l.failed(l.find(id), v.failure)
		var warnings, faults int
		for len(p.sent) > 0 {
			switch (<-p.sent).(type) {
			case *lnwire.Warning:
				warnings++
			case *lnwire.Error:
				faults++
			}
		}
		if warnings+faults != 1 || (warnings == 1) != v.warning {
			t.Errorf("%s: %d warnings, %d errors", what, warnings, faults)
		}
	}
}
