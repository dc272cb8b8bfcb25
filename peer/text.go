package peer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxText is how much of a peer's own words is ever shown.
	maxText = 256
	// logBurst and logPerSecond bound the lines that peers can make us log.
	logBurst, logPerSecond = 200, 10
)

// Printable makes text of a peer fit for a log or a terminal: printable ASCII
// only, all else becomes '.', and no more than 256 bytes of it.
//
// BOLT 1: "if `data` is not composed solely of printable ASCII characters [...]
// SHOULD NOT print out `data` verbatim."
func Printable(data []byte) string {
	cut := len(data) > maxText
	if cut {
		data = data[:maxText-3]
	}
	text := make([]byte, 0, maxText)
	for _, b := range data {
		if b < 32 || b > 126 {
			b = '.'
		}
		text = append(text, b)
	}
	if cut {
		text = append(text, "..."...)
	}
	return string(text)
}

// peerLog is a logger for lines that a peer can cause: it drops those above a
// rate that no disk minds, and says how many it dropped.
type peerLog struct {
	log *slog.Logger

	mu      sync.Mutex
	rate    bucket // guarded by mu
	dropped int    // guarded by mu
}

func newPeerLog(log *slog.Logger) *peerLog {
	return &peerLog{log: log, rate: bucket{burst: logBurst, perSecond: logPerSecond}}
}

func (l *peerLog) say(level slog.Level, msg string, args ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.mu.Lock()
	now := time.Now()
	if l.rate.take(now, 1) > 0 {
		l.rate.take(now, -1)
		l.dropped++
		l.mu.Unlock()
		return
	}
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if dropped > 0 {
		args = append(args, "lines_dropped", dropped)
	}
	l.log.Log(ctx, level, msg, args...)
}
