package peer

import "time"

// Limits bounds what peers can make us spend. A zero field takes its default.
type Limits struct {
	// Strangers is how many inbound peers without channels may be connected
	// (those for which Config.KnownPeer is false). Default 100. When they are
	// all there, the one that has been idle for longest makes room if it has
	// been idle for 10 seconds at least; else the newcomer is refused. Peers
	// with channels, and peers that we dialled, are neither counted nor evicted.
	Strangers int
	// Handshakes is how many inbound connections may be between TCP accept and
	// Connected. Default 200. A newer one takes the room of the oldest, so that
	// silent sockets cannot keep honest nodes out.
	Handshakes int
	// Dials is how many reconnects may be dialling at once. Default 32.
	Dials int
	// QueueBytes and QueueMessages bound what waits to be written to one peer.
	// Defaults 4 MiB and 4096. Who sends more waits for room, at most Write.
	QueueBytes, QueueMessages int
	// ReadRate is how many bytes a second a stranger may send us for long, with
	// bursts of four times as many. Default 1 MiB. We read no faster than that.
	ReadRate int

	// Handshake is the time from TCP connect to the end of both init. Default 15 s.
	Handshake time.Duration
	// Write is the time in which a peer must take one message. Default 5 s.
	Write time.Duration
	// Idle is the time without any message after which a peer is gone. Default 5 min.
	Idle time.Duration
	// Ping is the time between two pings, Pong the time to answer one. Defaults
	// 30 s and 20 s: a silent peer is found within a minute.
	Ping, Pong time.Duration
	// BackoffMin and BackoffMax are the first and the longest wait between two
	// attempts to reconnect. Defaults 1 s and 5 min.
	BackoffMin, BackoffMax time.Duration
}
