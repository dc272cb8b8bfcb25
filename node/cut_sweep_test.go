package node_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// snipper cuts a connection at one message. A message is named from the LSP's side; the
// moment before it is when its sender has not sent it, the moment after it is when its
// receiver has it and has not looked at it.
type snipper struct {
	who string   // whose connection
	key [33]byte // its node id
	cut func()

	mu     sync.Mutex
	counts map[moment]int // guarded by mu; by name and side
	list   []moment       // guarded by mu
	at     moment         // guarded by mu
	struck chan struct{}  // closed at the cut
}

func (s *snipper) line(at string, peer [33]byte, sent bool, m lnwire.Message) {
	now := moment{name: "from " + s.who}
	switch {
	case at == "lsp" && peer != s.key, at != "lsp" && at != s.who:
		return
	case (at == "lsp") == sent:
		now.name = "to " + s.who
	}
	now.after = !sent
	now.name += " " + messageName(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[now]++
	now.nth = s.counts[moment{name: now.name, after: now.after}]
	if sent {
		s.list = append(s.list, now)
	}
	if now == s.at {
		s.at = moment{} // once
		s.cut()
		close(s.struck)
	}
}

func messageName(m lnwire.Message) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*lnwire.")
}

// snip makes one sale with a cut at a moment; none for the zero moment. also sees the messages too, if
// it is given.
func (st *stage) snip(t *testing.T, who string, at moment, also tap) (list []moment, hit bool) {
	st.in(t, func() {
		began := time.Now()
		a := st.newAct()
		a.lspLife.arm(false, nil)
		s := &snipper{
			who: who, key: [33]byte(a.client.Key().SerializeCompressed()), cut: a.cliLife.disconnect,
			counts: map[moment]int{}, at: at, struck: make(chan struct{}),
		}
		if who == "payer" {
			s.key = [33]byte(a.market.payer.Key().SerializeCompressed())
			s.cut = a.payLife.disconnect
		}
		a.struck, a.mend = s.struck, a.meet
		st.setLine(func(at string, peer [33]byte, sent bool, m lnwire.Message) {
			if also != nil {
				also(at, peer, sent, m)
			}
			s.line(at, peer, sent, m)
		})
		a.play()
		a.raise()
		st.setLine(nil)
		a.check()
		a.serves()
		a.client.Stop()
		list, hit = s.list, a.fell
		t.Logf("cut: %v, %d parts, %v", hit, len(a.got.Parts), time.Since(began))
	})
	return list, hit
}

// TestCutAtEveryMessage: client and payer lose their connection before and after each
// message of a sale, in both directions, and come back (LSPS2-85, -100).
func TestCutAtEveryMessage(t *testing.T) {
	t.Parallel()
	for i, s := range sales {
		for _, who := range []string{"client", "payer"} {
			if !allPoints && i > 0 && who == "payer" {
				continue // the payer sees no difference: left to the long run
			}
			t.Run(s.name+", "+who, func(t *testing.T) { cutSweep(t, s, who) })
		}
	}
}

func cutSweep(t *testing.T, s sale, who string) {
	st := newStage(t, s, 0)
	all, _ := st.snip(t, who, moment{}, nil)
	var points []moment
	for i, m := range all {
		for _, m.after = range []bool{false, true} {
			switch only := os.Getenv("INLET_CRASH_AT"); {
			case only != "" && !strings.Contains(m.String(), only):
			case only != "" || allPoints, (2*i)%5 == 0 && m.after == (i%2 == 0):
				points = append(points, m)
			}
		}
	}
	missed := 0
	for _, m := range points {
		hit := false
		ok := t.Run(m.String(), func(t *testing.T) {
			for n := 0; n < tries && !hit; n++ {
				_, hit = st.snip(t, who, m, nil)
			}
		})
		if !hit && ok {
			missed++
			t.Logf("did not come in %d tries: %s", tries, m)
		}
		if !ok {
			st = newStage(t, s, 0)
		}
	}
	_, htlcs, longest := st.guard.report()
	t.Logf("%d of %d points cut (%d messages, before and after), %d did not come; %d HTLCs, the "+
		"longest out for %v; fee waived %d times, %d payments tried again",
		len(points), 2*len(all), len(all), missed, htlcs, longest, st.waived, st.retried)
	if missed*10 > len(points) {
		t.Errorf("%d of %d points did not come", missed, len(points))
	}
}
