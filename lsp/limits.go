package lsp

import "time"

// Limits bound what clients can ask for. Zero is the default.
type Limits struct {
	ClientPerSecond int // requests of one client, 10
	PerSecond       int // requests of all, 2000
	ClientOpen      int // orders of one client that are neither paid, dead nor past their offer, 10
	Open            int // of all, 1000
}

func (l Limits) orDefault() Limits {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&l.ClientPerSecond, 10)
	set(&l.PerSecond, 2000)
	set(&l.ClientOpen, 10)
	set(&l.Open, 1000)
	return l
}

// maxClients bounds the clients that a Service remembers between requests.
const maxClients = 4096

// meter lets so many requests through in any second. It is the time at which a
// client that asks evenly would be due again.
type meter struct{ due time.Time }

func (m *meter) take(now time.Time, perSecond int) bool {
	each := time.Second / time.Duration(perSecond)
	due := m.due
	if due.Before(now) || due.Sub(now) > time.Second { // the latter: the clock went back
		due = now
	}
	if due.Sub(now) > time.Second-each {
		return false
	}
	m.due = due.Add(each)
	return true
}

// caller is what a Service remembers of a client. Guarded by Service.mu.
type caller struct {
	meter  meter
	read   flow
	told   bool // that it sent a malformed message, on this connection
	online bool
}

// admit finds the client and says whether it may ask now.
func (s *Service) admit(now time.Time, client [33]byte) (_ *caller, ok bool) {
	c := s.remember(now, client)
	if c == nil {
		return &caller{told: true}, false
	}
	return c, c.meter.take(now, s.limits.ClientPerSecond) && s.meter.take(now, s.limits.PerSecond)
}

// remember finds a client that is connected, or makes room for it; nil: there is none.
func (s *Service) remember(now time.Time, client [33]byte) *caller {
	c := s.callers[client]
	if c == nil {
		if len(s.callers) >= maxClients && !s.sweep(now) {
			return nil
		}
		c = &caller{}
		s.callers[client] = c
	}
	c.online = true
	return c
}

// sweep forgets the clients that are away and could ask in full again.
func (s *Service) sweep(now time.Time) bool {
	for id, c := range s.callers {
		if !c.online && !c.meter.due.After(now) && !c.read.due.After(now) {
			delete(s.callers, id)
		}
	}
	return len(s.callers) < maxClients
}
