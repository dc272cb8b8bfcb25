package peer

import "errors"

// Errors of the calls on a Manager.
var (
	// ErrStopped: Run has ended or is ending.
	ErrStopped = errors.New("peer: the node is stopping, start it again to connect")
	// ErrRunning: Run was called twice.
	ErrRunning = errors.New("peer: already running")
	// ErrSelf: the node id to connect to is our own.
	ErrSelf = errors.New("peer: this is our own node id, name another node")
	// ErrNotConnected: there is no connection to that node.
	ErrNotConnected = errors.New("peer: not connected to this node, connect first")
)

// Errors that end a connection while it is being made.
var (
	// ErrHandshake: BOLT 8 failed. For a dialler that is most often a wrong node id.
	ErrHandshake = errors.New("encrypted handshake failed, check the node id and that " +
		"a Lightning node listens at the address")
	// ErrNoInit: the first message was not init, or none came in time.
	ErrNoInit = errors.New("peer did not send init first")
	// ErrWrongNetwork: the peer's init names chains, and ours is not among them.
	ErrWrongNetwork = errors.New("peer is on another network (mainnet, testnet, regtest...)")
	// ErrFeatures: the peer requires features that we don't have, or names a
	// feature without one that it depends on.
	ErrFeatures = errors.New("peer requires features that we do not offer")
	// ErrTooManyPeers: Limits.Strangers are connected and none was idle.
	ErrTooManyPeers = errors.New("too many peers without channels, try again later")
	// ErrTooManyHandshakes: a newer connection needed the room of this handshake.
	ErrTooManyHandshakes = errors.New("too many handshakes at once")
	// ErrRefused: Handler.Connected returned an error.
	ErrRefused = errors.New("connection refused by the node")
)

// Errors that end a connection; they reach Handler.Disconnected and, from then
// on, whoever sends.
var (
	// ErrDisconnected: we closed it, by Disconnect(nil) or Manager.Disconnect.
	ErrDisconnected = errors.New("disconnected")
	// ErrReplaced: a newer connection of the same node took its place.
	ErrReplaced = errors.New("replaced by a newer connection of the same node")
	// ErrEvicted: a stranger that was idle made room for another one.
	ErrEvicted = errors.New("idle peer without channels made room for another")
	// ErrMalformed: the peer sent bytes that are no valid message.
	ErrMalformed = errors.New("peer sent a malformed message")
	// ErrUnknownMessage: the peer sent a message of an unknown even type.
	ErrUnknownMessage = errors.New("peer sent an unknown message that it requires us to know")
	// ErrPingTimeout: no pong came.
	ErrPingTimeout = errors.New("peer did not answer a ping")
	// ErrPingFlood: more pings came than Limits allow.
	ErrPingFlood = errors.New("peer sends too many pings")
	// ErrSlowReader: the peer doesn't read what we send.
	ErrSlowReader = errors.New("peer does not read what we send")
)
