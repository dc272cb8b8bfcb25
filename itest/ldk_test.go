package itest

import "github.com/inletlsp/inlet/node/nodetest/ldk"

// ldk starts an LDK node that buys from lsp.
func (w *world) ldk(name string, lsp *inlet, anchors ldk.Anchors) *ldk.Client {
	w.Helper()
	c := w.bitcoind.Config()
	return ldk.Start(w, ldk.Settings{
		Dir: w.path(name), LSP: lsp.id, LSPAddr: lsp.addr, RPCHost: c.RPCHost,
		RPCUser: c.RPCUser, RPCPassword: c.RPCPassword, Anchors: anchors,
	})
}
