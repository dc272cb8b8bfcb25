package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// acceptPause is the wait after a failed accept, which is what a process gets
// that is out of file descriptors.
const acceptPause = 100 * time.Millisecond

// routineAccept takes inbound connections until the listener is closed. Run
// waits for it and for all that it starts.
func (m *Manager) routineAccept(ctx context.Context, l net.Listener) {
	for {
		socket, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if err == nil {
				socket.Close()
			}
			return
		}
		if err != nil {
			m.log.say(slog.LevelError, "cannot accept peers, check the limit of open files",
				"addr", l.Addr().String(), "err", err)
			pause(ctx, acceptPause)
			continue
		}
		shake, cancel := context.WithCancelCause(ctx)
		leave := m.shakes.enter(cancel)
		m.wg.Go(func() {
			defer cancel(nil)
			defer leave()
			m.welcome(shake, socket)
		})
	}
}

// welcome makes a connection of an inbound socket.
func (m *Manager) welcome(ctx context.Context, socket net.Conn) {
	addr := socket.RemoteAddr().String()
	if _, err := m.establish(ctx, socket, nil); err != nil {
		m.log.say(slog.LevelDebug, "inbound connection failed", "addr", addr, "err", err)
	}
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
