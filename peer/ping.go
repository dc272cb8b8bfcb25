package peer

import (
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// pingSizes is how many different num_pong_bytes our pings have in turn, so
	// that a pong is told from that of another ping.
	pingSizes = 256
	// pongPatience is how many times Limits.Pong a peer that sends other
	// messages may leave a ping unanswered: its pong may stand behind them.
	pongPatience = 6
	// busyCheck is when to look again while our own side is busy.
	busyCheck = time.Second
	// pingBurst and pingsPerSecond bound the pings that we answer. Honest nodes
	// send one in 10 seconds or more, and several at once after the network hung.
	pingBurst, pingsPerSecond = 30, 1
)

// pinger knows when to ping, and whether the peer still answers. One ping is
// under way at a time. Time that our own side spends on a message does not
// count against the peer.
type pinger struct {
	interval, timeout time.Duration

	mu       sync.Mutex
	size     uint16        // num_pong_bytes of the last ping
	sent     time.Time     // when the last ping was made
	answered chan struct{} // not nil while a pong is awaited; closed when it comes
	heard    time.Time     // when the peer was last heard or could be again
	busy     bool          // the reader has not begun, or is with the Handler
	since    time.Time     // of busy
}

func newPinger(interval, timeout time.Duration) *pinger {
	now := time.Now()
	return &pinger{
		interval: interval, timeout: timeout, sent: now, heard: now, busy: true, since: now,
	}
}

// begin makes a ping, or returns nil while another one is under way. The channel
// is closed when the pong comes.
func (p *pinger) begin(now time.Time) (*lnwire.Ping, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered != nil {
		return nil, p.answered
	}
	// BOLT 1: "SHOULD set `ignored` to 0s": there are none of them.
	p.size = p.size%pingSizes + 1
	p.sent = now
	p.answered = make(chan struct{})
	return lnwire.NewPing(p.size), p.answered
}

// pong says whether this pong answers our ping.
func (p *pinger) pong(msg *lnwire.Pong) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered == nil || len(msg.PongBytes) != int(p.size) {
		return false
	}
	close(p.answered)
	p.answered = nil
	return true
}

// reading says that the reader waits for the peer again, or (false) no longer.
func (p *pinger) reading(now time.Time, waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waits && p.busy && p.answered != nil {
		p.sent = p.sent.Add(now.Sub(p.since))
	}
	p.busy, p.since, p.heard = !waits, now, now
}

// check says how long nothing is to be done. Zero: it is time for a ping. dead:
// the last one was not answered.
func (p *pinger) check(now time.Time) (wait time.Duration, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		return busyCheck, false // nobody would read the pong
	}
	if p.answered == nil {
		return max(0, p.sent.Add(p.interval).Sub(now)), false
	}
	last := p.sent
	if p.heard.After(last) {
		last = p.heard
	}
	end := last.Add(p.timeout)
	if limit := p.sent.Add(pongPatience * p.timeout); limit.Before(end) {
		end = limit
	}
	// BOLT 1: "if it doesn't receive a corresponding `pong`: MAY close the network
	// connection, and MUST NOT fail the channels in this case."
	return end.Sub(now), !end.After(now)
}
