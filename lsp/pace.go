package lsp

import "time"

const (
	// readPerSecond and readBurst are how many bytes of messages a client may send for
	// long and at once. An honest one asks twice, in some hundred bytes; parsing is what
	// messages cost us, whatever is answered.
	readPerSecond = 16 << 10
	readBurst     = 2 * maxMessage
)

// flow counts bytes. It is the time at which a client that sends evenly would be due
// again.
type flow struct{ due time.Time }

// take counts a message and says how long it comes too early.
func (f *flow) take(now time.Time, size int) time.Duration {
	const burst = time.Second * readBurst / readPerSecond
	// After a message that came too early its client waits, so more than this is due only
	// when the clock went back.
	const most = burst + time.Second*maxMessage/readPerSecond
	if f.due.Before(now) || f.due.Sub(now) > most {
		f.due = now
	}
	f.due = f.due.Add(time.Second * time.Duration(size) / readPerSecond)
	return max(0, f.due.Sub(now)-burst)
}

// Pace says how long not to read on from a client that has sent so many bytes: 0 for
// all that ask like clients do. The node calls it for each message before Handle.
func (s *Service) Pace(now time.Time, client [33]byte, size int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.remember(now, client)
	if c == nil {
		c = &caller{} // nothing is kept of it, and nothing is answered
	}
	return c.read.take(now, min(size, maxMessage))
}
