// Package chanfactory makes channels, and closes them by agreement: BOLT 2's funding flow in both
// roles over lnwallet's reservations, zero-conf and ordinary, and the negotiation of a closing
// transaction. Between the two, a channel belongs to its link.
//
// The rules and the machines are in chanfactory/funding, which does no IO; this package does what
// they command. Each peer has a worker, which does one thing after the other: lnwallet and the
// store may take their time, the peer's read loop is never held up by them.
//
// The smallest use:
//
//	f, err := chanfactory.New(cfg)
//	go func() { done <- f.Run(ctx) }()
//	<-f.Settled()
//	err = f.Quiesce(p) // for each connection; then
//	f.PeerOnline(p)    // and f.Handle(p, m) for its messages
//	err = f.Open(ctx, chanfactory.OpenRequest{Peer: p, Tag: "order 1", Capacity: 100_000,
//		Private: true, ZeroConf: true})
//	// cfg.Events: Sent, Accepted, Created, Signed, Ready, Broadcast, Confirmed; or Failed
//
// # What is on disk when
//
// One record for each tag, in the same file as the channels:
//
//	the process ends              the next start finds          and
//	before funding_created        no record                     frees the coins
//	after it, before              a record, no channel          frees the coins, forgets the
//	funding_signed is stored                                    record, tells Dropped
//	after that                    the channel                   broadcasts, unless withheld; the
//	                                                            channel comes up when the peer does
//	after Release or Drop         the record says so            finishes it
//
// The record holds the signed transaction and whether it is withheld, so nothing has to be
// written between the peer's signature and the broadcast.
//
// # What the node owes
//
//   - HoldCoins comes before anything else may spend the wallet's coins, Run when all is up.
//   - Quiesce comes before the node looks for the peer's channels: an earlier connection's may still
//     be on its way to the disk.
//   - PeerOnline comes after the links of the peer's open channels were made, and after
//     channel_reestablish was sent for those that are pending or being closed: BOLT 2 wants one for
//     each channel, and LDK sends no channel_ready before it has ours.
//   - Links.Ready makes a link without another channel_reestablish.
//   - A link of a channel with ShutdownInfo sends that shutdown again after channel_reestablish.
//   - channel_reestablish itself, data loss and forced closes are the link's and the court's.
//   - The wallet, the notifier, the links and the court work until Run has returned: lnwallet waits
//     forever for a wallet that has stopped.
package chanfactory
