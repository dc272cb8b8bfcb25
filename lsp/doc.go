// Package lsp speaks the LSPS protocols: the transport of bLIP-50 and the sale of
// just-in-time channels of bLIP-52, as the LSP (Service) and as its client (Client).
// What happens to an order after it was bought is package jit.
//
//	client                          LSP
//	  | lsps2.get_info               |
//	  |----------------------------->|  a menu of opening_fee_params, each with a
//	  |<-----------------------------|  promise that only this client can redeem
//	  | lsps2.buy                    |
//	  |----------------------------->|  the Book has the order before the answer
//	  |<-----------------------------|  leaves: jit_channel_scid
//	  | invoice with that scid       |
//	  |                              |
//
// It does no IO: messages are bytes that go in and out, time is an argument, and
// what was bought goes to a Book that the node brings. A node that is both asks the
// client first, which says whether the message is its own:
//
//	if !client.Deliver(peer, raw) {
//		if answer := service.Handle(now, peer, raw); answer != nil {
//			send(peer, answer)
//		}
//	}
package lsp
