package lsp

import (
	"testing"
	"time"
)

// TestPace has a client that floods wait, and no other.
func TestPace(t *testing.T) {
	s, _ := newService(t, nil)
	now := t0
	for range 100 {
		if wait := s.Pace(now, eve, 500); wait != 0 {
			t.Fatalf("a client that asks is told to wait %v", wait)
		}
	}
	now = now.Add(time.Minute)
	for range 2 {
		if wait := s.Pace(now, eve, maxMessage); wait != 0 {
			t.Errorf("two of the largest messages: wait %v", wait)
		}
	}
	sent, begin := 0, now
	for range 200 {
		wait := s.Pace(now, eve, 10_000)
		sent += 10_000
		now = now.Add(wait)
	}
	if rate := float64(sent) / now.Sub(begin).Seconds(); rate > readPerSecond*1.01 {
		t.Errorf("a flood is read at %.0f bytes a second", rate)
	}
	if wait := s.Pace(now, bob, 500); wait != 0 {
		t.Errorf("another client waits %v", wait)
	}
	s.PeerGone(eve)
	s.sweep(now)
	if s.Pace(now, eve, 10_000) == 0 {
		t.Error("a reconnect wins bytes")
	}

	// Annex c 39: a clock that goes back costs nobody more than a message too many.
	if wait := s.Pace(now.Add(-24*time.Hour), eve, 10_000); wait != 0 {
		t.Errorf("after the clock went back: wait %v", wait)
	}
}

// TestPaceForgets has nothing kept of clients that are away.
func TestPaceForgets(t *testing.T) {
	s, _ := newService(t, nil)
	now := t0
	for i := range 3 * maxClients {
		client := [33]byte{2, byte(i), byte(i >> 8), byte(i >> 16)}
		now = now.Add(10 * time.Millisecond)
		s.Pace(now, client, 500)
		s.PeerGone(client)
	}
	if len(s.callers) > maxClients {
		t.Errorf("%d clients are remembered", len(s.callers))
	}
}
