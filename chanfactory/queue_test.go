package chanfactory

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"
)

// quietPeer is a connection that says nothing.
type quietPeer struct {
	Peer
	quit chan struct{}
}

func (quietPeer) PubKey() [33]byte              { return [33]byte{2} }
func (quietPeer) ID() uint64                    { return 1 }
func (p quietPeer) QuitSignal() <-chan struct{} { return p.quit }

// emptyFactory runs workers, and nothing that they could work on.
func emptyFactory() *Factory {
	return &Factory{
		clock: clock.NewDefaultClock(), log: slog.New(slog.DiscardHandler), running: true,
		quit: make(chan struct{}), workers: map[[33]byte]*worker{}, opens: map[string][33]byte{},
	}
}

// A peer that sends faster than its messages can be handled is read more slowly: what waits for
// its worker is bounded.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := emptyFactory(), quietPeer{quit: make(chan struct{})}
		release := make(chan struct{})
		f.post(p.PubKey(), func(*worker) { <-release })

		took := 0
		for range 2 {
			go func() {
				for range maxQueued {
					f.Handle(p, &lnwire.Warning{})
					took++ // one goroutine at a time gets here: the other waits for a place
				}
			}()
			synctest.Wait()
		}
		if took != maxQueued {
			t.Errorf("took %d messages while the worker was busy, want %d", took, maxQueued)
		}
		close(release)
		synctest.Wait()
		if took != 2*maxQueued {
			t.Errorf("took %d messages in the end, want %d", took, 2*maxQueued)
		}
		if len(f.workers) != 0 {
			t.Error("the worker stays, with nothing left to do")
		}
		f.end()
	})
}

// Who waits for a place is let go when the connection or the factory ends.
func TestQueueLetsGo(t *testing.T) {
	for name, end := range map[string]func(*Factory, quietPeer){
		"connection": func(_ *Factory, p quietPeer) { close(p.quit) },
		"factory":    func(f *Factory, _ quietPeer) { close(f.quit) },
	} {
		synctest.Test(t, func(t *testing.T) {
			f, p := emptyFactory(), quietPeer{quit: make(chan struct{})}
			release := make(chan struct{})
			f.post(p.PubKey(), func(*worker) { <-release })
			for range maxQueued {
				f.Handle(p, &lnwire.Warning{})
			}
			returned := false
			go func() {
				f.Handle(p, &lnwire.Warning{})
				returned = true
			}()
			synctest.Wait()
			if returned {
				t.Errorf("%s: one message more than there are places was taken", name)
			}
			end(f, p)
			synctest.Wait()
			if !returned {
				t.Errorf("%s: the reader is held although it ended", name)
			}
			close(release)
			f.mu.Lock()
			f.running = false
			f.mu.Unlock()
			f.wg.Wait()
		})
	}
}
