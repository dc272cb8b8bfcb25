// Package admission decides who may buy a channel, who must trust us for it, and when a channel may
// be opened, by what clients, tokens and all together have cost us and still could.
//
// A channel that we fund at once and that nobody pays for costs two transactions, and its coins are
// away until it is closed. That is the one loss that a client can cause at will, so it is what is
// counted: by client, by token and in all. At the limits a client is told to trust us (bLIP-52,
// client_trusts_lsp), for a funding that waits for the preimage can't be lost; or to wait.
//
// The Gate does no IO and reads no clock. It is told of each order as it stands (Put), in the same way
// while the node runs and when it starts, so what it knows is always what the stored orders say:
// nothing is stored for a client that has bought nothing, and nothing of ours for one that has.
//
//	buy           Judge: sell, sell only to a client that trusts us, or refuse
//	set complete  Reserve: open now, or not before another order is paid
//	every change  Put: waiting, opened, owed, paid, ended
//
// A withheld funding that was dropped has cost nothing but coins that were bound for a while. It
// counts among a client's openings of the day and not as unpaid.
package admission
