// Package jit is the protocol of one just-in-time channel order, the LSP's side of
// bLIP-52 from the first part of the payment to the fee.
//
//	payer            LSP                                        client
//	  | update_add_htlc |  awaiting_parts                          |
//	  |---------------->|  ... the parts cover the payment         |
//	  |                 |  awaiting_client                         |
//	  |                 |                            (connects)    |
//	  |                 |  awaiting_channel                        |
//	  |                 |------ open_channel ... funding_signed -->|
//	  |                 |<----------- channel_ready -------------->|
//	  |                 |  awaiting_claim                          |
//	  |                 |------ update_add_htlc with extra_fee --->|
//	  |                 |<----- update_fulfill_htlc ---------------|
//	  |<----------------|  paid                                    |
//	                       owed: the client failed it, or came too late
//	                       dead: no channel, and none can come
//
// An Order is a value. Step takes it and an event and gives the next value and what
// is to be done; it does no IO, reads no clock and starts no goroutine. order.go
// lists all states, events and commands; testdata/matrix.golden shows every state
// with every event, testdata/stories.golden whole lives.
//
// # What the node around it does
//
//  1. It gives events to an order one at a time, in the order in which they happen.
//  2. It stores the order (Marshal) before it does the commands, and does these in
//     their order. It may take several steps before it stores, as long as it then
//     does all their commands: WakeClient is answered by ClientOnline in the same
//     breath when the client is connected, so that one write covers both steps.
//  3. It gives a Tick at Deadline, and a Height as soon as the chain is at
//     DeadlineHeight, before any other event.
//  4. It gives every HTLC that names the scid as PartArrived, each time that the
//     switch offers it. The answer is a command, or silence: the part is held.
//  5. It ends each OpenChannel with one OpenSigned or OpenFailed, and each
//     DropChannel with ChannelGone. It tells the outcome of each forwarded part.
//  6. It begins each life with a Restarted, before the switch offers anything.
//
// A held part is always answered: by the end of its hold, before its expiry, or at
// the end of the offer. A forwarded one is never failed by the order: only the
// client, or the chain, answers it.
package jit
