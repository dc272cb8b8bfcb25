package node

import (
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/peer"
)

// gate is where a test passes, drops, replaces or holds the messages between a node and
// its peers, or cuts the connection. Ping, pong and init are the connection's own.
type gate func(m gated)

// gated is a message at the gate. Pass lets one through, this one or another, and may be
// called any number of times, also later: what comes when the connection has ended is
// lost with it. Cut ends the connection.
type gated struct {
	Peer [33]byte
	Sent bool
	Msg  lnwire.Message
	Pass func(lnwire.Message) error
	Cut  func()
}

// send reports no error of its own: what is dropped or held counts as sent.
func (g gate) send(p connPeer, sync bool, msgs []lnwire.Message) error {
	for _, m := range msgs {
		g(gated{Peer: p.PubKey(), Sent: true, Msg: m, Cut: func() { p.Disconnect(nil) },
			Pass: func(m lnwire.Message) error {
				p.tap(true, m)
				return p.Conn.SendMessage(sync, m)
			}})
	}
	return nil
}

func (g gate) take(c *peer.Conn, m lnwire.Message, route func(lnwire.Message)) {
	g(gated{Peer: c.PubKey(), Msg: m, Cut: func() { c.Disconnect(nil) },
		Pass: func(m lnwire.Message) error {
			select {
			case <-c.QuitSignal():
				return peer.ErrDisconnected
			default:
				route(m)
				return nil
			}
		}})
}

func (s seams) peerLimits(l peer.Limits) peer.Limits {
	if s.limits != nil {
		s.limits(&l)
	}
	return l
}
