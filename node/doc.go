// Package node is a Lightning node with an LSP inside, to run as a daemon or to
// embed in a Go program.
//
//	words, err := node.Create(node.CreateOptions{Dir: dir, Params: params, Passphrase: pass})
//	...
//	n, err := node.New(node.Options{
//		Dir: dir, Params: params, Passphrase: pass,
//		Chain: node.ChainOptions{Bitcoind: &chain.BitcoindConfig{RPCHost: "127.0.0.1:8332"}},
//	})
//	...
//	go n.Run(ctx)
//	<-n.Ready()
//	invoice, err := n.JITInvoice(ctx, node.JITInvoiceRequest{LSP: key, Addr: addr, Amount: 50_000_000})
//
// The node composes parts and decides nothing itself:
//
//	                     peer        connections
//	                      |
//	     +----------------+-----------------+
//	     |                |                 |
//	chanfactory     node/forward           lsp       what peers say
//	opens, closes   links, switch     LSPS0, LSPS2
//	     |                |                 |
//	     |           node/orders  <---------+        one JIT order each
//	     |            |        |
//	     +------------+   node/pay                   our own invoices, payments
//	     |                     |
//	node/court   watches every channel on the chain
//	     |
//	wallet, chain, node/store
//
// All state is in one bbolt file. What is written there is written before its
// effect leaves, so the node may be killed at any time and goes on from the file.
//
// New starts nothing. Run returns with no goroutine left. A Node runs once.
package node
