// Package peer keeps the encrypted connections to other Lightning nodes: it
// listens, dials, exchanges init, pings, reconnects, limits, and passes every
// other message to one Handler.
//
// The life of one connection, with the names of the files that carry it:
//
//	dialler                                     responder
//	   |  TCP                       (dial, listen)  |
//	   |  act one ------------------------------->  |
//	   |  <------------------------------- act two  |  handshake.go (BOLT 8)
//	   |  act three ----------------------------->  |
//	   |  init ------------> <--------------- init  |  init.go (BOLT 1)
//	   |       one connection a node, limits        |  slot.go, limits.go
//	   |                Connected                   |
//	   |  messages --------> <----------- messages  |  read.go, write.go
//	   |  ping ------------> <--------------- pong  |  ping.go
//	   |              Disconnected                  |
//
// The contract:
//
//   - A node has at most one connection at a time. Another one replaces it, and
//     Disconnected of the old has returned before Connected of the new is called.
//   - A connection is two goroutines: one reads and calls the Handler, one
//     writes and pings. The reader waits while the Handler works, and so does
//     the peer: at most one message of a peer is in flight at any time.
//   - Everything that a peer can make grow has a limit in Limits.
//   - Run returns when no goroutine of this package is left.
//
// The smallest program:
//
//	m, err := peer.New(peer.Config{
//		NodeKey: key, ChainHash: *params.GenesisHash, Features: features,
//		Listen: []string{":9735"}, Handler: handler,
//	})
//	if err != nil {
//		return err
//	}
//	return m.Run(ctx)
package peer
